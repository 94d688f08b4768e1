// What is on the page, as text for elsewhere: a run as curl, Rust or Python, an agent as YAML.

import { address } from './api.js';

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** `POST /run` as a command. The token stands in the environment, so that it is in no history. */
export function asCurl(request) {
  return [
    `curl ${shell(address('run'))}`,
    "  -H 'Content-Type: application/json'",
    ...(sessionStorage.getItem('openai-agents-token') ? ['  -H "Authorization: Bearer $OPENAI_AGENTS_TOKEN"'] : []),
    `  -d ${shell(JSON.stringify({ ...request, stream: true }))}`,
  ].join(' \\\n');
}

/** A run of the same agent in a program of one's own. */
export function asRust(request, agent) {
  const text = typeof request.input === 'string' ? request.input : (request.input[0]?.content ?? []).map((part) => part.text ?? '').join('\n');
  const name = request.overrides?.model ?? agent.model ?? 'MODEL';
  const instructions = request.overrides?.instructions ?? agent.instructions;
  return `use openai_agents::{Agent, OpenAiChat, Runner};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base_url = std::env::var("OPENAI_BASE_URL")?;
    let mut model = OpenAiChat::builder(&base_url, ${JSON.stringify(name)});
    if let Ok(key) = std::env::var("OPENAI_API_KEY") {
        model = model.api_key(key);
    }
    let agent = Agent::builder(${rust(agent.name)})
        .instructions(${rust(instructions ?? '')})
        .build()?;
    let result = Runner::new(model.build()?).run(&agent, ${rust(text)}).await?;
    println!("{}", result.final_output());
    Ok(())
}
`;
}

/** A text as a literal of Rust, with as many marks as it needs. */
function rust(text) {
  if (!/["\\\n]/.test(text)) return JSON.stringify(text);
  const longest = Math.max(0, ...[...text.matchAll(/"(#*)/g)].map((found) => found[1].length + 1));
  const marks = '#'.repeat(longest);
  return `r${marks}"${text}"${marks}`;
}

/** The same request by OpenAI's client, to whom the agent is a model. */
export function asPython(request) {
  const input = typeof request.input === 'string' ? JSON.stringify(request.input) : JSON.stringify(request.input, null, 4).replaceAll(/\bnull\b/g, 'None');
  return `import os
from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(address('v1'))}, api_key=os.environ.get("OPENAI_AGENTS_TOKEN", "none"))
response = client.responses.create(
    model=${JSON.stringify(request.agent)},
    input=${input},
    conversation=${JSON.stringify(request.session)},
)
print(response.output_text)
`;
}

/** The agent as an entry of the configuration, with what was changed. */
export function agentYaml(agent, overrides) {
  const model = overrides.model ?? null;
  const instructions = overrides.instructions ?? agent.instructions;
  const tools = overrides.tools ?? agent.tools.filter((tool) => !tool.error && !tool.from).map((tool) => tool.name);
  const lines = ['agents:', `  - name: ${yaml(agent.name)}`];
  if (instructions) lines.push(`    instructions: ${yaml(instructions)}`);
  if (model) lines.push(`    model: ${yaml(model)}`);
  if (tools.length > 0) lines.push('    tools:', ...tools.map((tool) => `      - ${yaml(tool)}`));
  if (agent.handoffs.length > 0) lines.push('    handoffs:', ...agent.handoffs.map((name) => `      - ${yaml(name)}`));
  return `${lines.join('\n')}\n`;
}

/** JSON's texts are texts of YAML. */
const yaml = (text) => (/^[A-Za-z][\w-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) ? text : JSON.stringify(text));
