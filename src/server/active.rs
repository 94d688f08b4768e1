//! The runs under way: at most so many, all of them can be ended, and each end is counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::ApiError;
use super::metrics::{self, Metrics, RunOutcome};
use super::model_metrics::ModelMetrics;
use crate::agent::runner::{RunEvent, RunHandle, RunRequest, RunResult, RunStream};
use crate::context::Cancel;
use crate::error::RunError;
use crate::model::MemoryLimit;
use crate::usage::Usage;

/// The runs of a server.
pub(super) struct Runs {
    slots: Arc<Semaphore>,
    max_waiting: usize,
    n_waiting: AtomicUsize,
    handles: Mutex<Handles>,
    n_active: watch::Sender<usize>,
    closing: watch::Sender<bool>,
    memory_limit: Option<MemoryLimit>,
    pub(super) metrics: Metrics,
    model_metrics: ModelMetrics,
}

#[derive(Default)]
struct Handles {
    next: u64,
    active: HashMap<u64, RunHandle>,
}

/// A run with its place among the runs of the server; dropping it cancels the run and gives the place back.
pub(super) struct ActiveRun {
    stream: Box<RunStream>,
    key: u64,
    runs: Arc<Runs>,
    is_over: bool,
    /// The place.
    _slot: OwnedSemaphorePermit,
}

impl Runs {
    pub(super) fn new(
        max_runs: usize,
        max_waiting: usize,
        memory_limit: Option<MemoryLimit>,
    ) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(max_runs.min(Semaphore::MAX_PERMITS))),
            max_waiting,
            n_waiting: AtomicUsize::new(0),
            handles: Mutex::default(),
            n_active: watch::Sender::new(0),
            closing: watch::Sender::new(false),
            memory_limit,
            metrics: Metrics::new(),
            model_metrics: ModelMetrics::default(),
        }
    }

    /// Starts a run when there is a place for it; first come, first served.
    ///
    /// # Errors
    ///
    /// When too many wait already, or the server is closing.
    pub(super) async fn begin(
        self: &Arc<Self>,
        request: RunRequest,
    ) -> Result<ActiveRun, ApiError> {
        let slot = self.slot().await?;
        let stream = Box::new(request.layer(self.model_metrics.clone()).stream());
        let handle = stream.handle();
        let mut handles = self.handles();
        let key = handles.next;
        handles.next += 1;
        handles.active.insert(key, handle.clone());
        self.n_active.send_replace(handles.active.len());
        drop(handles);
        // Looked at after the run is known, so that none slips through when the server closes.
        if self.is_closing() {
            handle.cancel(Cancel::Now);
        }
        Ok(ActiveRun {
            stream,
            key,
            runs: Arc::clone(self),
            is_over: false,
            _slot: slot,
        })
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.is_closing() {
            return Err(ApiError::closing());
        }
        // First without waiting, so that a run which finds a place is not counted as one that
        // waits.
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        // Counted before it is compared: of two that come at once for the last place in the queue,
        // one sees the other.
        let waiting = WaiterCount::new(&self.n_waiting);
        if waiting.n_before >= self.max_waiting {
            return Err(ApiError::full());
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        slot.map_err(|_| ApiError::closing())
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until the server is closing.
    pub(super) async fn closing(&self) {
        // The sender lives as long as this.
        self.closing.subscribe().wait_for(|is| *is).await.ok();
    }

    /// Lets no more runs begin, and those that go on end after their turn.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        // Those that wait for a place are answered that the server closes, and not left waiting.
        self.slots.close();
        self.cancel(Cancel::AfterTurn);
    }

    /// Ends all runs that go on.
    pub(super) fn cancel(&self, when: Cancel) {
        for handle in self.handles().active.values() {
            handle.cancel(when);
        }
    }

    /// Waits until no run goes on.
    pub(super) async fn idle(&self) {
        self.n_active.subscribe().wait_for(|n| *n == 0).await.ok();
    }

    /// Waits until the server is closing and no run goes on.
    pub(super) async fn idle_after_closing(&self) {
        self.closing().await;
        self.idle().await;
    }

    pub(super) fn n_active(&self) -> usize {
        *self.n_active.borrow()
    }

    pub(super) fn metrics_text(&self) -> String {
        let n_waiting = self.n_waiting.load(Ordering::Relaxed);
        let mut text = self.metrics.to_text(self.n_active(), n_waiting);
        if let Some(limit) = &self.memory_limit {
            metrics::answers(&mut text, limit);
        }
        self.model_metrics.write(&mut text);
        text
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more who waits, for as long as this is there.
struct WaiterCount<'a> {
    count: &'a AtomicUsize,
    n_before: usize,
}

impl<'a> WaiterCount<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        let n_before = count.fetch_add(1, Ordering::SeqCst);
        Self { count, n_before }
    }
}

impl Drop for WaiterCount<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ActiveRun {
    pub(super) async fn next(&mut self) -> Option<Result<RunEvent, RunError>> {
        let event = self.stream.next().await?;
        match &event {
            Ok(RunEvent::RunDone { result }) => self.over(RunOutcome::Completed, &result.usage()),
            Ok(_) => {}
            Err(error) => self.over(RunOutcome::Failed(error.kind()), &error.progress().usage),
        }
        Some(event)
    }

    /// Waits for the end; tells each event before it.
    pub(super) async fn finish(
        mut self,
        mut tell: impl FnMut(&RunEvent),
    ) -> Option<Result<RunResult, RunError>> {
        while let Some(event) = self.next().await {
            match event {
                Ok(RunEvent::RunDone { result }) => return Some(Ok(*result)),
                Ok(event) => tell(&event),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    pub(super) fn handle(&self) -> RunHandle {
        self.stream.handle()
    }

    fn over(&mut self, outcome: RunOutcome, usage: &Usage) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.runs.metrics.ran(outcome, usage);
        }
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.over(RunOutcome::Dropped, &Usage::default());
        let mut handles = self.runs.handles();
        handles.active.remove(&self.key);
        self.runs.n_active.send_replace(handles.active.len());
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs")
            .field("n_active", &*self.n_active.borrow())
            .finish_non_exhaustive()
    }
}
