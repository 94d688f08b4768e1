//! A server as the application holds it: its state, and what can be asked of it.

use std::fmt;
use std::sync::Arc;

use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, GetPromptRequestParams, ReadResourceRequestParams,
    Reference, ResourceContents,
};
use serde_json::{Map, Value};

use super::connection::Connection;
use super::listing::{Listing, PagedList};
use super::normal::Raw;
use super::options::Options;
use super::shared::{Shared, in_trace};
use super::{
    McpApproval, McpClientBuilder, McpContent, McpError, McpPrompt, McpPromptMessages, McpResource,
    McpResourceContent, McpResourceTemplate, McpTransport, parse,
};
use crate::future::BoxFuture;
use crate::model::Deviation;
use crate::tools::{FunctionTool, ToolSource, ToolSourceError};
use crate::trace::{self, SpanKind, gen_ai};

/// A handle of one MCP server; clones share the connection.
///
/// It begins [`Closed`](McpState::Closed): nothing is started before [`connect`](Self::connect). The server ends with
/// [`close`](Self::close), or when the last handle and the last of its tools are dropped. One that ended is started again if
/// [`reconnect_after`](McpClientBuilder::reconnect_after) asks for it, and else by [`connect`](Self::connect) only.
///
/// As a [`ToolSource`] it gives the server's tools, as ordinary [`FunctionTool`]s; [`McpClients`](super::McpClients) joins several.
///
/// ```no_run
/// use openai_agents::mcp::{McpClient, Stdio};
/// use openai_agents::tools::ToolSource;
/// use openai_agents::Agent;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let files = McpClient::builder("files", Stdio::new("mcp-server-filesystem").arg("/srv/documents")).build()?;
/// files.connect().await?;
/// let mut agent = Agent::builder("Librarian");
/// for tool in files.tools().await?.iter() {
///     agent = agent.tool(tool.clone());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct McpClient {
    pub(super) shared: Arc<Shared>,
    /// Beside what the tools hold, because it holds the tools.
    listing: Arc<Listing>,
}

/// What has become of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum McpState {
    /// The connection is being made.
    Starting,
    /// The server answers.
    Ready,
    /// The server did not start, or ended by itself.
    Failed {
        /// Why.
        error: McpError,
    },
    /// Not connected: not yet, or not any more.
    Closed,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct McpToolResult {
    /// What it says.
    pub content: Vec<McpContent>,
    /// The same as JSON, if the server gives that too.
    pub structured_content: Option<Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
}

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct McpIdentity {
    /// The version of the protocol that is spoken.
    pub protocol_version: String,
    /// Its name and version, if it says them.
    pub implementation: Option<(String, String)>,
    /// How it wants to be used.
    pub instructions: Option<String>,
}

impl McpClient {
    /// Begins a server of this name, reached in this way.
    pub fn builder(
        name: impl Into<String>,
        transport: impl Into<McpTransport>,
    ) -> McpClientBuilder {
        McpClientBuilder::new(name.into(), transport.into())
    }

