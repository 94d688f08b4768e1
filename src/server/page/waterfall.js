// The tree of spans with their times as bars: a list that draws only the rows that are in view, so that 10,000 spans cost what 50 do.

import { el, fill } from './dom.js';
import { duration } from './format.js';
import { STATUS, rowsOf } from './spans.js';

const ROW = 28;
/** Rows above and below the view. */
const SPARE = 8;

export class Waterfall {
  #tree = null;
  #rows = [];
  #folded = new Set();
  #selected = null;
  #onSelect;
  #space = el('div', { class: 'waterfall-space' });
  #drawn = null;

  constructor(onSelect) {
    this.#onSelect = onSelect;
    this.element = el('div', { class: 'waterfall', role: 'tree', tabindex: '0', 'aria-label': 'Spans' }, this.#space);
    this.element.addEventListener('scroll', () => this.#draw());
    this.element.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => {
      this.#drawn = null;
      this.#draw();
    }).observe(this.element);
  }

  show(tree, selected) {
    this.#tree = tree;
    this.#selected = selected;
    this.#lay();
    this.#reveal();
  }

  select(id) {
    this.#selected = id;
    this.#drawn = null;
    this.#reveal();
    this.#draw();
  }

  #lay() {
    this.#rows = rowsOf(this.#tree, this.#folded);
    this.#space.style.height = `${this.#rows.length * ROW}px`;
    this.#drawn = null;
    this.#draw();
  }

  #reveal() {
    const at = this.#rows.findIndex(({ node }) => node.span.span_id === this.#selected);
    if (at < 0) return;
    const top = at * ROW;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.element.scrollTop = top + ROW - clientHeight;
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - SPARE);
    const last = Math.min(this.#rows.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / ROW) + SPARE);
    const drawn = `${first} ${last}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    fill(this.#space, this.#rows.slice(first, last).map((row, n) => this.#row(row, first + n)));
    const selected = this.#space.querySelector('[aria-selected=true]');
    if (selected) this.element.setAttribute('aria-activedescendant', selected.id);
    else this.element.removeAttribute('aria-activedescendant');
  }

  #row({ node, depth }, at) {
    const { span, start, end } = node;
    const [mark, words] = STATUS[span.status] ?? ['•', span.status];
    const total = this.#tree.duration || 1;
    const isOpen = node.children.length > 0 ? String(!this.#folded.has(span.span_id)) : null;
    // As attributes: a kind may have the name of a class that means something else, such as `approval`.
    const bar = el('span', { class: 'bar', 'data-kind': span.kind, 'data-status': span.status });
    bar.style.left = `${((start - this.#tree.from) / total) * 100}%`;
    bar.style.width = `${Math.max(0.4, (((end ?? this.#tree.from + total) - start) / total) * 100)}%`;
    const name = el('span', { class: 'span-name' }, el('span', { class: `mark ${span.status}`, title: words }, mark), el('span', { class: 'visually-hidden' }, `${words} `), el('span', { class: 'label', title: span.name }, span.name));
    name.style.paddingLeft = `${Math.min(depth, 14) * 12}px`;
    const row = el('div', {
      id: `span-${span.span_id}`, class: 'span-row', role: 'treeitem', 'aria-level': depth + 1, 'aria-expanded': isOpen, 'aria-setsize': this.#rows.length, 'aria-posinset': at + 1,
      'aria-selected': String(span.span_id === this.#selected), 'data-span': span.span_id, onclick: () => this.#choose(span.span_id), ondblclick: () => this.#fold(span.span_id),
    }, el('span', { class: 'fold', onclick: isOpen && ((event) => { event.stopPropagation(); this.#fold(span.span_id); }) }, isOpen === null ? '' : isOpen === 'true' ? '▾' : '▸'),
    name, el('span', { class: 'bars', 'aria-hidden': 'true' }, bar), el('span', { class: 'time' }, end === null ? '…' : duration(end - start)));
    row.style.top = `${at * ROW}px`;
    return row;
  }

  #fold(id) {
    if (!this.#folded.delete(id)) this.#folded.add(id);
    this.#lay();
  }

  #choose(id) {
    this.select(id);
    this.#onSelect(id);
  }

  #key(event) {
    const at = this.#rows.findIndex(({ node }) => node.span.span_id === this.#selected);
    const to = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: this.#rows.length - 1, PageDown: at + 15, PageUp: at - 15 }[event.key];
    if (to !== undefined) {
      const row = this.#rows[Math.max(0, Math.min(this.#rows.length - 1, to))];
      if (row) this.#choose(row.node.span.span_id);
    } else if (['ArrowLeft', 'ArrowRight', 'Enter'].includes(event.key) && at >= 0) {
      this.#fold(this.#selected);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
