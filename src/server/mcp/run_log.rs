//! Logs of the latest runs that clients asked for: their events with times, within bounds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::agent::runner::RunEvent;
use crate::kind::ErrorKind;
use crate::server::id;
use crate::server::kept::{Keepable, Keeper, Kind, Shelf, Why};

/// How many runs are kept.
const MAX_RUNS: usize = 100;
/// How many events of a run are kept.
const MAX_EVENTS: usize = 1_000;
/// How many bytes the kept events of a run have at most, as JSON.
const MAX_BYTES: usize = 1024 * 1024;

/// The logs of the latest runs.
pub(super) struct RunLogs(Shelf<Arc<RunLog>>);

/// What one run did, event by event.
#[derive(Debug)]
pub(super) struct RunLog {
    pub(super) run: String,
    pub(super) agent: String,
    session: Option<String>,
    /// In seconds since 1970.
    started_at: u64,
    start: Instant,
    progress: Mutex<RunProgress>,
}

/// How far a run has come.
#[derive(Debug, Default)]
struct RunProgress {
    status: RunLogStatus,
    events: VecDeque<LoggedEvent>,
    n_bytes: usize,
    n_dropped: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunLogStatus {
    #[default]
    Running,
    /// Calls wait for approval.
    Waiting,
    Done,
    Failed,
    /// Whoever asked gave it up.
    Cancelled,
}

/// One event, and when it was.
#[derive(Debug, Clone, Serialize)]
struct LoggedEvent {
    /// Since the beginning of the run.
    at_ms: u64,
    event: Box<RawValue>,
}

impl RunLogs {
    pub(super) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::Trace, MAX_RUNS))
    }

    /// Begins to keep a run.
    pub(super) fn begin(
        &self,
        agent: &str,
        session: Option<&str>,
    ) -> Result<RunLogWriter, getrandom::Error> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let trace = Arc::new(RunLog {
            run: id::digits()?,
            agent: agent.to_owned(),
            session: session.map(str::to_owned),
            started_at: since_1970.unwrap_or_default().as_secs(),
            start: Instant::now(),
            progress: Mutex::default(),
        });
        self.0.insert(&trace.run, Arc::clone(&trace));
        let kept = self.0.clone();
        Ok(RunLogWriter { trace, kept })
    }

    pub(super) fn find(&self, run: &str) -> Option<Arc<RunLog>> {
        self.0.find(run)
    }

    /// Says why a run is not kept any more, if it was.
    pub(super) fn dropped(&self, run: &str) -> Option<Why> {
        self.0.dropped(run)
    }

    /// Gives them, the latest first.
    pub(super) fn all(&self) -> Vec<Arc<RunLog>> {
        self.0.all()
    }
}

impl Keepable for Arc<RunLog> {
    fn n_bytes(&self) -> usize {
        let progress = self.progress();
        progress.n_bytes + progress.events.len() * size_of::<LoggedEvent>()
    }

    fn is_busy(&self) -> bool {
        matches!(self.status(), RunLogStatus::Running | RunLogStatus::Waiting)
    }

    fn shrink(&self) {
        let mut progress = self.progress();
        progress.n_dropped += progress.events.len();
        progress.events = VecDeque::new();
        progress.n_bytes = 0;
    }
}

impl RunLog {
    pub(super) fn status(&self) -> RunLogStatus {
        self.progress().status
    }

    /// Writes all that is kept of the run.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            run: &'a str,
            agent: &'a str,
            session: Option<&'a str>,
            started_at: u64,
            status: RunLogStatus,
            n_dropped: usize,
            events: &'a VecDeque<LoggedEvent>,
        }
        let progress = self.progress();
        serde_json::to_string(&Shown {
            run: &self.run,
            agent: &self.agent,
            session: self.session.as_deref(),
            started_at: self.started_at,
            status: progress.status,
            n_dropped: progress.n_dropped,
            events: &progress.events,
        })
    }

    fn add(&self, status: RunLogStatus, event: &Value) {
        let at_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = serde_json::value::to_raw_value(event);
        let mut progress = self.progress();
        progress.status = status;
        // JSON that was made here can be written.
        if let Ok(event) = event {
            progress.add(LoggedEvent { at_ms, event });
        }
    }

    fn progress(&self) -> MutexGuard<'_, RunProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunProgress {
    /// Adds an event; the oldest make room for it, and one without any room is none of them.
    fn add(&mut self, logged: LoggedEvent) {
        let n_bytes = logged.event.get().len();
        if n_bytes > MAX_BYTES {
            self.n_dropped += 1;
            return;
        }
        self.n_bytes += n_bytes;
        self.events.push_back(logged);
        while self.events.len() > MAX_EVENTS || self.n_bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.n_bytes -= oldest.event.get().len();
            self.n_dropped += 1;
        }
    }
}

