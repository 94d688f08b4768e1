// A conversation by voice: the microphone goes to `/v1/realtime` of this server, and the answer is played; PCM of 16 bits at 24 kHz both ways.

import { address, tokenProtocols } from './api.js';
import { el, fill } from './dom.js';
import { markdown } from './markdown.js';
import { notice } from './notices.js';

const RATE = 24_000;
const FORMAT = { type: 'audio/pcm', rate: RATE };

/** Whether the browser lets a page hear: it does not where the page came without TLS from another machine. */
export const canHear = () => Boolean(navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode && globalThis.WebSocket);

export class Speech extends EventTarget {
  /** `off`, `connecting`, `listening` or `speaking`. */
  state = 'off';
  #socket = null;
  #sound = null;
  #player = null;
  #stream = null;
  /** The answer that comes: its id, unless it is over; and what of it was played last. */
  #response = null;
  #item = null;
  /** Answers of which nothing more is played. */
  #stopped = new Set();
  /** What was said, by the ids of its items. */
  #entries = new Map();

  /** Begins a conversation with an agent. */
  async start(agent) {
    if (this.state !== 'off') return;
    this.#set('connecting');
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
      if (this.state !== 'connecting') {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.#stream = stream;
      this.#sound = new AudioContext({ sampleRate: RATE });
      await this.#sound.audioWorklet.addModule(address('page/speech-worklet.js'));
      this.#play();
      this.#connect(agent);
    } catch (error) {
      const isRefused = error.name === 'NotAllowedError';
      this.#say('warn', isRefused ? 'The browser does not let this page hear' : 'There is no microphone to be used', [isRefused ? 'Allow the microphone for this address, and try again.' : error.message]);
      this.stop();
    }
  }

