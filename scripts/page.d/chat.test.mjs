// The ten things of a chat page, each in a real browser on the real program; the model server is scripted, for what no real model does when asked.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { becomes, copied, launch, over, pastePicture, say, serious } from './browser.mjs';
import * as scripted from './model.mjs';
import { serve } from './program.mjs';

let model;
let program;
let browser;
let page;

before(async () => {
  model = await scripted.start();
  program = await serve(model.url);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await model?.stop();
  program?.remove();
});
beforeEach(async () => {
  page = await browser.open(program.url);
  await page.locator('.greeting').waitFor();
});
afterEach(async () => {
  const { errors, foreign } = page;
  await page.context().close();
  assert.deepEqual({ errors, foreign }, { errors: [], foreign: [] });
});

const texts = (selector) => page.locator(selector).allInnerTexts();
const choose = (agent) => page.locator('#agent').selectOption(agent);

test('chat_1_answer_streams_and_is_drawn_as_markdown', async () => {
  await say(page, 'markdown');
  await over(page);
  const answer = page.locator('.assistant');
  await becomes(() => answer.locator('h3').allInnerTexts(), ['Late invoices']);
  await becomes(() => answer.locator('ol > li').count(), 2);
  await becomes(() => answer.locator('td').first().innerText(), 'Acme');
  await becomes(() => answer.locator('pre code').innerText(), 'SELECT *\n  FROM invoices;');
  await becomes(() => answer.locator('a').getAttribute('href'), 'https://example.com/list');
  await becomes(() => texts('.run-end'), ['1 turn · 220 tokens (64 cached)']);
});

test('chat_2_calls_are_folded_and_open_to_arguments_and_output', async () => {
  await say(page, 'call calculator {"expression":"6*7"}; current_time {}');
  await over(page);
  await becomes(() => texts('.call > summary .name'), ['calculator', 'current_time']);
  const call = page.locator('.call').first();
  await becomes(() => call.locator('.arguments').innerText(), '{"expression":"6*7"}');
  await call.locator('summary').click();
  await becomes(() => call.locator('pre').allInnerTexts(), ['{\n  "expression": "6*7"\n}', '42']);
});

test('chat_3_call_is_approved_edited_and_rejected_in_place', async () => {
  await choose('Desk');
  await say(page, 'call calculator {"expression":"6*7"}');
  const card = page.locator('[data-waits]');
  await card.getByRole('button', { name: 'Approve' }).click();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), 'The tool gave: 42');
  await say(page, 'call calculator {"expression":"6*7"}');
  await card.getByRole('button', { name: 'Edit' }).click();
  await card.locator('textarea').fill('[1]');
  await card.getByRole('button', { name: 'Approve with these' }).click();
  await becomes(() => card.locator('.problem').innerText(), 'Arguments are a JSON object: { … }');
  await card.locator('textarea').fill('{"expression":"2+2"}');
  await card.getByRole('button', { name: 'Approve with these' }).click();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), 'The tool gave: 4');
  await say(page, 'call calculator {"expression":"1"}');
  await card.getByRole('button', { name: 'Reject' }).click();
  await card.locator('input').fill('too cheap');
  await card.getByRole('button', { name: 'Reject' }).click();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), 'The tool gave: too cheap');
  await becomes(() => texts('.approval.settled'), ['Approved', 'Approved with other arguments', 'Rejected: too cheap']);
});

