// The ten things of a chat page on a real model. What it says is its own: the page is compared with what the server keeps. Beside these,
// chat.test.mjs has what no real model does when asked: answers that are cut or lost at a known place, all of Markdown, two calls at once.
// Pictures to a model that sees, and the microphone, are there and in speech.test.mjs.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { becomes, copied, launch, over, pastePicture, say, serious } from './browser.mjs';
import { PICTURE } from './model.mjs';
import { assertQuiet, items, key, name, opened, start } from './real.mjs';

let program;
let browser;
let page;

before(async () => {
  program = await start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  program?.remove();
});
beforeEach(async () => {
  page = await opened(browser, program.url);
  await page.locator('.greeting').waitFor();
});
afterEach(async () => {
  await assertQuiet(page);
  await page.context().close();
});

// The trace beside it has messages and calls too.
const thread = (selector) => page.locator(`#thread ${selector}`);
const texts = (selector) => thread(selector).allInnerTexts();
const answers = () => texts('.assistant .prose');
const card = () => thread('[data-waits]');
const span = (text) => page.locator('[data-span]', { hasText: text }).first();
const settled = () => page.locator('body[data-status=completed], body[data-status=failed]').waitFor();
const released = () => join(program.folder, 'released');

const begin = async (agent, text) => {
  await page.locator('#new-session').click();
  await page.locator('#agent').selectOption(agent);
  await say(page, text);
};

/** The texts of the answers, and the calls with their outputs, as the server keeps them. */
async function kept() {
  const all = await items(page);
  const text = (content) => (typeof content === 'string' ? content : content.map((part) => part.text ?? '').join(''));
  return {
    asked: all.filter((item) => item.role === 'user').map((item) => `You:\n${text(item.content)}`),
    answered: all.filter((item) => item.role === 'assistant').map((item) => text(item.content)),
    calls: all.filter((item) => item.type === 'function_call'),
    outputs: all.filter((item) => item.type === 'function_call_output').map((item) => text(item.output)),
  };
}

const pretty = (text) => JSON.stringify(JSON.parse(text), null, 2);

test('real_chat_1_answer_streams_and_is_drawn', async () => {
  await begin('Guide', 'What is the capital of France?');
  await over(page);
  const { asked, answered } = await kept();
  assert.deepEqual([asked, answered.length], [['You:\nWhat is the capital of France?'], 1]);
  await becomes(() => texts('.user .bubble'), asked);
  await becomes(answers, answered);
  await becomes(() => thread('.run-end').innerText(), /^1 turn · \d+ tokens, cost 0\.\d+$/);
});

test('real_chat_2_call_is_folded_and_opens_where_its_output_is_the_answer', async () => {
  await begin('Clerk', 'Ship the parcel.');
  await card().waitFor();
  await becomes(() => thread('.call').evaluate((call) => [call.open, call.querySelector('.name').innerText]), [false, 'ship']);
  assert.deepEqual(await serious(page), []);
  await card().getByRole('button', { name: 'Approve' }).click();
  await over(page);
  const { calls: [call], outputs } = await kept();
  await becomes(() => thread('.call .arguments').innerText(), call.arguments);
  await becomes(() => thread('.call pre').allInnerTexts(), [pretty(call.arguments), ...outputs]);
});

test('real_chat_3_call_is_approved_edited_and_rejected_by_the_keyboard_alone', async () => {
  const { keyboard } = page;
  await page.locator('#agent').focus();
  await keyboard.type('Clerk');
  await page.locator('.greeting h2', { hasText: 'Ask Clerk' }).waitFor();
  for (const [act, said, output] of [
    [['a'], 'Approved', undefined],
    [['e', 'Control+a', () => keyboard.type('{"parcel":"B-2"}'), 'Tab', 'Enter'], 'Approved with other arguments', 'B-2 is on its way'],
    [['r', () => keyboard.type('too cheap'), 'Enter'], 'Rejected: too cheap', 'too cheap'],
  ]) {
    await keyboard.press('Escape');
    await keyboard.press('n');
    await page.locator('.greeting').waitFor();
    await keyboard.press('i');
    await keyboard.type('Ship the parcel.');
    await keyboard.press('Enter');
    await card().waitFor();
    await keyboard.press('Escape');
    for (const each of act) await (typeof each === 'string' ? keyboard.press(each) : each());
    await over(page);
    await becomes(() => texts('.approval.settled'), [said]);
    const { outputs } = await kept();
    await becomes(async () => (await thread('.call pre').allInnerTexts())[1], output ?? outputs[0]);
  }
});

