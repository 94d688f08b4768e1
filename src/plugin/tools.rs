//! The tools of the MCP servers of a plugin.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Plugin, PluginServer, PluginServerError, PluginTransport, content};
use crate::future::BoxFuture;
use crate::http::HttpClient;
use crate::mcp::{McpClient, McpError, McpTransport, Stdio, StreamableHttp};
use crate::tools::{FunctionTool, ToolSource, ToolSourceError, blocking};

/// The tools of one MCP server of a plugin. Clones share the connection.
///
/// The server is connected when its tools are first asked for. If that fails it has no tools from
/// then on, and says so in the log and in [`state`](Self::state): by the specification, the rest of
/// the plugin is used (7.2.2).
#[derive(Clone)]
pub struct PluginTools {
    client: McpClient,
    data: PathBuf,
    files: Arc<[StartedFile]>,
    connected: Arc<OnceCell<Result<(), Arc<PluginServerError>>>>,
}

/// A file of the plugin in the command line of a server, with its hash when the plugin was loaded.
struct StartedFile {
    path: PathBuf,
    sha256: String,
}

impl Plugin {
    /// Returns a source of tools for each MCP server, named `PLUGIN/SERVER`.
    ///
    /// No server is started yet.
    ///
    /// The tools have a prefix in their names, as by
    /// [`prefix_tools`](crate::mcp::McpClientBuilder::prefix_tools). Servers over HTTP use the
    /// proxies and certificates of the client.
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
            files: self.started_files(server).into(),
            connected: Arc::default(),
        })
    }

    /// Returns the program and the arguments that are files of the plugin, such as the script of an
    /// interpreter.
    fn started_files(&self, server: &PluginServer) -> Vec<StartedFile> {
        let PluginTransport::Stdio { command, args, .. } = &server.transport else {
            return Vec::new();
        };
        let named = args.iter().map(Path::new).chain([command.as_path()]);
        named
            .filter_map(|path| {
                let relative = path.strip_prefix(&self.root).ok()?;
                let sha256 = self.content.sha256_of(relative)?;
                let path = path.to_owned();
                Some(StartedFile { path, sha256 })
            })
            .collect()
    }
}

impl PluginTools {
    /// Connects the server, unless that was tried before, and gives its tools or the error.
    ///
    /// # Errors
    ///
    /// [`PluginServerError`] if a file that it starts has changed since the plugin was loaded, or
    /// if it failed, now or before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the server that was started. The next call tries again.
    pub async fn state(&self) -> Result<Arc<[FunctionTool]>, Arc<PluginServerError>> {
        let connected = self.connected.get_or_init(|| async {
            self.refuse_changed().await?;
            if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&self.data) {
                tracing::warn!(target: "openai_agents::plugin", folder = %self.data.display(), %error, "the folder for the data of a plugin cannot be created");
            }
            let connected = self.client.connect().await;
            connected.map_err(|error| Arc::new(error.into()))
        });
        connected.await.clone()?;
        let tools = self.client.function_tools().await;
        tools.map_err(|error| Arc::new(error.into()))
    }

    /// Makes sure that the files are those that were trusted. Checked as late as possible, since an
    /// interpreter opens its script by the path.
    async fn refuse_changed(&self) -> Result<(), Arc<PluginServerError>> {
        let files = Arc::clone(&self.files);
        let changed = blocking(move || {
            let mut files = files.iter();
            let changed = files.find(|file| {
                content::sha256_now(&file.path).map_or(true, |now| now != file.sha256)
            });
            changed.map(|file| file.path.clone())
        });
        match changed.await {
            None => Ok(()),
            Some(file) => Err(Arc::new(PluginServerError::Changed { file })),
        }
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
                let error: &PluginServerError = &error;
                tracing::warn!(target: "openai_agents::plugin", server = self.name(), error = error as &dyn std::error::Error, "an MCP server of a plugin cannot be used");
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
