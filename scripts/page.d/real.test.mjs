// The page on a real model, which `scripts/model-server run --` starts: what a small model can be made to do reliably (docs/model-server.md).
// Its wording varies, so that what is looked at is calls, results, states and counts. One program and its conversations serve all tests.
//
// Which test shows what, `real` being this file, and `chat` and `trace` those on a scripted model (chat.test.mjs, trace.test.mjs):
//
//  trace 1  runs, live, with tokens, money     real trace_1     trace trace_1
//  trace 2  waterfall and tree                 real trace_2_3   trace trace_2
//  trace 3  conversation beside it             real trace_2_3   trace trace_3
//  trace 4  exact request, curl without key    real trace_4     trace trace_4, byte for byte: the scripted server keeps what came
//  trace 5  failed first, the server's words   real trace_5     trace trace_5
//  trace 6  search                             real trace_6     trace trace_6
//  trace 7  two runs side by side              real trace_7     trace trace_7
//  trace 8  run again, fork                    real trace_8     trace trace_8
//  trace 9  10,000 spans, 20 MB                no model: a file that is opened, trace trace_9
//  trace 10 pictures                           scripted: the real model takes none, trace trace_10
//  trace 11 save, open, link                   real trace_11    trace trace_11
//  trace 12 nothing runs, no key, keyboard     real every test looks for the key; scripted: what is hostile is written, trace_12, hostile.test.mjs
//  chat 1   answer streams                     real chat_1_10   chat chat_1, with all of Markdown
//  chat 2   calls inline                       real chat_2_3    chat chat_2, two calls in one answer, which the real model cannot make
//  chat 3   approve, reject, edit              real chat_2_3    chat chat_3
//  chat 4   branch                             real chat_4      chat chat_4, regenerate too
//  chat 5   handoffs, nested agents            real chat_5      chat chat_5, an approval inside too
//  chat 6   trace beside it                    real chat_6      trace chat_6
//  chat 7   model, instructions, tools, YAML   real chat_7      chat chat_7
//  chat 8   stop, queue                        real chat_8_9    chat chat_8: after a turn, and a queue, need an answer as slow as is asked for
//  chat 9   reload, restart, attach            real chat_8_9 and chat_9    chat chat_9: a connection that is lost in a known place
//  chat 10  pictures, microphone, copy         real chat_1_10, what is copied; scripted: pictures, chat_10; speech: speech.test.mjs

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { becomes, copied, launch, over, say } from './browser.mjs';
import { serve } from './program.mjs';

const { OPENAI_BASE_URL: url, OPENAI_API_KEY: key, OPENAI_MODEL: name } = process.env;

// An answer that is cut is a failed run, which is as good here for those that only have to have begun.
const CONFIG = `
agents:
  - { name: EchoAgent, instructions: You are a helpful assistant., settings: { temperature: 0 } }
  - { name: Clerk, tools: [calculator], needs_approval: [calculator], settings: { temperature: 0 } }
  - { name: Guide, instructions: You are a helpful assistant., settings: { temperature: 0, max_tokens: 30 } }
  - { name: Reception, handoffs: [Guide], settings: { temperature: 0, tool_choice: required } }
  - { name: Host, agents_as_tools: [Guide], settings: { temperature: 0, tool_choice: required, max_tokens: 40 } }
trace: { store: traces.db }
prices: { ${name}: { input: 1, output: 2 } }
`;
const SUM = 'What is the sum of 100 and 250?';

let program;
let browser;
let page;

const start = (options = {}) => serve(url, { environment: { OPENAI_API_KEY: key, OPENAI_MODEL: name }, config: CONFIG, ...options });

before(async () => {
  assert.ok(url, 'this test is for: scripts/model-server run -- scripts/page test');
  program = await start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  program?.remove();
});
beforeEach(async () => {
  page = await opened(program.url);
  await page.locator('.greeting').waitFor();
});
afterEach(async () => {
  const { errors, foreign } = page;
  const has_key = (await page.content()).includes(key);
  await page.context().close();
  assert.deepEqual({ errors, foreign, has_key }, { errors: [], foreign: [], has_key: false });
});

