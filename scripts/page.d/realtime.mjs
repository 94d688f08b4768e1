// A realtime server that answers once it has heard half a second: in the events of OpenAI's GA Realtime API, with an answer of four seconds.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const RATE = 24_000;
/** Half a second of 16-bit samples. */
const ENOUGH = RATE;
export const ANSWER_MS = 4000;
export const SAID = 'What is <b>due</b>? [a](javascript:window.hacked=1)';
export const ANSWERED = 'Two **invoices** are due.';

/** Starts the server; `events` has what came, but for audio, of which `heard` has the samples. */
export async function start() {
  const server = createServer((_, response) => response.writeHead(404).end());
  const state = { events: [], heard: [], send: () => {}, sockets: new Set() };
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
    state.sockets.add(socket);
    talk(socket, state);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `ws://127.0.0.1:${server.address().port}/v1`,
    events: state.events,
    heard: state.heard,
    /** Begins another answer, which does not end. */
    answer: (id) => answer(state.send, id, { isWhole: false }),
    /** Says that the user speaks. */
    speechStarted: () => state.send({ type: 'input_audio_buffer.speech_started', audio_start_ms: 900, item_id: 'user_2' }),
    stop: () => new Promise((resolve) => {
      for (const socket of state.sockets) socket.destroy();
      server.close(resolve);
    }),
  };
}

function talk(socket, state) {
  let n_events = 0;
  const send = (event) => socket.write(frame(1, Buffer.from(JSON.stringify({ event_id: `event_${n_events += 1}`, ...event }))));
  state.send = send;
  let session = { type: 'realtime', object: 'realtime.session', id: 'sess_1', model: 'scripted' };
  send({ type: 'session.created', session });
  let rest = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (let found = unframe(rest); found; found = unframe(rest)) {
      rest = found.rest;
      if (found.opcode === 8) socket.end(frame(8, found.payload));
      if (found.opcode === 9) socket.write(frame(10, found.payload));
      if (found.opcode !== 1) continue;
      const event = JSON.parse(found.payload);
      if (event.type === 'session.update') {
        session = { ...session, ...event.session };
        send({ type: 'session.updated', session });
      }
      if (event.type === 'conversation.item.truncate') send({ ...event, type: 'conversation.item.truncated', event_id: undefined });
      if (event.type !== 'input_audio_buffer.append') {
        state.events.push(event);
        continue;
      }
      const bytes = Buffer.from(event.audio, 'base64');
      const before = state.heard.length * 2;
      for (let at = 0; at + 1 < bytes.length; at += 2) state.heard.push(bytes.readInt16LE(at));
      if (before < ENOUGH && state.heard.length * 2 >= ENOUGH) hear(send);
    }
  });
}

function hear(send) {
  const item_id = 'user_1';
  send({ type: 'input_audio_buffer.speech_started', audio_start_ms: 0, item_id });
  send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: 400, item_id });
  send({ type: 'input_audio_buffer.committed', previous_item_id: null, item_id });
  send({ type: 'conversation.item.added', previous_item_id: null, item: { id: item_id, type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_audio', transcript: null }] } });
  answer(send, 'answer_1', { isWhole: true });
  // It is written down beside the answer.
  send({ type: 'conversation.item.input_audio_transcription.completed', item_id, content_index: 0, transcript: SAID });
}

function answer(send, item_id, { isWhole }) {
  const response = { object: 'realtime.response', id: `response_of_${item_id}`, status: 'in_progress', output: [] };
  const about = { response_id: response.id, item_id, output_index: 0, content_index: 0 };
  const item = { id: item_id, type: 'message', role: 'assistant', status: 'in_progress', content: [] };
  send({ type: 'response.created', response });
  send({ type: 'response.output_item.added', response_id: response.id, output_index: 0, item });
  send({ type: 'conversation.item.added', previous_item_id: null, item });
  send({ type: 'response.content_part.added', ...about, part: { type: 'audio', transcript: '' } });
  for (let at = 0; at < ANSWER_MS; at += 100) send({ type: 'response.output_audio.delta', ...about, delta: tone(at) });
  send({ type: 'response.output_audio_transcript.delta', ...about, delta: ANSWERED.slice(0, 6) });
  if (!isWhole) return;
  send({ type: 'response.output_audio_transcript.delta', ...about, delta: ANSWERED.slice(6) });
  send({ type: 'response.output_audio.done', ...about });
  send({ type: 'response.output_audio_transcript.done', ...about, transcript: ANSWERED });
  const done = { ...item, status: 'completed', content: [{ type: 'output_audio', transcript: ANSWERED }] };
  send({ type: 'response.output_item.done', response_id: response.id, output_index: 0, item: done });
  send({ type: 'conversation.item.done', previous_item_id: null, item: done });
  send({ type: 'response.done', response: { ...response, status: 'completed', output: [done], usage: { total_tokens: 30, input_tokens: 10, output_tokens: 20 } } });
}

/** A tenth of a second of a tone. */
function tone(at) {
  const samples = Buffer.alloc(RATE / 5);
  for (let n = 0; n < RATE / 10; n += 1) samples.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 330 * (n + at * 24)) / RATE)), n * 2);
  return samples.toString('base64');
}

function frame(opcode, payload) {
  const n = payload.length;
  const head = n < 126 ? Buffer.from([0x80 | opcode, n]) : n < 65_536 ? Buffer.from([0x80 | opcode, 126, n >> 8, n & 255]) : Buffer.concat([Buffer.from([0x80 | opcode, 127, 0, 0, 0, 0]), Buffer.from(new Uint32Array([n]).buffer).reverse()]);
  return Buffer.concat([head, payload]);
}

/** Reads one frame of a client, which is masked (RFC 6455); nothing if it is not whole yet. */
function unframe(data) {
  if (data.length < 2) return null;
  const short = data[1] & 127;
  const n_length = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (data.length < 6 + n_length) return null;
  const n = n_length === 2 ? data.readUInt16BE(2) : n_length === 8 ? Number(data.readBigUInt64BE(2)) : short;
  const start = 6 + n_length;
  if (data.length < start + n) return null;
  const mask = data.subarray(start - 4, start);
  const payload = Buffer.from(data.subarray(start, start + n)).map((byte, at) => byte ^ mask[at % 4]);
  return { opcode: data[0] & 15, payload: Buffer.from(payload), rest: data.subarray(start + n) };
}