    pub(super) fn new(name: String, transport: McpTransport, options: Options) -> Self {
        Self {
            shared: Arc::new(Shared::new(name, transport, options)),
            listing: Arc::default(),
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Says what has become of the server.
    pub fn state(&self) -> McpState {
        self.shared.public_state()
    }

    /// Says which calls need a person's approval.
    pub fn approval(&self) -> &McpApproval {
        &self.shared.options.approval
    }

    /// Returns what the server says about itself.
    ///
    /// # Errors
    ///
    /// [`McpError`] when it is not connected.
    pub fn identity(&self) -> Result<McpIdentity, McpError> {
        let connection = self.shared.connection()?;
        let info = connection.session.peer_info();
        let info = info.ok_or_else(|| McpError::Unexpected {
            server: self.name().to_owned(),
            method: "initialize",
            found: "nothing about itself".to_owned(),
        })?;
        let program = info.server_info.as_ref();
        Ok(McpIdentity {
            protocol_version: info.protocol_version.to_string(),
            implementation: program
                .filter(|it| !it.name.is_empty())
                .map(|it| (it.name.clone(), it.version.clone())),
            instructions: info.instructions.clone(),
        })
    }

    /// Starts or reaches the server, unless that is done, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server does not start, cannot be reached, refuses, or is not ready within the connect time-out. The
    /// error stays as the [`state`](Self::state) until the next call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started; the state is what it was before.
    pub async fn connect(&self) -> Result<(), McpError> {
        self.shared.connect().await
    }

    /// Ends the connection, and the process of a server on this machine.
    ///
    /// Calls under way end with an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process at once.
    pub async fn close(&self) {
        self.shared.close().await;
    }

    /// Forgets the list of tools.
    ///
    /// So the server is asked for it when it is next needed.
    pub fn forget_tools(&self) {
        self.shared.changes.tools_changed();
    }

    /// Calls a tool by the name that the server gives it, outside of a run.
    ///
    /// So the call is without what [`call_headers`](McpClientBuilder::call_headers) and [`call_meta`](McpClientBuilder::call_meta) add.
    ///
    /// # Errors
    ///
    /// [`McpError`] when there is no result; a result that says that the tool failed is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future tells the server that the result is no longer wanted.
    pub async fn call_tool(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<McpToolResult, McpError> {
        self.shared.call_tool(tool, arguments, Map::new()).await
    }

    /// Lists what the server did differently from the protocol and was tolerated.
    ///
    /// Each kind of it is listed once.
    ///
    /// What no answer needs cannot lose it: a field of the wrong type that nothing depends on is passed over, and a tool that cannot be
    /// used is left out; both stand here, with the server's own words. So does a tool that changed while it was in use.
    pub fn deviations(&self) -> Vec<Deviation> {
        self.shared.deviations.all()
    }

    /// Lists the resources.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server does not give a whole list.
    pub async fn resources(&self) -> Result<Vec<McpResource>, McpError> {
        let list = PagedList {
            method: "resources/list",
            what: "resources",
            key: "resources",
            entry: parse::resource,
        };
        let fetch = |connection: Arc<Connection>, page| async move {
            Ok(connection.session.list_resources(page).await?.meta)
        };
        list.usable(&self.shared, fetch).await
    }

    /// Lists the templates of resources.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server does not give a whole list.
    pub async fn resource_templates(&self) -> Result<Vec<McpResourceTemplate>, McpError> {
        let list = PagedList {
            method: "resources/templates/list",
            what: "resource templates",
            key: "resourceTemplates",
            entry: parse::template,
        };
        let fetch = |connection: Arc<Connection>, page| async move {
            Ok(connection.session.list_resource_templates(page).await?.meta)
        };
        list.usable(&self.shared, fetch).await
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// [`McpError`] when it cannot be read.
    pub async fn read_resource(&self, uri: &str) -> Result<Vec<McpResourceContent>, McpError> {
        let method = "resources/read";
        let request = |connection: Arc<Connection>| {
            let params = in_trace(ReadResourceRequestParams::new(uri));
            async move { connection.session.read_resource(params).await }
        };
        let mut read = self.shared.request(method, request).await?;
        let meta = match read.contents.pop() {
            Some(ResourceContents::TextResourceContents { meta, .. }) => meta,
            _ => None,
        };
        let reader = |raw: &Raw| parse::resource_contents(raw, uri);
        self.shared.read(method, meta, reader)
    }

    /// Lists the prompts.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server does not give a whole list.
    pub async fn prompts(&self) -> Result<Vec<McpPrompt>, McpError> {
        let list = PagedList {
            method: "prompts/list",
            what: "prompts",
            key: "prompts",
            entry: parse::prompt,
        };
        let fetch = |connection: Arc<Connection>, page| async move {
            Ok(connection.session.list_prompts(page).await?.meta)
        };
        list.usable(&self.shared, fetch).await
    }

    /// Returns the messages of a prompt, filled in.
    ///
    /// # Errors
    ///
    /// [`McpError`] when there is no such prompt, or an argument is missing.
    pub async fn prompt(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<McpPromptMessages, McpError> {
        let method = "prompts/get";
        let request = |connection: Arc<Connection>| {
            let params = GetPromptRequestParams::new(name).with_arguments(arguments.clone());
            let params = in_trace(params);
            async move { connection.session.get_prompt(params).await }
        };
        let prompt = self.shared.request(method, request).await?;
        self.shared
            .read(method, prompt.meta, parse::prompt_messages)
    }

    /// Proposes values for an argument of a prompt, of which a part is written.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server proposes none because it cannot.
    pub async fn complete_prompt(
        &self,
        prompt: &str,
        argument: &str,
        written: &str,
    ) -> Result<Vec<String>, McpError> {
        let method = "completion/complete";
        let request = |connection: Arc<Connection>| {
            let argument = ArgumentInfo::new(argument, written);
            let params = CompleteRequestParams::new(Reference::for_prompt(prompt), argument);
            let params = in_trace(params);
            async move { connection.session.complete(params).await }
        };
        let completed = self.shared.request(method, request).await?;
        self.shared.read(method, completed.meta, parse::proposals)
    }

    /// Returns the tools, from the cache while it is good.
    ///
    /// # Errors
    ///
    /// [`McpError`] when the server is not connected, does not give a whole list, or has tools and none that a model can be offered.
    pub async fn function_tools(&self) -> Result<Arc<[FunctionTool]>, McpError> {
        self.shared.settled().await;
        self.listing.tools(&self.shared).await
    }
}

impl ToolSource for McpClient {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        Box::pin(async {
            let listed = trace::span(format!("tools/list {}", self.shared.name))
                .attribute(gen_ai::MCP_METHOD, "tools/list")
                .attribute(gen_ai::MCP_SERVER, self.shared.name.as_str())
                .run_as(SpanKind::McpTools, self.function_tools());
            let tools = listed.await;
            tools.map_err(|error| error.into_source_error(&self.shared.name))
        })
    }
}

impl fmt::Debug for McpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpClient")
            .field("name", &self.shared.name)
            .field("transport", self.shared.transport())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
