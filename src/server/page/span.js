// One span: how it ended, the conversation, what went in and came out word for word, and the request as curl.

import { copyButton } from './api.js';
import { add, button, el, fill } from './dom.js';
import { bytes, count, duration } from './format.js';
import { STATUS, conversationOf, json } from './spans.js';
import { Thread, showParts } from './thread.js';
import { save, showText, withoutBase64 } from './value.js';

/** Content above this is loaded when somebody asks for it. */
const MAX_BYTES = 500_000;

/** `load()` gives the span with its content; `branch()` runs it again in a copy of the conversation, if there is one. */
export function spanView(span, load, { branch, commands }) {
  const [mark, words] = STATUS[span.status] ?? ['•', span.status];
  const took = span.ended_at ? duration(Date.parse(span.ended_at) - Date.parse(span.started_at)) : 'goes on';
  const content = el('div', { class: 'span-content' });
  const view = el('div', { class: 'span-view' },
    el('h3', {}, span.name),
    el('p', { class: 'quiet' }, el('span', { class: `mark ${span.status}` }, mark), ` ${words} · ${span.kind} · ${took}${span.attributes['openai_agents.replayed'] ? ' · replayed from a journal' : ''}`),
    span.error && el('div', { class: 'notice bad' }, el('p', {}, el('strong', {}, span.error.kind)), el('pre', { class: 'verbatim', tabindex: '0', role: 'group', 'aria-label': 'The words of the error' }, span.error.message)),
    content,
    (span.events ?? []).length > 0 && el('details', { class: 'panel' }, el('summary', {}, `${span.events.length} events`), span.events.map((event) => el('div', {}, el('h4', {}, event.name), showText(JSON.stringify(event.attributes), event.name)))),
    el('details', { class: 'panel' }, el('summary', {}, 'Attributes'), attributes(span)),
    (branch || commands.length > 0) && el('details', { class: 'panel' }, el('summary', {}, 'Run it again'), branch && branchButton(branch), commands.map(([what, command]) => el('div', {}, el('p', { class: 'quiet' }, what), el('pre', { tabindex: '0' }, command), copyButton('Copy', () => command, { class: 'small' })))));
  showContent(content, span, load);
  return view;
}

function branchButton(branch) {
  const problem = el('p', { class: 'problem', role: 'alert' });
  const begin = async () => {
    fill(problem);
    try {
      await branch();
    } catch (error) {
      fill(problem, error.message);
    }
  };
  return el('div', {}, el('p', { class: 'quiet' }, 'The message that this answered, again, in a copy of the conversation before it'), button('Run again as a branch', begin, { class: 'small' }), problem);
}

function attributes(span) {
  return el('dl', { class: 'attributes' }, Object.entries(span.attributes ?? {}).map(([name, value]) => [el('dt', {}, name), el('dd', {}, typeof value === 'string' ? value : JSON.stringify(value))]));
}

async function showContent(element, span, load) {
  const places = Object.entries(span.content ?? {});
  const n = places.reduce((sum, [, place]) => sum + (place.size ?? place.length ?? 0), 0);
  if (places.length === 0) {
    if (span.kind === 'generation' || span.kind === 'function') add(element, el('p', { class: 'quiet' }, 'What went in and came out was not recorded.'));
    return;
  }
  const draw = async () => {
    fill(element, el('p', { class: 'quiet' }, 'Loading …'));
    try {
      const whole = await load();
      fill(element, span.kind === 'generation' ? generation(span, whole.content) : Object.entries(whole.content).map(([name, text]) => part(name, text)));
    } catch (error) {
      fill(element, el('p', { class: 'problem', role: 'alert' }, error.message));
    }
  };
  if (n <= MAX_BYTES) await draw();
  else fill(element, el('p', {}, `${places.map(([name, place]) => `${name}: ${bytes(place.size ?? place.length)}`).join(', ')} `), button('Show', draw));
}

function part(name, text) {
  const items = json(text);
  if (Array.isArray(items) && items.length > 0 && items.every((item) => /^(input|output)_/.test(item?.type))) return el('section', {}, el('h4', {}, name), showParts(items, name));
  if (Array.isArray(items) && items.length > 0 && items.every((item) => item?.role || item?.type)) {
    const thread = el('div', { class: 'span-thread' });
    new Thread(thread, {}, 1).items(items.map((item) => ({ type: 'message', ...item })));
    return el('section', {}, el('h4', {}, name), thread);
  }
  return el('section', {}, el('h4', {}, name), showText(text || '(empty)', name));
}

/** A model call: as a conversation first, and word for word one click away. */
function generation(span, content) {
  const { request, response } = content;
  const items = conversationOf(content);
  const body = el('div', { class: 'tab-body' });
  const tabs = {
    Messages: () => {
      const thread = el('div', { class: 'span-thread' });
      // Without actions: what was said in a trace is over.
      new Thread(thread, {}, 1).items(items);
      return thread;
    },
    Request: () => raw('request', request),
    Response: () => raw('response', response),
    ...(request !== undefined && { curl: () => {
      const command = asCurl(span, request);
      const shown = withoutBase64(command);
      return el('div', {}, el('pre', { tabindex: '0', role: 'group', 'aria-label': 'The request as curl' }, shown.length > 20_000 ? `${shown.slice(0, 20_000)} … ${count(shown.length - 20_000)} more characters, which are copied too` : shown), copyButton('Copy', () => command));
    } }),
  };
  if (!items) delete tabs.Messages;
  const bar = el('div', { class: 'tab-bar', role: 'group', 'aria-label': 'How to show the model call' });
  const choose = (name) => {
    for (const each of bar.children) each.setAttribute('aria-pressed', String(each.textContent === name));
    fill(body, tabs[name]());
  };
  add(bar, Object.keys(tabs).map((name) => button(name, () => choose(name), { class: 'small' })));
  choose(Object.keys(tabs)[0]);
  return [bar, body];
}

function raw(name, text) {
  const value = text ?? '';
  return el('div', {}, el('p', { class: 'actions' }, copyButton('Copy', () => value, { class: 'small' }), button('Save', () => save(value, `${name}.json`, 'application/json'), { class: 'small' }), el('span', { class: 'quiet' }, bytes(new Blob([value]).size))), showText(value || '(empty)', name));
}

/** The request as a command; the key stands in the environment, and in no trace. */
export function asCurl(span, request) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const url = span.attributes['url.full'] ?? `http://${span.attributes['server.address'] ?? 'HOST'}:${span.attributes['server.port'] ?? ''}/v1/${json(request)?.messages ? 'chat/completions' : 'responses'}`;
  return [`curl ${quoted(url)}`, "  -H 'Content-Type: application/json'", '  -H "Authorization: Bearer $OPENAI_API_KEY"', `  -d ${quoted(request ?? '')}`].join(' \\\n');
}
