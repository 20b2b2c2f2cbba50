// Uses the stand-in Stripe server with the official client, as a seller's back end uses Stripe. The server
// is at STRIPE_URL, with the key STRIPE_KEY and a webhook here, which it is told about.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import Stripe from 'stripe';

const { STRIPE_URL: url, STRIPE_KEY: key } = process.env;
const { hostname, port } = new URL(url);
const secret = 'whsec_of_the_test';

function client(apiKey, maxNetworkRetries = 0) {
  return new Stripe(apiKey, { host: hostname, port, protocol: 'http', maxNetworkRetries, telemetry: false });
}

async function control(path, form) {
  const body = new URLSearchParams(form);
  const response = await fetch(`${url}/_control/${path}`, { method: 'POST', body });
  assert.equal(response.status, 200, await response.text());
}

const stripe = client(key);

// The events that the webhook is sent, checked by the client.
const events = [];
const webhook = createServer(async (request, response) => {
  const chunks = await request.toArray();
  const body = Buffer.concat(chunks);
  events.push(stripe.webhooks.constructEvent(body, request.headers['stripe-signature'], secret));
  response.end();
  webhook.emit('delivered');
});
webhook.listen(0, '127.0.0.1');
await once(webhook, 'listening');
await control('webhook', { url: `http://127.0.0.1:${webhook.address().port}/hook`, secret });

// Objects, as they are created, changed and retrieved.
const customer = await stripe.customers.create({
  email: 'ann@example.com',
  metadata: { team: 'a', size: '2' },
});
assert.match(customer.id, /^cus_/);
assert.equal(customer.livemode, false);
const changed = await stripe.customers.update(customer.id, { name: 'Ann', metadata: { size: '' } });
assert.deepEqual(changed.metadata, { team: 'a' });
assert.equal((await stripe.customers.retrieve(customer.id)).name, 'Ann');

const product = await stripe.products.create({ name: 'Pro' });
const price = await stripe.prices.create({
  product: product.id,
  currency: 'gbp',
  unit_amount: 5000,
  recurring: { interval: 'month' },
});
assert.equal(price.unit_amount, 5000);
assert.equal(price.recurring.interval_count, 1);
const subscription = await stripe.subscriptions.create({
  customer: customer.id,
  items: [{ price: price.id, quantity: 3 }],
  trial_period_days: 14,
  expand: ['customer', 'items.data.price.product'],
});
assert.equal(subscription.status, 'trialing');
assert.equal(subscription.customer.email, 'ann@example.com');
assert.equal(subscription.items.data[0].price.product.name, 'Pro');
assert.equal(subscription.items.data[0].current_period_end, subscription.trial_end);
const active = await stripe.subscriptions.update(subscription.id, {
  trial_end: 'now',
  cancel_at_period_end: true,
});
assert.equal(active.status, 'active');
assert.equal(active.cancel_at, active.items.data[0].current_period_end);
const cancelled = await stripe.subscriptions.cancel(subscription.id);
assert.equal(cancelled.status, 'canceled');
assert.ok(cancelled.ended_at);
assert.equal((await stripe.accounts.retrieveCurrent()).object, 'account');

// A checkout session that is paid on its page, and its subscription.
const session = await stripe.checkout.sessions.create({
  mode: 'subscription',
  line_items: [{ price: price.id, quantity: 1 }],
  success_url: 'http://shop.example/done?id={CHECKOUT_SESSION_ID}',
  subscription_data: { metadata: { kana_user_id: 'u-17' } },
});
const paid = await fetch(session.url, {
  method: 'POST',
  body: new URLSearchParams({ email: 'bob@example.com' }),
  redirect: 'manual',
});
assert.equal(paid.headers.get('location'), `http://shop.example/done?id=${session.id}`);
const complete = await stripe.checkout.sessions.retrieve(session.id, {
  expand: ['subscription', 'customer', 'line_items'],
});
assert.equal(complete.status, 'complete');
assert.equal(complete.subscription.metadata.kana_user_id, 'u-17');
assert.equal(complete.line_items.data[0].price.id, price.id);
await stripe.customers.del(complete.customer.id);

