// Two runs side by side: what each did, step by step, and where they differ first.

import { el, fill } from './dom.js';
import { cost, count, duration, short, shortArguments } from './format.js';
import { STATUS, answeredOf, json, rowsOf, treeOf } from './spans.js';

/** Model calls and what they led to; how a run is put together beside that is the same or follows from it. */
const STEPS = ['generation', 'function', 'handoff', 'guardrail', 'approval'];
/** Of so many steps the content is compared. */
const MAX_STEPS = 200;

/** `load(trace, span)` gives a span with its content. */
export async function compareView(traces, load) {
  const sides = await Promise.all(traces.map(async (trace) => {
    const spans = rowsOf(treeOf(trace.spans)).map(({ node }) => node.span).filter((span) => STEPS.includes(span.kind));
    const steps = [];
    for (const span of spans.slice(0, MAX_STEPS)) steps.push(stepOf(span, await load(trace.trace_id, span.span_id)));
    return { trace, steps, n_more: Math.max(0, spans.length - MAX_STEPS) };
  }));
  const n = Math.max(...sides.map(({ steps }) => steps.length));
  let first = -1;
  for (let at = 0; at < n && first < 0; at += 1) if (sides[0].steps[at]?.key !== sides[1].steps[at]?.key) first = at;
  const rows = Array.from({ length: n }, (_, at) => el('tr', { class: at === first ? 'first-difference' : null }, sides.map(({ steps }) => cell(steps[at], at === first))));
  const summary = first < 0 ? 'The two runs did the same, step by step.' : `They differ first in step ${first + 1}.`;
  return el('div', { class: 'compare' }, el('p', { role: 'status' }, summary),
    el('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Two runs side by side' }, el('table', {},
      el('thead', {}, el('tr', {}, sides.map(({ trace }) => el('th', {}, `${(STATUS[trace.status] ?? ['•'])[0]} ${trace.name}`, el('div', { class: 'quiet' }, [trace.model, duration(Date.parse(trace.ended_at) - Date.parse(trace.started_at)), `${count(trace.usage?.total_tokens)} tokens`, cost(trace.usage)].filter(Boolean).join(' · ')))))),
      el('tbody', {}, rows))),
    sides.some(({ n_more }) => n_more > 0) && el('p', { class: 'quiet' }, `Of each run the first ${MAX_STEPS} steps are compared.`));
}

function cell(step, isFirst) {
  if (!step) return el('td', { class: 'quiet' }, 'nothing more');
  return el('td', {}, isFirst && el('strong', { class: 'difference' }, 'first difference '), el('div', { class: 'name' }, step.name), el('div', {}, step.words));
}

/** What a step did, by which it is told from another. */
function stepOf(span, { content = {} }) {
  const failed = span.error ? ` ✕ ${span.error.kind}: ${span.error.message}` : '';
  if (span.kind === 'generation') {
    const said = (answeredOf(content) ?? []).map((item) => (item.type === 'function_call' ? `${item.name} ${shortArguments(item.arguments, 200)}` : item.type === 'message' ? (Array.isArray(item.content) ? item.content.map((part) => part.text ?? '').join('') : item.content) : ''));
    const words = said.filter(Boolean).join(' ') || short(content.response ?? '', 300);
    return { name: span.name, words: short(words, 400) + failed, key: `${span.name}\n${words}${failed}` };
  }
  const given = content.arguments ?? '';
  const came = content.result ?? '';
  const words = `${shortArguments(given, 200)}${came ? ` → ${short(typeof came === 'string' ? came : JSON.stringify(came), 200)}` : ''}`;
  return { name: span.name, words: words + failed, key: JSON.stringify([span.name, json(given) ?? given, came, failed]) };
}
