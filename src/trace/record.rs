//! What a span was told, until someone wants it put together.
//!
//! A run only hands over what it has: values that are shared, and functions that make attributes of them. Names, attributes and texts are
//! made, and secrets are taken out, by the first who asks for the [`Span`]: on the thread of an exporter as a rule, not on the run's.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "http")]
use bytes::Bytes;
use serde_json::Value;

use super::exchange::Exchange;
use super::id::{SpanContext, SpanId};
use super::response::ResponseTexts;
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
use super::usage::write_usage;
use crate::few::Few;
use crate::secret::Redactor;
use crate::usage::Usage;

/// A span that began or ended, as it was recorded; a cheap handle.
///
/// The [`Span`] is put together by the first who asks for it once it has ended, in some microseconds, and shared by all who ask again.
#[derive(Clone)]
pub struct SpanRecord(Arc<RecordInner<dyn Description>>);

/// Makes the name and attributes of a span, when someone asks for them, of values that it shares with the run.
pub(crate) trait Description: Fn(&mut Span) + Send + Sync {}

impl<D: Fn(&mut Span) + Send + Sync> Description for D {}

/// All that is known of a span stands in one place: to allocate costs a run more than all else that it does for a span.
struct RecordInner<D: ?Sized> {
    trace: Arc<TraceInfo>,
    id: SpanId,
    parent: Option<SpanId>,
    kind: SpanKind,
    is_root: bool,
    name: Cow<'static, str>,
    started_at: SystemTime,
    started: Instant,
    redactor: Redactor,
    state: Mutex<RecordState>,
    /// Whether the side effect that the span is about has begun in this process.
    has_effect: AtomicBool,
    /// About how many bytes of content it was told, or its description holds; known once it has ended.
    n_bytes: AtomicUsize,
    description: D,
}

struct RecordState {
    draft: SpanDraft,
    /// What was made of it, for the first who asked once it had ended.
    whole: Option<Arc<Span>>,
}

