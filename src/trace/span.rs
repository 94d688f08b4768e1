//! What a trace is made of.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::Value;

use super::id::{SpanContext, SpanId, TraceId};
use crate::kind::ErrorKind;
use crate::secret::Redactor;

/// A trace: what belongs together, a run as a rule.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceInfo {
    /// Its id.
    pub id: TraceId,
    /// Its name: the agent that the run begins with, or what [`Tracer::trace`](super::Tracer::trace) was given.
    pub name: Arc<str>,
    /// What several traces have in common, such as a chat.
    pub group: Option<Arc<str>>,
    /// What the application says of it.
    pub metadata: Vec<(String, Value)>,
}

/// A part of a trace, as it is or as it ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Span {
    /// The trace.
    pub trace: Arc<TraceInfo>,
    /// Its id.
    pub id: SpanId,
    /// The span around it, which may be another program's.
    pub parent: Option<SpanId>,
    /// Its name, as the OpenTelemetry conventions give it: `chat gpt-4o`, `execute_tool get_weather`.
    pub name: Cow<'static, str>,
    /// What it is.
    pub kind: SpanKind,
    /// Whether no other span of this program is around it: a run that nothing else of its trace is about.
    pub is_root: bool,
    /// How it ended, if it did.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
    /// What is known of it, by names of the OpenTelemetry conventions and, below `openai_agents.`, of this library.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
    /// What happened in it, such as an attempt that failed and was made again.
    pub events: Vec<SpanEvent>,
    /// Why it failed.
    pub error: Option<SpanError>,
    /// What went in and came out, unless the tracer withholds that.
    pub content: Vec<(Cow<'static, str>, SpanContent)>,
}

/// What a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// A run.
    Task,
    /// An agent, from when the conversation comes to it until it goes on or ends.
    Agent,
    /// A turn.
    Turn,
    /// A model call.
    Generation,
    /// A tool call.
    Function,
    /// A handoff.
    Handoff,
    /// A guardrail.
    Guardrail,
    /// Asking tool sources, such as MCP servers, for their tools.
    McpTools,
    /// Reading or writing a session.
    Session,
    /// The time from when a run paused for a decision until it went on.
    Approval,
    /// Speech to text.
    Transcription,
    /// Text to speech.
    Speech,
    /// All speech of an answer.
    SpeechGroup,
    /// The application's own.
    Custom,
}

/// How far a span has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanStatus {
    /// It goes on.
    Running,
    /// It ended as it should.
    Ok,
    /// It failed.
    Error,
    /// It was cancelled or dropped.
    Cancelled,
    /// It waits for a decision.
    Paused,
    /// Its process ended without a word: it was killed, or the machine stopped. Only who reads a [store](super::TraceStore) finds that.
    Lost,
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// What happened.
    pub name: Cow<'static, str>,
    /// When.
    pub at: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// Why a span failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanError {
    /// The kind, as [`ErrorKind`](crate::ErrorKind) names it.
    pub kind: Cow<'static, str>,
    /// What it says, with the server's own words.
    pub message: String,
}

/// What went into a span or came out of it: a text that may be large.
///
/// It is put together, and secrets are taken out of it, only when someone asks for it: on the thread of an exporter, not on the run's.
#[derive(Clone)]
pub struct SpanContent {
    pieces: Pieces,
    /// What whoever told it knows.
    own_redactor: Redactor,
    /// What its tracer knows.
    redactor: Redactor,
}

#[derive(Clone)]
enum Pieces {
    Text(Arc<str>),
    /// Most bodies come in one piece, which needs no list.
    Whole(Bytes),
    Bytes(Vec<Bytes>),
    Made {
        n_bytes: usize,
        make: Arc<dyn Fn() -> String + Send + Sync>,
    },
}

impl Span {
    /// Names the span for other programs.
    pub fn context(&self) -> SpanContext {
        SpanContext::new(self.trace.id, self.id)
    }

    /// Finds an attribute.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Sets an attribute, in the place of an earlier one of its name.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        let mut attributes = self.attributes.iter_mut();
        match attributes.find(|(known, _)| *known == name) {
            Some(attribute) => attribute.1 = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Whether its outcome is one that a journal remembered, and nothing was done.
    pub fn is_replayed(&self) -> bool {
        self.attribute(super::gen_ai::REPLAYED) == Some(&Value::Bool(true))
    }

    /// Finds a part of the content: `request` and `response` of a model call, `arguments` and `result` of a tool call.
    pub fn content(&self, name: &str) -> Option<&SpanContent> {
        let mut content = self.content.iter();
        content.find_map(|(known, content)| (known == name).then_some(content))
    }
}

impl SpanKind {
    const ALL: [Self; 14] = [
        Self::Task,
        Self::Agent,
        Self::Turn,
        Self::Generation,
        Self::Function,
        Self::Handoff,
        Self::Guardrail,
        Self::McpTools,
        Self::Session,
        Self::Approval,
        Self::Transcription,
        Self::Speech,
        Self::SpeechGroup,
        Self::Custom,
    ];

