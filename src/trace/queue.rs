//! A bounded queue between runs and an exporter, which may be slow, full or gone.
//!
//! A run only ever puts a pointer into a list. What does not fit is dropped and counted, and said once in the log: a trace never delays
//! a run, and a loss is never silent.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::active::ActiveSpan;
use super::processor::{Exporter, Processor};
use super::record::SpanRecord;
use super::span::{Span, SpanStatus};
use crate::future::BoxFuture;

/// How much waits, how long, and how much goes at once.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct QueueLimits {
    /// The most spans that wait; 8,192 by default.
    pub max_spans: usize,
    /// The most bytes of content that wait; 64 MiB by default.
    ///
    /// A span that is larger alone is taken when nothing else waits.
    pub max_bytes: usize,
    /// The most spans of a batch; 512 by default.
    pub max_batch: usize,
    /// How long spans wait for others; 200 ms by default.
    ///
    /// So a batch is worth its cost.
    pub interval: Duration,
}

/// A [`Processor`] that passes spans on to an [`Exporter`], on a thread of its own.
///
/// The thread ends, after what waits, when the last handle of the queue is dropped; a program that ends at once
/// [flushes](super::Tracer::flush) before.
pub struct ExportQueue(Arc<QueueState>);

struct QueueState {
    limits: QueueLimits,
    wants_running: bool,
    waiting: Mutex<WaitingSpans>,
    wake: Condvar,
    n_lost: AtomicU64,
    is_losing: AtomicBool,
}

#[derive(Default)]
struct WaitingSpans {
    ended: Vec<SpanRecord>,
    n_bytes: usize,
    started: Vec<SpanRecord>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Whether the thread waits for the first of a batch.
    is_idle: bool,
    is_closing: bool,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            max_spans: 8192,
            max_bytes: 64 * 1024 * 1024,
            max_batch: 512,
            interval: Duration::from_millis(200),
        }
    }
}

impl ExportQueue {
    /// Starts the thread of an exporter.
    pub fn new(exporter: impl Exporter) -> Self {
        Self::with_limits(exporter, QueueLimits::default())
    }

