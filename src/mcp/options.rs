//! The options of a connection to a server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    ElicitationAnswer, ElicitationRequest, McpClient, McpError, McpLog, McpProgress, McpRefusal,
    McpRoot, McpTransport, SamplingAnswer, SamplingRequest,
};
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::secret::Secret;
use crate::tools::{FunctionTool, ToolContext, ToolFailure, ToolOptions};

/// Sets up an [`McpClient`]; see [`McpClient::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct McpClientBuilder {
    name: String,
    transport: McpTransport,
    options: Options,
}

/// What can be set for a server.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) protocol: McpProtocol,
    pub(super) connect_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) allowed: Option<BTreeSet<String>>,
    pub(super) blocked: BTreeSet<String>,
    pub(super) prefix: bool,
    pub(super) structured_content: bool,
    pub(super) cache_tools: bool,
    pub(super) for_tools: ToolOptions,
    pub(super) approval: McpApproval,
    pub(super) loading: ToolLoading,
    pub(super) reconnect_after: Option<Duration>,
    pub(super) per_call: PerCall,
    pub(super) roots: Vec<McpRoot>,
    pub(super) handlers: Handlers,
}

/// When a model is shown the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolLoading {
    AtOnce,
    /// Once it has looked for them.
    WhenFound,
}

/// Which versions of the protocol are spoken with a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum McpProtocol {
    /// The server is asked what it speaks (`server/discover`, since 2026-07-28).
    ///
    /// One that does not know the question is spoken to with a handshake. One that does not answer at all is not ready, see
    /// [`McpClientBuilder::connect_timeout`].
    #[default]
    Ask,
    /// With a handshake (up to 2025-11-25), which over HTTP may begin a session.
    Handshake,
    /// Without one (since 2026-07-28): every request stands for itself.
    Stateless,
}

/// Which calls of a server's tools a person must approve.
///
/// A run that comes to such a call pauses, as with [`FunctionTool::needs_approval`](crate::FunctionTool::needs_approval).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum McpApproval {
    /// None.
    #[default]
    Never,
    /// All.
    Always,
    /// By tool, as the server names it; what is not listed needs one.
    ByTool(BTreeMap<String, bool>),
}

impl McpApproval {
    /// Whether calls of a tool, as the server names it, need an approval.
    pub fn is_needed(&self, tool: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::ByTool(tools) => tools.get(tool).copied().unwrap_or(true),
        }
    }
}

type OfCall<T> = Arc<dyn Fn(ToolContext) -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync>;
type MapTool = Arc<dyn Fn(&str, FunctionTool) -> FunctionTool + Send + Sync>;

/// What depends on the run that a call is made in.
#[derive(Clone, Default)]
pub(super) struct PerCall {
    pub(super) meta: Option<OfCall<Map<String, Value>>>,
    pub(super) headers: Option<OfCall<Vec<(String, Secret)>>>,
    pub(super) map_tool: Option<MapTool>,
}

type AnswerFuture<T> = BoxFuture<'static, Result<T, McpRefusal>>;

/// What answers a server's questions and hears its messages.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    pub(super) sampling:
        Option<Arc<dyn Fn(SamplingRequest) -> AnswerFuture<SamplingAnswer> + Send + Sync>>,
    pub(super) elicitation:
        Option<Arc<dyn Fn(ElicitationRequest) -> AnswerFuture<ElicitationAnswer> + Send + Sync>>,
    pub(super) log: Option<Arc<dyn Fn(McpLog) + Send + Sync>>,
    pub(super) progress: Option<Arc<dyn Fn(McpProgress) + Send + Sync>>,
}

impl McpClientBuilder {
    pub(super) fn new(name: String, transport: McpTransport) -> Self {
        let options = Options {
            protocol: McpProtocol::default(),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            allowed: None,
            blocked: BTreeSet::new(),
            prefix: false,
            structured_content: false,
            cache_tools: true,
            for_tools: ToolOptions::default().failure(ToolFailure::TellModelDetail),
            approval: McpApproval::default(),
            loading: ToolLoading::AtOnce,
            reconnect_after: None,
            per_call: PerCall::default(),
            roots: Vec::new(),
            handlers: Handlers::default(),
        };
        Self {
            name,
            transport,
            options,
        }
    }

