// Draws a conversation: from the items that a session keeps, and from the events of a run as they come. The run of an agent that is a tool
// is a thread inside its call.

import { approvalCard, settle } from './approve.js';
import { add, button, el, fill } from './dom.js';
import { duration, plural, short, shortArguments, usage } from './format.js';
import { markdown, stableLength } from './markdown.js';
import { cutAnswer, failure, notice } from './notices.js';
import { cut, showMedia, showText } from './value.js';

/**
 * `handlers` has `decide(decision)`, `edit(place, text)`, `again(place)`, `reload()` and `select(call id)`; a place is the number of a message
 * of the user, from 0.
 */
export class Thread {
  #element;
  #handlers;
  #depth;
  #n_user = 0;
  /** The calls by their ids. */
  #calls = new Map();
  /** Calls whose arguments come now, by their places in the answer. */
  #coming = new Map();
  #text = null;
  #reasoning = null;
  /** The first call of the turn that gave its output, while nothing came behind it: the output may be the answer of the run. */
  #answering = null;
  #queued = [];
  #agent = '';
  /** What is waited for, as words and since when; nothing while something comes. */
  waiting = null;

  constructor(element, handlers, depth = 0) {
    this.#element = element;
    this.#handlers = handlers;
    this.#depth = depth;
  }

  get hasCalls() {
    return this.#calls.size > 0;
  }

  /** Puts the whole outputs of calls, as a session keeps them, in the place of their texts. */
  complete(items) {
    for (const item of items) if (item.type === 'function_call_output' && Array.isArray(item.output)) this.#calls.get(item.call_id)?.whole(item.output);
  }

  /** Draws stored items. */
  items(items) {
    for (const item of items) this.#item(item);
  }

  /** Opens the call whose output is the answer, where a run ended with a tool: nothing else says it. */
  openAnswer() {
    this.#answering?.open();
  }

