//! Several servers as one source of tools.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;

use super::{McpClient, McpError};
use crate::future::BoxFuture;
use crate::tools::{FunctionTool, ToolName, ToolSource, ToolSourceError};

/// What several servers together are called in messages.
const NAME: &str = "mcp";

/// Joins MCP servers into one [`ToolSource`].
///
/// Two tools of one name are an error, unless a server names its tools with a prefix. A server that failed or is closed is an error
/// too: a model that works with a part of its tools would not know what it lacks. Leave it out by
/// [`ready`](Self::ready), if a part is better than nothing.
#[derive(Debug, Clone)]
pub struct McpClients {
    servers: Arc<[McpClient]>,
    joined: Arc<Mutex<Option<Joined>>>,
}

/// The tools of all servers, and the lists that they were joined from.
#[derive(Debug)]
struct Joined {
    lists: Vec<Arc<[FunctionTool]>>,
    tools: Arc<[FunctionTool]>,
}

impl McpClients {
    /// Joins servers, in order.
    ///
    /// # Errors
    ///
    /// [`McpError::DuplicateServer`] when two have one name.
    pub fn new(servers: impl IntoIterator<Item = McpClient>) -> Result<Self, McpError> {
        let servers: Arc<[McpClient]> = servers.into_iter().collect();
        for (n, server) in servers.iter().enumerate() {
            if servers
                .iter()
                .take(n)
                .any(|other| other.name() == server.name())
            {
                return Err(McpError::DuplicateServer {
                    server: server.name().to_owned(),
                });
            }
        }
        Ok(Self {
            servers,
            joined: Arc::default(),
        })
    }

    /// Connects all servers, side by side.
    ///
    /// # Errors
    ///
    /// The error of the first that failed; the others are connected all the same, and [`McpClient::state`] tells of each.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up those that are not ready.
    pub async fn connect(&self) -> Result<(), McpError> {
        let results = join_all(self.servers.iter().map(McpClient::connect)).await;
        results.into_iter().collect()
    }

    /// Closes all servers, side by side.
    pub async fn close(&self) {
        join_all(self.servers.iter().map(McpClient::close)).await;
    }

    /// Returns the servers, in order.
    pub fn servers(&self) -> &[McpClient] {
        &self.servers
    }

    /// Finds a server by its name.
    pub fn get(&self, name: &str) -> Option<&McpClient> {
        self.servers.iter().find(|server| server.name() == name)
    }

    /// Returns those that answer now.
    #[must_use]
    pub fn ready(&self) -> Self {
        let is_ready = |server: &&McpClient| matches!(server.state(), super::McpState::Ready);
        Self {
            servers: self.servers.iter().filter(is_ready).cloned().collect(),
            joined: Arc::default(),
        }
    }

    /// Returns the tools of all servers, in order.
    ///
    /// # Errors
    ///
    /// [`McpError`] when one of the servers does not give its tools, or two tools have one name.
    pub async fn function_tools(&self) -> Result<Arc<[FunctionTool]>, McpError> {
        let lists = join_all(self.servers.iter().map(McpClient::function_tools)).await;
        let lists = lists.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*joined
            && known.lists.len() == lists.len()
            && known
                .lists
                .iter()
                .zip(&lists)
                .all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return Ok(Arc::clone(&known.tools));
        }
        let tools = self.join(&lists)?;
        *joined = Some(Joined {
            lists,
            tools: Arc::clone(&tools),
        });
        Ok(tools)
    }

    fn join(&self, lists: &[Arc<[FunctionTool]>]) -> Result<Arc<[FunctionTool]>, McpError> {
        let mut owners: HashMap<&ToolName, &McpClient> = HashMap::new();
        for (server, tools) in self.servers.iter().zip(lists) {
            for tool in tools.iter() {
                if let Some(first) = owners.insert(tool.name(), server) {
                    return Err(McpError::NameClash {
                        tool: tool.name().clone(),
                        first: first.name().to_owned(),
                        second: server.name().to_owned(),
                    });
                }
            }
        }
        Ok(lists
            .iter()
            .flat_map(|tools| tools.iter().cloned())
            .collect())
    }
}

impl ToolSource for McpClients {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        Box::pin(async {
            let tools = self.function_tools().await;
            tools.map_err(|error| error.into_source_error(NAME))
        })
    }
}