    /// Sets which versions of the protocol are spoken; the server is asked by default.
    pub const fn protocol(mut self, protocol: McpProtocol) -> Self {
        self.options.protocol = protocol;
        self
    }

    /// Sets how long the server may take to be ready; 10 seconds by default.
    pub const fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.options.connect_timeout = connect_timeout;
        self
    }

    /// Sets how long the server may take for one request; 60 seconds by default.
    pub const fn call_timeout(mut self, call_timeout: Duration) -> Self {
        self.options.call_timeout = call_timeout;
        self
    }

    /// Offers these tools only, by the names that the server gives them.
    pub fn allow_tools<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        let allowed = self.options.allowed.get_or_insert_default();
        allowed.extend(tools.into_iter().map(Into::into));
        self
    }

    /// Leaves these tools out, by the names that the server gives them.
    pub fn block_tools<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        let blocked = &mut self.options.blocked;
        blocked.extend(tools.into_iter().map(Into::into));
        self
    }

    /// Names the tools `mcp_<server>__<tool>`, so that those of several servers are told apart.
    ///
    /// What models do not take in a name becomes `_`. A name of more than 64 characters, or that two tools would have, is cut and
    /// ends in a hash.
    pub const fn prefix_tools(mut self) -> Self {
        self.options.prefix = true;
        self
    }

    /// Shows the tools to a model only once it has looked for them.
    ///
    /// The tools are hidden as [`FunctionTool::defer_loading`] says.
    ///
    /// They are one [namespace](FunctionTool::namespace), of the server's name.
    pub const fn defer_tools(mut self) -> Self {
        self.options.loading = ToolLoading::WhenFound;
        self
    }

    /// Gives the model the structured content of results, where there is one.
    ///
    /// It takes the place of the other content.
    pub const fn structured_content(mut self) -> Self {
        self.options.structured_content = true;
        self
    }

    /// Asks the server for its tools whenever they are needed.
    ///
    /// Without it, the server is asked only when they changed.
    pub const fn list_tools_every_time(mut self) -> Self {
        self.options.cache_tools = false;
        self
    }

    /// Sets the options of the tools.
    ///
    /// By default the model is told the server's words when a call fails. `strict` is without effect: the schemas are the server's.
    pub const fn tool_options(mut self, tool_options: ToolOptions) -> Self {
        self.options.for_tools = tool_options;
        self
    }

    /// Sets which calls need a person's approval; none by default.
    pub fn approval(mut self, approval: McpApproval) -> Self {
        self.options.approval = approval;
        self
    }

    /// Changes each tool before it is offered.
    ///
    /// The function is given the name that the server has for it.
    ///
    /// All that [`FunctionTool`] can do holds for the tools of the server in this way, by the run and asynchronous where that is:
    ///
    /// ```
    /// use openai_agents::mcp::{McpClient, Stdio};
    /// use openai_agents::tools::ToolGuardrail;
    ///
    /// # fn example(no_keys: ToolGuardrail) -> Result<(), openai_agents::mcp::McpError> {
    /// struct User { is_admin: bool }
    ///
    /// let server = Stdio::new("issues-mcp");
    /// let issues = McpClient::builder("issues", server).map_tools(move |name, tool| {
    ///     let tool = tool.output_guardrail(no_keys.clone());
    ///     if name.starts_with("delete_") {
    ///         tool.enabled_when(|offer| async move { offer.cx.state::<User>().is_ok_and(|user| user.is_admin) })
    ///             .needs_approval_when(|cx| async move { !cx.arguments().contains("\"dry_run\":true") })
    ///     } else {
    ///         tool
    ///     }
    /// });
    /// let issues = issues.build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It sees the tool with the [`approval`](Self::approval) that it has already.
    pub fn map_tools(
        mut self,
        map: impl Fn(&str, FunctionTool) -> FunctionTool + Send + Sync + 'static,
    ) -> Self {
        self.options.per_call.map_tool = Some(Arc::new(map));
        self
    }

    /// Adds what a function gives to the `_meta` of each call of a tool.
    ///
    /// The function gives what belongs to the call's run, such as a tenant.
    ///
    /// It is given the call with its run. An entry of the name of one that is there anyway, such as `traceparent`, is put in its place.
    /// Where it fails, nothing is sent, and the call fails with [`McpError::Callback`].
    pub fn call_meta<F, R>(mut self, meta: F) -> Self
    where
        F: Fn(ToolContext) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<Map<String, Value>>> + Send + 'static,
    {
        self.options.per_call.meta = Some(Arc::new(move |cx| {
            let answer = meta(cx);
            Box::pin(async move { answer.await.into_outcome() })
        }));
        self
    }

    /// Adds headers to the requests that carry a call of a tool over HTTP.
    ///
    /// They are those of its run, such as a token of the run's user.
    ///
    /// They go with the calls of tools only: the server is reached, and asked what it has, with the headers of the
    /// [`StreamableHttp`](super::StreamableHttp), since all runs share that. One of the same name is put in the place of such a header. A
    /// value counts as a secret: it is shown nowhere, also not when the server repeats it. Where this fails, nothing is sent, and the
    /// call fails with [`McpError::Callback`].
    pub fn call_headers<F, R>(mut self, headers: F) -> Self
    where
        F: Fn(ToolContext) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<Vec<(String, Secret)>>> + Send + 'static,
    {
        self.options.per_call.headers = Some(Arc::new(move |cx| {
            let answer = headers(cx);
            Box::pin(async move { answer.await.into_outcome() })
        }));
        self
    }

    /// Reconnects a server that ended, when it is next needed.
    ///
    /// It does so at most once in this time; never by default.
    ///
    /// One over HTTP has ended when it does not know the session any more. What was under way when it ended failed, and is not sent again. A try that fails is the error of what needed the server; until the
    /// time is over, all that needs it has that error at once. A server that was [closed](McpClient::close), or that was never
    /// connected, stays so.
    pub const fn reconnect_after(mut self, reconnect_after: Duration) -> Self {
        self.options.reconnect_after = Some(reconnect_after);
        self
    }

    /// Tells the server of a place that the user works on, usually a `file:` address.
    pub fn root(mut self, root: McpRoot) -> Self {
        self.options.roots.push(root);
        self
    }

    /// Lets the server use a model of this side; it is told that it can.
    pub fn on_sampling<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(SamplingRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<SamplingAnswer, McpRefusal>> + Send + 'static,
    {
        self.options.handlers.sampling = Some(Arc::new(move |request| Box::pin(handler(request))));
        self
    }

    /// Lets the server ask the user; it is told that it can.
    pub fn on_elicitation<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(ElicitationRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ElicitationAnswer, McpRefusal>> + Send + 'static,
    {
        let handlers = &mut self.options.handlers;
        handlers.elicitation = Some(Arc::new(move |request| Box::pin(handler(request))));
        self
    }

    /// Hears the server's log messages; it must not block.
    pub fn on_log(mut self, handler: impl Fn(McpLog) + Send + Sync + 'static) -> Self {
        self.options.handlers.log = Some(Arc::new(handler));
        self
    }

    /// Hears how far calls have come; it must not block.
    pub fn on_progress(mut self, handler: impl Fn(McpProgress) + Send + Sync + 'static) -> Self {
        self.options.handlers.progress = Some(Arc::new(handler));
        self
    }

    /// Makes the server's handle; nothing is started or connected yet.
    ///
    /// # Errors
    ///
    /// [`McpError::Option`] when an option cannot be used.
    pub fn build(self) -> Result<McpClient, McpError> {
        let refuse = |reason: &str| {
            Err(McpError::Option {
                server: self.name.clone(),
                reason: reason.to_owned(),
            })
        };
        if self.name.trim().is_empty() {
            return refuse("the name is empty");
        }
        if matches!(self.transport, McpTransport::Stdio(_))
            && self.options.per_call.headers.is_some()
        {
            return refuse("a server that is a program has no headers (`call_headers`)");
        }
        if let McpTransport::Stdio(stdio) = &self.transport
            && stdio.program.as_os_str().is_empty()
        {
            return refuse("no program is named");
        }
        Ok(McpClient::new(self.name, self.transport, self.options))
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("sampling", &self.sampling.is_some())
            .field("elicitation", &self.elicitation.is_some())
            .field("log", &self.log.is_some())
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

impl fmt::Debug for PerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCall")
            .field("meta", &self.meta.is_some())
            .field("headers", &self.headers.is_some())
            .field("map_tool", &self.map_tool.is_some())
            .finish()
    }
}
