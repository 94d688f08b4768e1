// Plays the scripts of tests/fixtures/realtime to the realtime client of the JavaScript SDK, and says where it does something else.
//
//     scripts/openai-clients run -- sh -c '"$OPENAI_CLIENTS_NODE" scripts/openai-clients.d/realtime_scripts.mjs "$OPENAI_CLIENTS_MODULES" [SCRIPT..]'
//
// It stands in for the server, as scripts/python-sdk.d/realtime_scripts.py does, and by the same rules. This SDK takes no report of what was
// played: it goes by its own clock.

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const modules = process.argv[2];
const load = (name) => import(pathToFileURL(createRequire(join(modules, "of.js")).resolve(name)).href);
const { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } = await load("@openai/agents-realtime");
const { default: ws } = await load("ws");
const WebSocketServer = ws.WebSocketServer ?? ws.Server;

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../tests/fixtures/realtime");
const COUNTED = ["response.create", "response.cancel", "conversation.item.truncate", "conversation.item.create", "input_audio_buffer.append"];
const RECEIVED = [...COUNTED, "input_audio_buffer.commit", "input_audio_buffer.clear"];
const PATIENCE = 1500;
const QUIET = 250;

class Differs extends Error {}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function silence(text) {
  const [length, form] = text.slice(1).split(":");
  const [rate, size] = form === undefined ? [24000, 2] : [8000, 1];
  return Buffer.alloc(Math.floor((Number(length.replace("ms", "")) * rate) / 1000) * size);
}

function fillIn(value) {
  if (typeof value === "string" && value.startsWith("$")) return silence(value).toString("base64");
  if (Array.isArray(value)) return value.map(fillIn);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillIn(item)]));
  return value;
}

// What the protocol asks for and our scripts leave out, since nothing there needs it.
function complete(event) {
  event = fillIn(event);
  event.event_id ??= "event_1";
  if (event.type.startsWith("response.") && !("response" in event))
    event = { response_id: "resp_1", output_index: 0, content_index: 0, ...event };
  if (event.type.endsWith("speech_started")) event.audio_start_ms ??= 0;
  if (event.type.endsWith("speech_stopped")) event.audio_end_ms ??= 0;
  if (event.item) Object.assign(event.item, { object: "realtime.item", status: event.item.status ?? "completed" });
  if (event.response) Object.assign(event.response, { object: "realtime.response", output: event.response.output ?? [] });
  return event;
}

function hasFields(value, expected) {
  if (Array.isArray(expected))
    return Array.isArray(value) && value.length === expected.length && expected.every((item, n) => hasFields(value[n], item));
  if (expected !== null && typeof expected === "object")
    return value !== null && typeof value === "object" && Object.entries(expected).every(([key, item]) => hasFields(value[key], item));
  return value === expected;
}

class Stage {
  received = [];
  counted = [];
  ends = new Map();
  approvals = new Map();

  end(call) {
    if (!this.ends.has(call)) {
      let resolve;
      const promise = new Promise((done) => (resolve = done));
      this.ends.set(call, { promise, resolve });
    }
    return this.ends.get(call);
  }

  clerk() {
    const loose = (properties) => ({ type: "object", properties, required: [], additionalProperties: true });
    const make = (name, properties, execute, more) =>
      tool({ name, description: "Does it.", parameters: loose(properties), strict: false, execute, ...more });
    const book = make("book", { seat: { type: "integer" } }, ({ seat }) => this.end(`call_${seat || 1}`).promise);
    const pay = make("pay", { amount: { type: "integer" } }, ({ amount }) => `paid ${amount}`, { needsApproval: true });
    const fail = make("fail", {}, () => {
      throw new Error("broken");
    });
    const billing = new RealtimeAgent({ name: "Billing", instructions: "Bills." });
    return new RealtimeAgent({ name: "Clerk", instructions: "Sells seats.", tools: [book, pay, fail], handoffs: [billing] });
  }

