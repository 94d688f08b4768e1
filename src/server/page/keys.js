// The keyboard: every action has a key, and a card lists them.

import { button, dialog, el } from './dom.js';

const KEYS = [
  ['/', 'Search'],
  ['i', 'Write a message'],
  ['j  k', 'Next, previous entry'],
  ['Enter', 'Open or close it'],
  ['Esc', 'Leave the field, close the card'],
  ['a  r  e', 'Approve, reject, edit the call that waits'],
  ['s', 'Stop the run'],
  ['n', 'New conversation'],
  ['c  t', 'To the conversation, to the trace'],
  ['?', 'This card'],
];

export function help() {
  return dialog('Keyboard', el('dl', { class: 'keys' }, KEYS.map(([key, words]) => [el('dt', {}, key.split('  ').map((each) => el('kbd', {}, each))), el('dd', {}, words)])),
    (box) => button('Close', () => box.close(), { class: 'primary' }));
}

/** `actions` maps a key to what it does. */
export function listen(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isWriting = event.target.matches('input:not([type=checkbox]), textarea, select');
    if (event.key === 'Escape' && isWriting) {
      event.target.blur();
      return;
    }
    if (isWriting) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** Moves the focus to the next or previous entry of the conversation. */
export function move(step) {
  const entries = [...document.querySelectorAll('#thread .entry, #thread [data-waits]')].filter((entry) => entry.checkVisibility());
  if (entries.length === 0) return;
  const inside = document.activeElement?.closest('.entry, [data-waits]');
  const at = entries.indexOf(inside);
  const next = at < 0 ? (step > 0 ? 0 : entries.length - 1) : Math.min(entries.length - 1, Math.max(0, at + step));
  const entry = entries[next];
  (entry.tagName === 'DETAILS' ? entry.firstElementChild : entry).focus();
  entry.scrollIntoView({ block: 'nearest' });
}

/** Presses the button of a card that waits: that which has the focus, or the first. */
export function decide(key) {
  const card = document.activeElement?.closest('[data-waits]') ?? document.querySelector('[data-waits]');
  card?.scrollIntoView({ block: 'nearest' });
  card?.querySelector(`[data-key="${key}"]`)?.click();
}