    /// Starts the thread of an exporter, with other limits.
    pub fn with_limits(exporter: impl Exporter, limits: QueueLimits) -> Self {
        let state = Arc::new(QueueState {
            limits,
            wants_running: exporter.wants_running(),
            waiting: Mutex::default(),
            wake: Condvar::new(),
            n_lost: AtomicU64::new(0),
            is_losing: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let name = "openai-agents-trace".to_owned();
        let started = thread::Builder::new()
            .name(name)
            .spawn(move || shared.work(exporter));
        if let Err(error) = started {
            tracing::warn!(target: "openai_agents::trace", "spans are lost: no thread can be started: {error}");
            state.lock().is_closing = true;
        }
        Self(state)
    }
}

impl Processor for ExportQueue {
    fn on_start(&self, span: &ActiveSpan) {
        if !self.0.wants_running {
            return;
        }
        let mut waiting = self.0.lock();
        // A span that is not shown while it goes on is not lost: it comes when it ends.
        if waiting.started.len() < self.0.limits.max_spans && !waiting.is_closing {
            waiting.started.push(span.record().clone());
            self.0.wake_if_idle(&mut waiting);
        }
    }

    fn on_end(&self, span: &SpanRecord) {
        let n_bytes = span.n_bytes();
        let limits = &self.0.limits;
        let mut waiting = self.0.lock();
        let has_room = waiting.ended.len() < limits.max_spans
            && (waiting.n_bytes + n_bytes <= limits.max_bytes || waiting.ended.is_empty());
        if !has_room || waiting.is_closing {
            drop(waiting);
            self.0.lose(1, "the queue is full");
            return;
        }
        waiting.ended.push(span.clone());
        waiting.n_bytes += n_bytes;
        self.0.wake_if_idle(&mut waiting);
        // Half of a queue is worth going at once.
        if waiting.ended.len() * 2 == limits.max_spans {
            self.0.wake.notify_one();
        }
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        let (done, flushed) = oneshot::channel();
        let mut waiting = self.0.lock();
        if !waiting.is_closing {
            waiting.flushes.push(done);
            self.0.wake.notify_one();
        }
        drop(waiting);
        Box::pin(async move {
            // Nobody answers when the thread is gone, and nothing waits then.
            drop(flushed.await);
        })
    }

    fn n_lost(&self) -> u64 {
        self.0.n_lost.load(Ordering::Relaxed)
    }
}

impl QueueState {
    fn lock(&self) -> MutexGuard<'_, WaitingSpans> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_if_idle(&self, waiting: &mut WaitingSpans) {
        if std::mem::take(&mut waiting.is_idle) {
            self.wake.notify_one();
        }
    }

    fn lose(&self, n_spans: usize, why: &str) {
        self.n_lost.fetch_add(n_spans as u64, Ordering::Relaxed);
        // Once, until some come through again.
        if !self.is_losing.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "openai_agents::trace", "spans are lost: {why}");
        }
    }

    fn work(&self, mut exporter: impl Exporter) {
        let mut running: Vec<SpanRecord> = Vec::new();
        let mut taken = WaitingSpans::default();
        loop {
            self.take_batch(&mut taken);
            running.append(&mut taken.started);
            // They come first, so that a run is known before what ended in it; with what ended, so that both are written at once.
            let mut batch: Vec<Arc<Span>> = Vec::new();
            if self.wants_running && running.iter().any(|span| !span.has_ended()) {
                batch.extend(running.iter().filter_map(begun));
            }
            running.retain(|span| !span.has_ended());
            for some in taken.ended.chunks(self.limits.max_batch.max(1)) {
                batch.extend(some.iter().map(SpanRecord::span));
                self.export(&mut exporter, &batch);
                batch.clear();
            }
            taken.ended.clear();
            if !batch.is_empty() {
                self.export(&mut exporter, &batch);
            }
            for flush in taken.flushes.drain(..) {
                // Whoever waited may have given up, which is no matter.
                let _gone = flush.send(());
            }
            if taken.is_closing {
                return;
            }
        }
    }

    fn export(&self, exporter: &mut impl Exporter, batch: &[Arc<Span>]) {
        let Err(error) = exporter.export(batch) else {
            self.is_losing.store(false, Ordering::Relaxed);
            return;
        };
        // A span that goes on is not lost: it comes when it ends.
        match batch.iter().filter(|span| span.ended_at.is_some()).count() {
            0 => {
                tracing::debug!(target: "openai_agents::trace", "{}: {error}", exporter.target());
            }
            n_lost => self.lose(n_lost, &format!("{}: {error}", exporter.target())),
        }
    }

    /// Waits for something to do, and then for more of it. What it takes changes places with lists that are empty again, so that runs
    /// need not have them grow anew.
    fn take_batch(&self, taken: &mut WaitingSpans) {
        for list in [&mut taken.ended, &mut taken.started] {
            list.shrink_to(self.limits.max_batch);
        }
        let mut waiting = self.lock();
        while waiting.ended.is_empty()
            && waiting.started.is_empty()
            && waiting.flushes.is_empty()
            && !waiting.is_closing
        {
            waiting.is_idle = true;
            waiting = self
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_idle = false;
        if waiting.flushes.is_empty() && !waiting.is_closing {
            let waited = self.wake.wait_timeout(waiting, self.limits.interval);
            (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut *waiting, taken);
        waiting.n_bytes = 0;
        waiting.is_closing = taken.is_closing;
    }
}

impl Drop for ExportQueue {
    fn drop(&mut self) {
        self.0.lock().is_closing = true;
        self.0.wake.notify_one();
    }
}

impl fmt::Debug for ExportQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportQueue")
            .field("limits", &self.0.limits)
            .field("n_lost", &self.n_lost())
            .finish_non_exhaustive()
    }
}

/// A span that goes on, as it is; of those that ended the root of a run, as it began, so that runs are known in the order in which they begin.
fn begun(record: &SpanRecord) -> Option<Arc<Span>> {
    if record.has_ended() && !record.is_root() {
        return None;
    }
    let span = record.span();
    match span.ended_at {
        None => Some(span),
        Some(_) if span.is_root => Some(Arc::new(Span {
            status: SpanStatus::Running,
            ended_at: None,
            error: None,
            ..(*span).clone()
        })),
        // It ended just now.
        Some(_) => None,
    }
}