/// What a span was told since it began. What the spans of a turn are told has its place; all else stands in lists.
#[derive(Clone)]
pub(crate) struct SpanDraft {
    status: SpanStatus,
    end: Option<SpanEnd>,
    error: Option<Box<SpanError>>,
    exchange: Option<Exchange>,
    response: Option<ResponseTexts>,
    usage: Option<Usage>,
    content: Few<(&'static str, SpanContent), 1>,
    attributes: Vec<(Cow<'static, str>, Value)>,
    events: Vec<SpanEvent>,
    /// About how many bytes of content it was told, or its description holds.
    n_bytes: usize,
}

/// When a span ended.
#[derive(Clone, Copy)]
enum SpanEnd {
    /// By the clock that does not jump, so that no span ends before it began.
    Now(Instant),
    At(SystemTime),
}

/// What a span begins with.
pub(crate) struct SpanStart<D = fn(&mut Span)> {
    pub(crate) trace: Arc<TraceInfo>,
    pub(crate) parent: Option<SpanId>,
    pub(crate) kind: SpanKind,
    pub(crate) is_root: bool,
    /// Its name, unless what describes it gives it another.
    pub(crate) name: Cow<'static, str>,
    /// When it began, if that was before now.
    pub(crate) started_at: Option<SystemTime>,
    /// About how many bytes of content its description holds.
    n_bytes: usize,
    description: D,
}

impl SpanStart {
    /// Begins a span of a trace.
    pub(crate) fn new(trace: Arc<TraceInfo>, parent: Option<SpanId>, kind: SpanKind) -> Self {
        Self {
            trace,
            parent,
            kind,
            is_root: false,
            name: Cow::Borrowed(""),
            started_at: None,
            n_bytes: 0,
            description: |_| {},
        }
    }

    pub(crate) fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Says about how many bytes of content its description holds.
    pub(crate) const fn holding(mut self, n_bytes: usize) -> Self {
        self.n_bytes = n_bytes;
        self
    }

    /// Has its name, attributes and content made when someone asks for the span.
    pub(crate) fn described<D: Fn(&mut Span)>(self, description: D) -> SpanStart<D> {
        SpanStart {
            trace: self.trace,
            parent: self.parent,
            kind: self.kind,
            is_root: self.is_root,
            name: self.name,
            started_at: self.started_at,
            n_bytes: self.n_bytes,
            description,
        }
    }
}

impl SpanRecord {
    pub(super) fn begin<D: Description + 'static>(start: SpanStart<D>, redactor: Redactor) -> Self {
        // In one expression, so that it is written where it is to stand and not moved there.
        Self(Arc::new(RecordInner {
            trace: start.trace,
            id: SpanId::random(),
            parent: start.parent,
            kind: start.kind,
            is_root: start.is_root,
            name: start.name,
            started_at: start.started_at.unwrap_or_else(SystemTime::now),
            started: Instant::now(),
            redactor,
            state: Mutex::new(RecordState {
                draft: SpanDraft {
                    status: SpanStatus::Running,
                    end: None,
                    error: None,
                    exchange: None,
                    response: None,
                    usage: None,
                    content: Few::default(),
                    attributes: Vec::new(),
                    events: Vec::new(),
                    n_bytes: start.n_bytes,
                },
                whole: None,
            }),
            has_effect: AtomicBool::new(false),
            n_bytes: AtomicUsize::new(0),
            description: start.description,
        }))
    }

    /// Returns the span, as it is now or as it ended.
    pub fn span(&self) -> Arc<Span> {
        let mut state = self.lock();
        if let Some(whole) = &state.whole {
            return Arc::clone(whole);
        }
        if state.draft.end.is_none() {
            return Arc::new(self.0.put_together(state.draft.clone()));
        }
        let span = Arc::new(self.0.put_together(state.draft.take()));
        state.whole = Some(Arc::clone(&span));
        span
    }

    /// Names the span for other programs.
    pub fn context(&self) -> SpanContext {
        SpanContext::new(self.0.trace.id, self.0.id)
    }

    /// Says what the span is.
    pub fn kind(&self) -> SpanKind {
        self.0.kind
    }

    /// Says whether no other span of this program is around it.
    pub fn is_root(&self) -> bool {
        self.0.is_root
    }

    pub(super) fn trace(&self) -> &Arc<TraceInfo> {
        &self.0.trace
    }

    pub(super) fn effect(&self) -> &AtomicBool {
        &self.0.has_effect
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().draft.end.is_some()
    }

    /// About how many bytes of content are held by it once it has ended, for queues that are bounded.
    pub(super) fn n_bytes(&self) -> usize {
        self.0.n_bytes.load(Ordering::Relaxed)
    }

    /// Tells it something, if it goes on.
    pub(super) fn tell(&self, tell: impl FnOnce(&mut SpanDraft)) {
        let mut state = self.lock();
        if state.draft.end.is_none() {
            tell(&mut state.draft);
        }
    }

    /// Ends it, now or at another time, with what it is told last; says whether it went on until then.
    pub(super) fn end(
        &self,
        status: Option<SpanStatus>,
        ended_at: Option<SystemTime>,
        tell: impl FnOnce(&mut SpanDraft),
    ) -> bool {
        let end = ended_at.map_or_else(|| SpanEnd::Now(Instant::now()), SpanEnd::At);
        let mut is_end = false;
        self.tell(|draft| {
            tell(draft);
            draft.status = match (status, draft.status) {
                (Some(status), _) => status,
                (None, SpanStatus::Running) => SpanStatus::Ok,
                (None, status) => status,
            };
            draft.end = Some(end);
            self.0.n_bytes.store(draft.n_bytes, Ordering::Relaxed);
            is_end = true;
        });
        is_end
    }

    fn lock(&self) -> MutexGuard<'_, RecordState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordInner<dyn Description> {
    fn time(&self, end: SpanEnd) -> SystemTime {
        match end {
            SpanEnd::Now(end) => self.started_at + end.duration_since(self.started),
            SpanEnd::At(end) => end.max(self.started_at),
        }
    }

    fn put_together(&self, draft: SpanDraft) -> Span {
        // About as many as it will have.
        let (n_attributes, n_contents) = match self.kind {
            SpanKind::Generation => (24, 5),
            _ => (8, 2),
        };
        let mut span = Span {
            trace: Arc::clone(&self.trace),
            id: self.id,
            parent: self.parent,
            name: self.name.clone(),
            kind: self.kind,
            is_root: self.is_root,
            status: draft.status,
            started_at: self.started_at,
            ended_at: draft.end.map(|end| self.time(end)),
            attributes: Vec::with_capacity(n_attributes),
            events: draft.events,
            error: draft.error.map(|error| *error),
            content: Vec::with_capacity(n_contents),
        };
        (self.description)(&mut span);
        if let Some(exchange) = draft.exchange {
            exchange.write(&mut span);
        }
        for (name, content) in draft.content {
            span.add_content(name, content);
        }
        if let Some(texts) = draft.response {
            texts.write(&mut span);
        }
        if let Some(usage) = draft.usage {
            write_usage(&mut span, &usage);
        }
        for (name, value) in draft.attributes {
            span.set(name, value);
        }
        if !self.redactor.is_empty() {
            clean(&mut span, &self.redactor);
        }
        span
    }
}

impl SpanDraft {
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.attributes.push((name.into(), value.into()));
    }

