// What runs on the thread of the sound: takes 16-bit samples from the microphone, and plays those of an answer.

/** How many samples go at once: 50 ms at 24 kHz. */
const N_SAMPLES = 1200;

class Microphone extends AudioWorkletProcessor {
  #samples = new Int16Array(N_SAMPLES);
  #n = 0;

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.#samples[this.#n] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      this.#n += 1;
      if (this.#n === N_SAMPLES) {
        this.port.postMessage(this.#samples.slice());
        this.#n = 0;
      }
    }
    return true;
  }
}

/** Plays pieces in their order, and knows how much of an answer was played when it is told to stop. */
class Player extends AudioWorkletProcessor {
  #queue = [];
  #at = 0;
  #played = null;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.samples) {
        this.#queue.push(data);
        return;
      }
      // An answer that came whole and was played to its end has nothing that was not heard; of one that still comes there is more.
      const item = this.#queue[0]?.item ?? data.stop;
      const heard = this.#played?.item === item ? this.#played : { item, n_samples: 0 };
      this.port.postMessage({ stopped: item ? heard : null });
      this.#queue = [];
      this.#at = 0;
    };
  }

  process(_, [output]) {
    const channel = output[0];
    for (let n = 0; n < channel.length && this.#queue.length > 0; n += 1) {
      const { item, samples } = this.#queue[0];
      if (this.#played?.item !== item) this.#played = { item, n_samples: 0 };
      channel[n] = samples[this.#at] / 32768;
      this.#at += 1;
      this.#played.n_samples += 1;
      if (this.#at < samples.length) continue;
      this.#queue.shift();
      this.#at = 0;
      if (this.#queue.length === 0) this.port.postMessage({ silent: true });
    }
    return true;
  }
}

registerProcessor('microphone', Microphone);
registerProcessor('player', Player);
