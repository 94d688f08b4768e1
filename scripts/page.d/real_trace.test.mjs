// The twelve things of a trace page on a real model. The ninth is no matter of a model: 10,000 spans and a value of 20 MB come from a file, in
// trace.test.mjs, which has the exact bytes of a request too, as the server that it was sent to got them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { becomes, copied, launch, over, serious } from './browser.mjs';
import { EVIL, PICTURE } from './model.mjs';
import { assertQuiet, key, name, opened, start, url } from './real.mjs';

let program;
let browser;
let page;

const post = async (path, body) => {
  const response = await fetch(`${program.url}/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  assert.ok(response.ok, await response.clone().text());
  return response.json();
};

/** Runs an agent to its end, and decides about its calls if there is a decision; gives the session. */
async function run(agent, input, decision) {
  const { session } = await post('run', { agent, input });
  // Until the run is over, the server sends its events.
  await (await fetch(`${program.url}/events/${session}`)).text();
  if (!decision) return session;
  const { interruptions } = await (await fetch(`${program.url}/status/${session}`)).json();
  const { last_event_id } = await post(`approve/${session}`, { approvals: interruptions.map(({ id }) => ({ id, ...decision })) });
  await (await fetch(`${program.url}/events/${session}`, { headers: { 'last-event-id': String(last_event_id) } })).text();
  return session;
}

/** The store is written to beside the runs. */
const recorded = (n) => becomes(async () => {
  const { traces } = await (await fetch(`${program.url}/traces`)).json();
  return traces.filter((trace) => trace.ended_at && !['running', 'paused'].includes(trace.status)).length;
}, n);

before(async () => {
  program = await start();
  browser = await launch();
  await run('Reception', 'Say hello.');
  await run('Clerk', 'Ship the parcel.', { approve: true });
  await run('Clerk', 'Ship it to Lisbon.', { approve: true, arguments: '{"parcel":"B-2"}' });
  await run('Guide', 'word '.repeat(18_000));
  await run('Printer', 'Print the label.');
  await run('Reader', 'Read the letter.');
  await recorded(6);
});
after(async () => {
  await browser?.close();
  await program?.stop();
  program?.remove();
});
beforeEach(async () => {
  page = await opened(browser, program.url);
  await page.locator('#show-traces').click();
  await page.locator('[data-trace]').first().waitFor();
});
afterEach(async () => {
  await assertQuiet(page);
  await page.context().close();
});

const rows = () => page.locator('[data-trace]');
const row = (text) => rows().filter({ hasText: text }).first();
const show = async (text) => {
  await row(text).locator('.row-button').click();
  await page.locator('[data-span]').first().waitFor();
};
const span = (text) => page.locator('[data-span]', { hasText: text });
const tab = (label) => page.locator('.tab-bar').getByRole('button', { name: label });
const heading = () => page.locator('.span-view h3').innerText();

test('real_trace_1_runs_are_listed_newest_first_and_live_with_tokens_and_money', async () => {
  await becomes(() => rows().locator('.title').allInnerTexts(), ['Reader', 'Printer', 'Guide', 'Clerk', 'Clerk', 'Reception']);
  await becomes(() => row('Reception').innerText(), new RegExp(` s · ${name} · 2 turns · [\\d,]+ tokens · cost 0\\.\\d+`));
  const { session } = await post('run', { agent: 'Teller', input: 'Tell me a story.' });
  await page.locator('[data-trace] .mark.running').waitFor();
  await becomes(() => rows().first().innerText(), /Teller[^]*goes on/);
  await post(`cancel/${session}`, { when: 'now' });
  await page.locator('[data-trace] .mark.cancelled').waitFor();
  await becomes(() => page.locator('[data-trace] .mark.running').count(), 0);
  const { traces: [{ trace_id }] } = await (await fetch(`${program.url}/traces?limit=1`)).json();
  await fetch(`${program.url}/traces/${trace_id}`, { method: 'DELETE' });
});

test('real_trace_2_waterfall_and_tree_have_one_selection', async () => {
  await show('Clerk');
  await span('execute_tool ship').last().click();
  await becomes(() => page.locator('[data-span][aria-selected=true]').count(), 1);
  await becomes(heading, 'execute_tool ship');
  await page.locator('.waterfall').press('Home');
  await becomes(heading, 'run Clerk');
  const bars = await page.locator('.bar').evaluateAll((all) => all.map((bar) => [bar.getBoundingClientRect().height, bar.closest('[data-span]').querySelectorAll('.bar').length]));
  assert.deepEqual(bars, bars.map(() => [8, 1]));
});

test('real_trace_3_conversation_stands_beside_it_call_and_output_folded_and_json_one_click_away', async () => {
  await show('Reception');
  await span(`chat ${name}`).last().click();
  await becomes(() => page.locator('.span-thread .user .bubble').innerText(), 'You:\nSay hello.');
  const call = page.locator('.span-thread .call');
  await call.locator('summary').click();
  await becomes(() => call.locator('pre').allInnerTexts(), ['{}', '{\n  "assistant": "Guide"\n}']);
  await page.locator('.span-thread .assistant').waitFor();
  await tab('Response').click();
  // As it came: a stream.
  const response = await copied(page, page.locator('.tab-body').getByRole('button', { name: 'Copy' }));
  assert.ok(response.startsWith('data: {') && response.trimEnd().endsWith('data: [DONE]'), response);
});

test('real_trace_4_exact_request_is_shown_and_made_again_and_copied_as_curl_without_the_key', async () => {
  await show('Printer');
  await span(`chat ${name}`).click();
  await tab('Request').click();
  const copy = page.locator('.tab-body').getByRole('button', { name: 'Copy' });
  const request = await copied(page, copy);
  const { model, messages, tools } = JSON.parse(request);
  assert.deepEqual([model, messages, tools.map((tool) => tool.function.name)], [name, [{ role: 'user', content: 'Print the label.' }], ['print']]);
  const again = await fetch(`${url}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: request });
  assert.match(await again.text(), /"name":"print"/);
  await tab('curl').click();
  const command = await copied(page, copy);
  assert.ok(command.startsWith(`curl '${url}/chat/completions'`) && command.includes('Bearer $OPENAI_API_KEY') && command.includes(request), command);
});

