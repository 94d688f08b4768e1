//! A span that goes on.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

#[cfg(feature = "http")]
use bytes::Bytes;
use serde_json::Value;

use super::id::SpanContext;
use super::record::{Description, SpanDraft, SpanRecord, SpanStart};
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
use super::tracer::Tracer;
#[cfg(feature = "http")]
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
        self.tell(|draft| draft.set(name, value));
    }

    /// Says what was used.
    pub(crate) fn set_usage(&self, usage: &Usage) {
        self.tell(|draft| draft.set_usage(*usage));
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
        self.tell(|draft| draft.add_event(event));
    }

    /// Adds content, unless the tracer withholds that; it is made only then.
    pub fn add_content(&self, name: &'static str, content: impl FnOnce() -> SpanContent) {
        if self.records_content() {
            let content = content();
            self.tell(|draft| draft.set_content(name, content));
        }
    }

    /// Tells of an exchange with the model's server, in the place of an earlier one.
    #[cfg(feature = "http")]
    pub(crate) fn begin_exchange(
        &self,
        server: Arc<dyn Description>,
        request: impl FnOnce() -> SpanContent,
    ) {
        let request = self.records_content().then(request);
        self.tell(|draft| draft.begin_exchange(server, request));
    }

    #[cfg(feature = "http")]
    pub(crate) fn set_exchange_status(&self, status: u16) {
        self.tell(|draft| draft.set_exchange_status(status));
    }

    /// Adds a piece of the server's answer, unless the tracer withholds that.
    #[cfg(feature = "http")]
    pub(crate) fn add_answer(&self, piece: &Bytes, redactor: &Redactor) {
        if self.records_content() {
            self.tell(|draft| draft.add_answer(piece, redactor));
        }
    }

    /// Says whether content is recorded, and not withheld.
    pub fn records_content(&self) -> bool {
        self.tracer.records_content()
    }

    /// Notes why it failed.
    ///
    /// It ends with the status `error` then, unless another is said at its end.
    pub fn fail(&self, error: SpanError) {
        self.tell(|draft| draft.fail(error));
    }

    /// Tells it several things at once.
    pub(crate) fn tell(&self, tell: impl FnOnce(&mut SpanDraft)) {
        self.record.tell(tell);
    }

    /// Ends it: as failed if it was said to have failed, else well.
    pub fn end(&self) {
        self.end_with(None, |_| {});
    }

    pub(crate) fn end_as(&self, status: SpanStatus) {
        self.end_with(Some(status), |_| {});
    }

    /// Ends a span of a time that is over.
    pub(crate) fn end_at(&self, ended_at: SystemTime) {
        let status = Some(SpanStatus::Ok);
        if self.record.end(status, Some(ended_at), |_| {}) {
            self.tracer.ended(&self.record);
        }
    }

    /// Ends it with what it is told last.
    pub(crate) fn end_with(&self, status: Option<SpanStatus>, tell: impl FnOnce(&mut SpanDraft)) {
        if self.record.end(status, None, tell) {
            self.tracer.ended(&self.record);
        }
    }

    /// Returns it as it is now.
    pub fn snapshot(&self) -> Arc<Span> {
        self.record.span()
    }

    /// Returns what is recorded of it, which can be kept.
    ///
    /// It does not hold the tracer, as the span does.
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
