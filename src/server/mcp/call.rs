//! `McpCall`: what a tool, prompt or resource can ask of the client that called it.
#![expect(
    deprecated,
    reason = "sampling, roots and logging end with the next version of the protocol; clients of today have them"
)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientResult, CreateMessageRequest, CreateMessageRequestParams,
    ElicitRequest, ElicitRequestParams, ElicitationCapability, ElicitationSchema, InputRequest,
    ListRootsRequest, LoggingMessageNotificationParam, ProgressNotificationParam,
    RootsCapabilities, SamplingCapability, ServerRequest,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::elicitation::ElicitationRounds;
use super::sessions::ResponseStream;
use super::versions::knows_reconnecting;
use crate::mcp::{
    ElicitationAnswer, ElicitationAsk, ElicitationRequest, McpLog, McpLogLevel, McpProgress,
    McpRoot, SamplingAnswer, SamplingRequest, convert,
};

/// Gives what answers a call access to the client that makes it.
///
/// Tools find it as a state: `cx.state::<McpCall>()`. It is missing where a tool is not called over MCP.
///
/// # Questions
///
/// [`elicit`](Self::elicit), [`sample`](Self::sample) and [`roots`](Self::roots) ask the client. A client with a session is asked at
/// once. One without (since 2026-07-28) is given the question as the result of its call, and makes the call again with the answer: so
/// the first time the question fails with [`McpCallError::Asked`], which should be passed on with `?`, and whatever is before it is
/// done again. Each question of a call has a key of its own, by which its answer is found. The tools of agents can ask only clients with a
/// session: a run is not begun again.
///
/// ```
/// use openai_agents::mcp::{ElicitationAnswer, ElicitationRequest};
/// use openai_agents::server::mcp::{McpCall, McpCallError};
/// use serde_json::json;
///
/// async fn name(call: &McpCall) -> Result<String, McpCallError> {
///     let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
///     let question = ElicitationRequest::form("What is your name?", schema);
///     Ok(match call.elicit("name", question).await? {
///         ElicitationAnswer::Accept { content: Some(values) } => values["name"].to_string(),
///         _ => "nobody".to_owned(),
///     })
/// }
/// ```
#[derive(Clone)]
pub struct McpCall(Arc<McpCallInner>);

struct McpCallInner {
    context: RequestContext<RoleServer>,
    asking: Asking,
    level: Arc<LogLevel>,
}

/// How the client is asked.
pub(super) enum Asking {
    /// Over its session, while the call is open.
    Session,
    /// By ending the call.
    Rounds(Arc<ElicitationRounds>),
    /// It is not.
    Nobody,
}

