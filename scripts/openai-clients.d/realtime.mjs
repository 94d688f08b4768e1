// What the realtime client of the JavaScript Agents SDK makes of the agent at a URL, as one line of JSON.
// It is copied to where the packages are before it runs, since Node.js looks for them there.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";

const url = process.argv[2];
const agent = new RealtimeAgent({ name: "Anyone", instructions: "Be brief." });
const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
const session = new RealtimeSession(agent, { transport, tracingDisabled: true });

const errors = [];
const kinds = new Set();
let [text, bytes, done] = ["", 0, () => {}];
session.on("error", (event) => errors.push(String(event.error?.message ?? JSON.stringify(event.error))));
transport.on("audio", (event) => (bytes += event.data.byteLength));
transport.on("audio_transcript_delta", (event) => (text += event.delta));
session.on("transport_event", (event) => {
  kinds.add(event.type);
  // An answer that calls a tool shows no output here; the next one has the words.
  if (event.type === "response.done" && event.response.output.length > 0) done();
});

async function turn(act) {
  [text, bytes] = ["", 0];
  const answered = new Promise((resolve, reject) => {
    done = resolve;
    setTimeout(() => reject(new Error("no answer came")), 60_000).unref();
  });
  act();
  await answered;
  return [text, bytes];
}

await session.connect({ apiKey: "none", url });
const told = {
  text: await turn(() => session.sendMessage("hello")),
  tool: await turn(() => session.sendMessage("double")),
  audio: await turn(() => {
    session.sendAudio(new ArrayBuffer(4800));
    session.sendAudio(new ArrayBuffer(0), { commit: true });
    transport.sendEvent({ type: "response.create" });
  }),
};
console.log(JSON.stringify({ ...told, errors, calls: [...kinds].filter((kind) => kind.includes("function_call")) }));
session.close();
process.exit(0);