    pub(crate) fn set_content(&mut self, name: &'static str, content: SpanContent) {
        self.n_bytes += content.n_bytes();
        let known = |(known, _): &&mut (&'static str, SpanContent)| *known == name;
        if let Some((_, known)) = self.content.iter_mut().find(known) {
            self.n_bytes -= known.n_bytes();
            *known = content;
            return;
        }
        self.content.push((name, content));
    }

    pub(crate) fn fail(&mut self, error: SpanError) {
        self.status = SpanStatus::Error;
        self.error = Some(Box::new(error));
    }

    /// Says what was used.
    pub(crate) const fn set_usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// Says what an answer says of itself.
    pub(crate) fn set_response(&mut self, texts: ResponseTexts) {
        self.response = Some(texts);
    }

    pub(super) fn add_event(&mut self, event: SpanEvent) {
        self.events.push(event);
    }

    /// Says what is sent to a server, in the place of what was sent before.
    #[cfg(feature = "http")]
    pub(super) fn begin_exchange(
        &mut self,
        server: Arc<dyn Description>,
        request: Option<SpanContent>,
    ) {
        self.n_bytes += request.as_ref().map_or(0, SpanContent::n_bytes);
        self.n_bytes -= self.exchange.as_ref().map_or(0, Exchange::n_bytes);
        self.exchange = Some(Exchange::new(server, request));
    }

    #[cfg(feature = "http")]
    pub(super) fn set_exchange_status(&mut self, status: u16) {
        if let Some(exchange) = &mut self.exchange {
            exchange.set_status(status);
        }
    }

    /// Adds a piece of what the server answers.
    #[cfg(feature = "http")]
    pub(super) fn add_answer(&mut self, piece: &Bytes, redactor: &Redactor) {
        if let Some(exchange) = &mut self.exchange {
            self.n_bytes += piece.len();
            exchange.push(piece, redactor);
        }
    }

    /// Takes out all that is large; that it ended, and how, stays.
    fn take(&mut self) -> Self {
        Self {
            error: self.error.take(),
            exchange: self.exchange.take(),
            response: self.response.take(),
            content: std::mem::take(&mut self.content),
            attributes: std::mem::take(&mut self.attributes),
            events: std::mem::take(&mut self.events),
            ..*self
        }
    }
}

/// Takes secrets out of all that is not content; content has its redactors with it.
fn clean(span: &mut Span, redactor: &Redactor) {
    let redact = |values: &mut Vec<(Cow<'static, str>, Value)>| {
        for (_, value) in values {
            match value {
                Value::String(text) => redactor.redact_in(text),
                Value::Array(_) | Value::Object(_) => {
                    *value = redactor.redact_value(value.take());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    };
    redact(&mut span.attributes);
    for event in &mut span.events {
        redact(&mut event.attributes);
    }
    if let Some(error) = &mut span.error {
        redactor.redact_in(&mut error.message);
    }
    if let Cow::Owned(name) = &mut span.name {
        redactor.redact_in(name);
    }
    for (_, content) in &mut span.content {
        content.set_redactor(redactor);
    }
}

impl fmt::Debug for SpanRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanRecord")
            .field("context", &self.context())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
