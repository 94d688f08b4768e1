// What happened and what can be done, for each way in which something ends otherwise than with an answer.

import { button, el } from './dom.js';

/** A box: what happened, the server's own words, what can be done. */
export function notice(kind, title, words, actions = []) {
  return el('section', { class: `notice entry ${kind}`, tabindex: '-1', 'aria-label': title },
    el('p', {}, el('span', { class: 'mark', 'aria-hidden': 'true' }, kind === 'bad' ? '✕' : kind === 'warn' ? '⚠' : '•'), el('strong', {}, title)),
    words.map((word) => (word instanceof Node ? word : el('p', {}, word))),
    actions.length > 0 && el('div', { class: 'actions' }, actions));
}

const verbatim = (text) => el('pre', { class: 'verbatim', tabindex: '0', role: 'group', 'aria-label': 'The words of the error' }, text);

/** What is said of each kind of error; the last entry is for those that are not named. */
const KINDS = {
  transport: ['The connection to the model server failed', 'Is it running, and is its address right? The address is in the configuration, or in the environment:', { code: 'OPENAI_BASE_URL=http://127.0.0.1:1234/v1 openai-agents serve' }],
  timeout_connect: ['The model server cannot be reached', 'It did not accept the connection in time.'],
  timeout_idle: ['The model server fell silent', 'It began and then sent nothing for longer than the time-out allows.'],
  timeout_total: ['The model server took too long', 'The answer was not whole within the time-out.'],
  config: ['Something is missing in the configuration', '`openai-agents check` says what is set, and where it comes from.'],
  guardrail_tripped: ['A guardrail stopped the run', 'What was finished before stays done.'],
  max_turns: ['The run reached its limit of turns', 'What was done so far is kept; another message goes on from there.'],
  budget_exceeded: ['The run reached its budget', 'What was done so far is kept; another message goes on from there.'],
  session_conflict: ['Another writer changed this conversation', 'Nothing of this run was kept. Load the conversation again, then ask again.'],
  cancelled: ['Stopped', 'The turns that were finished are kept.'],
  truncated: ['The answer was cut', 'It reached a limit on its length: max_tokens of the agent, or the model server\'s own.'],
  no_terminal_event: ['The answer was cut', 'The connection to the model server ended before the answer did.'],
  content_filter: ['The answer was cut by a filter', 'The model server withheld the rest.'],
  refusal: ['The model refused', 'In its own words:'],
  tool_failed: ['A tool ended the run', 'It failed in a way that the model is not told of.'],
  invalid_output: ['The answer does not have the form that was asked for', 'The model was asked for JSON of a schema.'],
};

/** The notice for a run that ended with an error. */
export function failure(error, { again, reload }) {
  const kind = error.kind ?? '';
  const status = error.status ? ` · HTTP ${error.status}` : '';
  const ofServer = { 401: 'The model server does not take the key', 403: 'The model server does not take the key', 404: 'The model server does not know the model or the path', 429: 'The model server is busy' }[error.status];
  const [title, ...words] = ofServer ? [ofServer, 'Its words:'] : KINDS[kind] ?? ['The run failed', 'The words of the error:'];
  const actions = [];
  if (kind === 'session_conflict') actions.push(button('Load again', reload, { class: 'primary' }));
  else if (again) actions.push(button('Run again', again, { title: 'In a branch; this conversation stays as it is' }));
  const shown = words.map((word) => (word.code ? el('pre', { class: 'verbatim', tabindex: '0' }, word.code) : word));
  const isQuiet = kind === 'cancelled';
  const look = isQuiet ? 'info' : ['guardrail_tripped', 'max_turns', 'budget_exceeded', 'refusal'].includes(kind) ? 'warn' : 'bad';
  return notice(look, title, [
    ...shown,
    !isQuiet && verbatim(error.message ?? ''),
    !isQuiet && el('p', { class: 'quiet' }, `${kind || 'error'}${status}`),
  ].filter(Boolean), actions);
}

/** The notice for an answer that ends where it should not; nothing for one that is whole. */
export function cutAnswer(reason) {
  if (reason === 'length' || reason === 'max_output_tokens') return notice('warn', 'The answer was cut', ['The model reached its limit on the length of an answer (finish reason: length). Ask it to go on, or raise max_tokens.']);
  if (reason === 'content_filter') return notice('warn', 'The answer was cut by a filter', ['The model server withheld the rest (finish reason: content_filter).']);
  return null;
}

/** The first thing that somebody sees. */
export function greeting(agent, tools) {
  return el('div', { class: 'greeting' },
    el('h2', {}, `Ask ${agent.name}`),
    agent.description && el('p', {}, agent.description),
    tools.length > 0 && el('p', { class: 'quiet' }, `It can call ${tools.slice(0, 6).map((tool) => tool.name).join(', ')}${tools.length > 6 ? ` and ${tools.length - 6} more` : ''}.`),
    agent.handoffs.length > 0 && el('p', { class: 'quiet' }, `It can hand over to ${agent.handoffs.join(', ')}.`),
    el('p', { class: 'quiet' }, 'Enter sends, Shift+Enter begins a line, ? lists the keys. A picture can be pasted.'));
}

export const noAgents = () => notice('warn', 'No agent is served', [
  'Describe one in the configuration, and load it again:',
  el('pre', { class: 'verbatim', tabindex: '0' }, 'agents:\n  - name: Helper\n    instructions: Answer in one sentence.'),
  el('pre', { class: 'verbatim', tabindex: '0' }, 'openai-agents reload'),
]);
