//! `openai-agents agents`.

use std::io;

use anyhow::Result;
use clap::Args;
use openai_agents::config::{
    AgentConfig, AgentToolConfig, ApprovalConfig, Config, GuardrailConfig,
};
use serde_json::{Value, json};

use crate::args::Global;
use crate::escape::excerpt;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Lines, is_read};

/// List the agents, their tools and handoffs, and where each is defined
///
/// Two agents always exist: Assistant, which `run` asks by default, and EchoAgent, which has no tools. The configuration file can add
/// others and replace these two.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct AgentsArgs {
    /// Print each agent as a line of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) fn run(global: Global, arguments: &AgentsArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let mut out = Lines::stdout();
    is_read(if arguments.json {
        write_json(&mut out, config.agents())
    } else {
        write_text(&mut out, &config)
    })?;
    Ok(Exit::Done)
}

fn write_text(out: &mut Lines, config: &Config) -> io::Result<()> {
    let default = config.setting("model");
    for agent in config.agents() {
        let tools = match agent.tools.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let model = match (&agent.model, default) {
            (Some(model), _) => model.clone(),
            (None, Some(model)) => format!("{} ({})", model.value, model.origin),
            (None, None) => "not set".to_owned(),
        };
        out.text(format_args!("{} ({})", agent.name, agent.origin))?;
        out.text(format_args!("  model: {model}"))?;
        out.text(format_args!("  tools: {tools}"))?;
        if !agent.mcp_servers.is_empty() {
            let servers = agent.mcp_servers.join(", ");
            out.text(format_args!("  MCP servers: {servers}"))?;
        }
        for (what, which) in graph(agent) {
            if !which.is_empty() {
                out.text(format_args!("  {what}: {}", which.join(", ")))?;
            }
        }
        if let Some(instructions) = &agent.instructions {
            out.text(format_args!("  instructions: {}", excerpt(instructions)))?;
        }
    }
    Ok(())
}

/// Returns the relations of an agent to others, and its guardrails.
fn graph(agent: &AgentConfig) -> [(&'static str, Vec<String>); 6] {
    let tool = |tool: &AgentToolConfig| match &tool.name {
        Some(name) => format!("{} as {name}", tool.agent),
        None => tool.agent.clone(),
    };
    [
        ("skills", agent.skills.clone()),
        ("hands off to", agent.handoffs.clone()),
        (
            "agents as tools",
            agent.agents_as_tools.iter().map(tool).collect(),
        ),
        ("needs approval", approval(agent)),
        ("input guardrails", names(&agent.input_guardrails)),
        ("output guardrails", names(&agent.output_guardrails)),
    ]
}

fn names(guardrails: &[GuardrailConfig]) -> Vec<String> {
    let names = guardrails.iter().map(|guardrail| &guardrail.name);
    names.cloned().collect()
}

fn approval(agent: &AgentConfig) -> Vec<String> {
    match &agent.needs_approval {
        ApprovalConfig::Never => Vec::new(),
        ApprovalConfig::Tools(names) => names.clone(),
        ApprovalConfig::Always => vec!["always".to_owned()],
        // The enum may gain variants in a newer library.
        other => vec![format!("{other:?}")],
    }
}

fn write_json(out: &mut Lines, agents: &[AgentConfig]) -> io::Result<()> {
    for agent in agents {
        let tools = agent.agents_as_tools.iter().map(
            |tool| json!({"agent": tool.agent, "name": tool.name, "description": tool.description}),
        );
        let tools: Vec<Value> = tools.collect();
        let line = json!({
            "type": "agent",
            "name": agent.name,
            "instructions": agent.instructions,
            "model": agent.model,
            "tools": agent.tools,
            "skills": agent.skills,
            "mcp_servers": agent.mcp_servers,
            "agents_as_tools": tools,
            "needs_approval": approval(agent),
            "handoffs": agent.handoffs,
            "handoff_description": agent.handoff_description,
            "input_guardrails": names(&agent.input_guardrails),
            "output_guardrails": names(&agent.output_guardrails),
            "output_schema": agent.output_schema,
            "origin": agent.origin.to_string(),
        });
        out.json(&line)?;
    }
    Ok(())
}
