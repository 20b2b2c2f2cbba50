// Sends each request with Node's own clients, and prints the status of its answer.

import http from "node:http";
import { text } from "node:stream/consumers";

const url = process.argv[2];

function byHttp({ method, path, headers, bytes }) {
  return new Promise((resolve, reject) => {
    const sent = { ...headers, "Content-Length": bytes };
    const request = http.request(url + path, { method, headers: sent }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    });
    request.on("error", reject);
    request.end(Buffer.alloc(bytes, "x"));
  });
}

async function byFetch({ method, path, headers, bytes }) {
  const answer = await fetch(url + path, { method, headers, body: Buffer.alloc(bytes, "x") });
  await answer.text();
  return answer.status;
}

for (const request of JSON.parse(await text(process.stdin))) {
  console.log(await byHttp(request), await byFetch(request));
}
