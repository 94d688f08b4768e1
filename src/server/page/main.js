// Begins the page: connects its parts, and keeps the address bar true.

import { NotReached, copyButton } from './api.js';
import { Agents } from './agents.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { asCurl, asPython, asRust } from './copy.js';
import { add, button, el, fill } from './dom.js';
import * as keys from './keys.js';
import { notice } from './notices.js';
import { Sessions } from './sessions.js';

const agents = new Agents();
const chat = new Chat(agents);

async function begin() {
  try {
    await agents.load();
  } catch (error) {
    const isAway = error instanceof NotReached;
    fill(document.getElementById('thread'), notice('bad', isAway ? 'The server cannot be reached' : 'The page cannot begin', [isAway ? 'Is openai-agents still running?' : error.message], [button('Try again', begin, { class: 'primary' })]));
    return;
  }
  const sessions = new Sessions({
    open: (session) => open(session),
    deleted: (session) => {
      sessions.load();
      if (session === chat.session) fresh();
    },
  });
  const composer = new Composer(chat, agents);
  drawCopy();

  const show = () => {
    sessions.current = chat.session;
    document.title = chat.status === 'approval_required' ? '⚠ openai-agents' : 'openai-agents';
    const place = new URLSearchParams(location.hash.slice(1));
    set(place, 'session', chat.session);
    const hash = place.size > 0 ? `#${place}` : '';
    if (hash !== location.hash) history.pushState(null, '', hash || location.pathname + location.search);
    sessions.load().catch(() => {});
  };
  const open = async (session) => {
    tab('chat');
    sessions.current = session;
    sessions.draw();
    const opened = chat.open(session);
    composer.focus();
    show();
    await opened;
  };
  const fresh = () => {
    tab('chat');
    chat.fresh();
    show();
    composer.focus();
  };

  chat.addEventListener('begun', show);
  chat.addEventListener('changed', show);
  chat.addEventListener('status', () => {
    sessions.load().catch(() => {});
  });
  agents.addEventListener('chosen', () => {
    if (!chat.session) chat.fresh();
  });
  document.getElementById('new-session').addEventListener('click', fresh);
  document.getElementById('help').addEventListener('click', keys.help);
  const fromAddress = () => {
    const session = new URLSearchParams(location.hash.slice(1)).get('session');
    if (session !== chat.session || !chat.session) {
      if (session) open(session);
      else fresh();
    }
  };
  addEventListener('popstate', fromAddress);
  addEventListener('hashchange', fromAddress);
  keys.listen({
    '/': () => {
      tab('sessions');
      sessions.focusSearch();
    },
    '?': keys.help,
    a: () => keys.decide('a'),
    c: () => tab('chat'),
    e: () => keys.decide('e'),
    i: () => composer.focus(),
    j: () => keys.move(1),
    k: () => keys.move(-1),
    n: fresh,
    r: () => keys.decide('r'),
    s: () => chat.status === 'running' && chat.stop('now'),
  });
  fromAddress();
}

function set(place, name, value) {
  if (value) place.set(name, value);
  else place.delete(name);
}

/** Below the width of three columns one of them is shown. */
function tab(name) {
  document.body.dataset.tab = name;
  for (const each of document.querySelectorAll('.tabs button')) {
    if (each.dataset.tab === name) each.setAttribute('aria-current', 'true');
    else each.removeAttribute('aria-current');
  }
}

function drawCopy() {
  const bar = el('div', { class: 'copy-bar' });
  const draw = () => {
    const request = chat.lastRequest;
    fill(bar, request && request.session === chat.session ? [
      el('span', { class: 'quiet' }, 'Copy as '),
      copyButton('curl', () => asCurl(request), { class: 'small' }),
      copyButton('Rust', () => asRust(request, agents.chosen), { class: 'small' }),
      copyButton('Python', () => asPython(request), { class: 'small' }),
    ] : []);
  };
  chat.addEventListener('begun', draw);
  chat.addEventListener('changed', draw);
  add(document.getElementById('composer-area'), bar);
}

for (const each of document.querySelectorAll('.tabs button')) each.addEventListener('click', () => tab(each.dataset.tab));
begin();
