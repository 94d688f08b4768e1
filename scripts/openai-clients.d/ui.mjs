// What the clients of user interfaces make of the agents at a URL, as one line of JSON: @ag-ui/client, which checks the order of events itself,
// and the transport of `useChat` of the Vercel AI SDK.
// It is copied to where the packages are before it runs, since Node.js looks for them there.

import { HttpAgent } from "@ag-ui/client";
import { DefaultChatTransport, readUIMessageStream } from "ai";

const base = process.argv[2].replace(/\/v1$/, "");
let made = 0;
const newId = () => `id-${(made += 1)}`;

async function agUi(agent) {
  const client = new HttpAgent({ url: `${base}/agui/${agent}`, threadId: `thread-${newId()}` });
  return { client, ask: (text) => client.addMessage({ id: newId(), role: "user", content: text }) };
}

function kinds(client) {
  return client.messages.map((message) => [message.role, message.toolCalls?.map((call) => [call.function.name, call.function.arguments]) ?? message.content]);
}

async function throughAgUi() {
  const guide = await agUi("Guide");
  guide.ask("double");
  const { result } = await guide.client.runAgent();
  guide.ask("how long");
  const following = await guide.client.runAgent();
  const careful = await agUi("Careful");
  careful.ask("double");
  let interrupts = [];
  await careful.client.runAgent({}, { onRunFinishedEvent: ({ event }) => { interrupts = event.outcome?.interrupts ?? []; } });
  const resume = interrupts.map(({ id }) => ({ interruptId: id, status: "resolved", payload: { approved: true } }));
  const resumed = await careful.client.runAgent({ resume });
  const failing = await agUi("Guide");
  failing.ask("fail");
  let failed = null;
  await failing.client.runAgent({}, { onRunErrorEvent: ({ event }) => { failed = event.code; } }).catch((error) => { failed ??= error.message; });
  return { result, following: following.result, messages: kinds(guide.client), n_interrupts: interrupts.length, resumed: resumed.result, after: kinds(careful.client), failed };
}

/** Sends messages as `useChat` does, and gives the message of the assistant as it is in the end. */
async function send(transport, chatId, messages, trigger = "submit-message") {
  const stream = await transport.sendMessages({ chatId, messages, trigger, messageId: undefined, abortSignal: undefined });
  const last = messages.at(-1);
  const errors = [];
  let message = null;
  for await (const each of readUIMessageStream({ stream, message: last.role === "assistant" ? last : undefined, onError: (error) => errors.push(error.message ?? String(error)) })) message = each;
  return { message, errors };
}

const shown = (message) => message.parts.map((part) => (part.type === "text" ? part.text : part.type === "dynamic-tool" ? [part.toolName, part.state, part.input, part.output ?? null] : part.type));
const user = (text) => ({ id: newId(), role: "user", parts: [{ type: "text", text }] });

async function throughUseChat() {
  const guide = new DefaultChatTransport({ api: `${base}/ui/Guide` });
  const double = await send(guide, "chat-1", [user("double")]);
  const careful = new DefaultChatTransport({ api: `${base}/ui/Careful` });
  const asked = user("double");
  const waiting = await send(careful, "chat-2", [asked]);
  const waits = shown(waiting.message);
  const answered = (approved) => ({
    ...waiting.message,
    parts: waiting.message.parts.map((part) => (part.state === "approval-requested" ? { ...part, state: "approval-responded", approval: { ...part.approval, approved } } : part)),
  });
  const approved = await send(careful, "chat-2", [asked, answered(true)]);
  const failed = await send(guide, "chat-3", [user("fail")]);
  return { double: shown(double.message), waits, approved: shown(approved.message), is_same: approved.message.id === waiting.message.id, failed: failed.errors };
}

console.log(JSON.stringify({ ag_ui: await throughAgUi(), use_chat: await throughUseChat() }));
