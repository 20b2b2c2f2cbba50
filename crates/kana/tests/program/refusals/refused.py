"""Sends each request with Python's own clients, and prints the status of its answer."""

import http.client
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

url = sys.argv[1]
cases = json.load(sys.stdin)


def by_http_client(case):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = b"x" * case["bytes"]
    connection.request(case["method"], case["path"], body, case["headers"])
    status = connection.getresponse()
    status.read()
    # The connection is good for another request.
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    return status.status


def by_urllib(case):
    request = urllib.request.Request(
        url + case["path"], b"x" * case["bytes"], case["headers"], method=case["method"]
    )
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


for case in cases:
    print(by_http_client(case), by_urllib(case))
