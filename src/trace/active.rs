//! A span that goes on.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::id::{SpanContext, SpanId};
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
use super::tracer::Tracer;
use crate::secret::Redactor;

/// A span that goes on; a cheap handle.
///
/// It ends when it is ended by whoever began it. What is told it after that is lost.
#[derive(Clone)]
pub struct ActiveSpan(Arc<ActiveSpanInner>);

struct ActiveSpanInner {
    tracer: Tracer,
    context: SpanContext,
    kind: SpanKind,
    /// What it became, once it ended.
    span: Mutex<Result<Span, Arc<Span>>>,
    started: Instant,
    /// Whether the side effect that the span is about has begun in this process.
    has_effect: AtomicBool,
}

/// What a span begins with.
pub(crate) struct SpanStart {
    pub(crate) trace: Arc<TraceInfo>,
    pub(crate) parent: Option<SpanId>,
    pub(crate) kind: SpanKind,
    pub(crate) is_root: bool,
    pub(crate) name: Cow<'static, str>,
    pub(crate) attributes: Vec<(Cow<'static, str>, Value)>,
    pub(crate) content: Vec<(Cow<'static, str>, SpanContent)>,
    /// When it began, if that was before now.
    pub(crate) started_at: Option<SystemTime>,
}

impl ActiveSpan {
    pub(super) fn new(tracer: Tracer, start: SpanStart) -> Self {
        let id = SpanId::random();
        let context = SpanContext::new(start.trace.id, id);
        let kind = start.kind;
        let span = Span {
            trace: start.trace,
            id,
            parent: start.parent,
            name: start.name,
            kind: start.kind,
            is_root: start.is_root,
            status: SpanStatus::Running,
            started_at: start.started_at.unwrap_or_else(SystemTime::now),
            ended_at: None,
            attributes: start.attributes,
            events: Vec::new(),
            error: None,
            content: start.content,
        };
        let active = Self(Arc::new(ActiveSpanInner {
            context,
            kind,
            span: Mutex::new(Ok(span)),
            started: Instant::now(),
            has_effect: AtomicBool::new(false),
            tracer,
        }));
        active.0.tracer.started(&active);
        active
    }

    /// Names the span for other programs.
    pub fn context(&self) -> SpanContext {
        self.0.context
    }

    /// Says what the span is.
    pub fn kind(&self) -> SpanKind {
        self.0.kind
    }

    /// Adds an attribute, in the place of an earlier one of its name.
    pub fn set(&self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        self.change(|span| set(&mut span.attributes, name, value));
    }

    /// Notes that something happened.
    pub fn event(
        &self,
        name: impl Into<Cow<'static, str>>,
        attributes: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let attributes = attributes.into_iter();
        let event = SpanEvent {
            name: name.into(),
            at: SystemTime::now(),
            attributes: attributes
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
        };
        self.change(|span| span.events.push(event));
    }

    /// Adds content, unless the tracer withholds that; it is made only then.
    pub fn add_content(&self, name: &'static str, content: impl FnOnce() -> SpanContent) {
        if self.0.tracer.records_content() {
            let content = content();
            self.change(|span| {
                span.content.retain(|(known, _)| *known != name);
                span.content.push((name.into(), content));
            });
        }
    }

    pub(crate) fn remove_content(&self, name: &str) {
        self.change(|span| span.content.retain(|(known, _)| known != name));
    }

    /// Adds a piece to content that comes piece by piece.
    pub(crate) fn append_content(&self, name: &'static str, piece: &Bytes, redactor: &Redactor) {
        if !self.0.tracer.records_content() {
            return;
        }
        self.change(|span| {
            let mut content = span.content.iter_mut();
            if let Some((_, content)) = content.find(|(known, _)| known == name) {
                content.push(piece.clone());
                return;
            }
            let content = SpanContent::bytes(vec![piece.clone()]).without_secrets_of(redactor);
            span.content.push((name.into(), content));
        });
    }

    /// Says whether content is recorded, and not withheld.
    pub fn records_content(&self) -> bool {
        self.0.tracer.records_content()
    }

    /// Notes why it failed; it ends with the status `error` then, unless another is said at its end.
    pub fn fail(&self, error: SpanError) {
        self.change(|span| {
            span.status = SpanStatus::Error;
            span.error = Some(error);
        });
    }

    /// Ends it: as failed if it was said to have failed, else well.
    pub fn end(&self) {
        self.end_with(None);
    }

    pub(crate) fn end_as(&self, status: SpanStatus) {
        self.end_with(Some(status));
    }

    fn end_with(&self, status: Option<SpanStatus>) {
        let ended = {
            let mut state = self.lock();
            let Ok(span) = &mut *state else {
                return;
            };
            span.status = match (status, span.status) {
                (Some(status), _) => status,
                (None, SpanStatus::Running) => SpanStatus::Ok,
                (None, status) => status,
            };
            // By the clock that does not jump, so that no span ends before it began.
            span.ended_at = Some(span.started_at + self.0.started.elapsed());
            self.finished(&mut state)
        };
        if let Some(span) = ended {
            self.0.tracer.ended(&span);
        }
    }

    /// Ends a span of a time that is over.
    pub(crate) fn end_at(&self, ended_at: SystemTime) {
        let ended = {
            let mut state = self.lock();
            let Ok(span) = &mut *state else {
                return;
            };
            span.status = SpanStatus::Ok;
            span.ended_at = Some(ended_at.max(span.started_at));
            self.finished(&mut state)
        };
        if let Some(span) = ended {
            self.0.tracer.ended(&span);
        }
    }

    fn finished(&self, state: &mut Result<Span, Arc<Span>>) -> Option<Arc<Span>> {
        let Ok(span) = state else {
            return None;
        };
        let mut span = span.clone_shell();
        self.0.tracer.clean(&mut span);
        let span = Arc::new(span);
        *state = Err(Arc::clone(&span));
        Some(span)
    }

    /// Gives it as it is now.
    pub fn snapshot(&self) -> Arc<Span> {
        match &*self.lock() {
            Ok(span) => {
                let mut span = span.clone();
                self.0.tracer.clean(&mut span);
                Arc::new(span)
            }
            Err(span) => Arc::clone(span),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().is_err()
    }

    pub(crate) fn trace(&self) -> Arc<TraceInfo> {
        match &*self.lock() {
            Ok(span) => Arc::clone(&span.trace),
            Err(span) => Arc::clone(&span.trace),
        }
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// Notes that the side effect has begun, and its outcome is not one that a journal remembers.
    pub(crate) fn note_effect(&self) {
        self.0.has_effect.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_effect(&self) -> bool {
        self.0.has_effect.load(Ordering::Relaxed)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Span)) {
        if let Ok(span) = &mut *self.lock() {
            change(span);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Result<Span, Arc<Span>>> {
        self.0.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    /// Takes everything out that is large, for a span that ends.
    fn clone_shell(&mut self) -> Self {
        Self {
            trace: Arc::clone(&self.trace),
            name: std::mem::take(&mut self.name),
            attributes: std::mem::take(&mut self.attributes),
            events: std::mem::take(&mut self.events),
            error: self.error.take(),
            content: std::mem::take(&mut self.content),
            ..*self
        }
    }
}

fn set(attributes: &mut Vec<(Cow<'static, str>, Value)>, name: Cow<'static, str>, value: Value) {
    match attributes.iter_mut().find(|(known, _)| *known == name) {
        Some(attribute) => attribute.1 = value,
        None => attributes.push((name, value)),
    }
}

/// Takes secrets out of all that is not content; content has its redactors with it.
pub(super) fn clean(span: &mut Span, redactor: &Redactor) {
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
        *content = content.clone().without_secrets_of(redactor);
    }
}

impl fmt::Debug for ActiveSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSpan")
            .field("context", &self.0.context)
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}
