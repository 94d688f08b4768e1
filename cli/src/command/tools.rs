//! `openai-agents tools`.

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use openai_agents::FunctionTool;
use openai_agents::config::{Config, Origin};
use serde_json::json;

use crate::args::Global;
use crate::exit::Exit;
use crate::logging;
use crate::output::quiet_on_broken_pipe;
use crate::sanitize::{excerpt, json_line, one_line};

/// List the tools that an agent can have, with who has them
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print each tool, with the schema of its arguments, as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let mut out = io::stdout().lock();
    quiet_on_broken_pipe(write(&mut out, &config, arguments.json))?;
    Ok(Exit::Done)
}

fn write(out: &mut impl Write, config: &Config, json: bool) -> io::Result<()> {
    // The program itself has every tool that there is.
    let origin = Origin::BuiltIn.to_string();
    for tool in &config.tools() {
        let agents = agents_with(config, tool);
        let spec = tool.spec();
        if json {
            let line = json!({
                "type": "tool",
                "name": spec.name,
                "description": spec.description,
                "parameters": spec.parameters,
                "agents": agents,
                "origin": origin,
            });
            writeln!(out, "{}", json_line(&line))?;
            continue;
        }
        let parameters = spec
            .parameters
            .get("properties")
            .and_then(|map| map.as_object());
        let names: Vec<&str> = parameters
            .into_iter()
            .flat_map(|map| map.keys())
            .map(String::as_str)
            .collect();
        writeln!(out, "{}({}) ({origin})", spec.name, names.join(", "))?;
        writeln!(out, "  {}", excerpt(&spec.description))?;
        let agents = if agents.is_empty() {
            "none".to_owned()
        } else {
            agents.join(", ")
        };
        writeln!(out, "  agents: {}", one_line(&agents))?;
    }
    out.flush()
}

fn agents_with<'a>(config: &'a Config, tool: &FunctionTool) -> Vec<&'a str> {
    let agents = config.agents().iter();
    agents
        .filter(|agent| agent.tools.iter().any(|name| *tool.name() == **name))
        .map(|agent| agent.name.as_str())
        .collect()
}
