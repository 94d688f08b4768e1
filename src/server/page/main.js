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
import { Traces } from './traces.js';

const agents = new Agents();
const chat = new Chat(agents);
const traces = new Traces();

async function begin() {
  try {
    await agents.load();
    if (agents.keepsTraces) await traces.begin();
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
    set(place, 'view', document.body.dataset.view === 'traces' ? 'traces' : null);
    set(place, 'trace', traces.trace);
    set(place, 'span', traces.trace && traces.span);
    const hash = place.size > 0 ? `#${place}` : '';
    if (hash !== location.hash) history.pushState(null, '', hash || location.pathname + location.search);
    sessions.load().catch(() => {});
  };
  const open = async (session) => {
    view('chat');
    tab('chat');
    sessions.current = session;
    sessions.draw();
    const opened = chat.open(session);
    composer.focus();
    show();
    await opened;
  };
  const fresh = () => {
    view('chat');
    tab('chat');
    chat.fresh();
    traces.ofSession(null);
    show();
    composer.focus();
  };

  const beside = async () => {
    if (document.body.dataset.view === 'traces') return;
    await traces.ofSession(chat.session).catch(() => {});
    show();
  };
  chat.addEventListener('begun', () => {
    show();
    // The run is in the store a moment after it began.
    setTimeout(beside, 400);
  });
  chat.addEventListener('changed', () => {
    show();
    setTimeout(beside, 400);
  });
  chat.addEventListener('call', ({ detail }) => {
    if (traces.selectCall(detail)) tab('trace');
  });
  traces.addEventListener('selected', show);
  traces.addEventListener('conversation', ({ detail }) => open(detail).then(beside));
  traces.addEventListener('branch', async ({ detail }) => {
    await open(detail.session);
    // A session of before a restart does not say whose it was, but its trace does.
    if (detail.agent) agents.choose(detail.agent);
    await chat.again(detail.place);
  });
  traces.addEventListener('span', ({ detail }) => light(detail.attributes['gen_ai.tool.call.id']));
  const showTraces = document.getElementById('show-traces');
  showTraces.hidden = !traces.isAvailable;
  const drawFailed = () => fill(showTraces, 'Traces', traces.n_failed > 0 && el('span', { class: 'failed-count' }, ` ✕ ${traces.n_failed} failed today`));
  traces.addEventListener('loaded', drawFailed);
  drawFailed();
  const allTraces = async () => {
    view('traces');
    tab('trace');
    await traces.load();
    show();
  };
  showTraces.addEventListener('click', allTraces);
  chat.addEventListener('status', () => {
    sessions.load().catch(() => {});
  });
  agents.addEventListener('chosen', () => {
    if (!chat.session) chat.fresh();
  });
  document.getElementById('new-session').addEventListener('click', fresh);
  document.getElementById('help').addEventListener('click', keys.help);
  const fromAddress = () => {
    const place = new URLSearchParams(location.hash.slice(1));
    const [session, trace, span] = ['session', 'trace', 'span'].map((name) => place.get(name));
    const isTraces = place.get('view') === 'traces' && traces.isAvailable;
    const openTrace = () => {
      if (trace && traces.isAvailable && (trace !== traces.trace || span !== traces.span)) traces.open(trace, span).catch(() => traces.ofSession(null));
    };
    if (isTraces) {
      view('traces');
      tab('trace');
      openTrace();
      if (!chat.session && !session) chat.fresh();
    }
    if (session !== chat.session || !chat.session) {
      if (session && isTraces) chat.open(session);
      else if (session) open(session).then(openTrace);
      else if (!isTraces) fresh();
    } else if (!isTraces) {
      view('chat');
      openTrace();
    }
  };
  addEventListener('popstate', fromAddress);
  addEventListener('hashchange', fromAddress);
  keys.listen({
    '/': () => {
      if (document.body.dataset.view === 'traces') {
        document.getElementById('trace-search').focus();
        return;
      }
      tab('sessions');
      sessions.focusSearch();
    },
    '?': keys.help,
    a: () => keys.decide('a'),
    c: () => {
      view('chat');
      tab('chat');
      show();
    },
    e: () => keys.decide('e'),
    i: () => composer.focus(),
    j: () => keys.move(1),
    k: () => keys.move(-1),
    n: fresh,
    r: () => keys.decide('r'),
    s: () => composer.stop(),
    t: () => traces.isAvailable && (document.body.dataset.view === 'traces' ? document.getElementById('trace-search').focus() : allTraces()),
  });
  fromAddress();
}

function set(place, name, value) {
  if (value) place.set(name, value);
  else place.delete(name);
}

/** The conversation with its trace beside it, or all traces. */
function view(name) {
  document.body.dataset.view = name;
}

/** Lights the call of the conversation whose span is selected. */
function light(call) {
  for (const each of document.querySelectorAll('#thread .lit')) each.classList.remove('lit');
  if (!call) return;
  const entry = document.querySelector(`#thread [data-call="${CSS.escape(call)}"]`);
  entry?.classList.add('lit');
  entry?.scrollIntoView({ block: 'nearest' });
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

for (const each of document.querySelectorAll('.tabs button')) {
  each.addEventListener('click', () => {
    if (each.dataset.tab === 'chat') view('chat');
    tab(each.dataset.tab);
  });
}
begin();
