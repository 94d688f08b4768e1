// What OpenAI's Node.js client and the Vercel AI SDK make of the agents at a URL, as one line of JSON.
// It is copied to where the packages are before it runs, since Node.js looks for them there.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText } from "ai";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const City = z.object({ city: z.string(), population: z.number() });
const baseURL = process.argv[2];

async function refused(ask) {
  try {
    await ask();
  } catch (error) {
    return [error.constructor.name, error.code ?? error.data?.error?.code ?? null, error.status ?? error.statusCode ?? null];
  }
  return null;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function official() {
  const client = new OpenAI({ baseURL, apiKey: "none" });
  const chat = (content, more) =>
    client.chat.completions.create({ model: "Guide", messages: [{ role: "user", content }], ...more });
  const whole = await chat("hello");
  const chunks = await all(await chat("double", { stream: true }));
  const response = await client.responses.create({ model: "Guide", input: "double" });
  const events = await all(await client.responses.create({ model: "Guide", input: "double", stream: true }));
  const following = await client.responses.create({
    model: "Guide",
    input: "how long",
    previous_response_id: response.id,
  });
  const parsed = await client.responses.parse({
    model: "Guide",
    input: "a city",
    text: { format: zodTextFormat(City, "city") },
  });
  return {
    whole: whole.choices[0].message.content,
    stream: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
    items: response.output.map((item) => item.type),
    text: response.output_text,
    last: events.at(-1).response.output_text ?? events.at(-1).response.output.at(-1).content[0].text,
    following: following.output_text,
    parsed: parsed.output_parsed,
    refused: [
      await refused(() => chat("hello", { model: "x" })),
      await refused(() => chat("hello", { n: 2 })),
      await refused(() => chat("fail")),
      await refused(async () => all(await chat("break", { stream: true }))),
    ],
  };
}

async function conversations() {
  const client = new OpenAI({ baseURL, apiKey: "none" });
  const { conversations } = client;
  const message = (content) => ({ type: "message", role: "user", content });
  const conversation = await conversations.create({ items: [message("a")], metadata: { topic: "x" } });
  const at = { conversation_id: conversation.id };
  const updated = await conversations.update(conversation.id, { metadata: { topic: "y" } });
  const added = await conversations.items.create(conversation.id, { items: [message("b"), message("c")] });
  const paged = await all(conversations.items.list(conversation.id, { order: "asc", limit: 2 }));
  const one = await conversations.items.retrieve(added.first_id, at);
  await conversations.items.delete(added.first_id, at);
  const answered = await client.responses.create({ model: "Guide", input: "how long", conversation: conversation.id });
  const deleted = await conversations.delete(conversation.id);
  return {
    metadata: [conversation.metadata, updated.metadata],
    paged: paged.map((item) => item.content[0].text),
    one: one.content[0].text,
    answered: answered.output_text,
    deleted,
    empty: (await conversations.create()).metadata,
    refused: await refused(() => conversations.retrieve(conversation.id)),
    id: conversation.id,
  };
}

async function sdk(model) {
  const failed = [];
  const whole = await generateText({ model, prompt: "hello", system: "Be brief." });
  const tools = await generateText({ model, prompt: "double" });
  const streamed = streamText({ model, prompt: "double", onError: ({ error }) => failed.push(String(error)) });
  const parts = await all(streamed.fullStream ?? streamed.stream);
  const again = await generateText({
    model,
    messages: [
      { role: "user", content: "hello" },
      ...(whole.responseMessages ?? whole.response.messages),
      { role: "user", content: "how long" },
    ],
  });
  const parsed = await generateText({ model, prompt: "a city", output: Output.object({ schema: City }) });
  return {
    whole: whole.text,
    total_tokens: whole.usage.totalTokens,
    finish: whole.finishReason,
    tools: tools.text,
    stream: await streamed.text,
    kinds: [...new Set(parts.map((part) => part.type))],
    again: again.text,
    parsed: parsed.output,
    failed,
    refused: await refused(() => generateText({ model, prompt: "fail", maxRetries: 0 })),
  };
}

const openai = createOpenAI({ baseURL, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "agents", baseURL, supportsStructuredOutputs: true, includeUsage: true });
console.log(
  JSON.stringify({
    official: await official(),
    conversations: await conversations(),
    responses: await sdk(openai.responses("Guide")),
    chat: await sdk(openai.chat("Guide")),
    compatible: await sdk(compatible("Guide")),
  }),
);
