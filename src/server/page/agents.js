// The agents that are served, which one is asked, and what of it is other in this conversation: model, instructions, tools.

import { ask, copyButton } from './api.js';
import { button, el, fill } from './dom.js';
import { agentYaml } from './copy.js';

export class Agents extends EventTarget {
  all = [];
  chosen = null;
  keepsTraces = false;
  /** The names of the agents that can be talked with. */
  realtime = [];
  #changes = { model: null, instructions: null, tools: null };
  #select = document.getElementById('agent');
  #panel = document.getElementById('agent-panel');

  constructor() {
    super();
    this.#select.addEventListener('change', () => {
      this.choose(this.#select.value);
      this.dispatchEvent(new Event('chosen'));
    });
  }

  async load() {
    ({ agents: this.all, keeps_traces: this.keepsTraces, realtime: this.realtime } = await ask('GET', 'agents'));
    fill(this.#select, this.all.map((agent) => el('option', { value: agent.name }, agent.name)));
    const known = localStorage.getItem('openai-agents-agent');
    this.choose(this.all.find((agent) => agent.name === known)?.name ?? this.all.find((agent) => agent.name === 'Assistant')?.name ?? this.all[0]?.name);
  }

  choose(name) {
    const agent = this.all.find((agent) => agent.name === name);
    if (!agent || agent === this.chosen) return;
    this.chosen = agent;
    this.#changes = { model: null, instructions: null, tools: null };
    this.#select.value = agent.name;
    localStorage.setItem('openai-agents-agent', agent.name);
    this.#draw();
  }

  /** What of the agent is other, as `POST /run` takes it; nothing if it is as it is served. */
  get overrides() {
    const given = Object.entries(this.#changes).filter(([, value]) => value !== null);
    return given.length > 0 ? Object.fromEntries(given) : undefined;
  }

  #draw() {
    const agent = this.chosen;
    const change = (name, value) => {
      this.#changes[name] = value;
      fill(mark, this.overrides ? ' · changed' : '');
      reset.hidden = !this.overrides;
    };
    const mark = el('span', { class: 'changed' });
    const reset = button('As it is served', () => {
      this.#changes = { model: null, instructions: null, tools: null };
      this.#draw();
    }, { class: 'small', hidden: true });
    const model = el('input', { value: agent.model ?? '', placeholder: 'the configured model', spellcheck: 'false' });
    model.addEventListener('input', () => change('model', model.value.trim() && model.value.trim() !== agent.model ? model.value.trim() : null));
    const instructions = el('textarea', { rows: '5' });
    instructions.value = agent.instructions ?? '';
    instructions.addEventListener('input', () => change('instructions', instructions.value !== (agent.instructions ?? '') ? instructions.value : null));
    const callable = agent.tools.filter((tool) => !tool.error);
    const boxes = callable.map((tool) => {
      const box = el('input', { type: 'checkbox', checked: true });
      box.checked = true;
      box.addEventListener('change', () => {
        const names = callable.filter((_, n) => boxes[n].checked).map((each) => each.name);
        change('tools', names.length === callable.length ? null : names);
      });
      return box;
    });
    const broken = agent.tools.filter((tool) => tool.error);
    fill(this.#panel, el('details', { class: 'panel' },
      el('summary', {}, 'Model, instructions, tools', mark),
      el('label', { class: 'field' }, 'Model', model),
      el('label', { class: 'field' }, 'Instructions', instructions),
      agent.instructions === null && el('p', { class: 'quiet' }, 'They are computed, or there are none; what is written here takes their place.'),
      el('fieldset', {}, el('legend', {}, callable.length > 0 ? 'Tools' : 'No tools'), callable.map((tool, n) => el('label', { class: 'check', title: tool.description }, boxes[n], ` ${tool.name}`))),
      broken.map((tool) => el('p', { class: 'warn' }, `${tool.name}: ${tool.error}`)),
      agent.handoffs.length > 0 && el('p', { class: 'quiet' }, `Hands over to ${agent.handoffs.join(', ')}`),
      el('p', { class: 'quiet' }, 'Changes hold for the messages that you send now, not for others.'),
      el('div', { class: 'actions' }, copyButton('Copy as YAML', () => agentYaml(agent, this.overrides ?? {}), { class: 'small' }), reset)));
  }
}