test('chat_4_message_is_edited_and_regenerated_as_a_branch', async () => {
  await say(page, 'say one');
  await over(page);
  await say(page, 'say two');
  await over(page);
  const first = new URL(page.url()).hash;
  await page.locator('.user').nth(1).hover();
  await page.locator('.user').nth(1).getByRole('button', { name: 'Edit' }).click();
  await page.locator('dialog textarea').fill('say three');
  await page.getByRole('button', { name: 'Run as a branch' }).click();
  await page.locator('.branch-note').waitFor();
  await over(page);
  await becomes(() => texts('.assistant .prose'), ['one', 'three']);
  await page.locator('.assistant').nth(1).hover();
  // Read before the click, which may have changed it when it returns.
  const branch = new URL(page.url()).hash;
  await page.locator('.assistant').nth(1).getByRole('button', { name: 'Regenerate' }).click();
  await page.waitForFunction((hash) => location.hash !== hash, branch);
  await over(page);
  await becomes(() => texts('.user .bubble'), ['You:\nsay one', 'You:\nsay three']);
  await page.goto(`${program.url}/${first}`);
  await page.locator('.assistant').nth(1).waitFor();
  await becomes(() => texts('.assistant .prose'), ['one', 'two']);
});

test('chat_5_handoffs_and_nested_agents_are_in_the_same_view', async () => {
  await choose('Desk');
  await say(page, 'call transfer_to_billing {}');
  await over(page);
  await becomes(() => texts('.handoff'), ['⇢Desk handed over to Billing']);
  await page.locator('#new-session').click();
  await choose('Desk');
  await say(page, 'call translator {"input":"call calculator {\\"expression\\":\\"5\\"}"}');
  const inner = page.locator('.nested [data-waits]');
  await becomes(() => inner.locator('strong').innerText(), 'calculator');
  await inner.getByRole('button', { name: 'Approve' }).click();
  await over(page);
  await becomes(() => texts('.nested .assistant .prose'), ['The tool gave: 5']);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), 'The tool gave: The tool gave: 5');
});

test('chat_7_model_instructions_and_tools_are_changed_and_exported', async () => {
  await page.locator('#agent-panel summary').click();
  await page.getByLabel('Model').fill('other-model');
  await page.getByLabel('Instructions').fill('Shout: "now"');
  await page.getByRole('checkbox', { name: 'current_time' }).uncheck();
  await becomes(() => page.locator('.changed').innerText(), ' · changed');
  const yaml = await copied(page, page.getByRole('button', { name: 'Copy as YAML' }));
  assert.equal(yaml, 'agents:\n  - name: Assistant\n    instructions: "Shout: \\"now\\""\n    model: other-model\n    tools:\n      - calculator\n');
  await say(page, 'say hello');
  await over(page);
  const asked = model.requests.at(-1);
  assert.equal(asked.model, 'other-model');
  assert.equal(asked.messages[0].content, 'Shout: "now"');
  assert.deepEqual(asked.tools.map((tool) => tool.function.name), ['calculator']);
});

test('chat_8_run_is_stopped_and_a_message_is_queued', async () => {
  await say(page, 'slow');
  await page.locator('.waiting', { hasText: 'Waiting for the model of Assistant' }).waitFor();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await over(page, 'cancelled');
  await becomes(() => page.locator('#thread .notice strong').innerText(), 'Stopped');
  await say(page, 'drip 20');
  await page.locator('.assistant').waitFor();
  await say(page, 'say queued');
  await page.locator('.tag').waitFor();
  model.release();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), 'queued');
  await say(page, 'drip 20');
  await page.getByRole('button', { name: 'Stop after this turn' }).click();
  model.release();
  await over(page);
});

test('chat_9_session_survives_a_reload_and_a_restart_and_a_stream_is_attached_again', async () => {
  await say(page, 'drip 50');
  await page.getByText('word5', { exact: false }).waitFor();
  await page.reload();
  await page.getByText('word6', { exact: false }).waitFor();
  model.release();
  await over(page);
  const whole = Array.from({ length: 50 }, (_, n) => `word${n + 1}`).join(' ');
  await becomes(async () => (await texts('.assistant .prose')).map((text) => text.trim()), [whole]);
  await becomes(() => page.locator('.user').count(), 1);
  // The connection is lost in the middle, and nothing comes twice.
  await say(page, 'drip 40');
  await page.locator('.assistant').nth(1).getByText('word3', { exact: false }).waitFor();
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  model.release();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1).trim(), whole.split(' ').slice(0, 40).join(' '));
  page.errors = page.errors.filter((error) => !error.includes('ERR_INTERNET_DISCONNECTED'));
});

