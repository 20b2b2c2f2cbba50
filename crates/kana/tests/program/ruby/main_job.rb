# frozen_string_literal: true

# The main job, as a product's back end does it: say what a package includes, record what a user
# used, and ask what is left. Exits with an error at the first answer that is not as expected.

require_relative 'kana_client'

url, key = ENV.fetch('KANA_URL'), ENV.fetch('KANA_DEV_KEY')
kana = KanaClient.new("#{url}/graphql", key)

def expect(expected, actual)
  raise "expected #{expected.inspect}, got #{actual.inspect}" unless expected == actual
end

kana.query(
  'mutation($input: CreateUserInput!) { createUser(input: $input) { id } }',
  input: { id: '124' }
)
kana.query(
  'mutation($input: CreateFeatureInput!) { createFeature(input: $input) { id } }',
  input: { id: 'api-calls', type: 'CONSUMABLE' }
)
kana.query(
  'mutation($input: CreatePackageInput!) { createPackage(input: $input) { id } }',
  input: {
    id: 'pro',
    features: [{ id: 'api-calls', entitlement: { limit: 3, resetPeriod: 'MONTH' } }]
  }
)
kana.query('mutation { publishPackage(id: "pro") { status } }')
kana.query('mutation { subscribe(packageIds: ["pro"], userId: "124") { status } }')

record = <<~GRAPHQL
  mutation createUsageEvent($input: CreateUsageEventInput!) { createUsageEvent(input: $input) }
GRAPHQL
ask = <<~GRAPHQL
  query($id: String!, $userId: String!) {
    feature(id: $id) {
      type
      entitlement(userId: $userId) { access consumption { budget used } }
    }
  }
GRAPHQL
entitlement = lambda do
  feature = kana.query(ask, id: 'api-calls', userId: '124')['feature']
  expect 'CONSUMABLE', feature['type']
  feature['entitlement']
end

expect({ 'access' => true, 'consumption' => { 'budget' => 3, 'used' => 0 } }, entitlement.call)
used = 0
while entitlement.call['access']
  raise 'access did not end with the budget' if used == 3

  event = { userId: '124', featureId: 'api-calls', delta: 1 }
  expect({ 'createUsageEvent' => true }, kana.query(record, input: event))
  used += 1
  expect({ 'budget' => 3, 'used' => used }, entitlement.call['consumption'])
end
expect 3, used

begin
  kana.query(record, input: { userId: 124, featureId: 'api-calls', delta: 1 })
  raise 'a number was taken for an id'
rescue KanaClient::Error => e
  raise e unless e.message.include?('userId') && e.message.include?('String')
end
expect({ 'access' => false, 'consumption' => { 'budget' => 3, 'used' => 3 } }, entitlement.call)

puts 'the main job is done'