test('real_chat_4_message_is_edited_and_regenerated_as_a_branch', async () => {
  await begin('Guide', 'Say hello.');
  await over(page);
  const { hash } = new URL(page.url());
  const first = await kept();
  await thread('.user').hover();
  await thread('.user').getByRole('button', { name: 'Edit' }).click();
  await page.locator('dialog textarea').fill('Say goodbye.');
  await page.getByRole('button', { name: 'Run as a branch' }).click();
  await thread('.branch-note').waitFor();
  await over(page);
  await becomes(() => texts('.user .bubble'), ['You:\nSay goodbye.']);
  const branch = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('session');
  await thread('.assistant').hover();
  await thread('.assistant').getByRole('button', { name: 'Regenerate' }).click();
  await page.waitForFunction((session) => new URLSearchParams(location.hash.slice(1)).get('session') !== session, branch);
  await over(page);
  await becomes(() => texts('.user .bubble'), ['You:\nSay goodbye.']);
  await becomes(answers, (await kept()).answered);
  await page.goto(`${program.url}/${hash}`);
  await becomes(() => texts('.user .bubble'), first.asked);
  await becomes(answers, first.answered);
});

test('real_chat_5_handoff_and_nested_agent_are_in_the_same_view', async () => {
  await begin('Reception', 'Say hello.');
  await over(page);
  await becomes(() => texts('.handoff'), ['⇢Reception handed over to Guide']);
  await becomes(answers, (await kept()).answered);
  await begin('Host', 'Say hello.');
  await over(page);
  await becomes(() => texts('.nested .assistant .prose'), (await kept()).outputs);
});

test('real_chat_6_trace_stands_beside_the_conversation_and_both_lead_to_each_other', async () => {
  await begin('Reader', 'Read the letter.');
  await over(page);
  // Without a reload.
  await thread('.call img').waitFor();
  await span('execute_tool read_letter').waitFor();
  await thread('.call').getByRole('button', { name: 'Show in the trace' }).click();
  await becomes(() => page.locator('.span-view h3').innerText(), 'execute_tool read_letter');
  await span(`chat ${name}`).click();
  await becomes(() => thread('.call.lit').count(), 0);
  await span('execute_tool read_letter').click();
  await becomes(() => thread('.call.lit').count(), 1);
  assert.deepEqual(await serious(page), []);
});

test('real_chat_7_model_instructions_and_tools_of_this_session_are_sent_and_exported', async () => {
  await page.locator('#agent').selectOption('Desk');
  await page.locator('#agent-panel summary').click();
  await page.getByLabel('Model').fill('other');
  await page.getByLabel('Instructions').fill('You are a pirate.');
  await page.getByRole('checkbox', { name: 'current_time' }).uncheck();
  await becomes(() => page.locator('.changed').innerText(), ' · changed');
  const yaml = await copied(page, page.getByRole('button', { name: 'Copy as YAML' }));
  assert.equal(yaml, 'agents:\n  - name: Desk\n    instructions: "You are a pirate."\n    model: other\n    tools:\n      - calculator\n');
  await say(page, 'What is 12 times 11?');
  // Its arguments may be too long for the answer that this agent is allowed.
  await settled();
  await span('chat other').click();
  await page.locator('.tab-bar').getByRole('button', { name: 'Request' }).click();
  const request = JSON.parse(await copied(page, page.locator('.tab-body').getByRole('button', { name: 'Copy' })));
  assert.deepEqual([request.model, request.messages[0].content, request.tools.map((tool) => tool.function.name)], ['other', 'You are a pirate.', ['calculator']]);
});

