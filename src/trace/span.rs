//! Traces, spans and their parts.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::Value;

use super::id::{SpanContext, SpanId, TraceId};
use crate::few::Few;
use crate::item::{CallItem, Item};
use crate::kind::ErrorKind;
use crate::secret::Redactor;

/// Describes a trace: what belongs together, usually one run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceInfo {
    /// Its id.
    pub id: TraceId,
    /// Its name: the first agent of the run, or the name given to
    /// [`Tracer::trace`](super::Tracer::trace).
    pub name: Arc<str>,
    /// What several traces share, such as the id of a chat.
    pub group: Option<Arc<str>>,
    /// What the application adds to it.
    pub metadata: Vec<(String, Value)>,
}

/// A part of a trace, running or ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Span {
    /// The trace.
    pub trace: Arc<TraceInfo>,
    /// Its id.
    pub id: SpanId,
    /// The span around it, possibly one of another program.
    pub parent: Option<SpanId>,
    /// Its name by the OpenTelemetry conventions: `chat gpt-4o`, `execute_tool get_weather`.
    pub name: Cow<'static, str>,
    /// What it is.
    pub kind: SpanKind,
    /// Whether this program has no span around it; usually it is a run.
    pub is_root: bool,
    /// How it ended, or that it is running.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
    /// What is known about it.
    ///
    /// Names are those of the OpenTelemetry conventions or begin with `openai_agents.`.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
    /// What happened in it, such as a failed attempt that was repeated.
    pub events: Vec<SpanEvent>,
    /// Why it failed.
    pub error: Option<SpanError>,
    /// Inputs and outputs, unless the tracer withholds them.
    pub content: Vec<(Cow<'static, str>, SpanContent)>,
}

/// Says what a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// A run.
    Task,
    /// An agent, while it has the conversation.
    ///
    /// It lasts from when the agent takes over the conversation until it hands it off or the run ends.
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
    /// Listing the tools of tool sources, such as MCP servers.
    McpTools,
    /// Reading or writing a session.
    Session,
    /// The time from the pause of a run for a decision until it was resumed.
    Approval,
    /// Speech to text.
    Transcription,
    /// Text to speech.
    Speech,
    /// All speech of one answer.
    SpeechGroup,
    /// A span of the application's own.
    Custom,
}

/// Says whether and how a span has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanStatus {
    /// It has not ended.
    Running,
    /// It succeeded.
    Ok,
    /// It failed.
    Error,
    /// It was cancelled or dropped.
    Cancelled,
    /// It waits for a decision.
    Paused,
    /// Its process ended without recording an end: it was killed, or the machine stopped.
    ///
    /// Only a [store](super::TraceStore) reports this, when it is read.
    Lost,
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// What happened.
    pub name: Cow<'static, str>,
    /// When.
    pub at: SystemTime,
    /// What is known about it.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// Says why a span failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanError {
    /// The kind, named as by [`ErrorKind`](crate::ErrorKind).
    pub kind: Cow<'static, str>,
    /// The error's text, with the server's own words.
    pub message: String,
}

/// Holds what went into a span or came out of it.
///
/// It is a text that may be large.
///
/// It is put together, and secrets are removed from it, only when it is read. So the thread of an
/// exporter does that work and not the run.
#[derive(Clone)]
pub struct SpanContent {
    pieces: Pieces,
    /// Removes the secrets that the recorder knows, such as a model's key.
    own_redactor: Redactor,
    /// Removes the secrets that the tracer knows.
    redactor: Redactor,
}

#[derive(Clone)]
enum Pieces {
    Text(Arc<str>),
    /// Bytes in one piece. Most bodies are, and need no list.
    Whole(Bytes),
    Bytes(Vec<Bytes>),
    Items(Few<Item, 1>),
    /// The first so many of a list that only grows.
    FirstItems(Arc<Mutex<Vec<Item>>>, usize),
    Arguments(CallItem),
}

/// About how many bytes the items of a content are: most of them are shared with the run, or with the content of other spans.
const N_ITEM_BYTES: usize = 1024;

impl Span {
    /// Returns the name of the span for other programs.
    pub fn context(&self) -> SpanContext {
        SpanContext::new(self.trace.id, self.id)
    }

