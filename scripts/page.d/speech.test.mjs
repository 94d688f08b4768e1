// A conversation by voice in the page: Chromium hears a file in the place of a microphone, the realtime server is scripted.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { launch, serious } from './browser.mjs';
import * as scripted from './model.mjs';
import { serve } from './program.mjs';
import { ANSWER_MS, SAID, start } from './realtime.mjs';

const folder = mkdtempSync(join(tmpdir(), 'speech-'));
let model;
let realtime;
let program;
let browser;

before(async () => {
  model = await scripted.start();
  realtime = await start();
  const config = `realtime: { model: scripted, url: "${realtime.url}" }\n`;
  program = await serve(model.url, { config });
  writeFileSync(join(folder, 'tone.wav'), tone());
  const args = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${join(folder, 'tone.wav')}`];
  browser = await launch({ args, permissions: ['microphone'] });
});
after(async () => {
  await browser?.close();
  await program?.stop();
  await realtime?.stop();
  await model?.stop();
  program?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A second of a tone of 440 Hz, as a WAV file. */
function tone() {
  const rate = 48_000;
  const file = Buffer.alloc(44 + rate * 2);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + rate * 2, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(rate * 2, 40);
  for (let n = 0; n < rate; n += 1) file.writeInt16LE(Math.round(12_000 * Math.sin((2 * Math.PI * 440 * n) / rate)), 44 + n * 2);
  return file;
}

/** Waits for an event that the server is sent. */
async function sent(page, type, item_id) {
  for (;;) {
    const found = realtime.events.find((event) => event.type === type && event.item_id === item_id);
    if (found) return found;
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(resolve); }));
  }
}

const speech = (page, state) => page.locator(`body[data-speech="${state}"]`).waitFor();

test('microphone_is_heard_the_answer_played_and_stopped_at_what_was_played', { timeout: 180_000 }, async () => {
  const page = await browser.open(program.url);
  await page.locator('.greeting').waitFor();
  await page.locator('#talk').click();
  await speech(page, 'speaking');
  const texts = page.locator('#thread .spoken');
  await texts.getByText('Two invoices are due.').waitFor();
  assert.deepEqual((await texts.allInnerTexts()).map((text) => text.trim()), [`You:\n${SAID}`, 'Two invoices are due.']);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('#thread b, #thread a').count(), 0);
  assert.deepEqual(await serious(page), []);

  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  const first = await sent(page, 'conversation.item.truncate', 'answer_1');
  assert.ok(first.audio_end_ms > 0 && first.audio_end_ms < ANSWER_MS, JSON.stringify(first));
  await speech(page, 'listening');

  // The user speaks while an answer comes.
  realtime.answer('answer_2');
  await speech(page, 'speaking');
  realtime.speechStarted();
  const second = await sent(page, 'conversation.item.truncate', 'answer_2');
  assert.ok(second.audio_end_ms < ANSWER_MS, JSON.stringify(second));
  await speech(page, 'listening');

  await page.locator('#talk').click();
  await speech(page, 'off');
  // What came is the file: 440 Hz cross zero 880 times a second, wherever the file begins anew.
  const heard = realtime.heard.slice(2400, 12_000);
  const n_crossings = heard.filter((sample, n) => n > 0 && sample >= 0 !== heard[n - 1] >= 0).length;
  assert.ok(Math.abs(n_crossings / 0.4 - 880) < 60, `${n_crossings} crossings in 0.4 s`);
  assert.deepEqual({ errors: page.errors, foreign: page.foreign }, { errors: [], foreign: [] });
  await page.context().close();
});
