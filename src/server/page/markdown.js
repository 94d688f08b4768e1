// A small subset of Markdown as elements: headings, paragraphs, lists, tables, code, quotes, emphasis, links. No HTML: it stays text.

import { add, el } from './dom.js';

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^\s{0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const QUOTE = /^\s{0,3}>\s?(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** Gives the elements of a text. */
export function markdown(text) {
  return blocks(String(text).replace(/\r\n?/g, '\n').split('\n'), 0);
}

/** Where a text can be cut so that what stands before will not change: behind an empty line outside of code. */
export function stableLength(text) {
  let stable = 0;
  let at = 0;
  let fence = null;
  let inList = false;
  for (const line of text.split('\n')) {
    const found = FENCE.exec(line);
    if (fence) {
      if (found && line.trim().startsWith(fence)) fence = null;
    } else if (found) fence = found[1];
    if (ITEM.test(line)) inList = true;
    else if (line.trim() && !/^\s/.test(line)) inList = false;
    at += line.length + 1;
    if (!fence && !inList && line.trim() === '' && at <= text.length) stable = at;
  }
  return stable;
}

/** Lists and quotes in one another are drawn so deep; what is deeper is text. */
const MAX_DEPTH = 8;

function blocks(lines, depth) {
  const made = [];
  for (let n = 0; n < lines.length; ) {
    const line = lines[n];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (!line.trim()) {
      n += 1;
    } else if (fence) {
      const end = lines.findIndex((other, at) => at > n && other.trim().startsWith(fence[1]) && /^\s*[`~]+\s*$/.test(other));
      const stop = end < 0 ? lines.length : end;
      made.push(el('pre', { tabindex: '0' }, el('code', { 'data-language': fence[2] || null }, lines.slice(n + 1, stop).join('\n'))));
      n = stop + 1;
    } else if (heading) {
      // The page has headings of its own above.
      made.push(el(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2])));
      n += 1;
    } else if (RULE.test(line)) {
      made.push(el('hr'));
      n += 1;
    } else if (QUOTE.test(line) && depth < MAX_DEPTH) {
      const inside = [];
      for (; n < lines.length && QUOTE.test(lines[n]); n += 1) inside.push(QUOTE.exec(lines[n])[1]);
      made.push(el('blockquote', {}, blocks(inside, depth + 1)));
    } else if (ITEM.test(line) && depth < MAX_DEPTH) {
      const [list, next] = listAt(lines, n, depth);
      made.push(list);
      n = next;
    } else if (line.includes('|') && TABLE_RULE.test(lines[n + 1] ?? '') && (lines[n + 1] ?? '').includes('-')) {
      const [table, next] = tableAt(lines, n);
      made.push(table);
      n = next;
    } else {
      const inside = [];
      do {
        inside.push(lines[n]);
        n += 1;
      } while (n < lines.length && lines[n].trim() && !startsBlock(lines[n]));
      made.push(el('p', {}, inline(inside.join('\n'))));
    }
  }
  return made;
}

const startsBlock = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

function listAt(lines, start, depth) {
  const first = ITEM.exec(lines[start]);
  const indent = first[1].length;
  const isOrdered = first[3] !== undefined;
  const list = el(isOrdered ? 'ol' : 'ul', { start: isOrdered && first[3] !== '1' ? first[3] : null });
  let n = start;
  while (n < lines.length) {
    const item = ITEM.exec(lines[n]);
    if (!item || item[1].length !== indent || (item[3] !== undefined) !== isOrdered) break;
    const inside = [item[4]];
    n += 1;
    while (n < lines.length) {
      const line = lines[n];
      const isDeeper = /^\s/.test(line) && line.search(/\S/) > indent;
      const isEmptyInside = !line.trim() && (lines[n + 1] ?? '').search(/\S/) > indent;
      if (!isDeeper && !isEmptyInside && (ITEM.test(line) || !line.trim() || startsBlock(line))) break;
      inside.push(line.slice(Math.min(Math.max(line.search(/\S/), 0), indent + 2)));
      n += 1;
    }
    const content = blocks(inside, depth + 1);
    // A line of text is not a paragraph of its own in a list.
    const isPlain = content[0]?.tagName === 'P';
    list.append(add(el('li'), isPlain ? [...content[0].childNodes] : content[0], content.slice(1)));
    if (!lines[n]?.trim() && ITEM.exec(lines[n + 1] ?? '')?.[1].length === indent) n += 1;
  }
  return [list, n];
}

function tableAt(lines, start) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
  const head = cells(lines[start]);
  const body = el('tbody');
  let n = start + 2;
  for (; n < lines.length && lines[n].includes('|') && lines[n].trim(); n += 1) {
    const row = cells(lines[n]);
    body.append(el('tr', {}, head.map((_, at) => el('td', {}, inline(row[at] ?? '')))));
  }
  const table = el('table', {}, el('thead', {}, el('tr', {}, head.map((cell) => el('th', {}, inline(cell))))), body);
  return [el('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Table' }, table), n];
}

/** What can stand inside a line, the first that fits. */
const INLINE = [
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, (found) => [el('code', {}, found[2].trim())]],
  [/^!?\[((?:[^\[\]\\]|\\.)*)\]\(\s*<?([^\s()<>]+(?:\([^\s()]*\))?[^\s()<>]*)>?(?:\s+"[^"]*")?\s*\)/, link],
  [/^<(https?:\/\/[^\s<>]+)>/, (found) => link([found[0], found[1], found[1]])],
  [/^(\*\*|__)(?=\S)([\s\S]*?\S)\1/, (found) => [el('strong', {}, inline(found[2]))]],
  [/^([*_])(?=\S)((?:(?!\1)[\s\S])*?\S)\1(?![\w*])/, (found) => [el('em', {}, inline(found[2]))]],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (found) => [el('del', {}, inline(found[1]))]],
  [/^\\([\\`*_{}\[\]()#+\-.!|~<>])/, (found) => [found[1]]],
  [/^https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]*_]/, (found) => link([found[0], found[0], found[0]])],
  [/^ {2,}\n/, () => [el('br')]],
];
const STARTS = /[`!\[<*_~\\]|https?:\/\/| {2,}\n/g;

/** A text longer than this in one paragraph is left as it is: marks are looked for at each of its places. */
const MAX_INLINE = 20_000;

function inline(text) {
  if (text.length > MAX_INLINE) return [text];
  const made = [];
  let plain = '';
  for (let at = 0; at < text.length; ) {
    STARTS.lastIndex = at;
    const start = STARTS.exec(text)?.index ?? text.length;
    plain += text.slice(at, start);
    at = start;
    if (at >= text.length) break;
    const rest = text.slice(at);
    const isInWord = /\w$/.test(plain) && rest.startsWith('_');
    const rule = isInWord ? undefined : INLINE.find(([pattern]) => pattern.test(rest));
    if (!rule) {
      plain += text[at];
      at += 1;
      continue;
    }
    const found = rule[0].exec(rest);
    if (plain) made.push(plain);
    plain = '';
    made.push(...rule[1](found));
    at += found[0].length;
  }
  if (plain) made.push(plain);
  return made;
}

/** A link, if it leads to a page or to mail; anything else, such as `javascript:`, stays the text that it is. */
function link([whole, label, target]) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return [whole];
  }
  if (!['http:', 'https:', 'mailto:'].includes(url.protocol)) return [whole];
  // A picture at a foreign address is not loaded: it would tell that address who reads.
  const words = whole.startsWith('!') ? `picture: ${label || target}` : label || target;
  const isSame = words === target;
  return [el('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow', title: isSame ? null : url.href }, isSame || words.startsWith('picture') ? words : inline(words))];
}
