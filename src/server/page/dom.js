// Makes elements. Whatever others wrote becomes a text node, never HTML.

/** Control characters and marks that turn the direction of writing, which could hide or fake what stands there. */
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Gives a text in which nothing is invisible that changes how the rest is read. */
export function visible(text) {
  return String(text).replace(HIDDEN, (char) => {
    return `⟨U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/**
 * Makes an element: `el('p', {class: 'quiet', onclick: f}, 'text', child)`.
 * A property that begins with `on` is a listener; one that is `null`, `undefined` or `false` is left out.
 */
export function el(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'value') element.value = value;
    else element.setAttribute(key, value === true ? '' : visible(value));
  }
  add(element, ...children);
  return element;
}

export function add(element, ...children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
  return element;
}

/** Puts children in the place of all that an element has. */
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, ...children);
}

export function button(label, onclick, properties) {
  return el('button', { type: 'button', onclick, ...properties }, label);
}

/** Shows a dialog, and gives what it was closed with. */
export function dialog(title, content, actions) {
  return new Promise((resolve) => {
    const box = el('dialog', { 'aria-label': title });
    const form = el('form', { method: 'dialog' }, el('h2', {}, title), content, el('div', { class: 'actions' }, actions(box)));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      box.close(event.submitter?.value ?? '');
    });
    box.append(form);
    box.addEventListener('close', () => {
      box.remove();
      resolve(box.returnValue);
    });
    document.body.append(box);
    box.showModal();
  });
}
