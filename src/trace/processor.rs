//! Who is told of spans.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::active::ActiveSpan;
use super::record::SpanRecord;
use super::span::Span;
use super::tracer::PausedTrace;
use crate::future::{BoxError, BoxFuture};

/// Is told of every span on the thread of the run, in the middle of it: it must not block.
///
/// A span is told of when it begins and once when it ends, one that is around others after those. Spans of tools that run side by side, and
/// those of several runs, come in any order, from several threads at once. Processors are told in the order in which they were added.
///
/// What is given is cheap to keep. To read it costs the run some microseconds, for a long conversation more, since the [`Span`] is put
/// together then and its texts are written: what reads much, or takes time, such as a file or a connection, is an [`Exporter`] behind an
/// [`ExportQueue`](super::ExportQueue), which is a processor.
pub trait Processor: Send + Sync {
    /// A span began; what is set here stands in it.
    fn on_start(&self, span: &ActiveSpan) {
        let _ = span;
    }

    /// A span ended; nothing of it changes any more.
    fn on_end(&self, span: &SpanRecord);

    /// Waits until everything that it was told by now has been passed on.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Counts the spans that it lost.
    fn n_lost(&self) -> u64 {
        0
    }

    /// Finds a run that another process left waiting, by what is the same when it goes on.
    fn paused(&self, key: u64) -> Option<PausedTrace> {
        let _ = key;
        None
    }
}

/// Passes spans on, on a thread of its own that may block: there spans are put together, and secrets are taken out of them.
pub trait Exporter: Send + 'static {
    /// Passes on a batch.
    ///
    /// # Errors
    ///
    /// Why it could not; the spans of the batch are counted as lost then, and not given again.
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError>;

    /// Says whether it wants spans that still go on as well, each time it is given others.
    fn wants_running(&self) -> bool {
        false
    }

    /// Names where they go, for messages.
    fn target(&self) -> String;
}

/// Keeps the spans that ended, for tests.
#[derive(Clone, Default)]
pub struct MemorySpans(Arc<Mutex<Vec<SpanRecord>>>);

impl MemorySpans {
    /// Gives the spans that ended, in that order.
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
