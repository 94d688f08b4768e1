// What each Node.js client makes of each feature, as one line of JSON: {client: {feature: outcome}}; see table.py.
// It is copied to where the packages are before it runs, since Node.js looks for them there.

import { readFileSync } from "node:fs";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const baseURL = process.argv[2];
const KEY = "key-1";
const City = z.object({ city: z.string(), population: z.number() });
const PICTURE =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const EXPECT = {
  answer: "All is well.",
  stream: "The answer is 42.",
  image: "I see a picture.",
  tool: "The answer is Paris.",
};

async function outcome(feature, ask) {
  let given;
  try {
    given = await ask();
  } catch (error) {
    return error.constructor.name + (error.statusCode ? ` ${error.statusCode}` : "");
  }
  if (feature in EXPECT) return given === EXPECT[feature] ? "ok" : `wrong: ${JSON.stringify(given)}`;
  if (feature === "output" || feature === "json")
    return given?.city === "Paris" && given?.population === 7 ? "ok" : `wrong: ${JSON.stringify(given)}`;
  if (feature === "refusal") return given === "I do not do that." ? "told" : `wrong: ${JSON.stringify(given)}`;
  return `no error: ${JSON.stringify(given)}`;
}

async function joined(stream, pick) {
  let text = "";
  for await (const event of stream) text += pick(event) ?? "";
  return text;
}

const where = { name: "where", parameters: { type: "object", properties: {} } };

function officialChat() {
  const ask = (content, { key = KEY, model = "Guide", ...more } = {}) =>
    new OpenAI({ baseURL, apiKey: key }).chat.completions.create({ model, messages: [{ role: "user", content }], ...more });
  const text = async (content, more) => (await ask(content, more)).choices[0].message.content;
  const client = new OpenAI({ baseURL, apiKey: KEY });
  const parts = [{ type: "text", text: "what is this" }, { type: "image_url", image_url: { url: PICTURE } }];
  return {
    answer: () => text("hello"),
    stream: async () =>
      joined(client.chat.completions.stream({ model: "Guide", messages: [{ role: "user", content: "double" }] }), (chunk) => chunk.choices[0]?.delta.content),
    output: async () => {
      const messages = [{ role: "user", content: "a city" }];
      const parsed = await client.chat.completions.parse({ model: "Guide", messages, response_format: zodResponseFormat(City, "city") });
      return parsed.choices[0].message.parsed;
    },
    json: async () => JSON.parse(await text("a city", { response_format: { type: "json_object" } })),
    image: () => text(parts),
    tool: async () => {
      const runner = client.chat.completions.runTools({
        model: "Guide",
        messages: [{ role: "user", content: "where" }],
        tools: [{ type: "function", function: { ...where, function: () => "Paris", description: "Says where.", parse: JSON.parse } }],
      });
      return runner.finalContent();
    },
    key: () => text("hello", { key: "wrong" }),
    model: () => text("hello", { model: "x" }),
    429: () => text("busy"),
    500: () => text("fail"),
    refusal: async () => (await ask("refuse")).choices[0].message.refusal,
  };
}

function officialResponses() {
  const ask = (input, { key = KEY, model = "Guide", ...more } = {}) =>
    new OpenAI({ baseURL, apiKey: key }).responses.create({ model, input, ...more });
  const client = new OpenAI({ baseURL, apiKey: KEY });
  const picture = [{ role: "user", content: [{ type: "input_image", image_url: PICTURE, detail: "auto" }] }];
  return {
    answer: async () => (await ask("hello")).output_text,
    stream: async () =>
      joined(client.responses.stream({ model: "Guide", input: "double" }), (event) =>
        event.type === "response.output_text.delta" ? event.delta : "",
      ),
    output: async () =>
      (await client.responses.parse({ model: "Guide", input: "a city", text: { format: zodTextFormat(City, "city") } })).output_parsed,
    json: async () => JSON.parse((await ask("a city", { text: { format: { type: "json_object" } } })).output_text),
    image: async () => (await ask(picture)).output_text,
    tool: async () => {
      const tools = [{ type: "function", strict: false, ...where }];
      const first = await ask("where", { tools });
      const output = { type: "function_call_output", call_id: first.output[0].call_id, output: "Paris" };
      return (await ask([output], { tools, previous_response_id: first.id })).output_text;
    },
    key: () => ask("hello", { key: "wrong" }),
    model: () => ask("hello", { model: "x" }),
    429: () => ask("busy"),
    500: () => ask("fail"),
    refusal: async () => (await ask("refuse")).output[0].content[0].refusal,
  };
}

function vercel(create) {
  const ask = (prompt, { key = KEY, model = "Guide", ...more } = {}) =>
    generateText({ model: create(key, model), ...(typeof prompt === "string" ? { prompt } : { messages: prompt }), ...more });
  const picture = [{ role: "user", content: [{ type: "text", text: "what is this" }, { type: "file", mediaType: "image/png", data: PICTURE.split(",")[1] }] }];
  const tools = { where: tool({ description: "Says where.", inputSchema: z.object({}), execute: async () => "Paris" }) };
  return {
    answer: async () => (await ask("hello")).text,
    stream: async () => joined(streamText({ model: create(KEY, "Guide"), prompt: "double" }).textStream, (text) => text),
    output: async () => (await ask("a city", { output: Output.object({ schema: City }) })).output,
    json: async () => (await ask("a city", { output: Output.json() })).output,
    image: async () => (await ask(picture)).text,
    tool: async () => (await ask("where", { tools, stopWhen: stepCountIs(3) })).text,
    key: () => ask("hello", { key: "wrong" }),
    model: () => ask("hello", { model: "x" }),
    // It would ask again twice, whatever the server says of that.
    429: () => ask("busy", { maxRetries: 0 }),
    500: () => ask("fail", { maxRetries: 0 }),
    refusal: async () => (await ask("refuse")).text,
  };
}

const clients = {
  "openai (JavaScript), chat": officialChat(),
  "openai (JavaScript), responses": officialResponses(),
  "Vercel AI SDK, openai.chat": vercel((apiKey, model) => createOpenAI({ baseURL, apiKey }).chat(model)),
  "Vercel AI SDK, openai.responses": vercel((apiKey, model) => createOpenAI({ baseURL, apiKey }).responses(model)),
  "Vercel AI SDK, openai-compatible": vercel((apiKey, model) =>
    createOpenAICompatible({ name: "agents", baseURL, apiKey, supportsStructuredOutputs: true })(model),
  ),
};

const version = (name) => JSON.parse(readFileSync(new URL(`./${name}/package.json`, import.meta.url))).version;
const told = {};
for (const [client, features] of Object.entries(clients)) {
  told[client] = { version: version(client.startsWith("openai") ? "openai" : "ai") };
  for (const [feature, ask] of Object.entries(features)) told[client][feature] = await outcome(feature, ask);
}
console.log(JSON.stringify(told));