test('real_chat_8_message_is_queued_and_a_run_is_stopped_after_its_turn_and_now', async () => {
  await begin('Porter', 'Hold the parcel.');
  await thread('.waiting', { hasText: 'Running hold' }).waitFor();
  await say(page, 'And hurry.');
  await thread('.tag').waitFor();
  writeFileSync(released(), '');
  await settled();
  await becomes(() => thread('.tag').count(), 0);
  assert.deepEqual((await items(page)).slice(0, 4).map((item) => item.role ?? item.type), ['user', 'function_call', 'function_call_output', 'user']);
  await becomes(() => texts('.user .bubble'), ['You:\nHold the parcel.', 'You:\nAnd hurry.']);
  rmSync(released());

  await begin('Porter', 'Hold the parcel.');
  await thread('.waiting', { hasText: 'Running hold' }).waitFor();
  const heard = page.waitForResponse((response) => response.url().includes('/cancel/'));
  await page.getByRole('button', { name: 'Stop after this turn' }).click();
  await heard;
  writeFileSync(released(), '');
  await over(page, 'cancelled');
  assert.deepEqual((await kept()).outputs, ['held']);
  rmSync(released());

  await begin('Teller', 'Tell me a story.');
  await thread('.assistant').waitFor();
  await page.locator('#composer').press('Escape');
  await page.keyboard.press('s');
  await over(page, 'cancelled');
  await becomes(() => thread('.notice strong').innerText(), 'Stopped');
});

test('real_chat_9_running_answer_is_attached_again_after_a_reload', async () => {
  await begin('Teller', 'Tell me a story.');
  const answer = thread('.assistant');
  await becomes(async () => (await answer.innerText()).length > 40, true);
  const before = await answer.innerText();
  await page.reload();
  await becomes(async () => (await answer.innerText()).length > before.length, true);
  assert.ok((await answer.innerText()).startsWith(before.slice(0, 40)));
  await becomes(() => texts('.user .bubble'), ['You:\nTell me a story.']);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await over(page, 'cancelled');
});

test('real_chat_10_picture_is_sent_and_a_run_is_copied_without_the_key', async () => {
  await page.locator('#agent').selectOption('Guide');
  await pastePicture(page, PICTURE);
  await say(page, 'What is this?');
  // This model sees nothing, and its server says so.
  await over(page, 'failed');
  await becomes(() => thread('.user img').count(), 1);
  await becomes(() => thread('.notice .verbatim').innerText(), /image input is not supported/);
  assert.ok(!(await page.locator('body').innerText()).includes(PICTURE.slice(0, 20)));
  await begin('Guide', 'Say "hello".');
  await over(page);
  for (const [language, part] of [['curl', 'Say \\"hello\\".'], ['Rust', 'r#"Say "hello"."#'], ['Python', 'Say \\"hello\\".']]) {
    const text = await copied(page, page.locator('.copy-bar').getByRole('button', { name: language }));
    assert.ok(text.includes(part) && !text.includes(key), text);
  }
});

// Last, since a program does not have the events of the one before it.
test('real_chat_9_sessions_survive_a_restart', async () => {
  await begin('Guide', 'Say hello.');
  await over(page);
  const { hash } = new URL(page.url());
  const { asked, answered } = await kept();
  const sessions = () => page.evaluate(async () => (await (await fetch('sessions')).json()).sessions.length);
  const n_before = await sessions();
  await page.goto('about:blank');
  await program.stop('SIGTERM');
  program = await start({ folder: program.folder });
  await page.goto(`${program.url}/${hash}`);
  await becomes(() => texts('.user .bubble'), asked);
  await becomes(answers, answered);
  assert.equal(await sessions(), n_before);
});
