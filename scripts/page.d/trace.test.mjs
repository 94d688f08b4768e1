// The twelve things of a trace page, each in a real browser on the real program and its own store of traces.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { becomes, copied, launch, over, say, serious } from './browser.mjs';
import * as scripted from './model.mjs';
import { CONFIG, serve } from './program.mjs';

let model;
let program;
let browser;
let page;

before(async () => {
  model = await scripted.start();
  program = await serve(model.url, { config: `${CONFIG}trace: { store: traces.db }\n` });
  browser = await launch();
  const other = await browser.open(program.url);
  await other.locator('.greeting').waitFor();
  for (const [text, status] of [['say one', 'completed'], ['call calculator {"expression":"6*7"}', 'completed'], ['fail 500 CUDA out of memory', 'failed'], ['call calculator {"expression":"2+2"}', 'completed']]) {
    await other.locator('#new-session').click();
    await say(other, text);
    await over(other, status);
  }
  // The store is written to beside the runs.
  await other.waitForFunction(async () => {
    const { traces } = await (await fetch('traces')).json();
    return traces.length === 4 && traces.every((trace) => trace.ended_at);
  });
  await other.context().close();
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await model?.stop();
  program?.remove();
});
beforeEach(async () => {
  page = await browser.open(program.url);
  await page.locator('#show-traces').click();
  await page.locator('[data-trace]').first().waitFor();
});
afterEach(async () => {
  const { errors, foreign } = page;
  await page.context().close();
  assert.deepEqual({ errors, foreign }, { errors: [], foreign: [] });
});

const rows = () => page.locator('[data-trace]');
const open = async (n) => {
  await rows().nth(n).locator('.row-button').click();
  await page.locator('[data-span]').first().waitFor();
};
const span = (name) => page.locator('[data-span]', { hasText: name }).first();
const tab = (name) => page.locator('.tab-bar').getByRole('button', { name });

/** JSON lines of a trace with so many calls of a tool, and one value that is large. */
function file(n, n_bytes) {
  const trace_id = 'c'.repeat(32);
  const at = (ms) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
  const id = (each) => each.toString(16).padStart(16, '0');
  const make = (each, parent, name, kind, content = {}) => ({ type: 'span', trace_id, span_id: id(each), parent_id: parent === null ? null : id(parent), name, kind, is_root: parent === null, status: 'ok', started_at: at(each), ended_at: at(each + 5), attributes: {}, error: null, content });
  const spans = [make(1, null, 'invoke_agent Big', 'task'), make(2, 1, 'execute_tool large', 'function', { arguments: '{}', result: 'y z '.repeat(n_bytes / 4) })];
  for (let each = 3; each <= n; each += 1) spans.push(make(each, 1, `execute_tool step_${each}`, 'function'));
  return `${[{ type: 'header', version: 1 }, { type: 'trace', trace_id, name: 'Big' }, ...spans].map((line) => JSON.stringify(line)).join('\n')}\n`;
}

test('trace_1_runs_are_listed_newest_first_and_live', async () => {
  await becomes(() => rows().count(), 4);
  const texts = await rows().allInnerTexts();
  assert.match(texts[0], /Assistant/);
  assert.match(texts[0], /scripted · 2 turns · [\d,]+ tokens/);
  assert.match(texts[1], /api_status/);
  const other = await browser.open(program.url);
  await say(other, 'slow');
  await page.locator('[data-trace] .mark.running').waitFor();
  model.release();
  await over(other);
  await page.waitForFunction(() => document.querySelectorAll('[data-trace]').length === 5 && !document.querySelector('[data-trace] .mark.running'));
  await other.context().close();
  await page.evaluate(async () => {
    const { traces } = await (await fetch('traces?limit=1')).json();
    await fetch(`traces/${traces[0].trace_id}`, { method: 'DELETE' });
  });
});

test('trace_2_waterfall_and_tree_have_one_selection', async () => {
  await open(0);
  await span('execute_tool calculator').click();
  await becomes(() => page.locator('[data-span][aria-selected=true]').count(), 1);
  await becomes(() => page.locator('.span-view h3').innerText(), 'execute_tool calculator');
  await becomes(() => span('execute_tool calculator').locator('.bar').count(), 1);
  await page.locator('.waterfall').press('k');
  await page.locator('.span-view h3').filter({ hasNotText: 'execute_tool calculator' }).waitFor();
});