test('chat_9_sessions_survive_a_restart_of_the_program', async () => {
  const own = await serve(model.url);
  const other = await browser.open(own.url);
  await say(other, 'say kept');
  await over(other);
  const { hash } = new URL(other.url());
  await own.stop('SIGTERM');
  const again = await serve(model.url, { folder: own.folder });
  const later = await browser.open(`${again.url}/${hash}`);
  await becomes(() => later.locator('.assistant .prose').innerText(), 'kept');
  await becomes(() => later.locator('#session-list .title').innerText(), 'say kept');
  await again.stop();
  again.remove();
});

test('chat_10_picture_is_pasted_and_a_run_is_copied_as_curl_rust_and_python', async () => {
  await pastePicture(page, scripted.PICTURE);
  await say(page, 'what is it?');
  await over(page);
  await becomes(() => page.locator('.user img').count(), 1);
  assert.equal(model.requests.at(-1).messages.at(-1).content[1].type, 'image_url');
  assert.ok(!(await page.locator('#thread').innerText()).includes('iVBORw0KGgo'));
  await say(page, 'say it\'s "quoted"');
  await over(page);
  for (const [name, part] of [['curl', "it'\\''s"], ['Rust', 'r#"say it\'s "quoted""#'], ['Python', '"say it\'s \\"quoted\\""']]) {
    const text = await copied(page, page.locator('.copy-bar').getByRole('button', { name }));
    assert.ok(text.includes(part), `${name}: ${text}`);
    assert.ok(!text.includes('sk-secret'));
  }
});

test('what_a_model_says_is_text_and_never_runs', async () => {
  await say(page, 'evil');
  await over(page);
  await say(page, 'call calculator {"expression":"<img src=x onerror=window.hacked=1>"}');
  await over(page);
  await page.locator('.call summary').click();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await becomes(() => page.locator('#thread script, #thread img').count(), 0);
  const links = await page.locator('#thread a').evaluateAll((all) => all.map((link) => link.href));
  assert.deepEqual(links, ['https://example.invalid/a.png']);
  assert.ok((await page.locator('.assistant').first().innerText()).includes('⟨U+001B⟩[31mred'));
});

test('each_way_to_fail_says_what_happened_and_what_can_be_done', async () => {
  for (const [text, title, words] of [
    ['fail 500 CUDA out of memory', 'The run failed', 'CUDA out of memory'],
    ['fail 401 no such key', 'The model server does not take the key', 'no such key'],
    ['fail 429 slow down', 'The model server is busy', 'slow down'],
    ['cut', 'The answer was cut', 'raise max_tokens'],
    ['drop', 'The connection to the model server failed', 'broke off'],
  ]) {
    await say(page, text);
    const last = page.locator('#thread .notice').last();
    await last.getByText(title, { exact: true }).waitFor();
    await over(page, 'failed');
    assert.ok((await last.innerText()).includes(words), text);
    await becomes(() => last.getByRole('button', { name: 'Run again' }).count(), 1);
  }
  await page.locator('#new-session').click();
  await choose('Guarded');
  await say(page, 'my password is x');
  await page.getByText('A guardrail stopped the run').waitFor();
  await over(page, 'failed');
});

test('failure_behind_a_long_message_is_in_view_and_the_message_is_cut', async () => {
  await say(page, `fail 500 ${'word '.repeat(2000)}`);
  await over(page, 'failed');
  await becomes(() => page.locator('#thread').evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2), true);
  await becomes(async () => (await page.locator('.user .cut .quiet').innerText()).trim(), '8,008 more characters');
  await page.locator('.user .cut').getByRole('button', { name: 'Show all' }).click();
  await becomes(() => page.locator('.user .cut .quiet').count(), 0);
});

