//! Who is told of spans.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::active::ActiveSpan;
use super::span::Span;
use super::tracer::PausedTrace;
use crate::future::{BoxError, BoxFuture};

/// Is told of every span, in the middle of the run: it must not block.
///
/// What takes time, such as a file or a connection, is an [`Exporter`] behind an [`ExportQueue`](super::ExportQueue), which is a processor.
pub trait Processor: Send + Sync {
    /// A span began.
    fn on_start(&self, span: &ActiveSpan) {
        let _ = span;
    }

    /// A span ended.
    fn on_end(&self, span: &Arc<Span>);

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

/// Passes spans on, on a thread of its own that may block.
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
pub struct MemorySpans(Arc<Mutex<Vec<Arc<Span>>>>);

impl MemorySpans {
    /// Gives the spans that ended, in that order.
    pub fn ended(&self) -> Vec<Arc<Span>> {
        self.spans().clone()
    }

    fn spans(&self) -> MutexGuard<'_, Vec<Arc<Span>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor for MemorySpans {
    fn on_end(&self, span: &Arc<Span>) {
        self.spans().push(Arc::clone(span));
    }
}

impl fmt::Debug for MemorySpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySpans")
            .field("n_spans", &self.spans().len())
            .finish()
    }
}
