// The card of a call that waits: approve, change its arguments, or refuse it, where it stands.

import { add, button, el, fill } from './dom.js';
import { showText } from './value.js';

/** `decide(decision)` sends a decision; it fails with an error that is shown. */
export function approvalCard(interruption, decide) {
  const { tool, agent, arguments: given } = interruption;
  const problem = el('p', { class: 'problem', role: 'alert' });
  const body = el('div');
  const actions = el('div', { class: 'actions' });
  const card = el('div', { class: 'approval', role: 'group', 'aria-label': `${tool} waits for your decision`, tabindex: '-1', 'data-waits': interruption.id },
    el('p', { class: 'approval-head' }, el('span', { class: 'mark', 'aria-hidden': 'true' }, '⚠'), el('strong', {}, tool), ` waits for you. ${agent} wants to call it with:`),
    notes(interruption), body, problem, actions);

  const send = async (decision, done) => {
    problem.textContent = '';
    for (const each of card.querySelectorAll('button, textarea, input')) each.disabled = true;
    try {
      await decide({ id: interruption.id, ...decision });
      settle(card, done);
    } catch (error) {
      add(fill(problem), error.message);
      for (const each of card.querySelectorAll('button, textarea, input')) each.disabled = false;
    }
  };

  const ask = () => {
    fill(body, showText(given || '{}', 'Arguments'));
    fill(actions,
      button('Approve', () => send({ approve: true }, 'Approved'), { class: 'primary', 'data-key': 'a' }),
      button('Edit', edit, { 'data-key': 'e' }),
      button('Reject', refuse, { 'data-key': 'r' }));
  };

  const edit = () => {
    const text = el('textarea', { 'aria-label': `Arguments for ${tool}`, rows: '6', spellcheck: 'false', class: 'code' });
    text.value = pretty(given);
    const approve = () => {
      const wrong = notAnObject(text.value);
      if (wrong) {
        add(fill(problem), wrong);
        text.focus();
        return;
      }
      send({ approve: true, arguments: text.value }, 'Approved with other arguments');
    };
    fill(body, text);
    fill(actions, button('Approve with these', approve, { class: 'primary' }), button('Back', ask));
    text.focus();
  };

  const refuse = () => {
    const reason = el('input', { 'aria-label': 'Reason, which the model is told', placeholder: 'Why not? The model is told.' });
    const reject = () => send({ approve: false, ...(reason.value.trim() && { message: reason.value.trim() }) }, 'Rejected');
    reason.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') reject();
    });
    fill(actions, reason, button('Reject', reject, { class: 'primary' }), button('Back', ask));
    reason.focus();
  };

  ask();
  return card;
}

function notes({ may_have_run: mayHaveRun, changed }) {
  return [
    mayHaveRun && el('p', { class: 'warn' }, 'This call was begun before the run was interrupted: it may have taken place. To approve it makes it again.'),
    changed && el('p', { class: 'warn' }, `The tool was changed since you were asked before: ${changed}.`),
  ];
}

/** Notes that somebody decided, here or elsewhere. */
export function settle(card, words) {
  card.removeAttribute('data-waits');
  card.classList.add('settled');
  fill(card, el('p', { class: 'quiet' }, words));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text || '{}'), null, 2);
  } catch {
    return text;
  }
}

function notAnObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? null : 'Arguments are a JSON object: { … }';
  } catch (error) {
    return `This is not JSON: ${error.message}`;
  }
}
