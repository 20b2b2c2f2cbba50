// A newcomer's way through the dashboard, from the link that the first start prints to the usage of the
// first user.

import assert from 'node:assert/strict';
import { inBrowser } from './browser.mjs';
import { check, go, hasScript, isPhone, options, password, says, welcome } from './dashboard_page.mjs';

const { KANA_URL: url, TOKEN: token } = process.env;

/** The link of a step that is not done yet. */
const step = (page, name) =>
  page.getByRole('region', { name: 'First steps' }).getByRole('link', { name }).click();

await inBrowser(url, async (page) => {
  await welcome(page, token);

  // The first step leads to a feature.
  await step(page, 'Create a feature');
  await check(page, 'Create a feature');
  await page.getByLabel('Name').fill('API calls');
  const id = page.getByLabel('Identifier');
  if (hasScript) assert.equal(await id.inputValue(), 'api-calls');
  await id.fill('api calls ');
  await page.getByLabel('Consumable').check();
  await page.getByRole('button', { name: 'Create feature' }).click();
  await page.getByRole('alert').getByRole('link', { name: 'Must not start or end with a space.' })
    .click();
  await check(page, 'Create a feature');
  await id.fill('api-calls');
  // Enter does what the form is for.
  await id.press('Enter');
  await says(page, 'Feature created.');
  await check(page, 'API calls');
  await go(page, 'Features');
  await check(page, 'Features');
  await page.getByRole('row', { name: /api-calls/ }).getByRole('link', { name: 'API calls' }).click();
  await page.getByLabel('Name').fill('Calls');
  await page.getByRole('button', { name: 'Save' }).click();
  await says(page, 'Feature saved.');

  // Then a package with it, which is published.
  await go(page, 'Overview');
  await step(page, 'Create a package');
  await check(page, 'Create a package');
  await page.getByLabel('Name', { exact: true }).fill('Pro');
  await page.getByLabel('Identifier').fill('pro');
  const first = page.getByRole('group', { name: 'Feature 1' });
  await first.getByLabel('Feature', { exact: true }).fill('api-calls');
  await first.getByLabel('Limit').fill('1000');
  await first.getByLabel('Resets', { exact: true }).selectOption('Every month');
  await page.getByRole('button', { name: 'Save as draft' }).click();
  await says(page, 'Draft saved.');
  await check(page, 'Pro');
  await page.getByRole('link', { name: 'Publish' }).click();
  await check(page, 'Publish Pro?');
  await page.getByRole('button', { name: 'Publish package' }).click();
  await says(page, 'Package published.');

  // Then a user who subscribes to it and uses it.
  await go(page, 'Overview');
  await step(page, 'Create a user');
  await check(page, 'Create a user');
  await page.getByLabel('Id', { exact: true }).fill('u-17');
  await page.getByRole('button', { name: 'Create user' }).click();
  await says(page, 'User created.');
  await check(page, 'u-17');
  const subscribing = page.getByRole('form', { name: 'Subscribe' });
  await subscribing.getByLabel('Package').fill('pro');
  await subscribing.getByRole('button', { name: 'Subscribe' }).click();
  await says(page, 'Subscribed.');

  // The subscription gets an end, which a form that makes no sense does not set.
  await page.getByRole('link', { name: 'Change Pro' }).click();
  await check(page, 'Change Pro', 'subscription');
  await page.getByLabel('Ends', { exact: true }).selectOption('At a time');
  await page.getByLabel('Time of the end').fill('2020-01-01');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByRole('link', { name: /Must be in the future/ }).click();
  await check(page, 'Change Pro', 'subscription-refused');
  await page.getByLabel('Ends', { exact: true }).selectOption('With the current year');
  await page.getByLabel('Time of the end').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await says(page, 'Subscription changed.');
  await page.getByRole('cell', { name: /^Ends 20/ }).waitFor();
  await page.getByRole('link', { name: 'Change Pro' }).click();
  await page.getByRole('link', { name: 'To another package' }).click();
  await check(page, 'From Pro to another package', 'package-change');
  await page.getByRole('combobox', { name: 'Package' }).fill('pro');
  await page.getByLabel('When').selectOption('With the current month');
  await page.getByRole('checkbox', { name: 'Carry usage over' }).check();
  await page.getByRole('button', { name: 'Change package' }).click();
  await page.getByRole('alert').filter({ hasText: 'only if the package changes now' }).waitFor();
  await check(page, 'From Pro to another package', 'package-change-carrying-refused');
  await page.getByLabel('When').selectOption('Now');
  await page.getByRole('button', { name: 'Change package' }).click();
  await page.getByRole('alert').filter({ hasText: 'already subscribed to package pro' }).waitFor();
  await check(page, 'From Pro to another package', 'package-change-refused');
  await page.getByRole('main').getByRole('link', { name: 'Cancel' }).click();
  await check(page, 'u-17');

  // And it is used.
  const recording = page.getByRole('form', { name: 'Record usage' });
  await recording.getByLabel('Feature').fill('api-calls');
  await recording.getByLabel('Amount').fill('600');
  await recording.getByRole('button', { name: 'Record usage' }).click();
  await says(page, 'Usage recorded.');
  await page.getByRole('img', { name: '600 of 1,000 used' }).waitFor();
  const checking = page.getByRole('form', { name: 'Check access' });
  await checking.getByLabel('Feature').fill('api-calls');
  await checking.getByLabel('Amount').fill('401');
  await checking.getByRole('button', { name: 'Check' }).click();
  await says(page, 'No.');
  await check(page, 'u-17');
  await page.getByRole('link', { name: 'Events' }).click();
  await check(page, 'Events of u-17');
  await page.getByRole('cell', { name: '600' }).waitFor();

  // And the overview shows it.
  await go(page, 'Overview');
  await page.getByRole('region', { name: 'Top features' }).getByRole('link', { name: 'Calls' }).waitFor();
  await page.getByRole('region', { name: 'Usage' }).getByText('Show as table').click();
  await check(page, 'Overview');

  // Live has none of it.
  await go(page, 'Features');
  await page.getByRole('navigation', { name: 'Environment' }).getByRole('link', { name: 'Live' }).click();
  await check(page, 'Features');
  await page.getByText('No features yet').waitFor();
  await go(page, 'Integrations');
  await check(page, 'Integrations');
  await go(page, 'Account');
  await check(page, 'Account');
  await page.goto(`${url}/dashboard/test/nothing`);
  await page.getByRole('heading', { level: 1, name: 'Not found' }).waitFor();
  await check(page, 'Not found');
  if (isPhone) await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await check(page, 'Sign in');
  await page.getByLabel('E-mail').fill('ada@example.com');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await check(page, 'Overview');
}, options);

console.log('the newcomer has seen usage');
