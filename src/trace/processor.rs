//! The receivers of spans.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::active::ActiveSpan;
use super::record::SpanRecord;
use super::span::Span;
use super::tracer::PausedTrace;
use crate::future::{BoxError, BoxFuture};

/// Receives every span, on the thread of the run and while it runs.
///
/// So it must not block.
///
/// It is called when a span begins and once when it ends; a span ends after those inside it. Spans of tools that run concurrently, and of
/// several runs, come in any order and from several threads at once. Processors are called in the order in which they were added.
///
/// A record is cheap to keep. Reading it costs the run some microseconds, more for a long conversation, because the [`Span`] and its texts
/// are put together only then. Whatever reads much or takes time, such as a file or a connection, should be an [`Exporter`] behind an
/// [`ExportQueue`](super::ExportQueue), which is a processor.
pub trait Processor: Send + Sync {
    /// A span began; attributes set here become part of it.
    fn on_start(&self, span: &ActiveSpan) {
        let _ = span;
    }

    /// A span ended; it does not change any more.
    fn on_end(&self, span: &SpanRecord);

    /// Waits until everything received so far has been passed on.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Counts the spans that could not be passed on.
    fn n_lost(&self) -> u64 {
        0
    }

    /// Finds the trace of a run that another process left paused, by its pause key.
    fn paused(&self, key: u64) -> Option<PausedTrace> {
        let _ = key;
        None
    }
}

/// Passes spans on from a thread of its own, which may block.
///
/// Spans are put together there and secrets removed from them, so that runs do not wait for either.
pub trait Exporter: Send + 'static {
    /// Passes on a batch.
    ///
    /// # Errors
    ///
    /// When it cannot; the spans of the batch are then counted as lost and not offered again.
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError>;

    /// Whether spans that are still running should be included in each batch; by default not.
    fn wants_running(&self) -> bool {
        false
    }

    /// Names the destination, for messages.
    fn target(&self) -> String;
}

/// Keeps the spans that ended in memory, for tests.
#[derive(Clone, Default)]
pub struct MemorySpans(Arc<Mutex<Vec<SpanRecord>>>);

impl MemorySpans {
    /// Returns the spans that ended, in that order.
    pub fn ended(&self) -> Vec<Arc<Span>> {
        self.spans().iter().map(SpanRecord::span).collect()
    }

    fn spans(&self) -> MutexGuard<'_, Vec<SpanRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor for MemorySpans {
    fn on_end(&self, span: &SpanRecord) {
        self.spans().push(span.clone());
    }
}

impl fmt::Debug for MemorySpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySpans")
            .field("n_spans", &self.spans().len())
            .finish()
    }
}
