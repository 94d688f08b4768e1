// The events of a session, from behind one of them on. A connection that is lost is made again, and nothing comes twice.

import { ApiError, NotReached, send } from './api.js';

/** How long to wait before the connection is made again, in milliseconds. */
const WAITS = [250, 500, 1000, 2000, 4000];
/** The server sends a comment every 15 seconds of silence: a connection that is silent for longer is gone. */
const MAX_SILENCE = 40_000;

/** The server forgot events before they were read, or the run with all its events. */
export class EventsGone extends Error {}

/** Gives `[id, event]` until the run is over. */
export async function* events(session, after, { signal, onLost, onAttached }) {
  let seen = after;
  for (let n_failed = 0; ; ) {
    try {
      const headers = seen ? { 'last-event-id': String(seen) } : {};
      const silence = new AbortController();
      const response = await send('GET', `events/${encodeURIComponent(session)}`, headers, undefined, AbortSignal.any([signal, silence.signal]));
      if (response.status === 204) return;
      onAttached();
      let isOver = false;
      for await (const [id, event] of parse(response.body, silence)) {
        if (event.type === 'error' && event.code === 'events_gone') throw new EventsGone(event.message);
        n_failed = 0;
        seen = id;
        isOver = event.type === 'result' || event.type === 'cancelled';
        yield [id, event];
      }
      if (isOver) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof EventsGone) throw error;
      if (error instanceof ApiError && (error.status === 404 || error.status === 410)) throw new EventsGone(error.message);
      const isLost = error instanceof NotReached || error instanceof TypeError || error.name === 'AbortError' || error instanceof ApiError;
      if (!isLost) throw error;
    }
    n_failed += 1;
    onLost(n_failed);
    await new Promise((resolve) => { setTimeout(resolve, WAITS[Math.min(n_failed, WAITS.length) - 1]); });
    if (signal.aborted) return;
  }
}

async function* parse(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const timer = setTimeout(() => silence.abort(), MAX_SILENCE);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const found = field(block);
        if (found) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function field(block) {
  let id = 0;
  let data = null;
  for (const line of block.split('\n')) {
    if (line.startsWith('id: ')) id = Number(line.slice(4));
    if (line.startsWith('data: ')) data = line.slice(6);
  }
  return data === null ? null : [id, JSON.parse(data)];
}
