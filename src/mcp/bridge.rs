//! Answers what a server asks of its client, and receives its notifications.
#![expect(
    deprecated,
    reason = "sampling, roots and logging end with the next version of the protocol; servers of today use them"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationCapability, ErrorCode,
    ErrorData, FormElicitationCapability, Implementation, ListRootsResult,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion, RootsCapabilities,
    SamplingCapability, UrlElicitationCapability,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::normal::Raw;
use super::options::Handlers;
use super::{McpRefusal, McpRoot, convert, parse};

/// Answers a server with the handlers of its options.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) roots: Vec<McpRoot>,
    pub(super) handlers: Handlers,
    pub(super) changes: Arc<Changes>,
}

/// Counts what a server said has changed, so that a cache can tell whether it is still good.
#[derive(Debug, Default)]
pub(super) struct Changes {
    tools: AtomicU64,
}

impl Changes {
    /// Counts the changes of the list of tools.
    pub(super) fn of_tools(&self) -> u64 {
        self.tools.load(Ordering::Acquire)
    }

    pub(super) fn tools_changed(&self) {
        self.tools.fetch_add(1, Ordering::AcqRel);
    }
}

impl ClientHandler for Bridge {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        if !self.roots.is_empty() {
            capabilities.roots = Some(RootsCapabilities::default());
        }
        if self.handlers.sampling.is_some() {
            capabilities.sampling = Some(SamplingCapability::default());
        }
        if self.handlers.elicitation.is_some() {
            let elicitation = ElicitationCapability::new()
                .with_form(FormElicitationCapability::new())
                .with_url(UrlElicitationCapability::new());
            capabilities.elicitation = Some(elicitation);
        }
        let program = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        ClientConfig::new(capabilities, program)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let Some(handler) = &self.handlers.sampling else {
            return Err(unsupported("sampling"));
        };
        let request = parse::sampling(&asked(context)?).map_err(unreadable)?;
        read(
            &handler(request)
                .await
                .map_err(|refusal| refused(&refusal))?,
        )
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(read(&self.roots)?))
    }

    async fn create_elicitation(
        &self,
        _params: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let Some(handler) = &self.handlers.elicitation else {
            return Err(unsupported("elicitation"));
        };
        let request = parse::elicitation(&asked(context)?).map_err(unreadable)?;
        let Some(request) = request else {
            return Ok(ElicitResult::new(ElicitationAction::Decline));
        };
        read(
            &handler(request)
                .await
                .map_err(|refusal| refused(&refusal))?,
        )
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        if let (Some(handler), Ok(progress)) = (&self.handlers.progress, convert(&params)) {
            handler(progress);
        }
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        if let (Some(handler), Ok(log)) = (&self.handlers.log, convert(&params)) {
            handler(log);
        }
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.changes.tools_changed();
    }
}

/// Finds what a server asked, word for word.
fn asked(context: RequestContext<RoleClient>) -> Result<Raw, ErrorData> {
    let mut meta = context.meta;
    Raw::of(&mut meta.0.0).ok_or_else(|| unreadable("the parameters are missing".to_owned()))
}

fn unreadable(reason: String) -> ErrorData {
    ErrorData::invalid_params(reason, None)
}

/// Writes what a server is answered.
fn read<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, ErrorData> {
    convert(value).map_err(|error| ErrorData::invalid_params(error.to_string(), None))
}

fn refused(refusal: &McpRefusal) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_REQUEST, refusal.to_string(), None)
}

fn unsupported(what: &str) -> ErrorData {
    let message = format!("this client has no {what}");
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}
