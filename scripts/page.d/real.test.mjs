// One conversation on a real model, which `scripts/model-server run --` starts.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { becomes, launch, over, say } from './browser.mjs';
import { serve } from './program.mjs';

const { OPENAI_BASE_URL: url, OPENAI_API_KEY: key, OPENAI_MODEL: name } = process.env;

test('real_model_answers_in_the_page_and_goes_on_after_a_reload', async () => {
  assert.ok(url, 'this test is for: scripts/model-server run -- scripts/page test');
  const program = await serve(url, { environment: { OPENAI_API_KEY: key, OPENAI_MODEL: name }, config: 'agents:\n  - { name: Guide, settings: { max_tokens: 200, temperature: 0 } }\n' });
  const browser = await launch();
  try {
    const page = await browser.open(program.url);
    await page.locator('#agent').selectOption('EchoAgent');
    await say(page, 'What is the capital of France?');
    await over(page);
    const answer = await page.locator('.assistant .prose').innerText();
    assert.match(answer, /Paris/);
    await becomes(() => page.locator('.run-end').innerText(), /^1 turn · \d+ tokens/);
    await page.reload();
    await page.locator('.assistant .prose').waitFor();
    await becomes(() => page.locator('.assistant .prose').innerText(), answer);
    assert.deepEqual(page.errors, []);
  } finally {
    await browser.close();
    await program.stop();
    program.remove();
  }
});
