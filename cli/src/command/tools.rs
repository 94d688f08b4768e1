//! `openai-agents tools`.

use std::io;

use anyhow::Result;
use clap::Args;
use openai_agents::config::{AgentConfig, Config, Origin};
use openai_agents::mcp::McpError;
use openai_agents::{ErrorKind, FunctionTool};
use serde_json::json;

use crate::args::Global;
use crate::escape::excerpt;
use crate::exit::Exit;
use crate::failure::failed_result;
use crate::logging;
use crate::mcp::{self, InspectedServer};
use crate::output::{self, Lines, is_read};

/// List all tools and the agents that have them
///
/// The MCP servers of the configuration are started and asked for their tools. Where a server deviates from the protocol, or lists a tool
/// that cannot be used, that is listed too. The exit code is 2 if a server cannot be started or reached, and 1 if it answers with an error.
#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// Print each tool, with the schema of its arguments, and each MCP server as a line of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) async fn run(global: Global, arguments: &ToolsArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let servers = mcp::look(&config).await;
    let mut out = Lines::stdout();
    is_read(write(&mut out, &config, &servers, arguments.json))?;
    let mut failed = servers.iter().filter(|server| server.tools.is_err());
    let Some(first) = failed.next() else {
        return Ok(Exit::Done);
    };
    let message = format!(
        "the tools of the MCP server `{}` cannot be listed: {}",
        first.name,
        first.state()
    );
    let kind = first
        .tools
        .as_ref()
        .map_or_else(McpError::kind, |_| ErrorKind::Mcp);
    is_read(output::result(&failed_result(kind, &message)))?;
    Ok(first.exit())
}

fn write(
    out: &mut Lines,
    config: &Config,
    servers: &[InspectedServer],
    json: bool,
) -> io::Result<()> {
    for tool in &config.tools() {
        let origin = origin_of(config, tool);
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
                "deviations": server.deviations,
                "agents": agents,
            });
            out.json(&line)?;
        } else {
            out.text(format_args!("{origin}: {}", server.state()))?;
            for deviation in &server.deviations {
                out.text(format_args!("  deviation: {}", deviation.detail))?;
            }
        }
        for tool in server.tools.iter().flat_map(|tools| tools.iter()) {
            write_tool(out, tool, &agents, &origin, json)?;
        }
    }
    Ok(())
}

/// Says where a tool comes from that is not one of a server.
fn origin_of(config: &Config, tool: &FunctionTool) -> String {
    #[cfg(unix)]
    if let Some(workspace) = config.workspace()
        && config.has_workspace_tool(tool.name())
    {
        return format!("workspace {}", workspace.root().display());
    }
    match config.section_of_tool(tool.name()) {
        Some((section, origin)) => format!("{section}, {origin}"),
        None => Origin::BuiltIn.to_string(),
    }
}

fn write_tool(
    out: &mut Lines,
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
        return out.json(&line);
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
    out.text(format_args!(
        "{}({}) ({origin})",
        spec.name,
        names.join(", ")
    ))?;
    out.text(format_args!("  {}", excerpt(&spec.description)))?;
    let agents = if agents.is_empty() {
        "none".to_owned()
    } else {
        agents.join(", ")
    };
    out.text(format_args!("  agents: {agents}"))
}

fn agents_with(config: &Config, has: impl Fn(&AgentConfig) -> bool) -> Vec<&str> {
    let agents = config.agents().iter();
    agents
        .filter(|agent| has(agent))
        .map(|agent| agent.name.as_str())
        .collect()
}
