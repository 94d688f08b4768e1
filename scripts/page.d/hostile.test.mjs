// What a tool returned and how a call is named stays text: in the chat and in the trace.

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { launch, over, say } from './browser.mjs';
import * as scripted from './model.mjs';
import { serve } from './program.mjs';

const CONFIG = `
trace: { store: traces.db }
workspace: { root: . }
agents: [{ name: Reader, tools: [read_file] }]
`;
// Without a space, so that the scripted model takes it for the name of a tool.
const NAME = '<img/src=x/onerror=window.hacked=1>[a](javascript:window.hacked=1)\u001b[31m';

let model;
let program;
let browser;

before(async () => {
  model = await scripted.start();
  const folder = mkdtempSync(join(tmpdir(), 'page-'));
  writeFileSync(join(folder, 'evil.txt'), scripted.EVIL);
  program = await serve(model.url, { config: CONFIG, folder });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await model?.stop();
  program?.remove();
});

/** Nothing ran, nothing was fetched, and no link leads to a script. */
async function isText(page, where) {
  assert.equal(await page.evaluate(() => window.hacked), undefined, where);
  assert.equal(await page.locator('main script, main img, main b').count(), 0, where);
  const links = await page.locator('a').evaluateAll((all) => all.map((link) => link.protocol));
  assert.deepEqual(links.filter((protocol) => !['http:', 'https:', 'blob:'].includes(protocol)), [], where);
  assert.doesNotMatch(await page.evaluate(() => document.body.textContent), /[\u001b\u202e]/, where);
  assert.deepEqual({ errors: page.errors, foreign: page.foreign }, { errors: [], foreign: [] }, where);
}

test('what_a_tool_returned_and_how_a_call_is_named_stays_text', async () => {
  const page = await browser.open(program.url);
  await page.locator('.greeting').waitFor();
  await page.locator('#agent').selectOption('Reader');
  await say(page, 'call read_file {"path":"evil.txt"}');
  await over(page);
  await page.locator('#thread .call summary').click();
  const output = await page.locator('#thread .call pre').last().innerText();
  for (const part of ['<script>window.hacked = 1</script>', '[click](javascript:window.hacked=1)', '⟨U+001B⟩[31mred', '⟨U+202E⟩fdp.exe']) {
    assert.ok(output.includes(part), output);
  }
  await isText(page, 'the output in the chat');

  await page.locator('#new-session').click();
  await page.locator('#agent').selectOption('Reader');
  await say(page, `call ${NAME} {}`);
  await page.waitForFunction(() => ['completed', 'failed'].includes(document.body.dataset.status));
  assert.ok((await page.locator('#thread').innerText()).includes('<img/src=x/onerror=window.hacked=1>'));
  await isText(page, 'the name in the chat');

  await page.locator('#show-traces').click();
  await page.locator('[data-trace]').nth(1).waitFor();
  for (const n of [0, 1]) {
    await page.locator('[data-trace] .row-button').nth(n).click();
    await page.locator('[data-span]').first().waitFor();
    const n_spans = await page.locator('[data-span]').count();
    for (let each = 0; each < n_spans; each += 1) {
      await page.locator('[data-span]').nth(each).click();
      await page.locator('.span-view h3').waitFor();
      const names = await page.locator('.tab-bar button').allInnerTexts();
      for (const name of names) {
        await page.locator('.tab-bar').getByRole('button', { name, exact: true }).click();
        await page.locator('.tab-body > *').first().waitFor();
        await isText(page, `span ${each} of trace ${n}, ${name}`);
      }
      await isText(page, `span ${each} of trace ${n}`);
    }
  }
  const texts = await page.evaluate(async () => {
    const { traces } = await (await fetch('traces')).json();
    return Promise.all(traces.map(async ({ trace_id }) => (await fetch(`traces/${trace_id}`)).text()));
  });
  assert.ok(texts.some((text) => text.includes('<img/src=x/onerror=')), 'the name is in the trace');
  await page.context().close();
});