test('trace_3_conversation_stands_beside_it_call_and_output_folded_and_json_one_click_away', async () => {
  await open(0);
  await page.locator('[data-span]', { hasText: 'chat scripted' }).last().click();
  await page.locator('.span-thread .assistant').waitFor();
  await becomes(() => page.locator('.span-thread .user .bubble').innerText(), 'You:\ncall calculator {"expression":"2+2"}');
  const call = page.locator('.span-thread .call');
  await becomes(() => call.count(), 1);
  await call.locator('summary').click();
  await becomes(() => call.locator('pre').allInnerTexts(), ['{\n  "expression": "2+2"\n}', '4']);
  await becomes(() => page.locator('.span-thread .assistant').innerText(), 'The tool gave: 4');
  await tab('Response').click();
  await page.locator('.tab-body pre').first().waitFor();
});

test('trace_4_exact_request_is_shown_and_copied_as_curl_without_the_key', async () => {
  await open(0);
  await span('chat scripted').click();
  await tab('Request').click();
  const copy = page.locator('.tab-body').getByRole('button', { name: 'Copy' });
  const request = JSON.parse(await copied(page, copy));
  const sent = model.requests.filter((each) => JSON.stringify(each.messages).includes('2+2')).find((each) => each.messages.length === request.messages.length);
  assert.deepEqual(request, sent);
  await tab('curl').click();
  const command = await copied(page, copy);
  assert.ok(command.startsWith(`curl '${model.url}/chat/completions'`), command);
  assert.ok(command.includes('Bearer $OPENAI_API_KEY') && !command.includes('sk-secret'));
});

test('trace_5_failed_runs_are_found_with_the_words_of_the_server_and_the_span', async () => {
  await page.getByLabel('Which runs').selectOption('error');
  await page.waitForFunction(() => document.querySelectorAll('[data-trace]').length === 1);
  await open(0);
  await becomes(() => page.locator('.trace-head .error-line').innerText(), /api_status.*CUDA out of memory/s);
  // The span that failed is what is shown first.
  await becomes(() => page.locator('.span-view h3').innerText(), /^chat scripted/);
  await page.locator('[data-span]').first().click();
  await page.getByRole('button', { name: 'Show the span' }).click();
  await becomes(() => page.locator('.span-view .verbatim').innerText(), /CUDA out of memory/);
  await becomes(() => page.locator('#show-traces').innerText(), /1 failed today/);
});

test('trace_6_text_of_messages_and_arguments_is_searched', async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('6*7');
  await page.waitForFunction(() => document.querySelectorAll('[data-trace]').length === 1);
  await page.getByLabel('Search messages and arguments').fill('nowhere at all');
  await page.getByText('No run is like that.').waitFor();
});

test('trace_7_two_runs_stand_side_by_side_with_the_first_difference_marked', async () => {
  await rows().nth(0).locator('input').check();
  await rows().nth(2).locator('input').check();
  await page.getByRole('button', { name: 'Compare two' }).click();
  await page.locator('.first-difference').waitFor();
  await becomes(() => page.locator('.compare [role=status]').innerText(), /They differ first in step 1\./);
  await becomes(async () => (await page.locator('.first-difference td').allInnerTexts()).map((text) => /calculator (\{.*\})/.exec(text)?.[1]), ['{"expression":"6*7"}', '{"expression":"2+2"}']);
});

test('trace_8_commands_to_run_it_again_are_shown', async () => {
  await open(0);
  await page.getByText('Run it again', { exact: true }).click();
  await page.locator('.span-view .panel pre').nth(1).waitFor();
  const commands = await page.locator('.span-view .panel pre').allInnerTexts();
  assert.ok(commands.some((command) => command.startsWith("openai-agents run --agent 'Assistant' --model 'scripted'")), commands);
  assert.ok(commands.some((command) => command.startsWith('openai-agents sessions fork ')), commands);
  await page.getByRole('button', { name: 'Conversation', exact: true }).click();
  await page.locator('.assistant').waitFor();
});

