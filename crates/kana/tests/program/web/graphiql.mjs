// The page at /graphql where its CDN answers: GraphiQL, from the very files that the CDN has,
// which are those of the npm packages.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { inBrowser } from './browser.mjs';

const { KANA_URL: url, KANA_DEV_KEY: key } = process.env;
const packages = new URL('node_modules/', import.meta.url);

/** Answers in the place of the CDN; `changed` may change what it answers. */
async function answerForCdn(page, changed = (path, file) => file) {
  await page.route(/^https:/, async (route) => {
    const address = new URL(route.request().url());
    const found = /^\/npm\/([^@]+)@([^/]+)\/(.+)$/.exec(address.pathname);
    assert.equal(address.host, 'cdn.jsdelivr.net');
    const [, name, version, path] = found;
    const about = JSON.parse(await readFile(new URL(`${name}/package.json`, packages), 'utf8'));
    assert.equal(about.version, version, `the installed ${name}`);
    await route.fulfill({
      body: changed(path, await readFile(new URL(`${name}/${path}`, packages))),
      contentType: path.endsWith('.css') ? 'text/css' : 'text/javascript',
      headers: { 'Access-Control-Allow-Origin': '*' },
    });
  });
}

await inBrowser(url, async (page) => {
  page.setDefaultTimeout(30_000);
  await answerForCdn(page);
  await page.goto(`${url}/graphql`);
  // On a slow machine the plain console may have come first.
  await page.getByRole('button', { name: 'GraphiQL' }).click();
  const editor = page.locator('.graphiql-query-editor .CodeMirror');
  await editor.waitFor();
  // Without a key nothing is asked, so there is no error either.
  assert.equal(await page.getByText('Unauthenticated').isVisible(), false);

  await page.getByRole('textbox', { name: 'Private key' }).fill(key);
  await page.getByRole('status').filter({ hasText: 'Connected' }).waitFor();
  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText('{ __type(name: "Feature") { kind } }');
  await page.getByRole('button', { name: /^Execute query/ }).click();
  const answer = page.locator('.result-window .CodeMirror-code');
  await answer.filter({ hasText: '"kind": "OBJECT"' }).waitFor();

  // It has the schema, so it has asked for it with the key.
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-plugin').getByText('Mutation', { exact: true }).click();
  await page.locator('.graphiql-plugin').getByText('createPackage', { exact: true }).waitFor();

  const kept = await page.evaluate(() =>
    JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.ok(kept.includes('__type'), 'the query is kept as long as the tab');
  assert.ok(!kept.includes(key), kept);

  // The plain console is still there.
  await page.getByRole('button', { name: 'Plain' }).click();
  await page.getByRole('textbox', { name: 'Query' }).waitFor();
  assert.equal(await editor.isVisible(), false);

  assert.deepEqual(page.complaints, []);
});

await inBrowser(url, async (page) => {
  page.setDefaultTimeout(30_000);
  const oneByteMore = (path, file) =>
    path === 'graphiql.min.js' ? Buffer.concat([file, Buffer.from('\n')]) : file;
  await answerForCdn(page, oneByteMore);
  await page.goto(`${url}/graphql`);
  await page.getByRole('textbox', { name: 'Query' }).waitFor();
  assert.equal(await page.evaluate(() => typeof GraphiQL), 'undefined');
});

console.log('GraphiQL works');