  #item(item) {
    switch (item.type) {
      case 'message':
        this.#answering = null;
        if (item.role === 'user') this.user(item.content);
        else if (item.role === 'assistant') this.#assistant(item);
        else this.#put(folded('note', item.role, textOf(item.content), () => showText(textOf(item.content), item.role)));
        break;
      case 'function_call':
        this.#call(item.call_id, item.name).arguments(item.arguments);
        break;
      case 'function_call_output': {
        const call = this.#calls.get(item.call_id) ?? this.#call(item.call_id, 'call');
        call.output(item.output, null);
        this.#answering ??= call;
        break;
      }
      case 'reasoning':
        this.#thoughts(reasoningText(item));
        break;
      default:
        this.#put(folded('note', item.type, '', () => showText(JSON.stringify(item), item.type)));
    }
  }

  /** Draws a message of the user: a text, or parts. */
  user(content, { isQueued = false } = {}) {
    const place = this.#n_user;
    const text = textOf(content);
    const body = el('div', { class: 'bubble' }, el('span', { class: 'visually-hidden' }, 'You: '), cut(el('span'), text));
    if (Array.isArray(content)) for (const part of content) add(body, partOf(part));
    if (content?.n_attachments) add(body, el('p', { class: 'quiet' }, `+ ${content.n_attachments} attached`));
    const tag = isQueued && el('p', { class: 'quiet tag' }, 'queued: taken before the next request to the model');
    const actions = this.#depth === 0 && el('div', { class: 'message-actions' },
      button('Edit', () => this.#handlers.edit(place, text, content), { class: 'small', title: 'Change this message and run again, in a branch' }),
      button('Copy', () => navigator.clipboard.writeText(text), { class: 'small' }));
    const entry = el('article', { class: 'entry message user', tabindex: '-1', 'aria-label': 'Your message' }, body, tag, actions);
    this.#put(entry);
    if (isQueued) this.#queued.push(entry);
    else this.#n_user += 1;
    return entry;
  }

  #assistant(item) {
    const text = textOf(item.content);
    const refusal = (Array.isArray(item.content) ? item.content : []).find((part) => part.type === 'refusal')?.refusal;
    if (text) this.#put(answer(text, this.#answerActions(text)));
    if (refusal) this.#put(notice('warn', 'The model refused', [refusal]));
  }

  #answerActions(text) {
    if (this.#depth > 0) return null;
    const place = this.#n_user - 1;
    return el('div', { class: 'message-actions' },
      button('Copy', () => navigator.clipboard.writeText(text), { class: 'small' }),
      place >= 0 && button('Regenerate', () => this.#handlers.again(place), { class: 'small', title: 'Ask the same again, in a branch' }));
  }

  #thoughts(text) {
    if (text) this.#put(folded('reasoning', 'Reasoning', short(text, 60), () => el('div', { class: 'prose' }, markdown(text))));
  }

  #put(entry) {
    this.#element.append(entry);
    return entry;
  }

  #call(id, name) {
    const call = new Call(name, this.#depth, this.#handlers);
    if (id) this.#name(call, id);
    this.#put(call.element);
    return call;
  }

  #name(call, id) {
    call.setId(id);
    this.#calls.set(id, call);
  }

  /** Draws an event of a run. `isOld` is one that had happened before somebody looked, so that its time is not known here. */
  apply(event, { isOld = false } = {}) {
    switch (event.type) {
      case 'run_started':
        this.#agent = event.agent;
        break;
      case 'turn_started':
        this.#turn(event);
        break;
      case 'text_delta':
      case 'refusal_delta':
        this.#delta(event.delta);
        break;
      case 'reasoning_delta':
        this.#reason(event.delta);
        break;
      case 'tool_call_started':
        this.#rest();
        this.#coming.set(event.index, this.#call(null, event.name));
        this.waiting = null;
        break;
      case 'tool_call_delta':
        this.#coming.get(event.index)?.more(event.delta);
        break;
      case 'item_done':
        this.#done(event.item);
        break;
      case 'tool_called': {
        const call = this.#bound(event.call_id, event.name);
        call.arguments(event.arguments);
        call.started(isOld);
        this.#wait(`Running ${event.name}`);
        break;
      }
      case 'handoff_requested':
        this.#bound(event.call_id, `transfer to ${event.to}`).handoff(event.to);
        break;
      case 'tool_progress':
        this.#calls.get(event.call_id)?.progress(event.message);
        break;
      case 'tool_output': {
        const call = this.#bound(event.call_id, event.name);
        call.output(event.output, event.failure, isOld);
        this.#answering ??= call;
        this.#wait([...this.#calls.values()].some((each) => each.isRunning) ? this.waiting?.words : null);
        break;
      }
      case 'handoff_occurred':
        this.#put(el('p', { class: 'entry handoff', tabindex: '-1' }, el('span', { class: 'mark', 'aria-hidden': 'true' }, '⇢'), `${event.from} handed over to `, el('strong', {}, event.to)));
        this.#agent = event.to;
        break;
      case 'approval_required':
        this.approval(event.interruption);
        break;
      case 'call_decided':
        this.#decided(event);
        break;
      case 'input_queued':
        this.user(event.input, { isQueued: true });
        break;
      case 'nested':
        this.#nested(event, isOld);
        break;
      case 'response_done': {
        this.#rest();
        const cut = cutAnswer(event.finish_reason);
        if (cut) this.#put(cut);
        break;
      }
      case 'cancelled':
        this.#end();
        this.#put(failure({ kind: 'cancelled' }, {}));
        break;
      case 'result':
        this.#result(event);
        break;
      default:
        // There may be more kinds of events in time.
    }
  }

  #turn(event) {
    this.#rest();
    this.#answering = null;
    this.#coming.clear();
    for (const entry of this.#queued.splice(0)) {
      entry.querySelector('.tag')?.remove();
      this.#element.append(entry);
      this.#n_user += 1;
    }
    this.#agent = event.agent;
    this.#wait(`Waiting for the model of ${event.agent}`);
  }

  #wait(words) {
    this.waiting = words ? { words, since: performance.now() } : null;
  }

  #delta(delta) {
    if (!this.#text) {
      this.#closeReasoning();
      this.#text = new StreamedText();
      this.#put(this.#text.element);
    }
    this.waiting = null;
    this.#text.add(delta);
  }

  #reason(delta) {
    if (!this.#reasoning) {
      const body = document.createTextNode('');
      const entry = el('details', { class: 'entry reasoning', tabindex: '-1' }, el('summary', {}, el('span', { class: 'mark', 'aria-hidden': 'true' }, '…'), 'Reasoning'), el('div', { class: 'prose plain' }, body));
      this.#reasoning = { entry, body, since: performance.now() };
      this.#put(entry);
    }
    this.#reasoning.body.data += delta;
    this.#wait('The model reasons');
  }

  #closeReasoning() {
    if (!this.#reasoning) return;
    const { entry, since } = this.#reasoning;
    add(entry.querySelector('summary'), el('span', { class: 'time' }, duration(performance.now() - since)));
    this.#reasoning = null;
  }

  /** Nothing more comes to what is open. */
  #rest() {
    this.#closeReasoning();
    if (!this.#text) return;
    this.#text.end(this.#answerActions(this.#text.text));
    this.#text = null;
  }

  #done(item) {
    if (item.type === 'function_call') {
      this.#bound(item.call_id, item.name).arguments(item.arguments);
    } else if (item.type === 'message') {
      if (this.#text) this.#rest();
      else this.#assistant(item);
    } else if (item.type === 'reasoning') {
      if (this.#reasoning) this.#closeReasoning();
      else this.#thoughts(reasoningText(item));
    } else {
      this.#item(item);
    }
  }

  /** The call of an id: the first of its name that came and has none yet, or a new one. */
  #bound(id, name) {
    const known = this.#calls.get(id);
    if (known) return known;
    const coming = [...this.#coming.values()].find((call) => !call.id && call.name === name) ?? [...this.#coming.values()].find((call) => !call.id && name.startsWith('transfer to '));
    const call = coming ?? this.#call(null, name);
    this.#name(call, id);
    return call;
  }

  #nested(event, isOld) {
    const [first, ...rest] = event.path;
    const call = this.#bound(first, 'agent');
    const thread = call.nested(event.agent);
    thread.apply(rest.length > 0 ? { ...event, path: rest } : event.event, { isOld });
    this.waiting = thread.waiting ?? this.waiting;
  }

  /** Draws a call that waits, where it is. */
  approval(interruption) {
    this.#rest();
    this.waiting = null;
    const [first, ...rest] = interruption.path;
    if (first !== undefined) {
      const call = this.#bound(first, 'agent');
      call.element.open = true;
      call.nested(interruption.agent).approval({ ...interruption, path: rest });
      return;
    }
    if (this.#element.querySelector(`[data-waits="${CSS.escape(interruption.id)}"]`)) return;
    const call = this.#bound(interruption.call_id, interruption.tool);
    call.arguments(interruption.arguments);
    call.waits(approvalCard(interruption, this.#handlers.decide));
  }

  #decided(event) {
    const id = event.id.split('/');
    let thread = this;
    for (const outer of id.slice(0, -1)) thread = thread.#calls.get(outer)?.nested('') ?? thread;
    const call = thread.#calls.get(id.at(-1));
    call?.decided(event);
  }

  #result(event) {
    if (!event.ok && event.error?.kind === 'approval_required') {
      this.#rest();
      this.waiting = null;
      return;
    }
    this.#end();
    if (event.ok) this.openAnswer();
    for (const entry of this.#queued.splice(0)) fill(entry.querySelector('.tag'), 'not taken: the run was over');
    if (!event.ok) this.fail(event.error, event);
    if (event.turns) this.#put(el('p', { class: 'run-end quiet' }, [plural(event.turns, 'turn'), usage(event.usage)].filter(Boolean).join(' · ')));
    for (const deviation of event.deviations ?? []) this.#put(el('p', { class: 'run-end quiet' }, `deviation of the model server: ${deviation.code}${deviation.detail ? `: ${deviation.detail}` : ''}`));
  }

  /** Draws how a run failed. */
  fail(error) {
    const place = this.#n_user - 1;
    this.#put(failure(error, { again: place >= 0 && (() => this.#handlers.again(place)), reload: this.#handlers.reload }));
  }

  #end() {
    this.#rest();
    this.waiting = null;
    for (const call of this.#calls.values()) call.stopped();
  }
}

/** One call, folded: its name, its arguments as they come, its output, and the run inside it. */
class Call {
  id = null;
  #arguments = '';
  #summary;
  #short;
  #mark;
  #time;
  #body;
  #given;
  #came;
  #inside = null;
  #card = null;
  #since = null;
  isRunning = false;

  constructor(name, depth, handlers) {
    this.name = name;
    this.depth = depth;
    this.handlers = handlers;
    this.#mark = el('span', { class: 'mark', 'aria-hidden': 'true' }, '▸');
    this.#short = el('span', { class: 'arguments' });
    this.#time = el('span', { class: 'time' });
    this.#summary = el('summary', {}, this.#mark, el('span', { class: 'name' }, name), this.#short, this.#time);
    this.#given = el('div');
    this.#came = el('div');
    this.#body = el('div', { class: 'call-body' }, this.#given, this.#came);
    this.element = el('details', { class: 'entry call', tabindex: '-1' }, this.#summary, this.#body);
    // Large arguments and outputs are laid out when somebody looks.
    this.element.addEventListener('toggle', () => this.#draw());
  }

  setId(id) {
    this.id = id;
    this.element.dataset.call = id;
  }

  more(delta) {
    this.#arguments += delta;
    fill(this.#short, short(this.#arguments, 72));
    if (this.element.open) fill(this.#given, el('pre', {}, this.#arguments));
  }

  arguments(text) {
    this.#arguments = text ?? '';
    fill(this.#short, shortArguments(this.#arguments));
    this.#draw();
  }

  started(isOld) {
    this.isRunning = true;
    this.#since = isOld ? null : performance.now();
  }

  progress(message) {
    const line = typeof message === 'string' ? message : JSON.stringify(message);
    add(this.#body, el('p', { class: 'quiet' }, short(line, 300)));
  }

  output(output, failed, isOld = true) {
    this.isRunning = false;
    this.#result = { output, failed };
    if (!isOld && this.#since !== null) fill(this.#time, duration(performance.now() - this.#since));
    this.#state(failed ? '✕' : '✓', failed ? 'failed' : 'done');
    this.#draw();
  }

  #result = null;

  whole(output) {
    if (this.#result) this.#result.output = output;
    this.#draw();
  }

  handoff(to) {
    this.element.classList.add('handoff-call');
    fill(this.#summary.querySelector('.name'), `hand over to ${to}`);
  }

  nested(agent) {
    if (!this.#inside) {
      const element = el('div', { class: 'nested', role: 'group', 'aria-label': `Run of ${agent || 'an agent'}` });
      this.#inside = new Thread(element, this.handlers, this.depth + 1);
      this.#body.insertBefore(element, this.#came);
    }
    return this.#inside;
  }

  waits(card) {
    this.#card?.remove();
    this.#card = card;
    this.isRunning = false;
    this.#state('⚠', 'waits');
    this.element.after(card);
  }

  decided({ approve, arguments: edited, message }) {
    if (edited) this.arguments(edited);
    this.isRunning = approve;
    this.#since = performance.now();
    this.#state(approve ? '▸' : '✕', approve ? 'approved' : 'rejected');
    const words = approve ? (edited ? 'Approved with other arguments' : 'Approved') : `Rejected${message ? `: ${message}` : ''}`;
    if (this.#card) settle(this.#card, words);
    this.#card = null;
    this.element.open = false;
  }

  open() {
    this.element.open = true;
    this.#draw();
    if (typeof this.#result.output === 'string') announce(this.#result.output);
  }

  stopped() {
    if (this.isRunning) this.#state('■', 'not finished');
    this.isRunning = false;
    this.#inside?.apply({ type: 'turn_over' });
  }

  #state(mark, words) {
    fill(this.#mark, mark);
    this.element.dataset.state = words;
    this.#summary.querySelector('.visually-hidden')?.remove();
    add(this.#summary, el('span', { class: 'visually-hidden' }, `, ${words}`));
  }

  #draw() {
    if (!this.element.open) return;
    fill(this.#given, el('div', { class: 'call-head' }, el('h4', {}, 'Arguments'), this.id && this.handlers.select && button('Show in the trace', () => this.handlers.select(this.id), { class: 'small in-trace' })), showText(this.#arguments || '{}', 'Arguments'));
    if (!this.#result) return;
    const { output, failed } = this.#result;
    fill(this.#came, el('h4', {}, failed ? 'What the model was told of the failure' : 'Output'),
      typeof output === 'string' ? showText(output || '(empty)', 'Output') : showParts(output, 'Output'),
      failed && failed !== output && [el('h4', {}, 'The failure'), showText(failed, 'Failure')]);
  }
}

/** An answer while it comes: what is finished is drawn, and what comes goes into one text node. */
class StreamedText {
  text = '';
  #tail = document.createTextNode('');
  #tailText = '';
  #prose = el('div', { class: 'prose' });

  constructor() {
    this.element = el('article', { class: 'entry message assistant', tabindex: '-1', 'aria-label': 'Answer', 'aria-busy': 'true' }, this.#prose, el('p', { class: 'prose tail' }, this.#tail));
  }

  add(delta) {
    this.text += delta;
    this.#tailText += delta;
    if (delta.includes('\n')) {
      const n = stableLength(this.#tailText);
      if (n > 0) {
        this.#prose.append(...markdown(this.#tailText.slice(0, n)));
        this.#tailText = this.#tailText.slice(n);
        this.#tail.data = this.#tailText;
        return;
      }
    }
    this.#tail.appendData(delta);
  }

  end(actions) {
    this.element.removeAttribute('aria-busy');
    fill(this.element, el('div', { class: 'prose' }, markdown(this.text)), actions);
    announce(this.text);
  }
}

function answer(text, actions) {
  return el('article', { class: 'entry message assistant', tabindex: '-1', 'aria-label': 'Answer' }, el('div', { class: 'prose' }, markdown(text)), actions);
}

/** Tells screen readers of an answer once it rests. */
function announce(text) {
  fill(document.getElementById('announcer'), short(text, 600));
}

/** A line that opens to what it stands for, which is made when it is opened. */
function folded(kind, name, words, content) {
  const body = el('div', { class: 'call-body' });
  const entry = el('details', { class: `entry ${kind}`, tabindex: '-1' },
    el('summary', {}, el('span', { class: 'mark', 'aria-hidden': 'true' }, '▸'), el('span', { class: 'name' }, name), el('span', { class: 'arguments' }, short(words, 72))), body);
  entry.addEventListener('toggle', () => {
    if (entry.open && !body.firstChild) add(body, content());
  });
  return entry;
}

/** The text of a content: a text, parts, or the short form of an event. */
export function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content?.text ?? '';
  return content.map((part) => part.text ?? '').filter(Boolean).join('\n');
}

/** Shows the parts of an output: texts, pictures and files. */
export function showParts(parts, label) {
  return parts.map((part) => partOf(part) ?? showText(part.text ?? JSON.stringify(part), label));
}

function partOf(part) {
  if (part.type === 'input_image' && part.image_url) {
    if (part.image_url.startsWith('data:')) return showMedia({ url: part.image_url, type: part.image_url.slice(5, part.image_url.indexOf(';')), words: 'picture' });
    return el('p', { class: 'quiet' }, `picture at ${part.image_url}`);
  }
  if (part.type === 'input_file') return el('p', { class: 'quiet' }, `file ${part.filename ?? part.file_id ?? ''}`);
  if (part.type === 'input_audio') return el('p', { class: 'quiet' }, 'sound');
  return null;
}

function reasoningText(item) {
  const texts = [...(item.summary ?? []), ...(item.content ?? [])].map((part) => part.text ?? '');
  return texts.filter(Boolean).join('\n\n');
}
