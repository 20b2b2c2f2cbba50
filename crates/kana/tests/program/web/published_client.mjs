// The client for web pages that is published for this API, unchanged, in a page of another origin:
// a product's own web page, as it asks what its user may do.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { inBrowser } from './browser.mjs';

const { KANA_URL: url, KANA_DEV_KEY: key, KANA_DEV_PUBLIC_KEY: publicKey } = process.env;
const endpoint = `${url}/client/graphql`;

/** What the product's back end does. */
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

const record = (userId, featureId, delta) => admin(`mutation {
  createUsageEvent(input: { userId: "${userId}", featureId: "${featureId}", delta: ${delta} })
}`);

await admin(`mutation {
  sso: createFeature(input: { id: "sso", name: "Single sign-on", type: BINARY }) { id }
  calls: createFeature(input: { id: "api-calls", type: CONSUMABLE }) { id }
  exports: createFeature(input: { id: "exports", type: CONSUMABLE }) { id }
  seats: createFeature(input: { id: "seats", type: CONSUMABLE }) { id }
  unsold: createFeature(input: { id: "unsold", type: BINARY }) { id }
  pro: createPackage(input: { id: "pro", name: "Pro", features: [
    { id: "sso" }
    { id: "api-calls", entitlement: { limit: 3, resetPeriod: MONTH } }
    { id: "exports", entitlement: { limit: 1, resetPeriod: MONTH } }
  ] }) { id }
  more: createPackage(input: { id: "more", name: "More", isAddon: true, basePackageIds: ["pro"],
    features: [{ id: "seats" }] }) { id }
  sellPro: publishPackage(id: "pro") { id }
  sellMore: publishPackage(id: "more") { id }
}`);

/** A new user with everything that there is, of which some is used. */
async function subscribe(userId) {
  await admin(`mutation {
    createUser(input: { id: "${userId}" }) { id }
    subscribe(packageIds: ["pro", "more"], userId: "${userId}") { id }
  }`);
  await record(userId, 'api-calls', 1);
  await record(userId, 'exports', 1);
}

/**
 * The web page of the product: it loads the client, and is not ours. The client's build asks
 * `process.env` for its mode, which every bundler puts in; here the page does.
 */
async function productPage() {
  const client = new URL('node_modules/@usekana/client-kana-js/dist/index.esm.js', import.meta.url);
  const files = new Map([
    ['/client.js', ['text/javascript', await readFile(client)]],
    ['/', ['text/html', `<!doctype html><title>A product</title><link rel="icon" href="data:,">
      <script>window.process = { env: { NODE_ENV: 'production' } };</script>
      <script type="module">
        import { KanaUserClient } from './client.js';
        window.KanaUserClient = KanaUserClient;
      </script>`]],
  ]);
  const server = createServer((request, response) => {
    const [type, body] = files.get(request.url) ?? ['text/plain', 'not found'];
    response.writeHead(files.has(request.url) ? 200 : 404, { 'Content-Type': type }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const server = await productPage();
const origin = `http://127.0.0.1:${server.address().port}`;
try {
  await inBrowser(origin, async (page) => {
    page.setDefaultTimeout(20_000);
    await page.goto(origin);
    await page.waitForFunction(() => window.KanaUserClient);

    /** Makes a client in the page, and answers what calls one of its methods there. */
    const client = async (config) => {
      await page.evaluate((given) => { window.kana = new KanaUserClient(given); }, config);
      return async (method, ...given) => JSON.parse(await page.evaluate(
        async ([name, values]) => {
          const { data, error } = (await window.kana[name](...values)) ?? {};
          // As JSON, which leaves out what is undefined. Of an error only the message counts: in
          // this build, which is made for old browsers, every error has the same class.
          return JSON.stringify(error ? { error: error.message } : { data });
        },
        [method, given],
      ));
    };

    await subscribe('secure');
    await subscribe('simple');
    const { generateUserToken } = await admin(
      'mutation { generateUserToken(userId: "secure") { token } }',
    );

    for (const [userId, config] of [
      ['secure', { endpoint, userToken: generateUserToken.token }],
      ['simple', { endpoint, apiKey: publicKey, userId: 'simple' }],
    ]) {
      const call = await client(config);
      assert.deepEqual(await call('canUseFeature', 'sso'), { data: { access: true } }, userId);
      assert.deepEqual(await call('canUseFeature', 'api-calls'), {
        data: { access: true, consumption: { budget: 3, used: 1 } },
      });
      assert.deepEqual(await call('canUseFeature', 'exports'), {
        data: { access: false, consumption: { budget: 1, used: 1 } },
      });
      assert.deepEqual(await call('canUseFeature', 'seats'), {
        data: { access: true, consumption: { budget: null, used: 0 } },
      });
      for (const without of ['unsold', 'unknown']) {
        assert.deepEqual(await call('canUseFeature', without), { data: { access: false } });
      }

      const { data: packages } = await call('getSubscribedPackages');
      const byId = (one, other) => one.id.localeCompare(other.id);
      assert.deepEqual(packages.sort(byId), [
        { id: 'more', name: 'More', isAddon: true },
        { id: 'pro', name: 'Pro', isAddon: false },
      ]);
      const { data: features } = await call('getSubscribedFeatures');
      features.sort(byId);
      assert.deepEqual(features.map(({ id }) => id), ['api-calls', 'exports', 'seats', 'sso']);
      assert.deepEqual(features.at(-1), {
        id: 'sso',
        name: 'Single sign-on',
        type: 'BINARY',
        entitlement: { access: true },
      });

      // It keeps what it has read until it is told to read again.
      await record(userId, 'api-calls', 2);
      const access = async () => (await call('canUseFeature', 'api-calls')).data;
      assert.deepEqual(await access(), { access: true, consumption: { budget: 3, used: 1 } });
      assert.deepEqual(await call('resetCache'), {});
      assert.deepEqual(await access(), { access: false, consumption: { budget: 3, used: 3 } });
    }
    assert.deepEqual(page.complaints, []);

    // Who may not ask is told so in the client's own words for it. The private key has no business
    // in a web page.
    for (const config of [
      { endpoint, userToken: `${generateUserToken.token}x` },
      { endpoint, apiKey: `pub_test_${'x'.repeat(40)}`, userId: 'simple' },
      { endpoint, apiKey: key, userId: 'simple' },
    ]) {
      const call = await client(config);
      assert.match((await call('getSubscribedPackages')).error, /^Unauthenticated/);
    }
    const call = await client({ endpoint, apiKey: publicKey, userId: 'nobody' });
    assert.match((await call('getSubscribedPackages')).error, /nobody/);
  });
} finally {
  server.close();
  server.closeAllConnections();
}

console.log('the published client works');
