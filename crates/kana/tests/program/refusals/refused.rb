# Sends each request with Ruby's own client, and prints the status of its answer.

require "json"
require "net/http"

url = URI(ARGV[0])

def status_of(test_case, http, expect: false)
  request = Net::HTTPGenericRequest.new(test_case["method"], true, true, test_case["path"])
  test_case["headers"].each { |name, value| request[name] = value }
  request["Expect"] = "100-continue" if expect
  request.body = "x" * test_case["bytes"]
  http.request(request).code
end

JSON.parse($stdin.read).each do |test_case|
  plain = Net::HTTP.start(url.host, url.port) { |http| status_of(test_case, http) }
  asking = Net::HTTP.start(url.host, url.port) do |http|
    http.continue_timeout = 60
    status_of(test_case, http, expect: true)
  end
  puts "#{plain} #{asking}"
end
