// Numbers, times and short forms, written for people.

const numbers = new Intl.NumberFormat('en');

export const count = (n) => numbers.format(n ?? 0);

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return '';
  if (milliseconds < 1) return '< 1 ms';
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function bytes(n) {
  if (n < 1000) return plural(n, 'byte');
  if (n < 1_000_000) return `${(n / 1000).toFixed(1)} kB`;
  return `${(n / 1_000_000).toFixed(1)} MB`;
}

/** The time, and the day if it is not today. */
export function clock(date) {
  const isToday = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(undefined, { ...(!isToday && { dateStyle: 'short' }), timeStyle: 'medium' }).format(date);
}

/** The beginning of a text, in one line. */
export function short(text, max = 80) {
  const line = String(text ?? '').replace(/\s+/g, ' ').trim();
  const chars = [...line.slice(0, max * 2)];
  return chars.length > max ? `${chars.slice(0, max).join('')}…` : line;
}

/** Arguments of a call in one line: JSON without spaces, as far as it fits. */
export function shortArguments(text, max = 72) {
  try {
    const value = JSON.parse(text || '{}');
    return Object.keys(value).length === 0 ? '' : short(JSON.stringify(value), max);
  } catch {
    return short(text, max);
  }
}

/** `1,204 tokens`, and what of them was cached, written to the cache, or reasoning. */
export function usage(usage) {
  // Of a request that was stopped nobody says what it took.
  if (!usage || (usage.total_tokens === 0 && !usage.requests)) return '';
  const parts = [];
  if (usage.cached_tokens) parts.push(`${count(usage.cached_tokens)} cached`);
  if (usage.cache_write_tokens) parts.push(`${count(usage.cache_write_tokens)} written to the cache`);
  if (usage.reasoning_tokens) parts.push(`${count(usage.reasoning_tokens)} reasoning`);
  const total = `${plural(usage.total_tokens, 'token')}${parts.length ? ` (${parts.join(', ')})` : ''}`;
  const unknown = usage.requests_without_usage ? `, ${plural(usage.requests_without_usage, 'answer')} without a count` : '';
  return [total + unknown, cost(usage)].filter(Boolean).join(', ');
}

/** `cost 0.0021`, an exact decimal text in the currency of the prices; nothing where no price is known. */
export function cost(usage) {
  if (!usage?.cost) return '';
  const unpriced = (usage.requests ?? 0) - (usage.priced_requests ?? 0);
  return `cost ${usage.cost}${unpriced > 0 ? ` and ${plural(unpriced, 'request')} without a price` : ''}`;
}