/** A page that waits as long as a model on a busy machine takes. */
async function opened(at) {
  const other = await browser.open(at);
  other.setDefaultTimeout(60_000);
  return other;
}

const begin = async (agent, text) => {
  await page.locator('#new-session').click();
  await page.locator('#agent').selectOption(agent);
  await say(page, text);
};
const settled = () => page.locator('body[data-status=completed], body[data-status=failed]').waitFor();
const texts = (selector) => page.locator(selector).allInnerTexts();
const rows = () => page.locator('[data-trace]');
const span = (text) => page.locator('[data-span]', { hasText: text }).first();
const tab = (label) => page.locator('.tab-bar').getByRole('button', { name: label });

/** Shows the newest trace in whose row this text stands. */
async function traceOf(text) {
  await page.locator('#show-traces').click();
  await rows().filter({ hasText: text }).first().locator('.row-button').click();
  await page.locator('[data-span]').first().waitFor();
}

test('real_chat_1_10_answer_streams_is_copied_without_the_key_and_is_there_after_a_reload', async () => {
  await begin('EchoAgent', 'What is the capital of France?');
  await over(page);
  await becomes(() => page.locator('.assistant .prose').innerText(), /Paris/);
  const answer = await page.locator('.assistant .prose').innerText();
  await becomes(() => page.locator('.run-end').innerText(), /^1 turn · \d+ tokens/);
  for (const language of ['curl', 'Rust', 'Python']) {
    const text = await copied(page, page.locator('.copy-bar').getByRole('button', { name: language }));
    assert.ok(text.includes('capital of France') && !text.includes(key), text);
  }
  await page.reload();
  await page.locator('.assistant .prose').waitFor();
  await becomes(() => page.locator('.assistant .prose').innerText(), answer);
});

test('real_chat_4_message_is_edited_and_run_again_as_a_branch', async () => {
  await page.locator('#session-list .title', { hasText: 'capital of France' }).click();
  await page.locator('.assistant .prose').waitFor();
  const { hash } = new URL(page.url());
  await page.locator('.user').hover();
  await page.locator('.user').getByRole('button', { name: 'Edit' }).click();
  await page.locator('dialog textarea').fill('Say goodbye.');
  await page.getByRole('button', { name: 'Run as a branch' }).click();
  await page.locator('.branch-note').waitFor();
  await over(page);
  await becomes(() => texts('.user .bubble'), ['You:\nSay goodbye.']);
  assert.notEqual(new URL(page.url()).hash, hash);
});

test('real_chat_2_3_call_is_folded_approved_edited_and_rejected_in_place', async () => {
  const card = page.locator('[data-waits]');
  const call = page.locator('.call').first();
  await begin('Clerk', SUM);
  await card.getByRole('button', { name: 'Approve' }).click();
  await over(page);
  await call.locator('summary').click();
  await becomes(() => call.locator('pre').allInnerTexts(), ['{\n  "expression": "100 + 250"\n}', '350']);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), /350/);
  await begin('Clerk', SUM);
  await card.getByRole('button', { name: 'Edit' }).click();
  await card.locator('textarea').fill('{"expression":"12 * 11"}');
  await card.getByRole('button', { name: 'Approve with these' }).click();
  await over(page);
  await becomes(() => texts('.approval.settled'), ['Approved with other arguments']);
  await call.locator('summary').click();
  await becomes(async () => (await call.locator('pre').allInnerTexts()).at(-1), '132');
  await begin('Clerk', SUM);
  await card.getByRole('button', { name: 'Reject' }).click();
  await card.locator('input').fill('too cheap');
  await card.getByRole('button', { name: 'Reject' }).click();
  await becomes(() => texts('.approval.settled'), ['Rejected: too cheap']);
  await settled();
});

test('real_chat_5_handoff_and_nested_agent_are_in_the_same_view', async () => {
  await begin('Reception', 'Say hello.');
  await page.locator('.handoff').waitFor();
  await becomes(() => texts('.handoff'), ['⇢Reception handed over to Guide']);
  await settled();
  await begin('Host', 'Say hello.');
  // It is folded.
  await page.locator('.nested .assistant').first().waitFor({ state: 'attached' });
  await settled();
});