/// Keeps what a run does; a run that is dropped before its end was cancelled.
pub(super) struct RunLogWriter {
    trace: Arc<RunLog>,
    kept: Shelf<Arc<RunLog>>,
}

impl RunLogWriter {
    /// The id of the run.
    pub(super) fn run(&self) -> &str {
        &self.trace.run
    }

    /// Keeps an event; pieces are not kept, since the item that they make is.
    pub(super) fn event(&self, event: &RunEvent) {
        let is_piece = matches!(
            event.unnested().1,
            RunEvent::TextDelta { .. }
                | RunEvent::RefusalDelta { .. }
                | RunEvent::ReasoningDelta { .. }
                | RunEvent::ToolCallDelta { .. }
        );
        let status = match event {
            RunEvent::RunDone { .. } => RunLogStatus::Done,
            RunEvent::ApprovalRequired { .. } => RunLogStatus::Waiting,
            _ => RunLogStatus::Running,
        };
        if let Some(json) = event.to_json().filter(|_| !is_piece) {
            self.add(status, &json);
        }
    }

    /// Keeps why the run ended without a result.
    pub(super) fn failed(&self, kind: ErrorKind, message: &str) {
        let error = json!({"kind": kind.as_str(), "message": message});
        let event = json!({"type": "result", "ok": false, "error": error});
        self.add(RunLogStatus::Failed, &event);
    }

    fn add(&self, status: RunLogStatus, event: &Value) {
        self.trace.add(status, event);
        self.kept.changed(&self.trace.run);
    }

    /// Notes that calls of the run wait.
    pub(super) fn waits(&self) {
        self.trace.progress().status = RunLogStatus::Waiting;
    }
}

impl Drop for RunLogWriter {
    fn drop(&mut self) {
        let mut progress = self.trace.progress();
        if matches!(
            progress.status,
            RunLogStatus::Running | RunLogStatus::Waiting
        ) {
            progress.status = RunLogStatus::Cancelled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kept::KeptLimits;

    fn read(trace: &RunLog) -> Value {
        serde_json::from_str(&trace.to_json().unwrap()).unwrap()
    }

    #[test]
    fn the_oldest_runs_make_room() {
        let logs = RunLogs::new(&Keeper::new(KeptLimits::DEFAULT));
        let first = logs.begin("A", None).unwrap();
        first.failed(ErrorKind::MaxTurns, "too many");
        for _ in 0..MAX_RUNS {
            let recording = logs.begin("A", None).unwrap();
            recording.failed(ErrorKind::MaxTurns, "too many");
        }
        assert!(logs.find(first.run()).is_none());
        assert_eq!(logs.dropped(first.run()), Some(Why::Number));
        assert_eq!(logs.all().len(), MAX_RUNS);
    }

    #[test]
    fn the_oldest_events_make_room_and_are_counted() {
        let logs = RunLogs::new(&Keeper::new(KeptLimits::DEFAULT));
        let recording = logs.begin("A", Some("s")).unwrap();
        let trace = logs.find(recording.run()).unwrap();
        for n in 0..=MAX_EVENTS {
            trace.add(RunLogStatus::Running, &json!({ "n": n }));
        }
        let shown = read(&trace);
        assert_eq!(shown["n_dropped"], 1);
        assert_eq!(shown["events"][0]["event"]["n"], 1);

        trace.add(RunLogStatus::Running, &json!("x".repeat(MAX_BYTES)));
        assert_eq!(read(&trace)["n_dropped"], 2);
        trace.add(RunLogStatus::Running, &json!("x".repeat(MAX_BYTES - 2)));
        let shown = read(&trace);
        assert_eq!(shown["events"].as_array().unwrap().len(), 1);
        assert_eq!(shown["n_dropped"], MAX_EVENTS + 2);
    }

    #[test]
    fn a_run_that_is_given_up_was_cancelled() {
        let logs = RunLogs::new(&Keeper::new(KeptLimits::DEFAULT));
        let recording = logs.begin("A", None).unwrap();
        let trace = logs.find(recording.run()).unwrap();
        recording.waits();
        assert_eq!(trace.status(), RunLogStatus::Waiting);
        drop(recording);
        assert_eq!(trace.status(), RunLogStatus::Cancelled);
        let recording = logs.begin("A", None).unwrap();
        let trace = logs.find(recording.run()).unwrap();
        recording.failed(ErrorKind::MaxTurns, "too many");
        drop(recording);
        assert_eq!(trace.status(), RunLogStatus::Failed);
        let error = &read(&trace)["events"][0]["event"]["error"];
        assert_eq!(error["kind"], "max_turns");
    }
}