    /// Returns the value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Sets an attribute and replaces an earlier value of it.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        let mut attributes = self.attributes.iter_mut();
        match attributes.find(|(known, _)| *known == name) {
            Some(attribute) => attribute.1 = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Adds an attribute of a name that it does not have yet.
    pub(crate) fn add(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((Cow::Borrowed(name), value.into()));
    }

    pub(crate) fn add_content(&mut self, name: &'static str, content: SpanContent) {
        self.content.push((Cow::Borrowed(name), content));
    }

    /// Whether its outcome came from a journal, so that nothing was done.
    pub fn is_replayed(&self) -> bool {
        self.attribute(super::gen_ai::REPLAYED) == Some(&Value::Bool(true))
    }

    /// Returns a part of the content.
    ///
    /// Model calls have `request` and `response`, tool calls `arguments` and `result`.
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

    /// Returns its name, such as `generation`.
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

    /// Returns the kind with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl SpanStatus {
    /// Returns its name, such as `error`.
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

    /// Returns the status with this name.
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

    /// Makes content of UTF-8 bytes, to which [`push`](Self::push) may add more.
    pub(crate) fn bytes(piece: &Bytes) -> Self {
        Self::of(Pieces::Whole(piece.clone()))
    }

    /// Makes content of items, which are written when it is asked for.
    pub(crate) fn items(items: Few<Item, 1>) -> Self {
        Self::of(Pieces::Items(items))
    }

    /// Makes content of the first so many items of a list to which others are added.
    pub(crate) fn first_items(items: Arc<Mutex<Vec<Item>>>, n_items: usize) -> Self {
        Self::of(Pieces::FirstItems(items, n_items))
    }

    /// Makes content of the arguments of a call.
    pub(crate) fn arguments(call: CallItem) -> Self {
        Self::of(Pieces::Arguments(call))
    }

    fn of(pieces: Pieces) -> Self {
        Self {
            pieces,
            own_redactor: Redactor::default(),
            redactor: Redactor::default(),
        }
    }

    /// Adds the secrets that the recorder knows, to be removed.
    #[must_use]
    pub(crate) fn without_secrets_of(mut self, redactor: &Redactor) -> Self {
        self.own_redactor = redactor.clone();
        self
    }

    /// Adds the secrets that the tracer knows, to be removed.
    pub(super) fn set_redactor(&mut self, redactor: &Redactor) {
        self.redactor = redactor.clone();
    }

    /// Adds a piece to content made of bytes.
    pub(crate) fn push(&mut self, piece: &Bytes) {
        match &mut self.pieces {
            Pieces::Whole(first) => {
                self.pieces = Pieces::Bytes(vec![std::mem::take(first), piece.clone()]);
            }
            Pieces::Bytes(pieces) => pieces.push(piece.clone()),
            Pieces::Text(_) | Pieces::Items(_) | Pieces::FirstItems(..) | Pieces::Arguments(_) => {}
        }
    }

    /// Returns the text, without secrets.
    pub fn to_text(&self) -> String {
        let mut text = self.raw_text();
        self.own_redactor.redact_in(&mut text);
        self.redactor.redact_in(&mut text);
        text
    }

    /// Removes the secrets from a part of the text.
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

    /// The text including secrets.
    pub(super) fn raw_text(&self) -> String {
        let of_bytes = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        match &self.pieces {
            Pieces::Text(text) => text.to_string(),
            Pieces::Whole(bytes) => of_bytes(bytes.to_vec()),
            Pieces::Bytes(pieces) => of_bytes(pieces.concat()),
            Pieces::Items(items) => items_text(items.iter()),
            Pieces::FirstItems(items, n_items) => {
                let items = items.lock().unwrap_or_else(PoisonError::into_inner);
                let items = items.get(..*n_items).map(<[Item]>::to_vec);
                // They are written when whoever adds to them can go on.
                items_text(items.unwrap_or_default().iter())
            }
            Pieces::Arguments(call) => call.arguments.clone(),
        }
    }

    /// About how many bytes of memory it holds, for queues that are bounded.
    pub(crate) fn n_bytes(&self) -> usize {
        match &self.pieces {
            Pieces::Text(text) => text.len(),
            Pieces::Whole(bytes) => bytes.len(),
            Pieces::Bytes(pieces) => pieces.iter().map(Bytes::len).sum(),
            Pieces::Items(_) | Pieces::FirstItems(..) => N_ITEM_BYTES,
            Pieces::Arguments(call) => call.arguments.len(),
        }
    }
}

/// A list of items as JSON.
fn items_text<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    let mut text = "[".to_owned();
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(item.to_json());
    }
    text.push(']');
    text
}

/// Does not show the text, which may be large and contain secrets.
impl fmt::Debug for SpanContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanContent")
            .field("n_bytes", &self.n_bytes())
            .finish_non_exhaustive()
    }
}