test('real_chat_6_call_leads_to_its_span_and_back', async () => {
  await page.locator('#show-traces').click();
  await rows().filter({ hasText: 'Clerk' }).last().locator('.row-button').click();
  await page.locator('[data-span]').first().waitFor();
  await page.getByRole('button', { name: 'Conversation', exact: true }).click();
  const call = page.locator('#thread .call').first();
  await call.locator('summary').click();
  await call.getByRole('button', { name: 'Show in the trace' }).click();
  await becomes(() => page.locator('.span-view h3').innerText(), 'execute_tool calculator');
  await span(`chat ${name}`).click();
  await becomes(() => page.locator('#thread .call.lit').count(), 0);
  await span('execute_tool calculator').click();
  await becomes(() => page.locator('#thread .call.lit').count(), 1);
});

test('real_chat_7_instructions_of_this_session_are_sent_and_exported', async () => {
  await page.locator('#agent').selectOption('Guide');
  await page.locator('#agent-panel summary').click();
  await page.getByLabel('Instructions').fill('You are a pirate.');
  await becomes(() => page.locator('.changed').innerText(), ' · changed');
  const yaml = await copied(page, page.getByRole('button', { name: 'Copy as YAML' }));
  assert.match(yaml, /^agents:\n {2}- name: Guide\n {4}instructions: "You are a pirate\."\n/);
  await say(page, 'Say hello.');
  await settled();
  await traceOf('Guide');
  await span(`chat ${name}`).click();
  await tab('Request').click();
  const request = JSON.parse(await copied(page, page.locator('.tab-body').getByRole('button', { name: 'Copy' })));
  assert.equal(request.messages[0].content, 'You are a pirate.');
});

test('real_chat_8_9_running_answer_is_attached_again_live_in_the_list_and_stopped', async () => {
  await begin('EchoAgent', 'Write a long story about a dragon.');
  await page.locator('.assistant', { hasText: 'dragon' }).waitFor();
  await page.reload();
  await page.locator('.assistant', { hasText: 'dragon' }).waitFor();
  await becomes(() => page.locator('.user').count(), 1);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await over(page, 'cancelled');
  await becomes(() => page.locator('#thread .notice strong').innerText(), 'Stopped');
});

test('real_trace_1_runs_are_listed_newest_first_and_live_with_tokens_and_money', async () => {
  await page.locator('#show-traces').click();
  await rows().first().waitFor();
  const other = await opened(program.url);
  await other.locator('#agent').selectOption('EchoAgent');
  await say(other, 'Write a long story about a dragon.');
  await page.locator('[data-trace] .mark.running').waitFor();
  await other.getByRole('button', { name: 'Stop', exact: true }).click();
  await over(other, 'cancelled');
  await other.context().close();
  await becomes(() => page.locator('[data-trace] .mark.running').count(), 0);
  await becomes(() => rows().first().innerText(), /EchoAgent/);
  await becomes(() => rows().filter({ hasText: 'Clerk' }).last().innerText(), new RegExp(`${name} · 2 turns · [\\d,]+ tokens[^]*0\\.\\d+`));
});

test('real_trace_2_3_waterfall_tree_and_conversation_have_one_selection', async () => {
  await page.locator('#show-traces').click();
  await rows().filter({ hasText: 'Clerk' }).last().locator('.row-button').click();
  await span('execute_tool calculator').click();
  await becomes(() => page.locator('[data-span][aria-selected=true]').count(), 1);
  await becomes(() => page.locator('.span-view h3').innerText(), 'execute_tool calculator');
  await page.locator('[data-span]', { hasText: `chat ${name}` }).last().click();
  await becomes(() => page.locator('.span-thread .user .bubble').innerText(), `You:\n${SUM}`);
  const call = page.locator('.span-thread .call');
  await call.locator('summary').click();
  await becomes(() => call.locator('pre').allInnerTexts(), ['{\n  "expression": "100 + 250"\n}', '350']);
  await becomes(() => page.locator('.span-thread .assistant').innerText(), /350/);
});