test('limit_that_was_reached_is_said_after_a_reload_too', async () => {
  const limited = await serve(model.url, { config: 'limits: { max_turns: 1 }\n' });
  const other = await browser.open(limited.url);
  await say(other, 'call current_time {}');
  await other.getByText('The run reached its limit of turns').waitFor();
  await other.reload();
  await other.getByText('The run reached its limit of turns').waitFor();
  await limited.stop();
  limited.remove();
});

test('no_model_server_and_no_server_are_said', async () => {
  const alone = await serve('http://127.0.0.1:9/v1');
  const other = await browser.open(alone.url);
  await say(other, 'hi');
  await other.getByText('OPENAI_BASE_URL=').waitFor();
  await alone.stop();
  await say(other, 'hi again');
  await other.getByText('the server cannot be reached').waitFor();
  await becomes(() => other.locator('#composer').inputValue(), 'hi again');
  alone.remove();
});

test('token_is_asked_for_and_kept_for_the_tab', async () => {
  const guarded = await serve(model.url, { environment: { OPENAI_AGENTS__SERVER__TOKEN: 'token-0123456789abcdef' } });
  const other = await browser.open(guarded.url);
  await other.getByLabel('Token').last().fill('wrong');
  await other.getByRole('button', { name: 'Connect' }).click();
  await other.getByText('does not take this token').waitFor();
  await other.getByLabel('Token').last().fill('token-0123456789abcdef');
  await other.getByRole('button', { name: 'Connect' }).click();
  await say(other, 'say in');
  await over(other);
  await becomes(() => other.locator('.assistant .prose').innerText(), 'in');
  await guarded.stop();
  guarded.remove();
});

test('keyboard_alone_chats_approves_stops_and_begins_anew', async () => {
  const { keyboard } = page;
  await page.locator('#agent').focus();
  await keyboard.type('Desk');
  await page.locator('.greeting h2', { hasText: 'Ask Desk' }).waitFor();
  await keyboard.press('Escape');
  await keyboard.press('i');
  await keyboard.type('call calculator {"expression":"6*7"}');
  await keyboard.press('Enter');
  await page.locator('[data-waits]').waitFor();
  await keyboard.press('Escape');
  await keyboard.press('a');
  await over(page);
  await keyboard.press('k');
  await keyboard.press('k');
  await keyboard.press('k');
  await keyboard.press('j');
  const focused = await page.evaluate(() => document.activeElement.className || document.activeElement.tagName);
  assert.match(focused, /SUMMARY|entry/);
  await keyboard.press('i');
  await keyboard.type('slow');
  await keyboard.press('Enter');
  await page.locator('body[data-status=running]').waitFor();
  await keyboard.press('Escape');
  await keyboard.press('s');
  await over(page, 'cancelled');
  await keyboard.press('?');
  await page.getByRole('heading', { name: 'Keyboard' }).waitFor();
  await keyboard.press('Escape');
  await keyboard.press('n');
  await page.locator('.greeting').waitFor();
});

for (const [name, options] of [['wide_light', {}], ['wide_dark', { dark: true }], ['phone', { width: 390, dark: true }], ['narrow', { width: 320, height: 640 }]]) {
  test(`axe_finds_nothing_serious_${name}`, async () => {
    const other = await browser.open(program.url, options);
    await other.locator('.greeting').waitFor();
    assert.deepEqual(await serious(other), []);
    await say(other, 'markdown');
    await over(other);
    await say(other, 'fail 500 broken');
    await over(other, 'failed');
    await say(other, 'call calculator {"expression":"6*7"}');
    await over(other);
    await other.locator('.call summary').first().click();
    assert.deepEqual(await serious(other), []);
    assert.equal(await other.evaluate(() => document.documentElement.scrollWidth), options.width ?? 1280);
    await other.context().close();
  });
}