test('trace_9_ten_thousand_spans_and_a_large_value_take_below_a_second_each', async () => {
  const timed = async (what, act, limit = 1000) => {
    const before = Date.now();
    await act();
    const took = Date.now() - before;
    console.log(`${what}: ${took} ms`);
    assert.ok(took < limit, `${what} took ${took} ms`);
  };
  await page.locator('input[type=file][accept]').setInputFiles({ name: 'big.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(file(10_000, 20_000_000)) });
  await page.locator('[data-span]').first().waitFor();
  assert.ok((await page.locator('[data-span]').count()) < 100);
  await timed('to the end', async () => {
    await page.locator('.waterfall').press('End');
    await page.getByText('step_10000').first().waitFor();
  });
  await timed('fold', async () => {
    await page.locator('.waterfall').press('Home');
    await page.locator('.waterfall').press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('[data-span]').length === 1);
  });
  await page.locator('.waterfall').press('Enter');
  await timed('select the large value', async () => {
    await span('execute_tool large').click();
    await page.getByText('20.0 MB').waitFor();
  });
  await timed('show it', async () => {
    await page.locator('.span-content').getByRole('button', { name: 'Show' }).click();
    await page.locator('.cut').waitFor();
  });
  await becomes(() => page.locator('.cut').innerText(), /19,998,000 more characters/);
});

test('trace_10_pictures_are_shown_and_base64_never_as_text', async () => {
  const picture = scripted.PICTURE;
  await page.evaluate(async (data) => {
    const content = [{ type: 'input_text', text: 'say seen' }, { type: 'input_image', image_url: `data:image/png;base64,${data}`, detail: 'auto' }];
    await (await fetch('run', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ agent: 'EchoAgent', input: [{ type: 'message', role: 'user', content }], stream: true }) })).text();
  }, picture);
  await page.waitForFunction(() => document.querySelectorAll('[data-trace]').length === 5);
  await open(0);
  await span('chat scripted').click();
  await page.locator('.span-thread img').waitFor();
  for (const name of ['Messages', 'Request', 'curl']) {
    await tab(name).click();
    assert.ok(!(await page.locator('#trace').innerText()).includes(picture.slice(0, 20)), name);
  }
});

test('trace_11_traces_are_saved_and_opened_again_and_a_link_opens_one_span', async () => {
  await open(1);
  const saved = {};
  for (const label of ['HTML', 'JSON lines', 'OTLP']) {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: `Save ${label}` }).click();
    saved[label] = readFileSync(await (await download).path(), 'utf8');
  }
  assert.ok(!/<script|<link|src=/.test(saved.HTML) && saved.HTML.includes('chat scripted'));
  const { spans } = JSON.parse(saved.OTLP).resourceSpans[0].scopeSpans[0];
  assert.ok(spans.every((each) => /^[0-9a-f]{32}$/.test(each.traceId) && /^[0-9a-f]{16}$/.test(each.spanId)));
  await page.locator('input[type=file][accept]').setInputFiles({ name: 'a.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(saved['JSON lines']) });
  await page.getByText('from a file').waitFor();
  await page.locator('input[type=file][accept]').setInputFiles({ name: 'b.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from('no\n') });
  await page.getByText('line 1 is not JSON').waitFor();
  await open(1);
  await span('chat scripted').click();
  const link = page.url();
  const other = await browser.open(link);
  await other.locator('[data-span][aria-selected=true]', { hasText: 'chat scripted' }).waitFor();
  assert.deepEqual(other.errors, []);
  await other.context().close();
});

test('trace_12_what_a_tool_returned_never_runs_and_the_keyboard_reaches_everything', async () => {
  await page.evaluate(async () => {
    await (await fetch('run', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ agent: 'Assistant', input: 'call calculator {"expression":"<img src=x onerror=window.hacked=1>"}', stream: true }) })).text();
  });
  await page.waitForFunction(() => document.querySelector('[data-trace]')?.innerText.includes('Assistant'));
  await open(0);
  for (const name of ['execute_tool calculator', 'chat scripted']) {
    await span(name).click();
    await page.locator('.span-content pre, .span-thread').first().waitFor();
  }
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await becomes(() => page.locator('#trace img').count(), 0);
  assert.ok(!(await page.content()).includes('sk-secret'));
  assert.deepEqual(await serious(page), []);
});

