// Values of others: JSON laid out, long texts cut with what is left, pictures and sounds shown. Base64 is never shown as text.

import { add, button, el, fill } from './dom.js';
import { bytes, plural } from './format.js';

/** How many characters are shown before somebody asks for more. */
const MAX_CHARS = 2000;
const BASE64 = /^[A-Za-z0-9+/_-]{200,}={0,2}$/;
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w=.+-]+)*(;base64)?,/;

/** Shows a text, which may be JSON. */
export function showText(text, label) {
  const json = parsed(text);
  return json === undefined ? showString(text, label) : showValue(json, label);
}

/** Shows a value of JSON. */
export function showValue(value, label) {
  if (typeof value === 'string') return showString(value, label);
  const media = [];
  const shown = JSON.stringify(value, (_, inner) => {
    const found = typeof inner === 'string' ? mediaOf(inner) : null;
    if (!found) return inner;
    media.push(found);
    return `‹${found.words}›`;
  }, 2);
  return el('div', { class: 'value' }, pre(shown, label), media.map(showMedia));
}

function showString(text, label) {
  const media = mediaOf(text);
  return el('div', { class: 'value' }, media ? showMedia(media) : pre(text, label));
}

function parsed(text) {
  if (!/^\s*[[{"]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const pre = (text, label) => cut(el('pre', { tabindex: '0', role: 'group', 'aria-label': label ?? 'Value' }), text);

/** Puts a text into an element, and behind it a button for what is too much of it. */
export function cut(element, text) {
  if (text.length <= MAX_CHARS * 1.2) return add(element, text);
  const rest = el('div', { class: 'cut' });
  let n_shown = MAX_CHARS;
  const more = (upTo) => {
    n_shown = upTo;
    fill(element, text.slice(0, n_shown));
    rest.replaceChildren();
    const left = text.length - n_shown;
    if (left <= 0) return;
    const next = Math.min(left, 200_000);
    add(rest, el('span', { class: 'quiet' }, `${plural(left, 'more character')} `),
      button(next === left ? 'Show all' : `Show ${plural(next, 'more')}`, () => more(n_shown + next), { class: 'small' }),
      button('Save', () => save(text, 'value.txt', 'text/plain'), { class: 'small' }));
  };
  more(MAX_CHARS);
  return el('div', {}, element, rest);
}

function mediaOf(text) {
  if (text.startsWith('data:')) {
    const found = DATA_URL.exec(text.slice(0, 300));
    if (!found) return null;
    const type = found[1] ?? 'text/plain';
    const n = Math.floor((text.length - found[0].length) * (found[2] ? 0.75 : 1));
    return { url: text, type, words: `${type}, ${bytes(n)}` };
  }
  if (text.length >= 200 && BASE64.test(text)) {
    const type = guess(text);
    return { url: `data:${type};base64,${text.replaceAll('-', '+').replaceAll('_', '/')}`, type, words: `${type === 'application/octet-stream' ? 'base64' : type}, ${bytes(Math.floor(text.length * 0.75))}` };
  }
  return null;
}

/** What bytes are, by how their base64 begins. */
function guess(text) {
  const begins = [['iVBORw0KGgo', 'image/png'], ['/9j/', 'image/jpeg'], ['R0lGOD', 'image/gif'], ['UklGR', 'audio/wav'], ['SUQz', 'audio/mpeg'], ['T2dnUw', 'audio/ogg']];
  return begins.find(([start]) => text.startsWith(start))?.[1] ?? 'application/octet-stream';
}

export function showMedia({ url, type, words }) {
  // No SVG: it may hold scripts, though an img element would not run them.
  if (/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(type)) return el('figure', {}, el('img', { src: url, alt: `Picture: ${words}`, loading: 'lazy' }), el('figcaption', { class: 'quiet' }, words));
  if (/^audio\//.test(type)) return el('figure', {}, el('audio', { src: url, controls: true }), el('figcaption', { class: 'quiet' }, words));
  return el('p', { class: 'media' }, `${words} `, button('Save', async () => save(await (await fetch(url)).blob(), 'file', type), { class: 'small' }));
}

/** A text in which pictures and other bytes are only counted. */
export function withoutBase64(text) {
  return text.replace(/data:[\w/.+-]*;base64,[A-Za-z0-9+/_=-]*|[A-Za-z0-9+/_-]{400,}={0,2}/g, (found) => `‹${bytes(Math.floor(found.length * 0.75))} of base64›`);
}

/** Lets the browser save something as a file. */
export function save(content, name, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