    /// Names it, as `generation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Agent => "agent",
            Self::Turn => "turn",
            Self::Generation => "generation",
            Self::Function => "function",
            Self::Handoff => "handoff",
            Self::Guardrail => "guardrail",
            Self::McpTools => "mcp_tools",
            Self::Session => "session",
            Self::Approval => "approval",
            Self::Transcription => "transcription",
            Self::Speech => "speech",
            Self::SpeechGroup => "speech_group",
            Self::Custom => "custom",
        }
    }

    /// Finds the kind of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl SpanStatus {
    /// Names it, as `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
            Self::Lost => "lost",
        }
    }

    /// Finds the status of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Ok,
            Self::Error,
            Self::Cancelled,
            Self::Paused,
            Self::Lost,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

impl SpanError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind: Cow::Borrowed(kind.as_str()),
            message: message.into(),
        }
    }
}

impl SpanContent {
    /// Makes content of a text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::of(Pieces::Text(text.into()))
    }

    /// Makes content of the bytes of a text, or of its first piece.
    pub(crate) fn bytes(piece: &Bytes) -> Self {
        Self::of(Pieces::Whole(piece.clone()))
    }

    /// Makes content that is written when it is asked for, of what takes about so many bytes until then.
    pub(crate) fn made(n_bytes: usize, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let make = Arc::new(make);
        Self::of(Pieces::Made { n_bytes, make })
    }

    fn of(pieces: Pieces) -> Self {
        Self {
            pieces,
            own_redactor: Redactor::default(),
            redactor: Redactor::default(),
        }
    }

    /// Takes the secrets that whoever tells it knows out of it.
    #[must_use]
    pub(crate) fn without_secrets_of(mut self, redactor: &Redactor) -> Self {
        self.own_redactor = redactor.clone();
        self
    }

    /// Takes the secrets that its tracer knows out of it too.
    pub(super) fn set_redactor(&mut self, redactor: &Redactor) {
        self.redactor = redactor.clone();
    }

    /// Adds a piece to content that has pieces.
    pub(crate) fn push(&mut self, piece: &Bytes) {
        match &mut self.pieces {
            Pieces::Whole(first) => {
                self.pieces = Pieces::Bytes(vec![std::mem::take(first), piece.clone()]);
            }
            Pieces::Bytes(pieces) => pieces.push(piece.clone()),
            Pieces::Text(_) | Pieces::Made { .. } => {}
        }
    }

    /// Puts the text together.
    pub fn to_text(&self) -> String {
        let mut text = self.raw_text();
        self.own_redactor.redact_in(&mut text);
        self.redactor.redact_in(&mut text);
        text
    }

    /// Takes the secrets out of a part of the text.
    #[cfg(feature = "sqlite")]
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.own_redactor.redact(text) {
            Cow::Borrowed(text) => self.redactor.redact(text),
            Cow::Owned(text) => Cow::Owned(self.redactor.redact(&text).into_owned()),
        }
    }

    #[cfg(feature = "sqlite")]
    pub(super) const fn redactors(&self) -> [&Redactor; 2] {
        [&self.own_redactor, &self.redactor]
    }

    /// The text with its secrets.
    pub(super) fn raw_text(&self) -> String {
        let of_bytes = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        match &self.pieces {
            Pieces::Text(text) => text.to_string(),
            Pieces::Whole(bytes) => of_bytes(bytes.to_vec()),
            Pieces::Bytes(pieces) => of_bytes(pieces.concat()),
            Pieces::Made { make, .. } => make(),
        }
    }

    /// About how many bytes are held by it, for queues that are bounded.
    pub(crate) fn n_bytes(&self) -> usize {
        match &self.pieces {
            Pieces::Text(text) => text.len(),
            Pieces::Whole(bytes) => bytes.len(),
            Pieces::Bytes(pieces) => pieces.iter().map(Bytes::len).sum(),
            Pieces::Made { n_bytes, .. } => *n_bytes,
        }
    }
}

/// The text is not shown: it may be large, and a secret.
impl fmt::Debug for SpanContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanContent")
            .field("n_bytes", &self.n_bytes())
            .finish_non_exhaustive()
    }
}
