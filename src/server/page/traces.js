// The trace column: beside a conversation its latest run, and by itself all runs, newest first, with what each did.

import { ask } from './api.js';
import { compareView } from './compare.js';
import { add, button, el, fill } from './dom.js';
import { clock, cost, count, duration, plural, short } from './format.js';
import { spanView } from './span.js';
import { STATUS, askedOf, firstToSee, treeOf } from './spans.js';
import { asHtml, asJsonLines, asOtlp, readJsonLines } from './transfer.js';
import { save } from './value.js';
import { Waterfall } from './waterfall.js';

/** How often runs that go on are looked at again, in milliseconds. */
const EVERY = 1500;
const PAGE = 50;

export class Traces extends EventTarget {
  /** The trace and the span that are shown. */
  trace = null;
  span = null;
  isAvailable = false;
  #all = [];
  #next = null;
  #filter = { text: '', status: '' };
  #picked = new Set();
  #imported = new Map();
  #shown = null;
  #column = document.getElementById('trace');
  #list = el('div', { class: 'trace-list' });
  #detail = el('div', { class: 'trace-detail' });
  #rows = el('ul', { class: 'list', 'aria-label': 'Runs' });
  #head = el('div', { class: 'trace-head' });
  #body = el('div', { class: 'trace-body' });
  #waterfall = new Waterfall((id) => this.#select(id));
  #n_failed = 0;
  #told = '';

