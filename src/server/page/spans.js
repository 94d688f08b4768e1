// Spans as a tree, in the order in which they began; pure.

/** Gives the rows of a trace: each span with its depth, and its times in milliseconds from the beginning of the trace. */
export function treeOf(spans) {
  const byId = new Map();
  for (const span of spans) byId.set(span.span_id, { span, children: [], start: Date.parse(span.started_at), end: span.ended_at ? Date.parse(span.ended_at) : null });
  const roots = [];
  for (const node of byId.values()) {
    const parent = byId.get(node.span.parent_id);
    if (parent && parent !== node) parent.children.push(node);
    else roots.push(node);
  }
  const order = (a, b) => a.start - b.start || (a.span.span_id < b.span.span_id ? -1 : 1);
  for (const node of byId.values()) node.children.sort(order);
  roots.sort(order);
  let from = Infinity;
  let to = -Infinity;
  for (const { start, end } of byId.values()) {
    from = Math.min(from, start);
    to = Math.max(to, end ?? start);
  }
  return { roots, byId, from: roots.length ? from : 0, duration: Math.max(0, to - from) };
}

/** Gives the rows that are shown: those below a folded span are not. A circle of parents cannot be reached and is put at the end. */
export function rowsOf(tree, folded = new Set()) {
  const rows = [];
  const seen = new Set();
  const stack = tree.roots.map((node) => [node, 0]).reverse();
  while (stack.length > 0) {
    const [node, depth] = stack.pop();
    if (seen.has(node)) continue;
    seen.add(node);
    rows.push({ node, depth });
    if (folded.has(node.span.span_id)) hide(node, seen);
    else for (let n = node.children.length - 1; n >= 0; n -= 1) stack.push([node.children[n], depth + 1]);
  }
  for (const node of tree.byId.values()) if (!seen.has(node)) rows.push({ node, depth: 0 });
  return rows;
}

function hide(node, seen) {
  const stack = [...node.children];
  while (stack.length > 0) {
    const inner = stack.pop();
    if (seen.has(inner)) continue;
    seen.add(inner);
    stack.push(...inner.children);
  }
}

/** The mark of a status and its words. */
export const STATUS = {
  running: ['●', 'running'],
  ok: ['✓', 'done'],
  error: ['✕', 'failed'],
  cancelled: ['■', 'cancelled'],
  paused: ['⚠', 'paused for a decision'],
  lost: ['?', 'ended without a word'],
};

/** The span that is to be looked at first: the innermost that failed, and otherwise the run. */
export function firstToSee(tree) {
  let found = null;
  const stack = [...tree.roots].reverse();
  while (stack.length > 0) {
    const node = stack.pop();
    if (node.span.status === 'error') found = node;
    stack.push(...[...node.children].reverse());
  }
  return (found ?? tree.roots[0])?.span.span_id ?? null;
}

/**
 * What a model was asked and what it answered, as items of the Responses API: as the span has them, or else from the bodies of either API.
 * Nothing if there are neither.
 */
export function conversationOf(content) {
  const asked = askedOf(content);
  const answered = answeredOf(content);
  return asked || answered ? [...(asked ?? []), ...(answered ?? [])] : null;
}

export function askedOf({ instructions, input, request }) {
  const items = json(input);
  if (Array.isArray(items)) return [...(instructions ? [{ type: 'message', role: 'system', content: instructions }] : []), ...items.map(typed)];
  const body = json(request);
  if (Array.isArray(body?.messages)) return body.messages.flatMap(ofMessage);
  if (!body?.input) return null;
  const system = body.instructions ? [{ type: 'message', role: 'system', content: body.instructions }] : [];
  return [...system, ...(typeof body.input === 'string' ? [{ type: 'message', role: 'user', content: body.input }] : body.input.map(typed))];
}

export function answeredOf({ output, response }) {
  const items = json(output);
  if (Array.isArray(items)) return items.map(typed);
  const body = json(response);
  if (body?.choices?.[0]?.message) return ofMessage(body.choices[0].message);
  return Array.isArray(body?.output) ? body.output : null;
}

const typed = (item) => (item.type ? item : { type: 'message', ...item });

function ofMessage(message) {
  if (message.role === 'tool') return [{ type: 'function_call_output', call_id: message.tool_call_id, output: partsOf(message.content) }];
  const items = [];
  if (message.reasoning_content ?? message.reasoning) items.push({ type: 'reasoning', summary: [{ text: message.reasoning_content ?? message.reasoning }] });
  if (message.content?.length > 0) items.push({ type: 'message', role: message.role === 'developer' ? 'system' : message.role, content: partsOf(message.content) });
  if (message.refusal) items.push({ type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: message.refusal }] });
  for (const call of message.tool_calls ?? []) items.push({ type: 'function_call', call_id: call.id, name: call.function?.name ?? 'call', arguments: call.function?.arguments ?? '' });
  return items;
}

function partsOf(content) {
  if (!Array.isArray(content)) return content ?? '';
  return content.map((part) => (part.type === 'text' ? { type: 'input_text', text: part.text } : part.type === 'image_url' ? { type: 'input_image', image_url: part.image_url?.url ?? '' } : part));
}

export function json(text) {
  if (typeof text !== 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