test('real_trace_5_failed_run_is_found_with_the_words_of_the_server_and_the_span', async () => {
  await page.getByLabel('Which runs').selectOption('error');
  await becomes(() => rows().count(), 1);
  await show('Guide');
  await becomes(() => page.locator('.trace-head .error-line').innerText(), /api_status.*exceeds the available context size/s);
  await becomes(heading, `chat ${name}`);
  await span('run Guide').click();
  await page.getByRole('button', { name: 'Show the span' }).click();
  await becomes(() => page.locator('.span-view .verbatim').innerText(), /exceeds the available context size/);
  await becomes(() => page.locator('#show-traces').innerText(), /1 failed today/);
});

test('real_trace_6_messages_and_outputs_are_searched', async () => {
  for (const [words, agent] of [['Lisbon', 'Clerk'], ['press is jammed', 'Printer']]) {
    await page.keyboard.press('/');
    await page.keyboard.press('Control+a');
    await page.keyboard.type(words);
    await becomes(() => rows().locator('.title').allInnerTexts(), [agent]);
    await page.keyboard.press('Escape');
  }
});

test('real_trace_7_two_runs_stand_side_by_side_with_the_first_difference_marked', async () => {
  await rows().nth(3).locator('input').check();
  await rows().nth(4).locator('input').check();
  await page.getByRole('button', { name: 'Compare two' }).click();
  await becomes(() => page.locator('.compare [role=status]').innerText(), /^They differ first in step \d+\.$/);
  await becomes(async () => (await page.locator('.compare tbody').innerText()).includes('B-2 is on its way'), true);
  assert.deepEqual(await page.locator('.first-difference strong').allInnerTexts(), ['first difference', 'first difference']);
  assert.equal(await page.locator('[data-trace].current').count(), 0);
  assert.deepEqual(await serious(page), []);
});

