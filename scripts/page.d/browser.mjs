// One browser for the tests of a file: pages that must not say anything in the console, and what axe finds.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

const modules = process.env.PAGE_MODULES;
const require = createRequire(join(modules, 'x.js'));
const { chromium } = require('playwright-core');
// Many times what a quiet machine needs: only what never comes takes so long.
const PATIENCE = 60_000;
const AXE = readFileSync(join(modules, 'axe-core/axe.min.js'), 'utf8');

export async function launch({ args = [], permissions = [] } = {}) {
  // In a container there is no other sandbox than that of the container itself.
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', ...args] });
  return {
    close: () => browser.close(),
    /** Opens a page; `errors` has what it said in its console or threw. */
    async open(url, { width = 1280, height = 800, dark = false } = {}) {
      // The policy of the page would keep axe out.
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', permissions: ['clipboard-read', 'clipboard-write', ...permissions], acceptDownloads: true });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE);
      page.errors = [];
      page.foreign = [];
      page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) page.errors.push(message.text()); });
      page.on('pageerror', (error) => page.errors.push(error.stack));
      page.on('request', (request) => { if (!/^(http:\/\/127\.0\.0\.1[:/]|data:|blob:)/.test(request.url())) page.foreign.push(request.url()); });
      await page.goto(url);
      return page;
    },
  };
}

/** Gives what axe finds serious, as `rule: element`. */
export async function serious(page) {
  const client = await page.context().newCDPSession(page);
  await client.send('Runtime.evaluate', { expression: AXE });
  const { result, exceptionDetails } = await client.send('Runtime.evaluate', { expression: 'axe.run().then((found) => JSON.stringify(found.violations))', awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description);
  const violations = JSON.parse(result.value).filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary?.split('\n')[1] ?? ''}`));
}

export async function say(page, text) {
  await page.locator('#composer').fill(text);
  await page.locator('#composer').press('Enter');
}

/** Pastes a picture, PNG in base64, into the message. */
export async function pastePicture(page, base64) {
  await page.locator('#composer').focus();
  await page.evaluate((picture) => {
    const bytes = Uint8Array.from(atob(picture), (char) => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'dot.png', { type: 'image/png' }));
    document.querySelector('#composer').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, base64);
  await page.locator('.chip img').waitFor();
}

/** Waits until the run is over. */
export function over(page, status = 'completed') {
  return page.locator(`body[data-status="${status}"]`).waitFor();
}

/**
 * Waits until what is read of the page is as expected; an expected pattern is for a text. A page draws when its events come, so what it shows
 * right behind a click may still be what it showed before.
 */
export async function becomes(read, expected) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await read();
    if (expected instanceof RegExp ? expected.test(found) : isDeepStrictEqual(found, expected)) return;
    if (Date.now() > deadline) {
      if (expected instanceof RegExp) assert.match(found, expected);
      assert.deepEqual(found, expected);
    }
    await pause(25);
  }
}

/** Gives what a button puts on the clipboard, which takes it in its own time. */
export async function copied(page, button) {
  await page.evaluate(() => navigator.clipboard.writeText(''));
  await button.click();
  let text = '';
  await becomes(async () => {
    text = await page.evaluate(() => navigator.clipboard.readText());
    return text !== '';
  }, true);
  return text;
}
