// Sends usage with the CloudEvents SDK for JavaScript as a product's back end would: in binary mode, which
// is its default, and in structured mode.

import assert from 'node:assert/strict';
import { CloudEvent, Mode, emitterFor, httpTransport } from 'cloudevents';

const { KANA_URL: url, KANA_DEV_KEY: key } = process.env;

/** What the product's back end asks besides. */
async function admin(query) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { Authorization: key, 'Content-Type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

async function used(userId) {
  const { canUseFeature } = await admin(
    `{ canUseFeature(userId: "${userId}", featureId: "api-calls") { consumption { used } } }`,
  );
  return canUseFeature.consumption.used;
}

await admin(`mutation {
  calls: createFeature(input: { id: "api-calls", type: CONSUMABLE }) { id }
  basic: createPackage(input: { id: "basic", features: [{ id: "api-calls" }] }) { id }
  publishPackage(id: "basic") { id }
}`);

const send = httpTransport(`${url}/events`);
for (const mode of [undefined, Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(send, mode && { mode });
  const userId = `Zoë ${mode ?? 'default'}`;
  await admin(`mutation {
    createUser(input: { id: "${userId}" }) { id }
    subscribe(packageIds: ["basic"], userId: "${userId}") { id }
  }`);
  const event = (id, data) => new CloudEvent({
    source: '/gateway', type: 'kana.usage', id: `${mode}-${id}`, subject: userId, data,
  });
  const one = event('a', { featureId: 'api-calls' });
  const five = event('b', { featureId: 'api-calls', delta: 5, metadata: { name: 'Zoë' } });
  // An event that is sent twice is recorded once.
  for (const sent of [one, five, five]) {
    const { body } = await emit(sent, { headers: { Authorization: key } });
    assert.deepEqual(JSON.parse(body), { received: 1, recorded: 1, notCounted: 0, refused: [] });
  }
  assert.equal(await used(userId), 6, mode);

  // In structured mode, data in bytes is sent as Base64.
  const bytes = new CloudEvent({
    source: '/gateway', type: 'kana.usage', id: `${mode}-bytes`, subject: userId,
    datacontenttype: 'application/json',
    data: new TextEncoder().encode(JSON.stringify({ featureId: 'api-calls', delta: 4 })),
  });
  const { body } = await emit(bytes, { headers: { Authorization: key } });
  assert.deepEqual(JSON.parse(body), { received: 1, recorded: 1, notCounted: 0, refused: [] });
  assert.equal(await used(userId), 10, mode);
}

console.log('the SDK sends usage');