  /** Begins where this server keeps traces. */
  async begin() {
    await this.load();
    this.isAvailable = true;
    add(this.#column, this.#list, this.#detail);
    this.#drawList();
    this.#empty();
    setInterval(() => this.#again(), EVERY);
  }

  get n_failed() {
    return this.#n_failed;
  }

  async load() {
    const { text, status } = this.#filter;
    const query = new URLSearchParams({ limit: String(PAGE), ...(text && { text }), ...(status && { status }) });
    const found = await ask('GET', `traces?${query}`);
    const told = JSON.stringify(found);
    // What is the same is not drawn again: somebody may be in the middle of the list.
    if (told === this.#told) return;
    this.#told = told;
    this.#all = found.traces;
    this.#next = found.next;
    const today = new Date().toDateString();
    if (!text && !status) this.#n_failed = this.#all.filter((trace) => trace.status === 'error' && new Date(trace.started_at).toDateString() === today).length;
    this.#drawRows();
    this.dispatchEvent(new Event('loaded'));
  }

  /** Shows the latest run of a session beside its conversation. */
  async ofSession(session) {
    if (!this.isAvailable || !session) {
      this.#empty();
      return;
    }
    const { traces } = await ask('GET', `traces?${new URLSearchParams({ session, limit: '1' })}`);
    if (traces.length > 0) await this.open(traces[0].trace_id, null);
    else this.#empty();
  }

  #empty() {
    this.trace = null;
    this.#shown = null;
    fill(this.#detail, el('p', { class: 'quiet empty' }, this.#all.length > 0 ? 'Choose a run to see what it did.' : 'What a run does is shown here: its model calls, tools and handoffs, with their times.'));
  }

  async open(id, span) {
    const found = this.#imported.get(id) ?? await ask('GET', `traces/${encodeURIComponent(id)}`);
    this.trace = id;
    this.#show(found, span);
    this.#drawRows();
  }

  #show(trace, span) {
    const tree = treeOf(trace.spans);
    const isSame = this.#shown?.trace.trace_id === trace.trace_id;
    const selected = span && tree.byId.has(span) ? span : isSame && tree.byId.has(this.span) ? this.span : firstToSee(tree);
    this.#shown = { trace, tree };
    fill(this.#head, this.#summary(trace));
    if (this.#detail.firstChild !== this.#head) fill(this.#detail, this.#head, this.#waterfall.element, this.#body);
    this.#waterfall.show(tree, selected);
    const old = isSame && this.span === selected ? this.#drawnStatus : null;
    if (old !== tree.byId.get(selected)?.span.status) this.#drawSpan(selected);
    if (span && !tree.byId.has(span)) this.#body.prepend(el('p', { class: 'warn' }, 'The span of this link is not in the trace.'));
  }

  #drawnStatus = null;

  #select(id) {
    this.#drawSpan(id);
    this.dispatchEvent(new Event('selected'));
  }

  /** Selects the span of a call, if the run that is shown has it. */
  selectCall(callId) {
    const found = this.#shown?.trace.spans.find((span) => span.attributes?.['gen_ai.tool.call.id'] === callId);
    if (!found) return false;
    this.#waterfall.select(found.span_id);
    this.#select(found.span_id);
    return true;
  }

  #drawSpan(id) {
    this.span = id;
    const span = this.#shown?.tree.byId.get(id)?.span;
    this.#drawnStatus = span?.status ?? null;
    if (!span) {
      fill(this.#body);
      return;
    }
    fill(this.#body, spanView(span, () => this.#whole(span.trace_id, id), { branch: this.#branchOf(span), commands: this.#commands(span) }));
    this.dispatchEvent(new CustomEvent('span', { detail: span }));
  }

  async #whole(trace, id) {
    const local = this.#imported.get(trace);
    if (local) return local.spans.find((span) => span.span_id === id);
    return ask('GET', `traces/${encodeURIComponent(trace)}/spans/${encodeURIComponent(id)}`);
  }

  /** What begins a branch before the message that a span of a conversation answered; nothing for a span of none. */
  #branchOf(span) {
    const { trace } = this.#shown;
    if (!trace.session_id || trace.isImported || span.kind === 'session') return null;
    return async () => {
      const call = span.kind === 'generation' ? span : trace.spans.find((each) => each.kind === 'generation');
      const whole = call && await this.#whole(call.trace_id, call.span_id);
      const said = (askedOf(whole?.content ?? {}) ?? []).filter((item) => item.type === 'message' && item.role === 'user');
      if (said.length === 0) throw new Error('What the model was asked was not recorded, so that nothing can be begun before it.');
      this.dispatchEvent(new CustomEvent('branch', { detail: { session: trace.session_id, agent: trace.agent, place: said.length - 1 } }));
    };
  }

  #commands(span) {
    const { trace } = this.#shown;
    const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
    const commands = [];
    if (trace.agent) commands.push(['The same agent, from the beginning', `openai-agents run --agent ${quoted(trace.agent)}${trace.model ? ` --model ${quoted(trace.model)}` : ''} -`]);
    if (trace.session_id) commands.push(['A copy of the conversation as a branch, to go on from', `openai-agents sessions fork ${quoted(trace.session_id)} --branch again`]);
    return span.kind === 'session' ? [] : commands;
  }

  #summary(trace) {
    const [mark, words] = STATUS[trace.status] ?? ['•', trace.status ?? ''];
    const took = trace.ended_at ? duration(Date.parse(trace.ended_at) - Date.parse(trace.started_at)) : null;
    const facts = [took, trace.model, trace.n_turns && plural(trace.n_turns, 'turn'), trace.usage?.total_tokens && `${count(trace.usage.total_tokens)} tokens`, cost(trace.usage)];
    const failed = trace.error && firstToSee(this.#shown?.tree ?? treeOf(trace.spans));
    return el('div', {},
      el('h2', {}, el('span', { class: `mark ${trace.status}`, title: words }, mark), ` ${trace.name}`, el('span', { class: 'visually-hidden' }, `, ${words}`)),
      el('p', { class: 'quiet facts' }, dotted(facts)),
      trace.error && el('p', { class: 'error-line' }, el('strong', {}, trace.error.kind), ' ', short(trace.error.message, 200), ' ', button('Show the span', () => {
        this.#waterfall.select(failed);
        this.#select(failed);
      }, { class: 'small' })),
      el('div', { class: 'actions' },
        trace.session_id && button('Conversation', () => this.dispatchEvent(new CustomEvent('conversation', { detail: trace.session_id })), { class: 'small to-conversation' }),
        this.#exportButton('HTML', 'html', 'text/html', asHtml), this.#exportButton('JSON lines', 'jsonl', 'application/jsonl', asJsonLines), this.#exportButton('OTLP', 'otlp.json', 'application/json', (_, whole) => asOtlp(whole))));
  }

  #exportButton(label, ending, type, write) {
    const made = button(`Save ${label}`, async () => {
      made.disabled = true;
      const { trace } = this.#shown;
      const whole = [];
      for (const [n, span] of trace.spans.entries()) {
        const has = Object.keys(span.content ?? {}).length > 0;
        whole.push(has ? await this.#whole(trace.trace_id, span.span_id) : span);
        if (n % 50 === 49) made.textContent = `${n + 1} of ${trace.spans.length}`;
      }
      save(write(trace, whole), `trace-${trace.trace_id.slice(0, 12)}.${ending}`, type);
      made.disabled = false;
      made.textContent = `Save ${label}`;
    }, { class: 'small' });
    return made;
  }

  #drawList() {
    const text = el('input', { type: 'search', id: 'trace-search', placeholder: 'Search messages and arguments', 'aria-label': 'Search messages and arguments' });
    const status = el('select', { 'aria-label': 'Which runs' }, [['', 'All runs'], ['error', 'Failed'], ['running', 'Running'], ['paused', 'Waiting for you'], ['ok', 'Done'], ['cancelled', 'Cancelled'], ['lost', 'Ended without a word']].map(([value, words]) => el('option', { value }, words)));
    let timer = null;
    const search = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.#filter = { text: text.value.trim(), status: status.value };
        this.load().catch((error) => fill(this.#rows, el('li', { class: 'problem' }, error.message)));
      }, 200);
    };
    text.addEventListener('input', search);
    status.addEventListener('change', search);
    const file = el('input', { type: 'file', hidden: true, accept: '.jsonl,.json', 'aria-label': 'A file of traces' });
    const problem = el('p', { class: 'problem', role: 'alert' });
    file.addEventListener('change', async () => {
      fill(problem);
      try {
        for (const trace of readJsonLines(await file.files[0].text())) this.#imported.set(trace.trace_id, { ...trace, isImported: true });
        file.value = '';
        this.#drawRows();
        await this.open([...this.#imported.keys()].at(-1), null);
        this.dispatchEvent(new Event('selected'));
      } catch (error) {
        add(problem, error.message);
      }
    });
    this.#compare = button('Compare two', () => this.#compareTwo(), { class: 'small', disabled: true });
    fill(this.#list, el('h2', {}, 'Traces'), text, status, el('div', { class: 'actions' }, this.#compare, button('Open a file', () => file.click(), { class: 'small' }), file), problem, this.#rows);
    this.#drawRows();
  }

  #compare = null;

  #drawRows() {
    const words = this.#filter.text || this.#filter.status ? 'No run is like that.' : 'No run was recorded yet.';
    const all = [...this.#imported.values(), ...this.#all];
    const more = this.#next && el('li', {}, button('More', async () => {
      const { text, status } = this.#filter;
      const found = await ask('GET', `traces?${new URLSearchParams({ limit: String(PAGE), after: this.#next, ...(text && { text }), ...(status && { status }) })}`);
      this.#all.push(...found.traces);
      this.#next = found.next;
      this.#drawRows();
    }, { class: 'small' }));
    fill(this.#rows, all.length > 0 ? all.map((trace) => this.#row(trace)) : el('li', { class: 'quiet' }, words), more);
  }

  #row(trace) {
    const [mark, words] = STATUS[trace.status] ?? ['•', ''];
    const took = trace.ended_at ? duration(Date.parse(trace.ended_at) - Date.parse(trace.started_at)) : 'goes on';
    const facts = [clock(new Date(trace.started_at)), took, trace.model, trace.n_turns && plural(trace.n_turns, 'turn'), trace.usage?.total_tokens && `${count(trace.usage.total_tokens)} tokens`, cost(trace.usage), trace.isImported && 'from a file'];
    const pick = el('input', { type: 'checkbox', 'aria-label': `Compare ${trace.name}, ${clock(new Date(trace.started_at))}` });
    pick.checked = this.#picked.has(trace.trace_id);
    pick.addEventListener('change', () => {
      if (pick.checked) this.#picked.add(trace.trace_id);
      else this.#picked.delete(trace.trace_id);
      this.#compare.disabled = this.#picked.size !== 2;
    });
    return el('li', { class: trace.trace_id === this.trace ? 'current' : null, 'data-trace': trace.trace_id }, pick,
      button([el('span', { class: `mark ${trace.status}`, title: words }, mark, el('span', { class: 'visually-hidden' }, words)),
        el('span', { class: 'trace-row' }, el('span', { class: 'title' }, trace.name), el('span', { class: 'quiet' }, dotted(facts)), trace.error && el('span', { class: 'error-line' }, `${trace.error.kind}: ${short(trace.error.message, 90)}`))],
      async () => {
        await this.open(trace.trace_id, null);
        this.dispatchEvent(new Event('selected'));
      }, { class: 'row-button', 'aria-current': trace.trace_id === this.trace ? 'true' : null }));
  }

  async #compareTwo() {
    const traces = await Promise.all([...this.#picked].map(async (id) => this.#imported.get(id) ?? ask('GET', `traces/${encodeURIComponent(id)}`)));
    traces.sort((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at));
    this.trace = null;
    this.#shown = null;
    this.#drawRows();
    this.dispatchEvent(new Event('selected'));
    fill(this.#detail, el('p', { class: 'quiet' }, 'Comparing …'));
    fill(this.#detail, el('h2', {}, 'Two runs'), await compareView(traces, (trace, span) => this.#whole(trace, span)));
  }

  /** Looks again at what goes on. */
  async #again() {
    if (document.hidden) return;
    try {
      if (document.body.dataset.view === 'traces') await this.load();
      const { trace } = this.#shown ?? {};
      if (trace && trace.status === 'running' && !trace.isImported) {
        const found = await ask('GET', `traces/${encodeURIComponent(trace.trace_id)}`);
        if (this.trace === found.trace_id) this.#show(found, null);
      }
    } catch {
      // The conversation says that the server is away; the next look will find it again.
    }
  }
}

/** Facts with dots between them; a line ends between two facts and in none. */
function dotted(facts) {
  return facts.filter(Boolean).flatMap((fact, n) => [n > 0 && ' · ', el('span', { class: 'fact' }, fact)]);
}