test('real_trace_10_picture_of_a_tool_is_shown_and_base64_never_as_text', async () => {
  await show('Reader');
  await span('execute_tool read_letter').click();
  await page.locator('.span-content img').waitFor();
  assert.ok(!(await page.locator('body').innerText()).includes(PICTURE.slice(0, 20)));
  await page.getByRole('button', { name: 'Conversation', exact: true }).click();
  await page.locator('#thread .call img').waitFor();
  assert.ok(!(await page.locator('body').innerText()).includes(PICTURE.slice(0, 20)));
});

test('real_trace_11_traces_are_saved_and_opened_again_and_a_link_opens_one_span', async () => {
  await show('Clerk');
  const saved = {};
  for (const label of ['HTML', 'JSON lines', 'OTLP']) {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: `Save ${label}` }).click();
    saved[label] = readFileSync(await (await download).path(), 'utf8');
    assert.ok(saved[label].includes(`chat ${name}`) && !saved[label].includes(key), label);
  }
  assert.doesNotMatch(saved.HTML, /<script|<link|src=/);
  await span(`chat ${name}`).click();
  const other = await opened(browser, page.url());
  await other.locator('[data-span][aria-selected=true]', { hasText: `chat ${name}` }).waitFor();
  await assertQuiet(other);
  await other.context().close();
  await page.locator('input[type=file][accept]').setInputFiles({ name: 'a.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(saved['JSON lines']) });
  await page.getByText('from a file').waitFor();
});

for (const [look, options] of [['wide', {}], ['dark', { dark: true }], ['narrow', { width: 320, height: 640 }]]) {
  test(`real_trace_12_what_a_tool_returned_never_runs_and_nothing_is_in_the_way_${look}`, async () => {
    const other = await opened(browser, `${program.url}/#view=traces`, options);
    await other.locator('[data-trace]', { hasText: 'Reader' }).locator('.row-button').click();
    for (const each of ['execute_tool read_letter', `chat ${name}`]) {
      await other.locator('[data-span]', { hasText: each }).click();
      await other.locator('.span-view h3', { hasText: each }).waitFor();
      await other.locator('.span-content > *').first().waitFor();
    }
    await other.locator('.waterfall').press('Home');
    await becomes(async () => (await other.locator('.span-view').innerText()).includes(EVIL.slice(0, 30)), true);
    const found = await other.evaluate(() => ({ hacked: window.hacked, scripts: document.querySelectorAll('main script, aside script, aside b').length, width: document.documentElement.scrollWidth }));
    assert.deepEqual(found, { hacked: undefined, scripts: 0, width: options.width ?? 1280 });
    assert.deepEqual(await serious(other), []);
    await assertQuiet(other);
    await other.context().close();
  });
}

// Last, since the program is another one then.
test('real_trace_8_run_of_before_a_restart_is_made_again_as_a_branch_by_its_own_agent', async () => {
  await page.goto('about:blank');
  await program.stop('SIGTERM');
  program = await start({ folder: program.folder });
  await page.goto(`${program.url}/#view=traces`);
  await show('Clerk');
  await page.getByText('Run it again', { exact: true }).click();
  const commands = await page.locator('.span-view .panel pre').allInnerTexts();
  assert.ok(commands.some((command) => command.startsWith(`openai-agents run --agent 'Clerk' --model '${name}'`)), commands);
  assert.ok(commands.some((command) => command.startsWith('openai-agents sessions fork ')), commands);
  await page.getByRole('button', { name: 'Run again as a branch' }).click();
  await page.locator('#thread .branch-note').waitFor();
  // Another agent would not ask, and have no such call.
  await becomes(() => page.locator('#thread [data-waits] .approval-head').innerText(), /^⚠\s*ship waits for you\. Clerk wants to call it with:$/);
  await page.locator('#thread [data-waits]').getByRole('button', { name: 'Approve' }).click();
  await over(page);
  await becomes(() => page.locator('#thread .user .bubble').allInnerTexts(), ['You:\nShip it to Lisbon.']);
});
