// Where a message is written: text, pasted pictures and files; send, queue, stop.

import { add, button, el, fill } from './dom.js';
import { bytes } from './format.js';
import { Speech, canHear } from './speech.js';

/** The server takes 32 MiB by default, and base64 takes a third more than the bytes. */
const MAX_BYTES = 20_000_000;

export class Composer {
  #chat;
  #agents;
  #text = el('textarea', { id: 'composer', rows: '1', 'aria-label': 'Message', placeholder: 'Ask …', autocomplete: 'off' });
  #attached = [];
  #strip = el('div', { class: 'attached' });
  #problem = el('p', { class: 'problem', role: 'alert' });
  #send = button('Send', () => this.submit(), { class: 'primary', title: 'Enter' });
  #stop = button('Stop', () => this.#act(() => this.stop()), { class: 'stop', title: 's' });
  #stopLater = button('Stop after this turn', () => this.#act(() => this.#chat.stop('after_turn')), { class: 'quiet-button' });
  #giveUp = button('Give up this run', () => this.#act(() => this.#chat.stop('now')), { class: 'quiet-button' });
  #note = el('span', { class: 'quiet' });
  #speech = new Speech();
  #talk = button('Talk', () => this.#toggleTalk(), { class: 'quiet-button', id: 'talk', hidden: true });

  constructor(chat, agents) {
    this.#chat = chat;
    this.#agents = agents;
    const pick = el('input', { type: 'file', multiple: true, hidden: true, 'aria-label': 'Files' });
    pick.addEventListener('change', () => {
      this.#take(pick.files);
      pick.value = '';
    });
    const row = el('div', { class: 'row' },
      button('Attach', () => pick.click(), { class: 'quiet-button' }), pick, this.#talk, this.#note, el('span', { class: 'spring' }), this.#stopLater, this.#giveUp, this.#stop, this.#send);
    add(fill(document.getElementById('composer-area')), this.#problem, el('div', { class: 'composer' }, this.#strip, this.#text, row));
    this.#text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.#text.addEventListener('input', () => this.#grow());
    this.#text.addEventListener('paste', (event) => {
      if (event.clipboardData.files.length === 0) return;
      event.preventDefault();
      this.#take(event.clipboardData.files);
    });
    const main = document.getElementById('chat');
    main.addEventListener('dragover', (event) => event.preventDefault());
    main.addEventListener('drop', (event) => {
      event.preventDefault();
      this.#take(event.dataTransfer.files);
    });
    chat.addEventListener('status', () => this.#show());
    // What is said belongs to the conversation that is open.
    chat.addEventListener('reset', () => this.#speech.stop());
    this.#speech.addEventListener('state', () => this.#show());
    this.#talk.hidden = agents.realtime.length === 0 || !canHear();
    this.#show();
  }

  /** Stops what goes on: the answer that is spoken, or else the run. */
  async stop() {
    if (this.#speech.state === 'speaking') this.#speech.interrupt();
    else if (this.#chat.status === 'running') await this.#chat.stop('now');
  }

  #toggleTalk() {
    if (this.#speech.state === 'off') this.#speech.start(this.#agents.realtime[0]);
    else this.#speech.stop();
  }

  focus() {
    this.#text.focus();
  }

  async submit() {
    const text = this.#text.value.trim();
    if ((!text && this.#attached.length === 0) || this.#send.disabled) return;
    const parts = this.#attached.map((file) => file.part);
    const content = parts.length > 0 ? [...(text ? [{ type: 'input_text', text }] : []), ...parts] : text;
    const attached = this.#attached;
    this.#text.value = '';
    this.#attached = [];
    this.#drawStrip();
    this.#grow();
    fill(this.#problem);
    try {
      await this.#chat.send(content, this.#agents.overrides);
    } catch (error) {
      // What was written is not lost.
      if (!this.#text.value) this.#text.value = text;
      this.#attached = attached;
      this.#drawStrip();
      this.#grow();
      add(fill(this.#problem), error.message);
    }
  }

  async #act(act) {
    fill(this.#problem);
    try {
      await act();
    } catch (error) {
      add(this.#problem, error.message);
    }
  }

  #show() {
    const { status } = this.#chat;
    const isRunning = status === 'running';
    const waits = status === 'approval_required';
    const speech = this.#speech.state;
    this.#stop.hidden = !isRunning && speech !== 'speaking';
    fill(this.#talk, speech === 'off' ? 'Talk' : 'End talk');
    this.#talk.setAttribute('aria-pressed', String(speech !== 'off'));
    document.body.dataset.speech = speech;
    this.#stopLater.hidden = !isRunning;
    this.#giveUp.hidden = !waits;
    fill(this.#send, isRunning ? 'Queue' : 'Send');
    this.#send.disabled = waits || !this.#agents.chosen;
    this.#text.placeholder = waits ? 'A call waits for you above' : isRunning ? 'Queue a message …' : `Ask ${this.#agents.chosen?.name ?? ''} …`;
    const words = { off: '', connecting: 'Connecting …', listening: 'Listening …', speaking: 'Speaking …' }[speech];
    fill(this.#note, waits ? 'Decide about the call, or give up the run.' : words);
  }

  #grow() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + 2, 240)}px`;
  }

  async #take(files) {
    fill(this.#problem);
    for (const file of files) {
      if (file.size > MAX_BYTES) {
        add(this.#problem, `${file.name} has ${bytes(file.size)}; at most ${bytes(MAX_BYTES)} can be sent. `);
        continue;
      }
      const url = await dataUrl(file);
      const isPicture = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
      const part = isPicture ? { type: 'input_image', image_url: url, detail: 'auto' } : { type: 'input_file', filename: file.name || 'file', file_data: url };
      this.#attached.push({ name: file.name || 'picture', size: file.size, url: isPicture ? url : null, part });
    }
    this.#drawStrip();
  }

  #drawStrip() {
    fill(this.#strip, this.#attached.map((file, n) => el('span', { class: 'chip' },
      file.url ? el('img', { src: file.url, alt: `Picture: ${file.name}` }) : `${file.name} `, el('span', { class: 'quiet' }, bytes(file.size)),
      button('×', () => {
        this.#attached.splice(n, 1);
        this.#drawStrip();
      }, { class: 'small', 'aria-label': `Take ${file.name} away` }))));
  }
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
