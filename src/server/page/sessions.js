// The list of conversations: search, open, delete.

import { ask } from './api.js';
import { button, el, fill } from './dom.js';

const MARKS = {
  running: ['●', 'running'],
  approval_required: ['⚠', 'waits for you'],
  failed: ['✕', 'failed'],
  cancelled: ['■', 'stopped'],
};

export class Sessions {
  #all = [];
  #list = document.getElementById('session-list');
  #search = document.getElementById('search');
  #handlers;
  current = null;

  /** `handlers` has `open(session)` and `deleted(session)`. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#search.addEventListener('input', () => this.draw());
  }

  async load() {
    ({ sessions: this.#all } = await ask('GET', 'sessions'));
    this.draw();
  }

  focusSearch() {
    this.#search.focus();
  }

  draw() {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = this.#all.filter(({ session, title }) => `${title} ${session}`.toLowerCase().includes(wanted));
    const words = this.#all.length === 0 ? 'Conversations will be listed here.' : 'No conversation has these words in its title.';
    fill(this.#list, found.length > 0 ? found.map((each) => this.#row(each)) : el('li', { class: 'quiet' }, words));
  }

  #row({ session, title, run }) {
    const [mark, words] = MARKS[run?.status] ?? ['', ''];
    const isCurrent = session === this.current;
    return el('li', { class: isCurrent ? 'current' : null },
      button([el('span', { class: `mark ${run?.status ?? ''}`, title: words }, mark, words && el('span', { class: 'visually-hidden' }, words)), el('span', { class: 'title' }, title || session)],
        () => this.#handlers.open(session), { class: 'row-button', 'aria-current': isCurrent ? 'true' : null, title: `${title}\n${session}` }),
      button('×', async () => {
        await ask('DELETE', `sessions/${encodeURIComponent(session)}`);
        this.#handlers.deleted(session);
      }, { class: 'small delete', 'aria-label': `Delete the conversation ${title || session}` }));
  }
}
