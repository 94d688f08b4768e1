// The conversation of the page: opens a session, begins runs, follows their events, and says what is waited for.

import { ApiError, NotReached, ask } from './api.js';
import { add, button, dialog, el, fill } from './dom.js';
import { EventsGone, events } from './events.js';
import { duration } from './format.js';
import { greeting, noAgents, notice } from './notices.js';
import { Thread, textOf } from './thread.js';

/** After how long of silence it is said what is waited for, in milliseconds. */
const QUIET = 700;
const LONG = 15_000;

export class Chat extends EventTarget {
  session = null;
  status = 'new';
  /** The request that began the latest run, to be copied. */
  lastRequest = null;
  runId = null;
  #agents;
  #thread = null;
  #element;
  #banner;
  #seen = 0;
  #isAtEnd = true;
  #following = null;
  #line = el('p', { class: 'waiting', role: 'status' });

  constructor(agents) {
    super();
    this.#agents = agents;
    this.#element = document.getElementById('thread');
    this.#banner = document.getElementById('banner');
    // Asked when somebody moves: what is drawn at the end may be higher than any distance from it that could be asked about then.
    this.#element.addEventListener('scroll', () => this.#look());
    this.#element.addEventListener('toggle', () => requestAnimationFrame(() => this.#look()), { capture: true });
    setInterval(() => this.#tick(), 500);
  }

  /** Shows an empty conversation, which gets a session with its first message. */
  fresh() {
    this.#leave();
    this.session = null;
    this.#reset();
    const agent = this.#agents.chosen;
    if (!agent) fill(this.#element, noAgents());
    else fill(this.#element, greeting(agent, agent.tools));
    this.#set('new');
  }

  /** Opens a session: what it keeps, and the run that goes on or waits. */
  async open(session) {
    this.#leave();
    this.session = session;
    this.#reset();
    let found;
    try {
      found = await ask('GET', `sessions/${encodeURIComponent(session)}`);
    } catch (error) {
      this.#problem('This conversation cannot be shown', error, () => this.open(session));
      return;
    }
    if (this.session !== session) return;
    const { items, run } = found;
    if (run?.agent) this.#agents.choose(run.agent);
    this.runId = run?.run_id ?? null;
    const goesOn = run && (run.status === 'running' || run.status === 'approval_required');
    if (!goesOn) {
      this.#seen = run?.last_event_id ?? 0;
      this.#thread.items(items);
      if (!run || run.status === 'completed') this.#thread.openAnswer();
      if (items.length === 0) add(this.#element, el('p', { class: 'quiet empty' }, 'Nothing was said here yet.'));
      if (run?.status === 'failed') this.#thread.fail(run.error);
      if (run?.status === 'cancelled') this.#thread.apply({ type: 'cancelled' });
      this.#set(run?.status ?? 'new');
      this.#toEnd();
      return;
    }
    this.#set(run.status);
    await this.#attach(items, run);
  }

  /** Draws a run that had begun before: its events from the first on, behind what was said before it. */
  async #attach(items, run) {
    const old = [];
    let isDrawn = false;
    const draw = () => {
      if (isDrawn) return;
      isDrawn = true;
      const first = old.findIndex((event) => event.type === 'run_started' && event.run_id === run.run_id);
      const own = first < 0 ? [] : old.slice(first);
      this.#thread.items(items.slice(0, items.length - n_shared(items, own)));
      if (first < 0) {
        this.#put(notice('info', 'The beginning of this run is not shown', ['Its first events are not kept any more. The conversation is whole once the run is over.']));
      } else {
        this.#thread.user(own[0].input);
      }
      for (const event of first < 0 ? old : own) this.#thread.apply(event, { isOld: true });
      for (const interruption of run.interruptions) this.#thread.approval(interruption);
      this.#toEnd();
    };
    await this.#follow(0, (id, event) => {
      if (id <= run.last_event_id) old.push(event);
      if (id >= run.last_event_id) draw();
      if (id > run.last_event_id) this.#take(event);
    });
    draw();
    this.dispatchEvent(new Event('changed'));
  }

  /** Sends a message: begins a run, or gives it to the run that goes on. */
  async send(content, overrides) {
    if (this.status === 'running') {
      try {
        await ask('POST', `send/${encodeURIComponent(this.session)}`, { input: inputOf(content) });
        return;
      } catch (error) {
        // It ended in between; then the message begins the next run.
        if (!(error instanceof ApiError && error.code === 'run_over')) throw error;
        await this.#following?.done;
      }
    }
    await this.#begin(content, overrides);
  }

  async #begin(content, overrides) {
    const agent = this.#agents.chosen;
    if (!agent) throw new Error('no agent is served');
    const body = { agent: agent.name, input: inputOf(content), ...(this.session && { session: this.session }), ...(overrides && { overrides }) };
    if (!this.session) this.#element.replaceChildren();
    this.#element.querySelector('.greeting, .empty')?.remove();
    const entry = this.#thread.user(content);
    this.#set('running');
    this.#thread.waiting = { words: 'Waiting for the server', since: performance.now() };
    this.#toEnd(true);
    let begun;
    try {
      begun = await ask('POST', 'run', body);
    } catch (error) {
      entry.remove();
      this.#thread.waiting = null;
      this.#set('new');
      throw error;
    }
    this.lastRequest = { ...body, session: begun.session };
    this.runId = begun.run_id;
    const isNew = this.session !== begun.session;
    this.session = begun.session;
    if (isNew) this.#seen = 0;
    this.dispatchEvent(new Event('begun'));
    await this.#followRun();
  }

