// The dashboard of an app with features, packages, users and a month of usage: every page as it is
// when there is much to show.

import assert from 'node:assert/strict';
import { inBrowser } from './browser.mjs';
import { check, go, options, says, welcome } from './dashboard_page.mjs';

const { KANA_URL: url, KANA_KEY: key, TOKEN: token } = process.env;
const DAY = 24 * 60 * 60 * 1000;
const now = Date.now();
const before = (days) => new Date(now - days * DAY).toISOString();

async function ask(query, variables) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: key, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

const features = [
  ['api-calls', 'API calls', 'CONSUMABLE', 'call', 'calls'],
  ['messages', 'Messages', 'CONSUMABLE', 'message', 'messages'],
  ['seats', 'Seats', 'CONSUMABLE', 'seat', 'seats'],
  ['exports', 'Exports', 'CONSUMABLE', 'export', 'exports'],
  ['sso', 'Single sign-on', 'BINARY'],
  ['audit-log', 'Audit log', 'BINARY'],
];

const counted = (id, limit, resetPeriod, overageEnabled = false) =>
  ({ id, entitlement: { limit, resetPeriod, overageEnabled } });

const added = (id, limit, resetPeriod) =>
  ({ id, entitlement: { limit, resetPeriod, stacking: 'ADD' } });

const packages = [
  { id: 'free', name: 'Free', features: [counted('api-calls', 1000, 'MONTH')] },
  {
    id: 'pro',
    name: 'Pro',
    features: [
      counted('api-calls', 10000, 'MONTH'),
      counted('messages', 500, 'DAY'),
      counted('seats', 5, 'YEAR'),
      { id: 'sso' },
    ],
  },
  {
    id: 'scale',
    name: 'Scale',
    features: [
      counted('api-calls', 100000, 'MONTH', true),
      counted('messages', 5000, 'DAY'),
      counted('seats', 50, 'YEAR'),
      { id: 'sso' },
      { id: 'audit-log' },
    ],
  },
  { id: 'more-seats', name: 'More seats', isAddon: true, features: [added('seats', 10, 'YEAR')] },
];

const names = ['Ada Lovelace', 'Katherine Johnson', 'ليلى الحداد', 'Grace Hopper', 'Hedy Lamarr'];

/** Numbers that look like chance and are the same each time. */
let state = 7;
const chance = (below) => {
  state = (state * 48271) % 2147483647;
  return state % below;
};

async function sell() {
  for (const [id, name, type, unitLabel, unitLabelPlural] of features) {
    await ask(
      'mutation($input: CreateFeatureInput!) { createFeature(input: $input) { id } }',
      { input: { id, name, type, unitLabel, unitLabelPlural } },
    );
  }
  for (const input of packages) {
    await ask('mutation($input: CreatePackageInput!) { createPackage(input: $input) { id } }', { input });
    await ask('mutation($id: String!) { publishPackage(id: $id) { status } }', { id: input.id });
  }
  await ask(
    'mutation($input: CreatePackageInput!) { createPackage(input: $input) { id } }',
    { input: { id: 'team-2027', name: 'Team 2027', features: [counted('seats', 20, 'YEAR')] } },
  );
}

async function use() {
  for (let user = 1; user <= 60; user += 1) {
    const userId = `u-${user}`;
    const name = names[user % names.length];
    await ask(
      'mutation($input: CreateUserInput!) { createUser(input: $input) { id } }',
      { input: { id: userId, name, email: `u${user}@example.com` } },
    );
    const packageIds = [['free'], ['pro'], ['scale'], ['pro', 'more-seats']][user % 4];
    await ask(
      `mutation($userId: String!, $packageIds: [String!]!, $quantities: [Int!], $startedAt: DateTime) {
         subscribe(userId: $userId, packageIds: $packageIds, quantities: $quantities,
           startedAt: $startedAt) { id } }`,
      {
        userId,
        packageIds,
        // Two of what is added to another package.
        quantities: packageIds.map((_, place) => place + 1),
        startedAt: before(29),
      },
    );
    const inputs = [{ userId, featureId: 'seats', delta: (user % 5) + 1 }];
    for (let day = 28; day >= 0; day -= 1) {
      const most = day % 7 < 2 ? 9 : 33;
      const occurredAt = before(day);
      inputs.push({ userId, featureId: 'api-calls', delta: chance(most) + 2, occurredAt });
      if (chance(3) > 0) inputs.push({ userId, featureId: 'messages', delta: chance(9), occurredAt });
    }
    await ask(
      'mutation($inputs: [CreateUsageEventInput!]!) { recordUsageBatch(inputs: $inputs) { recorded } }',
      { inputs: inputs.filter(({ delta }) => delta > 0) },
    );
  }
}

