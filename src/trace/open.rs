//! Spans with an owner, who ends them or is dropped.

use std::ops::Deref;
use std::sync::Arc;

use super::active::ActiveSpan;
use super::record::SpanStart;
use super::scope::TraceScope;
use super::span::{SpanError, SpanKind};
use super::tracer::Tracer;
use super::{SpanStatus, gen_ai};
use crate::kind::ErrorKind;

/// A span that is cancelled if its owner is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct OpenSpan(ActiveSpan);

impl OpenSpan {
    /// Begins a span in what is current, or else in a trace of its own; nothing without anyone who records.
    pub(crate) fn begin(tracer: Option<&Tracer>, trace: &Arc<str>, name: String) -> Option<Self> {
        let kind = SpanKind::Custom;
        let current = TraceScope::current();
        let around = current.and_then(|scope| scope.begin(kind, name.clone()));
        let own = || tracer?.trace(Arc::clone(trace)).scope().begin(kind, name);
        around.or_else(own).map(Self)
    }

    /// Begins a span in this one.
    pub(crate) fn child(&self, kind: SpanKind, name: String) -> Self {
        let parent = Some(self.0.context().span_id);
        let start = SpanStart::new(self.0.trace(), parent, kind).named(name);
        Self(self.0.tracer().begin(start))
    }

    /// Makes it what new spans belong to.
    pub(crate) fn scope(&self) -> TraceScope {
        TraceScope::span(self.0.clone())
    }

    /// Notes why it failed.
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
        self.0.end_as(SpanStatus::Cancelled);
    }
}
