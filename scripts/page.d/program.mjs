// The program under test: `serve` in a folder of its own, at a port of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export const CONFIG = `
agents:
  - name: Desk
    instructions: Answer in one sentence.
    tools: [calculator, current_time]
    needs_approval: [calculator]
    handoffs: [Billing]
    agents_as_tools: [Translator]
  - { name: Billing, instructions: You know invoices., handoff_description: Knows invoices., tools: [calculator] }
  - { name: Translator, instructions: Translate into French., tools: [calculator], needs_approval: [calculator] }
  - name: Guarded
    guardrails: { input: [{ name: no secrets, deny: [password] }] }
`;

/** Ends what was started. */
const ends = [];

// A test that failed ends nothing that it started, and with one of its processes alive the tests of its file would never be over.
after(async () => {
  for (const end of ends) await end();
});

/** Starts the program on a model server. */
export async function serve(modelUrl, { config = CONFIG, environment = {}, folder = mkdtempSync(join(tmpdir(), 'page-')), bind = '127.0.0.1:0' } = {}) {
  writeFileSync(join(folder, 'config.yaml'), config);
  const child = spawn(process.env.OPENAI_AGENTS, ['serve', '--bind', bind], {
    cwd: folder,
    env: { HOME: folder, PATH: process.env.PATH, OPENAI_BASE_URL: modelUrl, OPENAI_MODEL: 'scripted', OPENAI_API_KEY: 'sk-secret-0123456789', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  const url = await new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      log += data;
      const found = /serving on (http:\/\/[\w.:[\]-]+): /.exec(log);
      if (found) resolve(found[1]);
    });
    child.on('exit', (code) => reject(new Error(`the program ended with ${code}: ${log}`)));
  });
  const stop = async (signal = 'SIGKILL') => {
    const ended = new Promise((resolve) => { child.on('exit', resolve); });
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await ended;
    }
  };
  const remove = () => rmSync(folder, { recursive: true, force: true });
  ends.push(async () => {
    await stop();
    remove();
  });
  return { url, folder, log: () => log, stop, remove };
}
