//! The options of a connection to a server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    ElicitationAnswer, ElicitationRequest, McpClient, McpError, McpLog, McpProgress, McpRefusal,
    McpRoot, McpTransport, SamplingAnswer, SamplingRequest,
};
use crate::future::BoxFuture;
use crate::tools::{ToolFailure, ToolOptions};

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
    pub(super) roots: Vec<McpRoot>,
    pub(super) handlers: Handlers,
}

/// Which versions of the protocol are spoken with a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum McpProtocol {
    /// The server is asked what it speaks (`server/discover`, since 2026-07-28); one that does not know the question is spoken to
    /// with a handshake. One that does not answer at all is not ready, see [`McpClientBuilder::connect_timeout`].
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

    /// Gives the model the structured content of results, where there is one, in place of the other.
    pub const fn structured_content(mut self) -> Self {
        self.options.structured_content = true;
        self
    }

    /// Asks the server for its tools whenever they are needed, and not only when they changed.
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
