//! The tools of a plugin's MCP servers.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Plugin, PluginServer, PluginTransport};
use crate::future::BoxFuture;
use crate::http::HttpClient;
use crate::mcp::{McpClient, McpError, McpTransport, Stdio, StreamableHttp};
use crate::tools::{FunctionTool, ToolSource, ToolSourceError};

/// The tools of one MCP server of a plugin; clones share the connection.
///
/// The server is started or reached when its tools are first asked for. One that fails then has no tools from there on, and says so in the
/// log and in [`state`](Self::state): the specification has the rest of the plugin go on (7.2.2).
#[derive(Clone)]
pub struct PluginTools {
    client: McpClient,
    data: PathBuf,
    connected: Arc<OnceCell<Result<(), Arc<McpError>>>>,
}

impl Plugin {
    /// Gives a source of tools for each MCP server, named `PLUGIN/SERVER`; nothing is started.
    ///
    /// The names of the tools have a prefix, as [`prefix_tools`](crate::mcp::McpClientBuilder::prefix_tools) makes it. Servers over HTTP
    /// are reached with the proxies and certificates of the client.
    ///
    /// # Errors
    ///
    /// [`McpError`] if a server cannot be set up.
    pub fn tool_sources(&self, client: &HttpClient) -> Result<Vec<PluginTools>, McpError> {
        let servers = self.servers.iter();
        servers
            .map(|server| self.tool_source(server, client))
            .collect()
    }

    fn tool_source(
        &self,
        server: &PluginServer,
        client: &HttpClient,
    ) -> Result<PluginTools, McpError> {
        let transport: McpTransport = match &server.transport {
            PluginTransport::Stdio {
                command,
                args,
                env,
                cwd,
            } => {
                let mut stdio = Stdio::new(command).args(args).current_dir(cwd);
                for (name, value) in env {
                    stdio = stdio.env(name, value.as_str());
                }
                stdio.into()
            }
            PluginTransport::StreamableHttp { url, headers } => {
                let mut http = StreamableHttp::new(url).http_client(client.clone());
                for (name, value) in headers {
                    http = http.header(name, value.as_str());
                }
                http.into()
            }
        };
        let name = format!("{}/{}", self.name(), server.name);
        Ok(PluginTools {
            client: McpClient::builder(name, transport).prefix_tools().build()?,
            data: self.data.clone(),
            connected: Arc::default(),
        })
    }
}

impl PluginTools {
    /// Connects the server, unless that was tried before, and gives the tools or why there are none.
    ///
    /// # Errors
    ///
    /// [`McpError`] if the server failed, now or before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started; the next call tries again.
    pub async fn state(&self) -> Result<Arc<[FunctionTool]>, Arc<McpError>> {
        let connected = self.connected.get_or_init(|| async {
            if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&self.data) {
                tracing::warn!(target: "openai_agents::plugin", folder = %self.data.display(), %error, "no folder for the data of a plugin can be made");
            }
            self.client.connect().await.map_err(Arc::new)
        });
        connected.await.clone()?;
        self.client.function_tools().await.map_err(Arc::new)
    }

    /// Ends the server.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process at once.
    pub async fn close(&self) {
        self.client.close().await;
    }
}

impl ToolSource for PluginTools {
    fn name(&self) -> &str {
        self.client.name()
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        Box::pin(async {
            Ok(self.state().await.unwrap_or_else(|error| {
                let error: &McpError = &error;
                tracing::warn!(target: "openai_agents::plugin", server = self.name(), error = error as &dyn std::error::Error, "an MCP server of a plugin gives no tools");
                Arc::default()
            }))
        })
    }
}

impl fmt::Debug for PluginTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginTools")
            .field("name", &self.client.name())
            .finish_non_exhaustive()
    }
}