  async expect(expected) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const event = this.received.shift();
      if (event === undefined) {
        if (Date.now() > deadline) throw new Differs(`does not send ${JSON.stringify(expected).slice(0, 110)}`);
        await sleep(10);
      } else if (hasFields(event, expected)) return;
      else this.counted.push(event);
    }
  }

  async rest() {
    await sleep(QUIET);
    this.counted.push(...this.received);
    if (this.counted.length > 0) {
      const shown = this.counted.slice(0, 3).map((event) => JSON.stringify(event).slice(0, 90));
      throw new Differs(`sends beside it: ${shown.join(", ")}`);
    }
  }

  async line(line, session, peer) {
    const [word, first = ""] = line.split(" ");
    const rest = line.slice(word.length + 1);
    const behind = rest.slice(first.length + 1);
    if (word === "<-") {
      peer.send(JSON.stringify(complete(JSON.parse(rest))));
      await sleep(20);
    } else if (word === "->") {
      const expected = fillIn(JSON.parse(rest));
      if (expected.type !== "session.update") await this.expect(expected);
    } else if (word === "played") throw new Differs("takes no report of what was played");
    else if (word === "tool") {
      this.end(first).resolve(behind.replace(/^gives /, ""));
      await sleep(20);
    } else if (word === "user") await this.user(first, behind, session);
    else if (word === "close") peer.close(Number(first), behind);
  }

  async user(action, behind, session) {
    if (action === "text") session.sendMessage(behind);
    else if (action === "audio") {
      const audio = behind.endsWith("bytes") ? Buffer.alloc(Number(behind.split(" ")[0])) : silence(`$${behind}`);
      session.sendAudio(new Uint8Array(audio).buffer);
    } else if (action === "interrupt") session.interrupt();
    else if (action === "commit") session.sendAudio(new ArrayBuffer(0), { commit: true });
    else if (action === "approve" || action === "reject") {
      const item = this.approvals.get(behind.split(" ")[0]);
      if (item === undefined) throw new Differs("asks for no approval");
      await (action === "approve" ? session.approve(item) : session.reject(item));
    } else throw new Differs(`has no way to \`${action}\``);
  }
}

async function play(text) {
  const lines = text
    .split("\n")
    .map((line) => line.trim().replace(/^at \d+ms ?/, ""))
    .filter((line) => line !== "" && !line.startsWith("#"));
  const stage = new Stage();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const connected = new Promise((resolve) => server.once("connection", resolve));
  server.on("connection", (peer) =>
    peer.on("message", (message) => {
      const event = JSON.parse(message.toString());
      if (RECEIVED.includes(event.type)) stage.received.push(event);
    }),
  );
  const url = `ws://127.0.0.1:${server.address().port}/v1/realtime`;
  const format = lines[0].startsWith("session") && lines[0].includes("pcmu") ? { type: "audio/pcmu" } : { type: "audio/pcm", rate: 24000 };
  const noSecrets = {
    name: "no secrets",
    execute: async ({ agentOutput }) => ({ tripwireTriggered: agentOutput.includes("secret"), outputInfo: "a secret" }),
  };
  const session = new RealtimeSession(stage.clerk(), {
    transport: new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true }),
    outputGuardrails: [noSecrets],
    tracingDisabled: true,
    config: { audio: { input: { format }, output: { format } } },
  });
  session.on("error", () => {});
  session.on("tool_approval_requested", (_context, _agent, request) => {
    const item = request.approvalItem ?? request;
    stage.approvals.set(item.rawItem?.callId ?? item.rawItem?.call_id, item);
  });
  try {
    const connecting = session.connect({ apiKey: "none", url });
    const peer = await Promise.race([connected, sleep(PATIENCE).then(() => Promise.reject(new Differs("does not connect")))]);
    peer.send(JSON.stringify({ type: "session.created", event_id: "event_0", session: { type: "realtime", id: "sess_1" } }));
    await Promise.race([connecting, sleep(PATIENCE)]);
    for (const line of lines) await stage.line(line, session, peer);
    await stage.rest();
  } finally {
    session.close();
    server.clients.forEach((client) => client.terminate());
    server.close();
  }
}

function dependsOnClock(text) {
  return !/^(at \d+ms )?played /m.test(text) && text.includes("\nat ") && /truncate|assistant/.test(text);
}

process.on("unhandledRejection", () => {});
const named = process.argv.slice(3).map((name) => `${name}.script`);
const names = named.length > 0 ? named : readdirSync(FOLDER).filter((name) => name.endsWith(".script")).sort();
let [nSame, nOther] = [0, 0];
for (const name of names) {
  const text = readFileSync(join(FOLDER, name), "utf8");
  const stem = name.replace(".script", "");
  if (dependsOnClock(text)) {
    console.log(`clock   ${stem}`);
    continue;
  }
  try {
    await Promise.race([play(text), sleep(30_000).then(() => Promise.reject(new Differs("does not end")))]);
    nSame += 1;
    console.log(`same    ${stem}`);
  } catch (error) {
    nOther += 1;
    const words = error instanceof Differs ? error.message : `${error.name}: ${error.message}`;
    console.log(`differs ${stem}: ${words}`);
  }
}
console.log(`${nSame} the same, ${nOther} different`);
process.exit(0);