  async #followRun() {
    await this.#follow(this.#seen, (_, event) => this.#take(event));
    this.dispatchEvent(new Event('changed'));
  }

  #take(event) {
    this.#thread.apply(event);
    if (event.type === 'result') {
      const kind = event.error?.kind;
      this.#set(event.ok ? 'completed' : kind === 'approval_required' ? 'approval_required' : kind === 'cancelled' ? 'cancelled' : 'failed');
    }
    if (event.type === 'result' && this.#thread.hasCalls) this.#complete();
    if (event.type === 'cancelled') this.#set('cancelled');
    if (event.type === 'handoff_occurred') this.dispatchEvent(new Event('changed'));
    this.#toEnd();
  }

  /** Shows the pictures and files that tools gave: events have the texts of their outputs, the session has all. */
  async #complete() {
    const thread = this.#thread;
    try {
      const { items } = await ask('GET', `sessions/${encodeURIComponent(this.session)}`);
      thread.complete(items);
    } catch {
      // The conversation stands without them, and opening it again asks again.
    }
  }

  /** Reads events until the run is over or another session is opened. */
  async #follow(after, take) {
    this.#following?.stop.abort();
    const stop = new AbortController();
    const following = { stop };
    let isOver = false;
    this.#following = following;
    following.done = (async () => {
      const stream = events(this.session, after, {
        signal: stop.signal,
        onLost: (n) => fill(this.#banner, n < 2 ? [] : el('p', { class: 'banner warn' }, `The connection to the server is lost. Attaching again (try ${n}) … The run goes on without this page.`)),
        onAttached: () => fill(this.#banner),
      });
      try {
        for await (const [id, event] of stream) {
          if (stop.signal.aborted) return;
          this.#seen = id;
          isOver = event.type === 'result' || event.type === 'cancelled';
          take(id, event);
        }
      } catch (error) {
        if (!(error instanceof EventsGone)) throw error;
        fill(this.#banner);
        this.#put(notice('warn', 'The events of this run are not there any more', [`${error.message}. What the session keeps is shown by loading it again.`], [button('Load again', () => this.open(this.session), { class: 'primary' })]));
        this.#set('new');
      }
      // After an end another run may have begun already, which is not asked about here.
      if (!isOver && this.#following === following && this.status === 'running') await this.#askHowItStands();
    })();
    await following.done;
  }

  /** The stream ended without a result: the server was closed, or the run had ended before. */
  async #askHowItStands() {
    try {
      const run = await ask('GET', `status/${encodeURIComponent(this.session)}`);
      this.#set(run.status);
    } catch {
      this.#set('new');
    }
  }

  /** Sends a decision about a call, and follows the run when it goes on. */
  async decide(decision) {
    const run = await ask('POST', `approve/${encodeURIComponent(this.session)}`, { approvals: [decision] });
    if (run.status !== 'running' && run.status !== 'approval_required') return;
    this.#set(run.status);
    this.#followRun();
  }

  async stop(when) {
    try {
      await ask('POST', `cancel/${encodeURIComponent(this.session)}`, { when });
      if (this.status === 'approval_required') {
        this.#thread.apply({ type: 'cancelled' });
        this.#set('cancelled');
        this.#seen += 1;
        for (const card of this.#element.querySelectorAll('[data-waits]')) card.remove();
      }
    } catch (error) {
      if (error.code !== 'not_running') throw error;
    }
  }

  /** Begins a branch: another session with what was said before a message of the user, and that message anew. */
  async branch(place, content, overrides) {
    const { items } = await ask('GET', `sessions/${encodeURIComponent(this.session)}`);
    const said = items.filter((item) => item.type === 'message' && item.role === 'user');
    const item = said[place];
    if (!item) throw new Error('This message is not kept in the session, so that nothing can be begun before it.');
    const { session } = await ask('POST', `sessions/${encodeURIComponent(this.session)}/fork`, { before: item.id });
    await this.open(session);
    this.#element.querySelector('.empty')?.remove();
    this.#element.prepend(el('p', { class: 'quiet branch-note' }, 'A branch: the conversation that it comes from stays as it was.'));
    await this.#begin(content ?? item.content, overrides);
  }

  /** Runs a message again as a branch, and says so if that fails. */
  again(place) {
    return this.#guarded(() => this.branch(place, null, this.#agents.overrides));
  }

  async edit(place, text, content, overrides) {
    const area = el('textarea', { rows: '6', 'aria-label': 'Your message', class: 'wide' });
    area.value = text;
    const closed = await dialog('Change the message, and run again in a branch', area, (box) => [
      el('button', { type: 'submit', value: 'run', class: 'primary' }, 'Run as a branch'),
      button('Cancel', () => box.close('')),
    ]);
    if (closed !== 'run' || !area.value.trim()) return;
    const other = Array.isArray(content) ? content.filter((part) => part.type !== 'input_text') : [];
    await this.branch(place, other.length > 0 ? [{ type: 'input_text', text: area.value }, ...other] : area.value, overrides);
  }

  #reset() {
    this.dispatchEvent(new Event('reset'));
    fill(this.#banner);
    this.#element.replaceChildren();
    this.#thread = new Thread(this.#element, {
      decide: (decision) => this.decide(decision),
      edit: (place, text, content) => this.#guarded(() => this.edit(place, text, content, this.#agents.overrides)),
      again: (place) => this.again(place),
      reload: () => this.open(this.session),
      select: (call) => this.dispatchEvent(new CustomEvent('call', { detail: call })),
    });
    this.#seen = 0;
    this.#isAtEnd = true;
    this.runId = null;
  }

  async #guarded(act) {
    try {
      await act();
    } catch (error) {
      this.#problem('This could not be done', error);
    }
  }

  #problem(title, error, again) {
    const isAway = error instanceof NotReached;
    this.#put(notice('bad', isAway ? 'The server cannot be reached' : title, [isAway ? 'Is openai-agents still running?' : error.message], again ? [button('Try again', again)] : []));
    this.#toEnd();
  }

  #put(entry) {
    this.#element.append(entry);
  }

  #leave() {
    this.#following?.stop.abort();
    this.#following = null;
    this.#line.remove();
  }

  #set(status) {
    this.status = status;
    document.body.dataset.status = status;
    this.dispatchEvent(new Event('status'));
  }

  #tick() {
    const waiting = this.status === 'running' ? this.#thread?.waiting : null;
    const since = waiting ? performance.now() - waiting.since : 0;
    if (!waiting || since < QUIET) {
      this.#line.remove();
      return;
    }
    const hint = since > LONG ? ' It may be slow; Stop ends the run.' : '';
    const words = `${waiting.words} · ${duration(Math.floor(since / 1000) * 1000)}.${hint}`;
    if (this.#line.textContent !== words) this.#line.textContent = words;
    if (this.#line.parentElement !== this.#element || this.#element.lastChild !== this.#line) {
      this.#element.append(this.#line);
      this.#toEnd();
    }
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#element;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 160;
  }

  /** Keeps the end in view, unless somebody has scrolled up to read. */
  #toEnd(always = false) {
    if (!always && !this.#isAtEnd) return;
    this.#isAtEnd = true;
    this.#element.scrollTop = this.#element.scrollHeight;
  }
}

/** A message as a run takes it: a text, or an item with parts. */
function inputOf(content) {
  return typeof content === 'string' ? content : [{ type: 'message', role: 'user', content }];
}

/** How many of the last items of a session are the first ones of a run that goes on: its input, and the turns that were saved. */
function n_shared(items, own) {
  const started = own[0];
  const run = [{ role: 'user', text: started?.input?.text ?? '' }, ...own.flatMap((event) => (event.type === 'item_done' ? [event.item] : event.type === 'tool_output' ? [{ type: 'function_call_output', call_id: event.call_id }] : []))];
  const isSame = (item, other) => {
    if (!other) return false;
    if (other.role === 'user') return item.role === 'user' && textOf(item.content) === other.text;
    if (item.type !== (other.type ?? 'message')) return false;
    if (item.call_id) return item.call_id === other.call_id;
    return textOf(item.content) === textOf(other.content);
  };
  for (let n = Math.min(items.length, run.length); n > 0; n -= 1) {
    const tail = items.slice(items.length - n);
    const isRun = tail.every((item) => run.some((other) => isSame(item, other)));
    if (isRun && isSame(tail[0], run[0])) return n;
  }
  return 0;
}