async function hold() {
  for (const [id, amount] of [['render-41', 1], ['render-42', 2]]) {
    const input = { id, userId: 'u-3', featureId: 'seats', amount, ttlSeconds: 86_400 };
    const { createHold } = await ask(
      'mutation($input: CreateHoldInput!) { createHold(input: $input) { granted } }',
      { input },
    );
    assert.ok(createHold.granted);
  }
}

await sell();
await use();
await hold();
await inBrowser(url, async (page) => {
  await welcome(page, token);
  await go(page, 'Overview');
  await check(page, 'Overview', 'overview');
  const at = `${url}/dashboard/test`;
  for (const [path, heading, picture] of [
    ['/features', 'Features', 'features'],
    ['/features/new', 'Create a feature', 'feature-new'],
    ['/feature?id=api-calls', 'API calls', 'feature'],
    ['/packages?status=all', 'Packages', 'packages'],
    ['/packages/new', 'Create a package', 'package-new'],
    ['/package?id=pro', 'Pro', 'package'],
    ['/package/edit?id=pro', 'Edit Pro', 'package-edit'],
    ['/package/publish?id=team-2027', 'Publish Team 2027?', 'package-publish'],
    ['/package/archive?id=pro', 'Archive Pro?', 'package-archive'],
    ['/users', 'Users', 'users'],
    ['/users?search=u-1', 'Users', 'users-search'],
    ['/users/new', 'Create a user', 'user-new'],
    ['/user?id=u-17', names[2], 'user'],
    ['/user?id=u-3', names[3], 'user-subscription'],
    ['/user/explain?id=u-3&feature=seats', 'Seats', 'explain'],
    ['/user/events?id=u-17', 'Events of u-17', 'user-events'],
    ['/users/import', 'Import users', 'users-import'],
    ['/developers', 'Developers', 'developers'],
    ['/integrations', 'Integrations', 'integrations'],
    ['/audit', 'Audit log', 'audit'],
    ['/documentation', 'Documentation', 'documentation'],
  ]) {
    await page.goto(at + path);
    await check(page, heading, picture);
  }
  // What a script does for those who have one: neither needs a new page, nor loses the focus.
  await page.goto(`${at}/users`);
  await page.evaluate(() => { window.isSamePage = true; });
  const search = page.getByRole('searchbox', { name: 'Search users' });
  await search.pressSequentially('u-17');
  await page.getByRole('link', { name: 'u-16', exact: true }).waitFor({ state: 'detached' });
  assert.deepEqual(await page.getByRole('rowheader').allTextContents(), ['u-17']);
  assert.ok(page.url().endsWith('/users?search=u-17'), page.url());
  assert.ok(await search.evaluate((field) => field === document.activeElement));
  await search.pressSequentially('-nobody');
  await page.getByText('No user').first().waitFor();
  assert.ok(await page.evaluate(() => window.isSamePage));

  await page.goto(`${at}/packages/new`);
  await page.evaluate(() => { window.isSamePage = true; });
  await page.getByLabel('Name', { exact: true }).fill('Team');
  await page.getByRole('button', { name: 'Add a feature' }).click();
  const second = page.getByRole('group', { name: 'Feature 2' });
  await second.getByLabel('Feature', { exact: true }).fill('seats');
  assert.ok(await second.evaluate((group) => group.contains(document.activeElement)));
  await page.getByRole('button', { name: 'Remove feature 1' }).click();
  await second.waitFor({ state: 'detached' });
  const first = page.getByRole('group', { name: 'Feature 1' });
  assert.equal(await first.getByLabel('Feature', { exact: true }).inputValue(), 'seats');
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Team');
  assert.ok(await page.evaluate(() => window.isSamePage));

  await page.goto(`${at}/user?id=u-3`);
  await page.getByRole('link', { name: 'Change More seats', exact: true }).click();
  await check(page, 'Change More seats', 'subscription-of-several');
  await page.getByLabel('Quantity', { exact: true }).fill('5');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: '55', exact: true }).waitFor();

  // A job that will never end keeps nothing any more.
  const holds = page.getByRole('table', { name: 'Holds' });
  const release = holds.getByRole('link', { name: 'Release the hold of Seats' });
  assert.equal(await release.count(), 2);
  await release.first().click();
  await check(page, 'Release the hold?', 'hold-release');
  await page.getByRole('button', { name: 'Release hold' }).click();
  await says(page, 'Hold released.');
  await page.getByText('render-41').waitFor({ state: 'detached' });
  assert.equal(await release.count(), 1);
  await holds.getByRole('cell', { name: 'render-42' }).waitFor();

  await page.goto(`${url}/dashboard/settings`);
  await check(page, 'Settings', 'settings');
  await page.goto(`${url}/dashboard/account`);
  await check(page, 'Account', 'account');
}, options);

console.log('every page is fit to be seen');
