// The program on a real model, which `scripts/model-server run --` starts, with agents that leave the model nothing to decide on which a test
// depends: a text has the form of a grammar, and so an end; a call is the only one that there is; a story goes on until it is stopped.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import { serve } from './program.mjs';

export const { OPENAI_BASE_URL: url, OPENAI_API_KEY: key, OPENAI_MODEL: name } = process.env;

/** Words alone, so that what is drawn as Markdown has the letters that the model gave. */
const SENTENCE = 'root ::= [A-Z] [a-z]{2,8} (" " [a-z]{2,8}){4,8} "."';
const TOOLS = { ship: 'always', print: 'never', read_letter: 'never', hold: 'never' };
const text = { temperature: 0, extra_body: { grammar: SENTENCE } };
const call = { temperature: 0, tool_choice: 'required' };
const once = { tool_use_behavior: 'stop_on_first_tool', settings: call };

export const CONFIG = {
  agents: [
    { name: 'Guide', instructions: 'You are a guide.', settings: text },
    { name: 'Teller', settings: { temperature: 0, max_tokens: 4000, extra_body: { ignore_eos: true } } },
    { name: 'Clerk', mcp_servers: ['ship'], ...once },
    { name: 'Printer', mcp_servers: ['print'], ...once },
    { name: 'Reader', mcp_servers: ['read_letter'], ...once },
    // The second answer is free: it may be a text, one that is cut, or a call that the limit of turns forbids.
    { name: 'Porter', mcp_servers: ['hold'], limits: { max_turns: 2 }, settings: { ...call, max_tokens: 60 } },
    { name: 'Reception', handoffs: ['Guide'], settings: call },
    { name: 'Desk', tools: ['calculator', 'current_time'], tool_use_behavior: 'stop_on_first_tool', settings: { ...call, max_tokens: 60 } },
    { name: 'Host', agents_as_tools: ['Guide'], ...once },
  ],
  mcp_servers: Object.fromEntries(Object.entries(TOOLS).map(([tool, approval]) => [
    tool, { command: process.execPath, args: [fileURLToPath(new URL('tools.mjs', import.meta.url)), tool], cwd: '.', approval },
  ])),
  trace: { store: 'traces.db' },
  prices: { [name]: { input: 1, output: 2 } },
};

export function start(options = {}) {
  assert.ok(url, 'this test is for: scripts/model-server run -- scripts/page test');
  // JSON is YAML too.
  return serve(url, { environment: { OPENAI_API_KEY: key, OPENAI_MODEL: name }, config: JSON.stringify(CONFIG), ...options });
}

/** A page that waits as long as a model on a busy machine takes. */
export async function opened(browser, address, options) {
  const page = await browser.open(address, options);
  page.setDefaultTimeout(180_000);
  return page;
}

/** What the server keeps of the conversation that is open: the truth that the page is to show, whatever the model said. */
export function items(page) {
  return page.evaluate(async () => {
    const session = new URLSearchParams(location.hash.slice(1)).get('session');
    return (await (await fetch(`sessions/${session}`)).json()).items;
  });
}

/** Asserts what holds on every page of these tests. */
export async function assertQuiet(page) {
  const { errors, foreign } = page;
  const hasKey = (await page.content()).includes(key);
  assert.deepEqual({ errors, foreign, hasKey }, { errors: [], foreign: [], hasKey: false });
}
