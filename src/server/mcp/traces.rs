//! What the latest runs that clients asked for did.

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

/// The latest runs.
pub(super) struct Traces(Shelf<Arc<Trace>>);

/// One run.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) run: String,
    pub(super) agent: String,
    session: Option<String>,
    /// In seconds since 1970.
    started_at: u64,
    start: Instant,
    course: Mutex<Course>,
}

/// What became of a run so far.
#[derive(Debug, Default)]
struct Course {
    status: Status,
    events: VecDeque<Told>,
    n_bytes: usize,
    n_dropped: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
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
struct Told {
    /// Since the beginning of the run.
    at_ms: u64,
    event: Box<RawValue>,
}

impl Traces {
    pub(super) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::Trace, MAX_RUNS))
    }

    /// Begins to keep a run.
    pub(super) fn begin(
        &self,
        agent: &str,
        session: Option<&str>,
    ) -> Result<Recording, getrandom::Error> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let trace = Arc::new(Trace {
            run: id::digits()?,
            agent: agent.to_owned(),
            session: session.map(str::to_owned),
            started_at: since_1970.unwrap_or_default().as_secs(),
            start: Instant::now(),
            course: Mutex::default(),
        });
        self.0.insert(&trace.run, Arc::clone(&trace));
        let kept = self.0.clone();
        Ok(Recording { trace, kept })
    }

    pub(super) fn find(&self, run: &str) -> Option<Arc<Trace>> {
        self.0.find(run)
    }

    /// Says why a run is not kept any more, if it was.
    pub(super) fn dropped(&self, run: &str) -> Option<Why> {
        self.0.dropped(run)
    }

    /// Gives them, the latest first.
    pub(super) fn all(&self) -> Vec<Arc<Trace>> {
        self.0.all()
    }
}

impl Keepable for Arc<Trace> {
    fn n_bytes(&self) -> usize {
        let course = self.course();
        course.n_bytes + course.events.len() * size_of::<Told>()
    }

    fn is_busy(&self) -> bool {
        matches!(self.status(), Status::Running | Status::Waiting)
    }

    fn shrink(&self) {
        let mut course = self.course();
        course.n_dropped += course.events.len();
        course.events = VecDeque::new();
        course.n_bytes = 0;
    }
}

impl Trace {
    pub(super) fn status(&self) -> Status {
        self.course().status
    }

    /// Writes all that is kept of the run.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            run: &'a str,
            agent: &'a str,
            session: Option<&'a str>,
            started_at: u64,
            status: Status,
            n_dropped: usize,
            events: &'a VecDeque<Told>,
        }
        let course = self.course();
        serde_json::to_string(&Shown {
            run: &self.run,
            agent: &self.agent,
            session: self.session.as_deref(),
            started_at: self.started_at,
            status: course.status,
            n_dropped: course.n_dropped,
            events: &course.events,
        })
    }

    fn add(&self, status: Status, event: &Value) {
        let at_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = serde_json::value::to_raw_value(event);
        let mut course = self.course();
        course.status = status;
        // JSON that was made here can be written.
        if let Ok(event) = event {
            course.add(Told { at_ms, event });
        }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    /// Adds an event; the oldest make room for it, and one without any room is none of them.
    fn add(&mut self, told: Told) {
        let n_bytes = told.event.get().len();
        if n_bytes > MAX_BYTES {
            self.n_dropped += 1;
            return;
        }
        self.n_bytes += n_bytes;
        self.events.push_back(told);
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
pub(super) struct Recording {
    trace: Arc<Trace>,
    kept: Shelf<Arc<Trace>>,
}

impl Recording {
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
            RunEvent::RunDone { .. } => Status::Done,
            RunEvent::ApprovalRequired { .. } => Status::Waiting,
            _ => Status::Running,
        };
        if let Some(json) = event.to_json().filter(|_| !is_piece) {
            self.add(status, &json);
        }
    }

    /// Keeps why the run ended without a result.
    pub(super) fn failed(&self, kind: ErrorKind, message: &str) {
        let error = json!({"kind": kind.as_str(), "message": message});
        let event = json!({"type": "result", "ok": false, "error": error});
        self.add(Status::Failed, &event);
    }

    fn add(&self, status: Status, event: &Value) {
        self.trace.add(status, event);
        self.kept.changed(&self.trace.run);
    }

    /// Notes that calls of the run wait.
    pub(super) fn waits(&self) {
        self.trace.course().status = Status::Waiting;
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut course = self.trace.course();
        if matches!(course.status, Status::Running | Status::Waiting) {
            course.status = Status::Cancelled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kept::KeptLimits;

    fn read(trace: &Trace) -> Value {
        serde_json::from_str(&trace.to_json().unwrap()).unwrap()
    }

    #[test]
    fn the_oldest_runs_make_room() {
        let traces = Traces::new(&Keeper::new(KeptLimits::DEFAULT));
        let first = traces.begin("A", None).unwrap();
        first.failed(ErrorKind::MaxTurns, "too many");
        for _ in 0..MAX_RUNS {
            let recording = traces.begin("A", None).unwrap();
            recording.failed(ErrorKind::MaxTurns, "too many");
        }
        assert!(traces.find(first.run()).is_none());
        assert_eq!(traces.dropped(first.run()), Some(Why::Number));
        assert_eq!(traces.all().len(), MAX_RUNS);
    }

    #[test]
    fn the_oldest_events_make_room_and_are_counted() {
        let traces = Traces::new(&Keeper::new(KeptLimits::DEFAULT));
        let recording = traces.begin("A", Some("s")).unwrap();
        let trace = traces.find(recording.run()).unwrap();
        for n in 0..=MAX_EVENTS {
            trace.add(Status::Running, &json!({ "n": n }));
        }
        let shown = read(&trace);
        assert_eq!(shown["n_dropped"], 1);
        assert_eq!(shown["events"][0]["event"]["n"], 1);

        trace.add(Status::Running, &json!("x".repeat(MAX_BYTES)));
        assert_eq!(read(&trace)["n_dropped"], 2);
        trace.add(Status::Running, &json!("x".repeat(MAX_BYTES - 2)));
        let shown = read(&trace);
        assert_eq!(shown["events"].as_array().unwrap().len(), 1);
        assert_eq!(shown["n_dropped"], MAX_EVENTS + 2);
    }

    #[test]
    fn a_run_that_is_given_up_was_cancelled() {
        let traces = Traces::new(&Keeper::new(KeptLimits::DEFAULT));
        let recording = traces.begin("A", None).unwrap();
        let trace = traces.find(recording.run()).unwrap();
        recording.waits();
        assert_eq!(trace.status(), Status::Waiting);
        drop(recording);
        assert_eq!(trace.status(), Status::Cancelled);
        let recording = traces.begin("A", None).unwrap();
        let trace = traces.find(recording.run()).unwrap();
        recording.failed(ErrorKind::MaxTurns, "too many");
        drop(recording);
        assert_eq!(trace.status(), Status::Failed);
        let error = &read(&trace)["events"][0]["event"]["error"];
        assert_eq!(error["kind"], "max_turns");
    }
}
