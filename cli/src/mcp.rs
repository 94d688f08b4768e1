//! Connects to the configured MCP servers to inspect them, for `tools` and `check`.

use std::sync::Arc;

use futures_util::future::join_all;
use openai_agents::FunctionTool;
use openai_agents::config::Config;
use openai_agents::error::error_chain;
use openai_agents::mcp::{McpClient, McpError};
use openai_agents::model::Deviation;

use crate::exit::Exit;

/// An MCP server that was connected, asked for its tools, and closed.
pub(crate) struct InspectedServer {
    pub(crate) name: String,
    pub(crate) tools: Result<Arc<[FunctionTool]>, McpError>,
    /// Its deviations from the protocol.
    pub(crate) deviations: Vec<Deviation>,
}

/// Inspects all servers at once.
///
/// # Cancel safety
///
/// Dropping the future ends the servers that were started.
pub(crate) async fn look(config: &Config) -> Vec<InspectedServer> {
    let servers = config.mcp_servers();
    let seen = join_all(servers.servers().iter().map(|server| async {
        let tools = tools(server).await;
        InspectedServer {
            name: server.name().to_owned(),
            tools,
            deviations: server.deviations(),
        }
    }))
    .await;
    servers.close().await;
    seen
}

async fn tools(server: &McpClient) -> Result<Arc<[FunctionTool]>, McpError> {
    server.connect().await?;
    server.function_tools().await
}

/// Says whether a server never answered: its settings are wrong, it cannot be started or reached,
/// or it is not ready in time.
fn is_absent(error: &McpError) -> bool {
    matches!(
        error,
        McpError::Option { .. }
            | McpError::DuplicateServer { .. }
            | McpError::Spawn { .. }
            | McpError::Connect { .. }
            | McpError::ConnectTimeout { .. }
            | McpError::NotConnected { .. }
    )
}

impl InspectedServer {
    /// Returns the exit code for a command that needs the server. One that is missing is a wrong
    /// setting; one that answers with an error has failed.
    pub(crate) fn exit(&self) -> Exit {
        match &self.tools {
            Ok(_) => Exit::Done,
            Err(error) if is_absent(error) => Exit::Usage,
            Err(_) => Exit::Failed,
        }
    }

    /// Describes the state.
    pub(crate) fn state(&self) -> String {
        match &self.tools {
            Ok(tools) => {
                let tools = counted(tools.len(), "tool");
                match self.deviations.len() {
                    0 => format!("ready, {tools}"),
                    n => format!("ready, {tools}, {}", counted(n, "deviation")),
                }
            }
            Err(error) => error_chain(error),
        }
    }
}

fn counted(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}