for (const [name, options] of [['dark', { dark: true }], ['narrow', { width: 320, height: 640 }]]) {
  test(`axe_finds_nothing_serious_in_traces_${name}`, async () => {
    const other = await browser.open(`${program.url}/#view=traces`, options);
    await other.locator('[data-trace] .row-button').nth(1).click();
    await other.locator('[data-span]').first().waitFor();
    await other.locator('.span-content > *').first().waitFor();
    assert.deepEqual(await serious(other), []);
    assert.equal(await other.evaluate(() => document.documentElement.scrollWidth), options.width ?? 1280);
    await other.context().close();
  });
}

/** Runs a text in a session of its own, and shows its trace, the newest. */
async function runAndOpen(text) {
  const count = async (target) => target.evaluate(async () => (await (await fetch('traces')).json()).traces.filter((trace) => trace.ended_at).length);
  const other = await browser.open(program.url);
  await other.locator('.greeting').waitFor();
  const before = await count(other);
  await other.locator('#new-session').click();
  await say(other, text);
  await over(other, 'completed');
  await other.waitForFunction(async (before) => (await (await fetch('traces')).json()).traces.filter((trace) => trace.ended_at).length === before + 1, before);
  await other.context().close();
  await page.reload();
  await rows().first().waitFor();
  await open(0);
}

test('chat_6_trace_stands_beside_the_conversation_and_both_lead_to_each_other', async () => {
  await runAndOpen('call calculator {"expression":"2+2"}');
  await page.getByRole('button', { name: 'Conversation', exact: true }).click();
  const call = page.locator('#thread .call').first();
  await call.locator('summary').click();
  await call.getByRole('button', { name: 'Show in the trace' }).click();
  await becomes(() => page.locator('.span-view h3').innerText(), 'execute_tool calculator');
  await span('chat scripted').click();
  await becomes(() => page.locator('#thread .call.lit').count(), 0);
  await span('execute_tool calculator').click();
  await becomes(() => page.locator('#thread .call.lit').count(), 1);
});

test('trace_8_branch_of_a_run_of_before_a_restart_is_run_by_the_agent_of_the_trace', async () => {
  const config = `${CONFIG}trace: { store: traces.db }\n`;
  const own = await serve(model.url, { config });
  const earlier = await browser.open(own.url);
  await earlier.locator('#agent').selectOption('Desk');
  await say(earlier, 'call calculator {"expression":"6*7"}');
  await earlier.locator('#thread [data-waits]').getByRole('button', { name: 'Approve' }).click();
  await over(earlier);
  await earlier.context().close();
  await own.stop('SIGTERM');
  const again = await serve(model.url, { config, folder: own.folder });
  const later = await browser.open(`${again.url}/#view=traces`);
  await becomes(() => later.locator('#agent').inputValue(), 'Assistant');
  await later.locator('[data-trace] .row-button').click();
  await later.getByText('Run it again', { exact: true }).click();
  await later.getByRole('button', { name: 'Run again as a branch' }).click();
  // Assistant has this tool too, and would not ask.
  await becomes(() => later.locator('#thread [data-waits] .approval-head').innerText(), /calculator waits for you\. Desk wants to call it with:$/);
  await becomes(() => later.locator('#agent').inputValue(), 'Desk');
  assert.deepEqual({ errors: later.errors, foreign: later.foreign }, { errors: [], foreign: [] });
  await later.context().close();
  await again.stop();
  again.remove();
});

// Last, since it adds a run to those that the others count.
test('trace_8_run_is_forked_from_a_span_and_the_conversation_stays', async () => {
  await runAndOpen('call calculator {"expression":"2+2"}');
  const before = await page.evaluate(async () => (await (await fetch('sessions')).json()).sessions.length);
  await page.getByText('Run it again', { exact: true }).click();
  await page.getByRole('button', { name: 'Run again as a branch' }).click();
  await page.locator('.branch-note').waitFor();
  await over(page);
  await becomes(async () => (await page.locator('#thread .user .bubble').allInnerTexts()).map((text) => text.replace(/^You:\n/, '')), ['call calculator {"expression":"2+2"}']);
  await becomes(() => page.evaluate(async () => (await (await fetch('sessions')).json()).sessions.length), before + 1);
});
