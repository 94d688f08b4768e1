// An MCP server with one tool, that which its argument names. What a model may give it is a choice among words of its schema, to which the
// model server holds every call: so a small model calls it rightly or not at all.

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import { EVIL, PICTURE } from './model.mjs';

const text = (words) => ({ content: [{ type: 'text', text: words }] });
const parameters = (properties) => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false });

const TOOLS = {
  ship: { description: 'Ships a parcel', properties: { parcel: { type: 'string', enum: ['A-1', 'B-2'] } }, call: ({ parcel }) => text(`${parcel} is on its way`) },
  read_letter: { description: 'Reads the letter', properties: {}, call: () => ({ content: [...text(EVIL).content, { type: 'image', data: PICTURE, mimeType: 'image/png' }] }) },
  print: { description: 'Prints the label', properties: {}, call: () => ({ ...text('The press is jammed: <b>call</b> Ms Ortiz'), isError: true }) },
  /** Lasts until there is a file `released` in the working directory. */
  hold: {
    description: 'Holds the parcel',
    properties: {},
    call: async () => {
      while (!existsSync('released')) await pause(25);
      return text('held');
    },
  },
};
const [, , name] = process.argv;
const { description, properties, call } = TOOLS[name];

const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'tools', version: '1' } }),
  ping: () => ({}),
  'tools/list': () => ({ tools: [{ name, description, inputSchema: parameters(properties) }] }),
  'tools/call': (params) => call(params.arguments ?? {}),
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const answer = answers[method];
  const outcome = answer ? { result: await answer(params ?? {}) } : { error: { code: -32601, message: `no method ${method}` } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`);
});
