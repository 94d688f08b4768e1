//! What the MCP servers of the configuration say when they are asked.

use std::sync::Arc;

use futures_util::future::join_all;
use openai_agents::FunctionTool;
use openai_agents::config::Config;
use openai_agents::mcp::{McpError, McpServer};

/// An MCP server that was started or reached, asked for its tools, and left.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) tools: Result<Arc<[FunctionTool]>, McpError>,
}

/// Looks at all of them, side by side.
///
/// # Cancel safety
///
/// Dropping the future ends those that were started.
pub(crate) async fn look(config: &Config) -> Vec<Seen> {
    let servers = config.mcp_servers();
    let seen = join_all(servers.servers().iter().map(|server| async {
        Seen {
            name: server.name().to_owned(),
            tools: tools(server).await,
        }
    }))
    .await;
    servers.close().await;
    seen
}

async fn tools(server: &McpServer) -> Result<Arc<[FunctionTool]>, McpError> {
    server.connect().await?;
    server.function_tools().await
}

impl Seen {
    /// Says it in words.
    pub(crate) fn state(&self) -> String {
        match &self.tools {
            Ok(tools) => match tools.len() {
                1 => "ready, 1 tool".to_owned(),
                n_tools => format!("ready, {n_tools} tools"),
            },
            Err(error) => {
                let mut words = error.to_string();
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    words = format!("{words}: {error}");
                    cause = error.source();
                }
                words
            }
        }
    }
}
