//! `openai-agents tools`.

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use openai_agents::FunctionTool;
use openai_agents::config::{AgentConfig, Config, Origin};
use serde_json::json;

use super::block_on;
use crate::args::Global;
use crate::exit::Exit;
use crate::logging;
use crate::mcp::{self, Seen};
use crate::output::quiet_on_broken_pipe;
use crate::sanitize::{excerpt, json_line, one_line};

/// List the tools that an agent can have, with who has them
///
/// The MCP servers of the configuration are started and asked for theirs. Exit code 1 if one of them gives none.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print each tool, with the schema of its arguments, and each MCP server as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let servers = block_on(mcp::look(&config))?;
    let mut out = io::stdout().lock();
    quiet_on_broken_pipe(write(&mut out, &config, &servers, arguments.json))?;
    let is_whole = servers.iter().all(|server| server.tools.is_ok());
    Ok(if is_whole { Exit::Done } else { Exit::Failed })
}

fn write(out: &mut impl Write, config: &Config, servers: &[Seen], json: bool) -> io::Result<()> {
    // The program itself has every tool that there is without a server.
    let origin = Origin::BuiltIn.to_string();
    for tool in &config.tools() {
        let agents = agents_with(config, |agent| {
            agent.tools.iter().any(|name| *tool.name() == **name)
        });
        write_tool(out, tool, &agents, &origin, json)?;
    }
    for server in servers {
        let name = &server.name;
        let agents = agents_with(config, |agent| agent.mcp_servers.contains(name));
        let origin = format!("MCP server {name}");
        if json {
            let line = json!({
                "type": "mcp_server",
                "name": name,
                "ok": server.tools.is_ok(),
                "state": server.state(),
                "agents": agents,
            });
            writeln!(out, "{}", json_line(&line))?;
        } else {
            writeln!(out, "{}: {}", one_line(&origin), one_line(&server.state()))?;
        }
        for tool in server.tools.iter().flat_map(|tools| tools.iter()) {
            write_tool(out, tool, &agents, &origin, json)?;
        }
    }
    out.flush()
}

fn write_tool(
    out: &mut impl Write,
    tool: &FunctionTool,
    agents: &[&str],
    origin: &str,
    json: bool,
) -> io::Result<()> {
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
        return writeln!(out, "{}", json_line(&line));
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
    let call = format!("{}({}) ({origin})", spec.name, names.join(", "));
    writeln!(out, "{}", one_line(&call))?;
    writeln!(out, "  {}", excerpt(&spec.description))?;
    let agents = if agents.is_empty() {
        "none".to_owned()
    } else {
        agents.join(", ")
    };
    writeln!(out, "  agents: {}", one_line(&agents))
}

fn agents_with(config: &Config, has: impl Fn(&AgentConfig) -> bool) -> Vec<&str> {
    let agents = config.agents().iter();
    agents
        .filter(|agent| has(agent))
        .map(|agent| agent.name.as_str())
        .collect()
}
