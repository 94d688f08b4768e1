//! A span that goes on.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::id::SpanContext;
use super::record::{Description, SpanRecord, SpanStart};
use super::response::ResponseTexts;
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
use super::tracer::Tracer;
use crate::secret::Redactor;
use crate::usage::Usage;

/// A span that goes on; a cheap handle.
///
/// It ends when it is ended by whoever began it. What is told it after that is lost.
#[derive(Clone)]
pub struct ActiveSpan {
    tracer: Tracer,
    record: SpanRecord,
}

impl ActiveSpan {
    pub(super) fn new<D: Description + 'static>(tracer: Tracer, start: SpanStart<D>) -> Self {
        let record = SpanRecord::begin(start, tracer.redactor().clone());
        let active = Self { tracer, record };
        active.tracer.started(&active);
        active
    }

    /// Names the span for other programs.
    pub fn context(&self) -> SpanContext {
        self.record.context()
    }

    /// Says what the span is.
    pub fn kind(&self) -> SpanKind {
        self.record.kind()
    }

    /// Says how long it goes on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.record.elapsed()
    }

    /// Adds an attribute, in the place of an earlier one of its name.
    pub fn set(&self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.record.set(name.into(), value.into());
    }

    /// Has attributes made when someone asks for the span, of what they share with the run until then.
    pub(crate) fn describe(&self, description: Arc<dyn Description>) {
        self.record.describe(description);
    }

    /// Says what an answer says of itself.
    pub(crate) fn set_response(&self, texts: ResponseTexts) {
        self.record.set_response(texts);
    }

    /// Says what was used.
    pub(crate) fn set_usage(&self, usage: &Usage) {
        self.record.set_usage(*usage);
    }

    /// Notes that something happened.
    pub fn event(
        &self,
        name: impl Into<Cow<'static, str>>,
        attributes: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let attributes = attributes.into_iter();
        self.record.add_event(SpanEvent {
            name: name.into(),
            at: SystemTime::now(),
            attributes: attributes
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
        });
    }

    /// Adds content, unless the tracer withholds that; it is made only then.
    pub fn add_content(&self, name: &'static str, content: impl FnOnce() -> SpanContent) {
        if self.records_content() {
            self.record.set_content(name, content());
        }
    }

    pub(crate) fn remove_content(&self, name: &str) {
        self.record.remove_content(name);
    }

    /// Adds a piece to content that comes piece by piece.
    pub(crate) fn append_content(&self, name: &'static str, piece: &Bytes, redactor: &Redactor) {
        if self.records_content() {
            self.record.append_content(name, piece, redactor);
        }
    }

    /// Says whether content is recorded, and not withheld.
    pub fn records_content(&self) -> bool {
        self.tracer.records_content()
    }

    /// Notes why it failed; it ends with the status `error` then, unless another is said at its end.
    pub fn fail(&self, error: SpanError) {
        self.record.fail(error);
    }

    /// Ends it: as failed if it was said to have failed, else well.
    pub fn end(&self) {
        self.end_with(None, None);
    }

    pub(crate) fn end_as(&self, status: SpanStatus) {
        self.end_with(Some(status), None);
    }

    /// Ends a span of a time that is over.
    pub(crate) fn end_at(&self, ended_at: SystemTime) {
        self.end_with(Some(SpanStatus::Ok), Some(ended_at));
    }

    fn end_with(&self, status: Option<SpanStatus>, ended_at: Option<SystemTime>) {
        if self.record.end(status, ended_at) {
            self.tracer.ended(&self.record);
        }
    }

    /// Returns it as it is now.
    pub fn snapshot(&self) -> Arc<Span> {
        self.record.span()
    }

    /// Returns what is recorded of it, which can be kept: it does not hold the tracer, as the span does.
    pub const fn record(&self) -> &SpanRecord {
        &self.record
    }

    pub(crate) fn trace(&self) -> Arc<TraceInfo> {
        Arc::clone(self.record.trace())
    }

    pub(crate) const fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Notes that the side effect has begun, and its outcome is not one that a journal remembers.
    pub(crate) fn note_effect(&self) {
        self.record.effect().store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_effect(&self) -> bool {
        self.record.effect().load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ActiveSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSpan")
            .field("context", &self.context())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