/// Says why the client did not answer a question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpCallError {
    /// The client has been asked, and makes the call again with its answer.
    ///
    /// Pass this on.
    #[error("the client has not answered `{key}` yet")]
    Asked {
        /// The key of the question.
        key: String,
    },
    /// The client says that it cannot answer such questions.
    #[error("the client has no {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// The client's answer is not one to the question.
    #[error("the client's answer to `{key}` cannot be used: {detail}")]
    BadAnswer {
        /// The key of the question.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The client refused, or is gone.
    #[error("the client did not answer `{key}`: {reason}")]
    NoAnswer {
        /// The key of the question.
        key: String,
        /// Why.
        reason: String,
    },
    /// The question has no form in the protocol.
    #[error("the question `{key}` cannot be asked: {detail}")]
    BadQuestion {
        /// The key of the question.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl McpCall {
    pub(super) fn new(
        context: RequestContext<RoleServer>,
        asking: Asking,
        level: Arc<LogLevel>,
    ) -> Self {
        Self(Arc::new(McpCallInner {
            context,
            asking,
            level,
        }))
    }

    /// Whether the client lets its user be asked.
    pub fn can_elicit(&self) -> bool {
        self.can_ask() && self.capabilities().elicitation.is_some()
    }

    /// Whether the client shows its user forms, which an old one that says no more does.
    pub(super) fn can_show_forms(&self) -> bool {
        let shows = |it: ElicitationCapability| it.form.is_some() || it.url.is_none();
        self.can_ask() && self.capabilities().elicitation.is_some_and(shows)
    }

    /// Whether the client lets its model be asked.
    pub fn can_sample(&self) -> bool {
        self.can_ask() && self.capabilities().sampling.is_some()
    }

    /// Whether the client says what its user works on.
    pub fn can_list_roots(&self) -> bool {
        self.can_ask() && self.capabilities().roots.is_some()
    }

    /// Sends a log message, if the client wants messages of its level.
    pub async fn log(&self, log: McpLog) {
        if !self.wants(log.level) {
            return;
        }
        let Ok(params) = convert::<LoggingMessageNotificationParam>(&log) else {
            return;
        };
        // A client that is gone needs no log.
        self.0
            .context
            .peer
            .notify_logging_message(params)
            .await
            .ok();
    }

    /// Tells how far the call has come, if the client wants to know.
    pub async fn progress(&self, progress: McpProgress) {
        let Some(token) = self.0.context.meta.get_progress_token() else {
            return;
        };
        let mut params = ProgressNotificationParam::new(token, progress.progress);
        params.total = progress.total;
        params.message = progress.message;
        self.0.context.peer.notify_progress(params).await.ok();
    }

    /// Whether the client wants to know how far the call has come.
    pub fn wants_progress(&self) -> bool {
        self.0.context.meta.get_progress_token().is_some()
    }

    /// Asks the client's user; see [Questions](Self#questions).
    ///
    /// # Errors
    ///
    /// [`McpCallError`] when there is no answer; that the user declines is one.
    pub async fn elicit(
        &self,
        key: &str,
        request: ElicitationRequest,
    ) -> Result<ElicitationAnswer, McpCallError> {
        // Looked at first. A client is not sent what it said it cannot do, and one without a
        // session is told what it lacks.
        if !self.can_elicit() {
            let mut lacking = ClientCapabilities::default();
            lacking.elicitation = Some(ElicitationCapability::default());
            return Err(self.unsupported("elicitation", lacking));
        }
        let params = match request.ask {
            ElicitationAsk::Form { schema } => ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: request.message,
                requested_schema: question::<ElicitationSchema>(key, &schema)?,
            },
            ElicitationAsk::Url { url } => ElicitRequestParams::UrlElicitationParams {
                meta: None,
                message: request.message,
                url,
                elicitation_id: format!("{}-{key}", self.0.context.id),
            },
        };
        self.ask(key, InputRequest::Elicitation(ElicitRequest::new(params)))
            .await
    }

    /// Asks the client's model; see [Questions](Self#questions).
    ///
    /// # Errors
    ///
    /// [`McpCallError`] when there is no answer.
    pub async fn sample(
        &self,
        key: &str,
        request: SamplingRequest,
    ) -> Result<SamplingAnswer, McpCallError> {
        if !self.can_sample() {
            let mut lacking = ClientCapabilities::default();
            lacking.sampling = Some(SamplingCapability::default());
            return Err(self.unsupported("sampling", lacking));
        }
        let params = question::<CreateMessageRequestParams>(key, &request)?;
        let request = CreateMessageRequest::new(params);
        self.ask(key, InputRequest::CreateMessage(request)).await
    }

    /// Asks the client what its user works on; see [Questions](Self#questions).
    ///
    /// # Errors
    ///
    /// [`McpCallError`] when there is no answer.
    pub async fn roots(&self, key: &str) -> Result<Vec<McpRoot>, McpCallError> {
        #[derive(serde::Deserialize)]
        struct RootsAnswer {
            roots: Vec<McpRoot>,
        }
        if !self.can_list_roots() {
            let mut lacking = ClientCapabilities::default();
            lacking.roots = Some(RootsCapabilities::default());
            return Err(self.unsupported("roots", lacking));
        }
        let request = InputRequest::ListRoots(ListRootsRequest::default());
        let answer: RootsAnswer = self.ask(key, request).await?;
        Ok(answer.roots)
    }

    /// Lets go of the HTTP connection that waits for this call's result.
    ///
    /// The client opens another after this time, and gets what it missed; a call that takes long needs no connection meanwhile. The
    /// result waits for the client to come back, for a minute.
    /// Without effect where the client has no session, or speaks a version before 2025-11-25, which knows nothing of it.
    pub async fn release_connection(&self, reconnect_after: Duration) {
        let stream = self.0.context.extensions.get::<ResponseStream>();
        let version = self.0.context.protocol_version();
        let knows = version.is_some_and(|version| knows_reconnecting(version.as_str()));
        if let Some(stream) = stream.filter(|_| knows) {
            stream.close(reconnect_after).await;
        }
    }

    /// Whether a question ends the call.
    pub(super) fn asks_in_rounds(&self) -> bool {
        matches!(self.0.asking, Asking::Rounds(_))
    }

    fn can_ask(&self) -> bool {
        !matches!(self.0.asking, Asking::Nobody)
    }

    fn capabilities(&self) -> ClientCapabilities {
        self.0.context.client_capabilities().unwrap_or_default()
    }

    fn wants(&self, level: McpLogLevel) -> bool {
        if self.has_session() {
            return self.0.level.includes(level);
        }
        // Without a session every request says for itself what it wants to hear.
        let wanted = self.0.context.meta.log_level();
        let wanted = wanted.and_then(|wanted| convert::<McpLogLevel>(&wanted).ok());
        wanted.is_some_and(|wanted| level >= wanted)
    }

    fn has_session(&self) -> bool {
        let version = self.0.context.protocol_version();
        version.is_none_or(|version| version.has_initialize())
    }

    fn unsupported(&self, what: &'static str, lacking: ClientCapabilities) -> McpCallError {
        if let Asking::Rounds(rounds) = &self.0.asking {
            rounds.require_capability(lacking);
        }
        McpCallError::Unsupported { what }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        key: &str,
        request: InputRequest,
    ) -> Result<T, McpCallError> {
        let answer = match &self.0.asking {
            Asking::Rounds(rounds) => {
                let Some(answer) = rounds.answer(key) else {
                    rounds.ask(key, request);
                    return Err(McpCallError::Asked {
                        key: key.to_owned(),
                    });
                };
                answer.clone()
            }
            // `Nobody` does not come here: every question looks at `can_ask` first.
            Asking::Session | Asking::Nobody => self.ask_session(key, request).await?,
        };
        serde_json::from_value(answer).map_err(|error| self.bad_answer(key, &error.to_string()))
    }

    /// Refuses an answer.
    pub(super) fn bad_answer(&self, key: &str, detail: &str) -> McpCallError {
        if let Asking::Rounds(rounds) = &self.0.asking {
            rounds.refuse_answer(key, detail);
        }
        McpCallError::BadAnswer {
            key: key.to_owned(),
            detail: detail.to_owned(),
        }
    }

    async fn ask_session(&self, key: &str, request: InputRequest) -> Result<Value, McpCallError> {
        let no_answer = |reason: String| McpCallError::NoAnswer {
            key: key.to_owned(),
            reason,
        };
        let request = match request {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => return Err(no_answer("there is no such question".to_owned())),
        };
        let answer: ClientResult = self
            .0
            .context
            .peer
            .send_request(request)
            .await
            .map_err(|error| no_answer(error.to_string()))?;
        serde_json::to_value(answer).map_err(|error| no_answer(error.to_string()))
    }
}

impl fmt::Debug for McpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpCall")
            .field("id", &self.0.context.id)
            .finish_non_exhaustive()
    }
}

/// The least grave messages that a session wants to hear.
#[derive(Debug)]
pub(super) struct LogLevel(AtomicU8);

impl LogLevel {
    pub(super) fn set(&self, level: McpLogLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    fn includes(&self, level: McpLogLevel) -> bool {
        level as u8 >= self.0.load(Ordering::Relaxed)
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(AtomicU8::new(McpLogLevel::Info as u8))
    }
}

fn question<T: DeserializeOwned>(key: &str, value: &impl Serialize) -> Result<T, McpCallError> {
    convert(value).map_err(|error| McpCallError::BadQuestion {
        key: key.to_owned(),
        detail: error.to_string(),
    })
}