test('real_trace_4_exact_request_is_shown_and_copied_as_curl_without_the_key', async () => {
  await traceOf('Clerk');
  await span(`chat ${name}`).click();
  await tab('Request').click();
  const copy = page.locator('.tab-body').getByRole('button', { name: 'Copy' });
  const request = JSON.parse(await copied(page, copy));
  assert.deepEqual([request.model, request.messages.at(-1), request.tools[0].function.name], [name, { role: 'user', content: SUM }, 'calculator']);
  await tab('curl').click();
  const command = await copied(page, copy);
  assert.ok(command.startsWith(`curl '${url}/chat/completions'`) && command.includes('Bearer $OPENAI_API_KEY'), command);
});

test('real_trace_5_failed_run_has_the_words_of_the_server', async () => {
  await begin('EchoAgent', 'word '.repeat(18_000));
  await over(page, 'failed');
  await becomes(() => page.locator('#thread .notice').last().innerText(), /exceeds the available context size/);
  await page.locator('#show-traces').click();
  await page.getByLabel('Which runs').selectOption('error');
  await rows().first().locator('.row-button').click();
  await becomes(() => page.locator('.trace-head .error-line').innerText(), /api_status.*exceeds the available context size/s);
  await page.locator('[data-span]').first().click();
  await page.getByRole('button', { name: 'Show the span' }).click();
  await becomes(() => page.locator('.span-view h3').innerText(), `chat ${name}`);
});

test('real_trace_6_arguments_are_searched', async () => {
  await page.locator('#show-traces').click();
  await rows().first().waitFor();
  await page.getByLabel('Search messages and arguments').fill('12 * 11');
  await becomes(() => rows().count(), 1);
  await becomes(() => rows().first().innerText(), /Clerk/);
});

test('real_trace_7_two_runs_stand_side_by_side_with_the_first_difference_marked', async () => {
  await page.locator('#show-traces').click();
  const sums = rows().filter({ hasText: 'Clerk' });
  await sums.last().locator('input').check();
  await rows().filter({ hasText: 'Host' }).first().locator('input').check();
  await page.getByRole('button', { name: 'Compare two' }).click();
  await page.locator('.first-difference').waitFor();
  await becomes(() => page.locator('.compare [role=status]').innerText(), /They differ first in step \d+\./);
});

test('real_trace_11_trace_is_saved_and_opened_again', async () => {
  await traceOf('Clerk');
  const saved = {};
  for (const label of ['HTML', 'JSON lines', 'OTLP']) {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: `Save ${label}` }).click();
    saved[label] = readFileSync(await (await download).path(), 'utf8');
    assert.ok(saved[label].includes(`chat ${name}`) && !saved[label].includes(key), label);
  }
  await page.locator('input[type=file][accept]').setInputFiles({ name: 'a.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(saved['JSON lines']) });
  await page.getByText('from a file').waitFor();
});

// Last, since a program does not have the events of the one before it.
test('real_chat_9_sessions_survive_a_restart', async () => {
  const before = await page.evaluate(async () => (await (await fetch('sessions')).json()).sessions.length);
  await program.stop('SIGTERM');
  program = await start({ folder: program.folder });
  await page.goto(program.url);
  await page.locator('#session-list .title', { hasText: 'capital of France' }).first().click();
  await becomes(() => page.locator('.assistant .prose').first().innerText(), /Paris/);
  await becomes(() => page.evaluate(async () => (await (await fetch('sessions')).json()).sessions.length), before);
  // The page that was open while there was no server may have said so.
  page.errors = page.errors.filter((error) => !error.includes('ERR_CONNECTION_REFUSED'));
});

test('real_trace_8_run_of_before_a_restart_is_made_again_as_a_branch_by_its_agent', async () => {
  await traceOf('Clerk');
  await page.getByText('Run it again', { exact: true }).click();
  await becomes(async () => (await page.locator('.span-view .panel pre').allInnerTexts()).some((command) => command.startsWith("openai-agents run --agent 'Clerk'")), true);
  await page.getByRole('button', { name: 'Run again as a branch' }).click();
  await page.locator('.branch-note').waitFor();
  await page.locator('[data-waits]').getByRole('button', { name: 'Approve' }).click();
  await over(page);
  await becomes(async () => (await texts('.assistant .prose')).at(-1), /350/);
});
