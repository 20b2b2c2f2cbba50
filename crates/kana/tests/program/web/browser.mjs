// A real browser for one script: Debian's Chromium, in which everything that a page complains about
// is heard.

import { chromium } from 'playwright-core';

/** What the page at `url` may load without it being taken for ours. */
const isOurs = (url, origin) => url === '' || url.startsWith(origin);

/**
 * Runs `work` with a page of its own in a browser that reaches nothing but this machine, and
 * answers what it answers. The page has a list `complaints`: whatever our own files had errors
 * logged about, and every violation of a content security policy. `options` are those of the
 * browser's context, like `colorScheme`.
 */
export async function inBrowser(origin, work, options = {}) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-proxy-server',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  });
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    page.complaints = [];
    await page.exposeFunction('hearViolation', (violation) => page.complaints.push(violation));
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => {
        const { violatedDirective, blockedURI, sourceFile, sample } = event;
        window.hearViolation(`${violatedDirective}: ${blockedURI} ${sourceFile} ${sample}`);
      });
    });
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('console', (message) => {
      const { url } = message.location();
      if (message.type() === 'error' && isOurs(url, origin)) {
        page.complaints.push(`${message.text()} (${url})`);
      }
    });
    return await work(page);
  } finally {
    await browser.close();
  }
}
