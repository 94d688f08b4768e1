// A model server that does what the last message says, in the events of OpenAI's chat API: for what no real model does when it is asked to.
//
//   call NAME {..}; NAME {..}   calls tools, then tells what they gave
//   slow                        is silent until `release` before it answers
//   drip N                      sends N words, the second half after `release`
//   cut | drop | reason | evil | fail STATUS WORDS | markdown | say TEXT | long N

import { createServer } from 'node:http';

/** Holds answers until each is let go by a call of `release`, before or after; a fixed time would be over too soon on a busy machine. */
function gate() {
  let n_released = 0;
  const waiting = [];
  return {
    release() {
      if (waiting.length > 0) waiting.shift()();
      else n_released += 1;
    },
    pass: (response) => new Promise((resolve) => {
      if (n_released > 0) {
        n_released -= 1;
        resolve();
        return;
      }
      waiting.push(resolve);
      // Whoever asked is gone.
      response.once('close', () => {
        if (waiting.includes(resolve)) waiting.splice(waiting.indexOf(resolve), 1);
        resolve();
      });
    }),
  };
}

const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A picture of one dot, PNG in base64. */
export const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const EVIL = [
  '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">',
  '[click](javascript:window.hacked=1) [data](data:text/html,<script>1</script>) ![pic](https://example.invalid/a.png)',
  '\u001b[31mred\u001b[0m \u202efdp.exe',
  '<b>bold</b>',
].join('\n\n');

export const MARKDOWN = `# Late invoices

Two are **late**, see [the list](https://example.com/list) and \`SELECT 1\`:

1. Acme, 30 days
   - first reminder
2. Beta & Söhne

| name | days |
|---|---:|
| Acme | 30 |

\`\`\`sql
SELECT *
  FROM invoices;
\`\`\`

> Send a reminder?
`;

/** Starts the server; `requests` has the bodies that came, `release` lets an answer go on that waits for it. */
export async function start() {
  const requests = [];
  const { release, pass } = gate();
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'scripted', object: 'model', created: 1, owned_by: 'test' }] }));
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks));
    requests.push(body);
    await answer(body, response, pass).catch(() => response.destroy());
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    requests,
    release,
    stop: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}

function textOf(content) {
  return typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? `[${part.type}]`).join(' ');
}

async function answer(body, response, pass) {
  const last = body.messages.at(-1);
  const said = textOf(last.content);
  const failed = /^fail (\d+) (.*)$/s.exec(said);
  if (failed && last.role === 'user') {
    response.writeHead(Number(failed[1]), { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: failed[2], type: 'server_error', code: 'scripted' } }));
    return;
  }
  if (last.role === 'user' && said === 'slow') await pass(response);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (delta, finish_reason = null, extra = {}) => response.write(`data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: body.model, choices: [{ index: 0, delta, finish_reason }], ...extra })}\n\n`);
  const end = (finish_reason) => {
    send({}, finish_reason);
    const usage = { prompt_tokens: 100 * body.messages.length, completion_tokens: 20, total_tokens: 100 * body.messages.length + 20, prompt_tokens_details: { cached_tokens: 64 } };
    response.write(`data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: body.model, choices: [], usage })}\n\n`);
    response.end('data: [DONE]\n\n');
  };
  const say = (text) => {
    for (const piece of text.match(/[\s\S]{1,24}/g) ?? []) send({ content: piece });
    end('stop');
  };
  send({ role: 'assistant', content: '' });
  if (last.role === 'tool') {
    const outputs = body.messages.slice(body.messages.findLastIndex((message) => message.role === 'assistant') + 1);
    say(`The tool gave: ${outputs.map((message) => textOf(message.content)).join(' and ')}`);
    return;
  }
  const word = said.split(/\s/)[0];
  switch (word) {
    case 'call': {
      const calls = said.slice(5).split(';').map((call) => /^\s*(\S+)\s*([\s\S]*)$/.exec(call));
      for (const [index, [, name, given]] of calls.entries()) {
        const text = given.trim() || '{}';
        send({ tool_calls: [{ index, id: `call_${requests_made += 1}`, type: 'function', function: { name, arguments: '' } }] });
        for (const piece of text.match(/[\s\S]{1,7}/g)) {
          send({ tool_calls: [{ index, function: { arguments: piece } }] });
          await wait(5);
        }
      }
      end('tool_calls');
      break;
    }
    case 'drip': {
      const n_words = Number(said.split(' ')[1]);
      for (let n = 1; n <= n_words && !response.destroyed; n += 1) {
        send({ content: `word${n} ` });
        if (n === n_words / 2) await pass(response);
      }
      end('stop');
      break;
    }
    case 'cut':
      send({ content: 'This ends in the mid' });
      end('length');
      break;
    case 'drop':
      send({ content: 'This ends with the conn' });
      await wait(50);
      response.destroy();
      break;
    case 'reason':
      for (const piece of ['First I ', 'look at it.']) send({ reasoning_content: piece });
      say('I have thought about it.');
      break;
    case 'evil':
      say(EVIL);
      break;
    case 'markdown':
      say(MARKDOWN);
      break;
    case 'long':
      say('x'.repeat(Number(said.split(' ')[1])));
      break;
    case 'say':
      say(said.slice(4));
      break;
    default:
      say(`You said: ${said}`);
  }
}

let requests_made = 0;
