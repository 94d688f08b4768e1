//! Spans that end when their owner ends them or is dropped.

use std::ops::Deref;
use std::sync::Arc;

use super::active::ActiveSpan;
use super::record::SpanStart;
use super::scope::TraceScope;
use super::span::{SpanError, SpanKind};
use super::tracer::Tracer;
use super::{SpanStatus, gen_ai};
use crate::kind::ErrorKind;

/// A span that ends as cancelled if it is dropped before it was ended.
#[derive(Debug)]
pub(crate) struct OpenSpan(ActiveSpan);

impl OpenSpan {
    /// Begins a span below the current one, or else in a new trace; `None` if nobody records.
    pub(crate) fn begin(tracer: Option<&Tracer>, trace: &Arc<str>, name: String) -> Option<Self> {
        let kind = SpanKind::Custom;
        let current = TraceScope::current();
        let around = current.and_then(|scope| scope.begin(kind, name.clone()));
        let own = || tracer?.trace(Arc::clone(trace)).scope().begin(kind, name);
        around.or_else(own).map(Self)
    }

    /// Begins a span below this one.
    pub(crate) fn child(&self, kind: SpanKind, name: String) -> Self {
        let parent = Some(self.0.context().span_id);
        let start = SpanStart::new(self.0.trace(), parent, kind).named(name);
        Self(self.0.tracer().begin(start))
    }

    /// The scope in which new spans become children of this one.
    pub(crate) fn scope(&self) -> TraceScope {
        TraceScope::span(self.0.clone())
    }

    /// Records why it failed.
    pub(crate) fn fail_with(&self, kind: ErrorKind, message: impl Into<String>) {
        self.0.set(gen_ai::ERROR_TYPE, kind.as_str());
        self.0.fail(SpanError::new(kind, message));
    }
}

impl Deref for OpenSpan {
    type Target = ActiveSpan;

    fn deref(&self) -> &ActiveSpan {
        &self.0
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        // Does nothing if the span has ended: only the first end counts.
        self.0.end_as(SpanStatus::Cancelled);
    }
}
