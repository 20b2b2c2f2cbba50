// The page at /graphql in a closed network: our own console appears, and does what it is for.

import assert from 'node:assert/strict';
import { inBrowser } from './browser.mjs';

const { KANA_URL: url, KANA_DEV_KEY: key } = process.env;
const wrongKey = `prv_test_${'x'.repeat(40)}`;

await inBrowser(url, async (page) => {
  page.setDefaultTimeout(20_000);
  await page.goto(`${url}/graphql`);
  const main = page.getByRole('main');
  await main.waitFor();
  assert.equal(await page.getByRole('button', { name: 'GraphiQL' }).isVisible(), false);

  const keyField = page.getByRole('textbox', { name: 'Private key' });
  const query = page.getByRole('textbox', { name: 'Query' });
  const variables = page.getByRole('textbox', { name: 'Variables' });
  const answer = main.getByLabel('Answer', { exact: true }).last();
  const says = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();

  // A wrong key is told, wherever it is used.
  await keyField.fill(wrongKey);
  await page.locator('#key-status').filter({ hasText: /^Unauthenticated/ }).waitFor();
  await query.fill('{ __typename }');
  await query.press('Control+Enter');
  await page.locator('#run-status').filter({ hasText: /^Unauthenticated/ }).waitFor();
  assert.match(await answer.textContent(), /"UNAUTHENTICATED"/);

  // The right one, as it is pasted.
  await keyField.fill(key);
  await says('Connected to the test environment.');

  // A question with variables; run by keyboard, then by the button.
  await query.fill('query ($name: String!) { __type(name: $name) { name kind } }');
  await variables.fill('{ "name": "Feature" }');
  await variables.press('Control+Enter');
  await says(/^Answered in \d+ ms\.$/);
  const expected = { data: { __type: { name: 'Feature', kind: 'OBJECT' } } };
  assert.deepEqual(JSON.parse(await answer.textContent()), expected);
  assert.equal(await answer.textContent(), JSON.stringify(expected, null, 2));

  await query.fill('mutation { createUser(input: { id: "1", name: "\\"A\\" <b>" }) { id name } }');
  await page.getByRole('button', { name: 'Run' }).click();
  await answer.getByText('createUser').waitFor();
  assert.deepEqual(JSON.parse(await answer.textContent()), {
    data: { createUser: { id: '1', name: '"A" <b>' } },
  });

  // What goes wrong is said beside the button.
  await query.fill('{ user(id: "2") { id } }');
  await query.press('Control+Enter');
  await answer.getByText('UserNotFoundError').waitFor();
  await page.locator('#run-status.wrong').waitFor();
  await variables.fill('{ name: ');
  await query.press('Control+Enter');
  await says('The variables are not valid JSON');

  // The schema: from the first page to a field's type, by keyboard, and back.
  const schema = page.getByRole('region', { name: 'Schema' });
  const heading = schema.getByRole('heading', { level: 3 });
  await schema.getByText('Whether the user may use so much of the feature now.').waitFor();
  await schema.getByRole('list', { name: 'Arguments of canUseFeature' })
    .getByText('How much is to be used').waitFor();
  await schema.getByText('createPackage: ').waitFor();
  await schema.getByRole('button', { name: 'CanUseFeatureData' }).first().press('Enter');
  await heading.filter({ hasText: 'type CanUseFeatureData' }).waitFor();
  assert.ok(await heading.evaluate((shown) => shown === document.activeElement));
  await schema.getByRole('button', { name: 'String' }).first().click();
  await heading.filter({ hasText: 'scalar String' }).waitFor();
  const way = schema.getByRole('navigation');
  assert.equal(await way.textContent(), 'Schema›Query›CanUseFeatureData›String');
  await way.getByRole('button', { name: 'Schema' }).click();
  const search = schema.getByRole('searchbox', { name: 'Find a field or a type' });
  await search.fill('RESETPERIOD');
  await schema.getByRole('button', { name: 'ResetPeriod', exact: true }).first().click();
  await heading.filter({ hasText: 'enum ResetPeriod' }).waitFor();
  await schema.getByText('MONTH', { exact: true }).waitFor();

  // The key lives in its field and nowhere else.
  const kept = await page.evaluate(() =>
    JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes(key), kept);
  await page.reload();
  await main.waitFor();
  assert.equal(await keyField.inputValue(), '');
  await schema.getByText('Enter a private key to browse the schema.').waitFor();

  assert.deepEqual(page.complaints, []);
});

console.log('the plain console works');
