// Requests to this server: with the token, if one is needed, and errors in the server's own words.

import { button, dialog, el } from './dom.js';

const KEY = 'openai-agents-token';
const base = new URL('.', document.baseURI.split('#')[0]);

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The server cannot be reached at all. */
export class NotReached extends Error {}

export const address = (path) => new URL(path, base).href;

/** How a WebSocket brings the token: a browser lets it bring no header. */
export function tokenProtocols() {
  const token = sessionStorage.getItem(KEY);
  return token ? [`openai-insecure-api-key.${token}`] : [];
}

/** Asks for JSON. */
export async function ask(method, path, body) {
  const response = await send(method, path, {}, body);
  return response.json();
}

/** Gives a response whose body is read as it comes. */
export async function send(method, path, headers = {}, body = undefined, signal = undefined) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const all = { ...headers };
    if (token) all.authorization = `Bearer ${token}`;
    if (body !== undefined) all['content-type'] = 'application/json';
    let response;
    try {
      response = await fetch(address(path), { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: 'no-store' });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new NotReached('the server cannot be reached');
    }
    if (response.status === 401) {
      await askForToken(Boolean(token));
      continue;
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

async function errorOf(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return new ApiError(response.status, error.code, error.message);
  } catch {
    return new ApiError(response.status, 'unknown', text.slice(0, 500) || response.statusText);
  }
}

let asking = null;

/** Asks for the token, once for all requests that need it. It is kept until the tab is closed. */
function askForToken(wasWrong) {
  asking ??= (async () => {
    const input = el('input', { type: 'password', name: 'token', required: true, autocomplete: 'off', 'aria-label': 'Token' });
    const words = wasWrong ? 'The server does not take this token.' : 'This server asks for a token: the value of server.token in its configuration.';
    const content = el('div', {}, el('p', { role: wasWrong ? 'alert' : null }, words), input);
    const closed = dialog('Token', content, () => [el('button', { type: 'submit', class: 'primary' }, 'Connect')]);
    await closed;
    sessionStorage.setItem(KEY, input.value.trim());
    asking = null;
  })();
  return asking;
}

/** A button that copies a text, and says that it did. */
export function copyButton(label, text, properties) {
  const made = button(label, async () => {
    await navigator.clipboard.writeText(await text());
    made.textContent = 'Copied';
    setTimeout(() => { made.textContent = label; }, 1500);
  }, properties);
  return made;
}
