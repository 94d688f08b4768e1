//! `openai-agents agents`.

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use openai_agents::config::{AgentConfig, Config};
use serde_json::json;

use crate::args::Global;
use crate::exit::Exit;
use crate::logging;
use crate::output::quiet_on_broken_pipe;
use crate::sanitize::{excerpt, json_line, one_line};

/// List the agents, with their tools and where each is from
///
/// Two agents always exist: Assistant, which `run` asks, and EchoAgent, which has no tools. The configuration file can add
/// others and replace these.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct Arguments {
    /// Print each agent as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let mut out = io::stdout().lock();
    quiet_on_broken_pipe(if arguments.json {
        write_json(&mut out, config.agents())
    } else {
        write_text(&mut out, &config)
    })?;
    Ok(Exit::Done)
}

fn write_text(out: &mut impl Write, config: &Config) -> io::Result<()> {
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
        let origin = agent.origin.to_string();
        writeln!(out, "{} ({})", one_line(&agent.name), one_line(&origin))?;
        writeln!(out, "  model: {}", one_line(&model))?;
        writeln!(out, "  tools: {}", one_line(&tools))?;
        if let Some(instructions) = &agent.instructions {
            writeln!(out, "  instructions: {}", excerpt(instructions))?;
        }
    }
    out.flush()
}

fn write_json(out: &mut impl Write, agents: &[AgentConfig]) -> io::Result<()> {
    for agent in agents {
        let line = json!({
            "type": "agent",
            "name": agent.name,
            "instructions": agent.instructions,
            "model": agent.model,
            "tools": agent.tools,
            "origin": agent.origin.to_string(),
        });
        writeln!(out, "{}", json_line(&line))?;
    }
    out.flush()
}
