// Traces in and out: JSON lines as the program writes them, OTLP, and one HTML file that needs nothing else.

import { visible } from './dom.js';
import { clock, duration } from './format.js';
import { STATUS, json, rowsOf, treeOf } from './spans.js';
import { withoutBase64 } from './value.js';

/** As `openai-agents trace export --json` writes it; `whole` has the spans with their content. */
export function asJsonLines(trace, whole) {
  const { spans, ...summary } = trace;
  const lines = [{ type: 'header', version: 1 }, { type: 'trace', ...summary }, ...whole.map((span) => ({ type: 'span', ...span }))];
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
}

/** Reads JSON lines: the traces, with their spans. */
export function readJsonLines(text) {
  const traces = new Map();
  for (const [n, line] of text.split('\n').entries()) {
    if (!line.trim()) continue;
    const value = json(line);
    if (!value || typeof value !== 'object') throw new Error(`line ${n + 1} is not JSON`);
    if (value.type === 'header' && value.version > 1) throw new Error(`the file has version ${value.version}, and this page reads version 1`);
    if (value.type === 'trace') traces.set(value.trace_id, { ...value, spans: traces.get(value.trace_id)?.spans ?? [] });
    if (value.type !== 'span') continue;
    if (!traces.has(value.trace_id)) traces.set(value.trace_id, { trace_id: value.trace_id, name: value.trace_id, spans: [] });
    traces.get(value.trace_id).spans.push(value);
  }
  if (traces.size === 0) throw new Error('the file has no traces');
  return [...traces.values()].map(completed);
}

/** What the list says of a trace, from its spans, where the file does not say it. */
function completed(trace) {
  const root = trace.spans.find((span) => span.is_root) ?? trace.spans[0];
  return { status: root?.status, started_at: root?.started_at, ended_at: root?.ended_at, agent: root?.attributes?.['gen_ai.agent.name'], error: root?.error ?? null, n_turns: trace.spans.filter((span) => span.kind === 'turn').length, ...trace };
}

/** OTLP as JSON, as a collector takes it at `/v1/traces`. */
export function asOtlp(whole) {
  const nano = (time) => (time ? `${BigInt(Math.round(Date.parse(time) * 1000)) * 1000n}` : '0');
  const value = (each) => (typeof each === 'string' ? { stringValue: each } : typeof each === 'boolean' ? { boolValue: each } : Number.isInteger(each) ? { intValue: String(each) } : typeof each === 'number' ? { doubleValue: each } : Array.isArray(each) ? { arrayValue: { values: each.map(value) } } : { stringValue: JSON.stringify(each) });
  const attributes = (all) => Object.entries(all ?? {}).map(([key, each]) => ({ key, value: value(each) }));
  const spans = whole.map((span) => ({
    traceId: span.trace_id, spanId: span.span_id, ...(span.parent_id && { parentSpanId: span.parent_id }), name: span.name, kind: span.kind === 'generation' ? 3 : 1,
    startTimeUnixNano: nano(span.started_at), endTimeUnixNano: nano(span.ended_at ?? span.started_at), attributes: attributes({ ...span.attributes, ...span.content }),
    events: (span.events ?? []).map((event) => ({ name: event.name, timeUnixNano: nano(event.at), attributes: attributes(event.attributes) })),
    status: span.error ? { code: 2, message: span.error.message } : {},
  }));
  return JSON.stringify({ resourceSpans: [{ resource: { attributes: attributes({ 'service.name': 'openai-agents' }) }, scopeSpans: [{ scope: { name: 'openai-agents' }, spans }] }] });
}

const escaped = (text) => visible(text ?? '').replace(/[&<>"']/g, (char) => `&#${char.codePointAt(0)};`);

/** One HTML file without scripts: the tree, and each span folded. */
export function asHtml(trace, whole) {
  const rows = rowsOf(treeOf(whole)).map(({ node: { span, start, end }, depth }) => {
    const [mark] = STATUS[span.status] ?? ['•'];
    const parts = Object.entries(span.content ?? {}).map(([name, text]) => `<h3>${escaped(name)}</h3><pre>${escaped(withoutBase64(pretty(text)))}</pre>`);
    const error = span.error ? `<p class="error">${escaped(`${span.error.kind}: ${span.error.message}`)}</p>` : '';
    return `<details style="margin-left:${Math.min(depth, 14)}em" id="${escaped(span.span_id)}"${span.error ? ' open' : ''}><summary>${mark} ${escaped(span.name)} <small>${end === null ? 'goes on' : duration(end - start)}</small></summary>${error}${parts.join('')}<h3>attributes</h3><pre>${escaped(pretty(span.attributes))}</pre></details>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><meta name="viewport" content="width=device-width"><title>${escaped(trace.name)}</title><style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.6em;border:1px solid #8886;border-radius:6px}.error{color:light-dark(#a4262c,#ff9b95)}h3{font-size:.9em;margin:.5em 0 .2em}summary{cursor:pointer}</style><h1>${escaped(trace.name)}</h1><p>${escaped(trace.status)} · ${escaped(trace.started_at ? clock(new Date(trace.started_at)) : '')} · ${escaped(trace.model)}</p>${rows.join('\n')}</html>\n`;
}

function pretty(value) {
  const found = json(value);
  return found === undefined ? String(value ?? '') : typeof found === 'string' ? found : JSON.stringify(found, null, 2);
}