// Usage that a meter counts, and an event of the second version of the API about what it cannot count.
const meter = await stripe.billing.meters.create({
  display_name: 'Calls',
  event_name: 'calls',
  default_aggregation: { formula: 'sum' },
});
const use = (who, identifier) =>
  stripe.billing.meterEvents.create({
    event_name: 'calls',
    identifier,
    payload: { stripe_customer_id: who, value: '7' },
  });
await use(customer.id, 'first');
await assert.rejects(use(customer.id, 'first'), { message: /already exists with identifier first/ });
const minute = Math.floor(Date.now() / 60_000) * 60;
const summaries = await stripe.billing.meters.listEventSummaries(meter.id, {
  customer: customer.id,
  start_time: minute - 3600,
  end_time: minute + 120,
});
assert.equal(summaries.data[0].aggregated_value, 7);

// All pages of a list, each object once, the newest first.
const made = [customer.id];
for (let number = 0; number < 24; number += 1) {
  made.unshift((await stripe.customers.create({ email: `${number}@example.com` })).id);
}
const listed = [];
for await (const { id } of stripe.customers.list({ limit: 10 })) listed.push(id);
assert.deepEqual(listed, made);
const found = await stripe.customers.list({ email: '7@example.com' });
assert.equal(found.data.length, 1);

// A request that is repeated with its key is done once; with other parameters it is refused.
const sameKey = { idempotencyKey: 'key-1' };
const first = await stripe.customers.create({ email: 'once@example.com' }, sameKey);
const second = await stripe.customers.create({ email: 'once@example.com' }, sameKey);
assert.equal(second.id, first.id);
const other = stripe.customers.create({ email: 'other@example.com' }, sameKey);
await assert.rejects(other, Stripe.errors.StripeIdempotencyError);

// The client repeats by itself what was cut after it was done, and it is done once.
await control('faults', { kind: 'cut', done: 'true', method: 'POST', path: '/v1/customers' });
await client(key, 2).customers.create({ email: 'retried@example.com' });
assert.equal((await stripe.customers.list({ email: 'retried@example.com' })).data.length, 1);

// Errors by their classes.
const refused = (call, error, fields) => assert.rejects(call, (thrown) => {
  assert.ok(thrown instanceof error, `${thrown.constructor.name}: ${thrown.message}`);
  for (const [name, value] of Object.entries(fields)) assert.equal(thrown[name], value, name);
  assert.match(thrown.requestId, /^req_/);
  return true;
});
const { errors } = Stripe;
const unknown = client('sk_test_unknown');
await refused(unknown.customers.list(), errors.StripeAuthenticationError, { statusCode: 401 });
await refused(stripe.customers.retrieve('cus_none'), errors.StripeInvalidRequestError, {
  statusCode: 404,
  code: 'resource_missing',
  param: 'id',
});
await refused(stripe.customers.list({ limit: 101 }), errors.StripeInvalidRequestError, { param: 'limit' });
await control('keys', { key: 'rk_test_reader_of_customers', 'permissions[customers]': 'read' });
const reader = client('rk_test_reader_of_customers');
await reader.customers.list();
await refused(reader.customers.create({}), errors.StripePermissionError, { statusCode: 403 });
await control('faults', { kind: 'too_many_requests', retry_after: '1' });
await refused(stripe.customers.list(), errors.StripeRateLimitError, { statusCode: 429 });
await control('faults', { kind: 'server_error' });
await refused(stripe.customers.list(), errors.StripeAPIError, { statusCode: 500 });

// Every event came, in the order of the list, which begins with the newest.
const expected = [];
for await (const { id } of stripe.events.list({ limit: 100 })) expected.unshift(id);
while (events.length < expected.length) await once(webhook, 'delivered');
assert.deepEqual(events.map(({ id }) => id), expected);
const updated = events.find(({ type }) => type === 'customer.updated');
assert.deepEqual(updated.data.previous_attributes, { metadata: { team: 'a', size: '2' }, name: null });
webhook.close();

// A signature of the client's own, for the test to check.
const payload = '{"id":"evt_1"}';
const timestamp = Math.floor(Date.now() / 1000);
const header = stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
console.log(JSON.stringify({ payload, secret, timestamp, header }));
