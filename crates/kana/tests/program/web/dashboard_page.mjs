// What holds for every page of the dashboard, and a picture of it where pictures are asked for.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { KANA_URL: url, BROWSER: browser, KANA_TEST_PICTURES: pictures } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const isPhone = browser.includes('phone');
export const hasScript = !browser.includes('without-script');
export const password = 'correct horse battery';

/** The settings of the browser that the test asks for. */
export const options = {
  viewport: isPhone ? { width: 360, height: 780 } : { width: 1280, height: 900 },
  colorScheme: browser.includes('dark') ? 'dark' : 'light',
  javaScriptEnabled: hasScript,
  // On a busy machine the fade between pages takes long, and nothing can be clicked meanwhile.
  reducedMotion: 'reduce',
};

/** Gets in by the link that the first start prints. */
export async function welcome(page, token) {
  page.setDefaultTimeout(20_000);
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) page.complaints.push(`asked ${request.url()}`);
  });
  await page.goto(`${url}/dashboard/welcome?token=${token}`);
  await check(page, 'Welcome to Kana');
  await page.getByLabel('E-mail').fill('ada@example.com');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByLabel('Repeat password').fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await check(page, 'Overview');
}

/**
 * Looks at a page as a person with a screen reader, and one with a small screen, would: no finding of
 * axe that is serious, no sideways scrolling, no complaint, no request to another host. With a name
 * for it, a picture goes to the directory KANA_TEST_PICTURES.
 */
export async function check(page, heading, picture) {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${page.url()} is ${wide} px too wide`);
  if (hasScript) {
    const { violations } = await page.evaluate(`${axe}; axe.run()`);
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
    assert.deepEqual(said, [], page.url());
  }
  // A browser also reports the status of a page that refuses something.
  const others = page.complaints.filter((said) => !said.includes('responded with a status of 4'));
  assert.deepEqual(others, [], page.url());
  if (picture && pictures) {
    const name = `${picture}-${browser.replaceAll(' ', '-')}.png`;
    // Nothing is under the pointer.
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(pictures, name), fullPage: true });
  }
}

/** Follows a link of the bar, which a phone has in a menu. */
export async function go(page, name) {
  if (isPhone) await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
}

/** Waits for what a page says was done. */
export const says = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