  /** Ends the conversation. */
  stop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#sound?.close().catch(() => {});
    this.#sound = null;
    this.#player = null;
    this.#response = null;
    this.#stopped.clear();
    this.#entries.clear();
    this.#set('off');
  }

  /** Stops the answer; of what was not played the model is told that it was not heard. */
  interrupt() {
    if (this.#response) this.#send({ type: 'response.cancel', response_id: this.#response });
    this.#silence();
  }

  #silence() {
    if (this.#response) this.#stopped.add(this.#response);
    this.#player?.port.postMessage({ stop: this.#response && this.#item });
  }

  #play() {
    this.#player = new AudioWorkletNode(this.#sound, 'player', { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.connect(this.#sound.destination);
    this.#player.port.onmessage = ({ data }) => {
      if (data.silent || data.stopped !== undefined) {
        if (this.state === 'speaking') this.#set('listening');
      }
      if (!data.stopped) return;
      const { item, n_samples } = data.stopped;
      const [item_id, content_index] = JSON.parse(item);
      this.#send({ type: 'conversation.item.truncate', item_id, content_index, audio_end_ms: Math.floor((n_samples * 1000) / RATE) });
    };
  }

  #hear() {
    const microphone = new AudioWorkletNode(this.#sound, 'microphone', { numberOfOutputs: 0 });
    microphone.port.onmessage = ({ data }) => this.#send({ type: 'input_audio_buffer.append', audio: toBase64(data) });
    this.#sound.createMediaStreamSource(this.#stream).connect(microphone);
  }

  #connect(agent) {
    const url = new URL(address(`v1/realtime?model=${encodeURIComponent(agent)}`));
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, ['realtime', ...tokenProtocols()]);
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(data));
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (socket !== this.#socket) return;
      const began = this.state !== 'connecting';
      this.#say('warn', began ? 'The conversation by voice is over' : 'The conversation by voice could not begin', [reason || (began ? `The connection was closed (${code}).` : 'The log of openai-agents says why.')]);
      this.stop();
    });
  }

  #send(event) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  #take(event) {
    switch (event.type) {
      case 'session.created':
        this.#send({ type: 'session.update', session: { type: 'realtime', audio: { input: { format: FORMAT }, output: { format: FORMAT } } } });
        this.#hear();
        this.#set('listening');
        break;
      case 'input_audio_buffer.speech_started':
        // The user speaks: what plays is not listened to any more.
        this.#silence();
        break;
      case 'conversation.item.added':
      case 'conversation.item.created':
        if (event.item?.type === 'message') this.#entry(event.item.id, event.item.role);
        break;
      case 'conversation.item.input_audio_transcription.delta':
        this.#entry(event.item_id, 'user')?.add(event.delta);
        break;
      case 'conversation.item.input_audio_transcription.completed':
        this.#entry(event.item_id, 'user')?.end(event.transcript);
        break;
      case 'response.created':
        this.#response = event.response?.id ?? null;
        this.#item = null;
        break;
      case 'response.output_audio.delta':
        this.#hand(event);
        break;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        this.#entry(event.item_id, 'assistant')?.add(event.delta);
        break;
      case 'response.output_audio_transcript.done':
        this.#entry(event.item_id, 'assistant')?.end(event.transcript);
        break;
      case 'response.output_text.done':
        this.#entry(event.item_id, 'assistant')?.end(event.text);
        break;
      case 'output_audio_buffer.cleared':
        this.#silence();
        break;
      case 'response.done':
        this.#done(event.response ?? {});
        break;
      case 'error':
        this.#say('warn', 'The realtime model says', [event.error?.message ?? '']);
        break;
      default:
        // There are many more, and may be others in time.
    }
  }

  /** Gives a piece of an answer to the player. */
  #hand(event) {
    if (this.#stopped.has(event.response_id)) return;
    const samples = fromBase64(event.delta);
    if (samples.length === 0) return;
    this.#item = JSON.stringify([event.item_id, event.content_index ?? 0]);
    this.#player.port.postMessage({ item: this.#item, samples });
    if (this.state === 'listening') this.#set('speaking');
  }

  #done(response) {
    this.#response = null;
    const failed = response.status_details?.error?.message;
    if (response.status === 'failed') this.#say('bad', 'The answer failed', [failed ?? 'The realtime model says no more.']);
  }

  /** The entry of an item in the conversation, which stands in the order of the items. */
  #entry(id, role) {
    if (!this.#entries.has(id) && (role === 'user' || role === 'assistant')) {
      const entry = new SpokenEntry(role);
      this.#entries.set(id, entry);
      this.#put(entry.element);
    }
    return this.#entries.get(id);
  }

  #say(kind, title, words) {
    this.#put(notice(kind, title, words));
  }

  #put(element) {
    const thread = document.getElementById('thread');
    thread.querySelector('.greeting, .empty')?.remove();
    thread.append(element);
    thread.scrollTop = thread.scrollHeight;
  }

  #set(state) {
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }
}

/** What one of both said, as it is transcribed. */
class SpokenEntry {
  #role;
  #text = '';
  #words = el('div', {});

  constructor(role) {
    this.#role = role;
    const isUser = role === 'user';
    this.#words.className = isUser ? 'bubble' : 'prose';
    this.element = el('article', { class: `entry message spoken ${role}`, tabindex: '-1', 'aria-label': isUser ? 'You said' : 'Answer' }, this.#words);
    this.#draw();
  }

  add(delta) {
    this.#text += delta ?? '';
    this.#draw();
  }

  end(text) {
    this.#text = text ?? this.#text;
    this.#draw();
  }

  #draw() {
    if (this.#role === 'user') fill(this.#words, el('span', { class: 'visually-hidden' }, 'You: '), this.#text || 'Said by voice');
    else fill(this.#words, this.#text ? markdown(this.#text) : '…');
  }
}

function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return btoa(String.fromCharCode(...bytes));
}

/** Little-endian samples, as the protocol has them and as machines with browsers do. */
function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new Int16Array(bytes.buffer, 0, Math.floor(bytes.length / 2));
}
