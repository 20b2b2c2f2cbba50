# frozen_string_literal: true

require 'httparty'
require 'json'

# A back end's client, as small as they come: one POST with the query, its variables and the key.
class KanaClient
  class Error < StandardError; end

  def initialize(url, key)
    @url = url
    @key = key
  end

  def query(query, variables = {})
    response = HTTParty.post(
      @url,
      headers: { 'Authorization' => @key, 'Content-Type' => 'application/json' },
      body: { query: query, variables: variables }.to_json
    )
    answer = JSON.parse(response.body)
    raise Error, answer['errors'].map { |error| error['message'] }.join("\n") if answer['errors']

    answer['data']
  end
end
