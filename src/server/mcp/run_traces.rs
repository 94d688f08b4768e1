//! The traces of the latest runs that clients asked for: their spans as JSON, within bounds.
//!
//! A run is recorded by the tracer of its runner with one more processor, which keeps the spans of this run here. Where the runner has no
//! tracer the run gets one whose spans go nowhere else: clients read what their runs did without any set-up, and no other program hears
//! of spans that it could never find.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::kind::ErrorKind;
use crate::server::id;
use crate::server::kept::{Keepable, Keeper, Kind, Shelf, Why};
use crate::trace::{
    ActiveSpan, Processor, Span, SpanError, SpanKind, SpanRecord, SpanStatus, TraceId, TraceScope,
    Tracer, rfc3339,
};

/// How many runs are kept.
const MAX_RUNS: usize = 100;
/// How many spans of a run are kept, and how many more that go on.
const MAX_SPANS: usize = 1_000;
/// How many bytes the kept spans of a run have at most, as JSON.
const MAX_BYTES: usize = 1024 * 1024;
/// How many bytes of content a span is kept with; of more only the sizes are, so that one large value does not cost the run its tree.
const MAX_CONTENT: usize = MAX_BYTES / 4;

/// The traces of the latest runs.
pub(super) struct RunTraces(Shelf<Arc<RunRecord>>);

/// What one run did, span by span.
#[derive(Debug)]
pub(super) struct RunRecord {
    pub(super) run: String,
    pub(super) agent: String,
    session: Option<String>,
    started_at: SystemTime,
    state: Mutex<RecordState>,
}

/// How far a run has come.
#[derive(Debug)]
struct RecordState {
    trace: Option<TraceId>,
    status: SpanStatus,
    ended_at: Option<SystemTime>,
    error: Option<SpanError>,
    ended: VecDeque<Box<RawValue>>,
    running: Vec<ActiveSpan>,
    n_bytes: usize,
    n_dropped: usize,
}

impl RunTraces {
    pub(super) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::Trace, MAX_RUNS))
    }

    /// Begins to keep a run, which is recorded by this tracer too, if there is one.
    pub(super) fn begin(
        &self,
        tracer: Option<&Tracer>,
        agent: &str,
        session: Option<&str>,
    ) -> Result<RunRecorder, getrandom::Error> {
        let record = Arc::new(RunRecord {
            run: id::digits()?,
            agent: agent.to_owned(),
            session: session.map(str::to_owned),
            started_at: SystemTime::now(),
            state: Mutex::default(),
        });
        // Kept from the beginning, so that a client can read of a run that goes on.
        self.0.insert(&record.run, Arc::clone(&record));
        let processor = SpanKeeper {
            record: Arc::downgrade(&record),
            kept: self.0.clone(),
        };
        let tracer = match tracer {
            Some(tracer) => tracer.to_builder(),
            None => Tracer::in_process(TraceScope::current().and_then(|scope| scope.context())),
        };
        Ok(RunRecorder {
            record,
            kept: self.0.clone(),
            tracer: tracer.processor(processor).build(),
        })
    }

    pub(super) fn find(&self, run: &str) -> Option<Arc<RunRecord>> {
        self.0.find(run)
    }

    /// Says why a run is not kept any more, if it was.
    pub(super) fn dropped(&self, run: &str) -> Option<Why> {
        self.0.dropped(run)
    }

    /// Returns them, the latest first.
    pub(super) fn all(&self) -> Vec<Arc<RunRecord>> {
        self.0.all()
    }
}

impl Keepable for Arc<RunRecord> {
    fn n_bytes(&self) -> usize {
        let state = self.state();
        state.n_bytes
            + state.ended.len() * size_of::<Box<RawValue>>()
            + state.running.len() * size_of::<Span>()
    }

    fn is_busy(&self) -> bool {
        matches!(self.status(), SpanStatus::Running | SpanStatus::Paused)
    }

    fn shrink(&self) {
        let mut state = self.state();
        state.n_dropped += state.ended.len();
        state.ended = VecDeque::new();
        state.n_bytes = 0;
    }
}

impl RunRecord {
    pub(super) fn status(&self) -> SpanStatus {
        self.state().status
    }

    /// Writes all that is kept of the run, with the spans that go on as they are now.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            run: &'a str,
            trace_id: Option<String>,
            agent: &'a str,
            session_id: Option<&'a str>,
            status: &'static str,
            started_at: String,
            ended_at: Option<String>,
            error: Option<Value>,
            n_dropped: usize,
            spans: Vec<&'a RawValue>,
        }
        let state = self.state();
        let running = state.running.iter();
        let running: Vec<_> = running
            .filter_map(|span| to_json(&span.snapshot()))
            .collect();
        let error = state.error.as_ref();
        serde_json::to_string(&Shown {
            run: &self.run,
            trace_id: state.trace.map(|id| id.to_string()),
            agent: &self.agent,
            session_id: self.session.as_deref(),
            status: state.status.as_str(),
            started_at: rfc3339(self.started_at),
            ended_at: state.ended_at.map(rfc3339),
            error: error.map(|error| json!({"kind": error.kind, "message": error.message})),
            n_dropped: state.n_dropped,
            spans: state.ended.iter().chain(&running).map(|it| &**it).collect(),
        })
    }

    fn state(&self) -> MutexGuard<'_, RecordState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordState {
    /// Takes a span that ended; the oldest make room for it, and one without any room is none of them.
    fn take(&mut self, span: &Span, json: Option<Box<RawValue>>) {
        self.running
            .retain(|open| open.context().span_id != span.id);
        // The wait for a decision is a root beside the run that waited.
        if span.is_root && span.kind != SpanKind::Approval {
            self.end(span.status, span.error.clone());
        }
        let Some(json) = json.filter(|json| json.get().len() <= MAX_BYTES) else {
            self.n_dropped += 1;
            return;
        };
        self.n_bytes += json.get().len();
        self.ended.push_back(json);
        while self.ended.len() > MAX_SPANS || self.n_bytes > MAX_BYTES {
            let Some(oldest) = self.ended.pop_front() else {
                return;
            };
            self.n_bytes -= oldest.get().len();
            self.n_dropped += 1;
        }
    }

    fn end(&mut self, status: SpanStatus, error: Option<SpanError>) {
        self.status = status;
        self.error = error;
        self.ended_at = Some(SystemTime::now());
    }
}

impl Default for RecordState {
    fn default() -> Self {
        Self {
            trace: None,
            status: SpanStatus::Running,
            ended_at: None,
            error: None,
            ended: VecDeque::new(),
            running: Vec::new(),
            n_bytes: 0,
            n_dropped: 0,
        }
    }
}

/// Writes a span with its content, or with the sizes of content that is too large.
///
/// Each text is kept once, where it came up. What a model call was asked is the input of the run and what its calls gave: kept with each
/// call, the conversation would take room that grows with the square of its turns. What an agent and its run gave is what the model said.
fn to_json(span: &Span) -> Option<Box<RawValue>> {
    let is_kept = |name: &str| match span.kind {
        SpanKind::Generation => name == "output",
        SpanKind::Agent | SpanKind::Task => name != "output",
        _ => true,
    };
    let content = span.content.iter().filter(|(name, _)| is_kept(name));
    let texts: Vec<_> = content
        .map(|(name, content)| (name.clone().into_owned(), content.to_text()))
        .collect();
    let n_bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let texts = texts.into_iter().map(|(name, text)| match n_bytes {
        0..=MAX_CONTENT => (name, Value::String(text)),
        _ => (name, json!({"size": text.len()})),
    });
    let content: Map<String, Value> = texts.collect();
    RawValue::from_string(span.to_json_with_content(&content)).ok()
}

/// Keeps the spans of a run that is still kept.
struct SpanKeeper {
    /// A span that goes on holds its tracer, and so this: the record must not hold itself.
    record: Weak<RunRecord>,
    kept: Shelf<Arc<RunRecord>>,
}

impl Processor for SpanKeeper {
    fn on_start(&self, span: &ActiveSpan) {
        let Some(record) = self.record.upgrade() else {
            return;
        };
        let mut state = record.state();
        state.trace.get_or_insert(span.context().trace_id);
        // The run that goes on after a decision.
        if state.status == SpanStatus::Paused && span.kind() == SpanKind::Task {
            state.status = SpanStatus::Running;
            state.ended_at = None;
        }
        // One that is not shown while it goes on is shown when it ends.
        if state.running.len() < MAX_SPANS {
            state.running.push(span.clone());
        }
    }

    fn on_end(&self, span: &SpanRecord) {
        if let Some(record) = self.record.upgrade() {
            let span = span.span();
            let json = to_json(&span);
            record.state().take(&span, json);
            self.kept.changed(&record.run);
        }
    }
}

/// Records a run; one that is dropped before the end of the run was cancelled.
pub(super) struct RunRecorder {
    record: Arc<RunRecord>,
    kept: Shelf<Arc<RunRecord>>,
    tracer: Tracer,
}

impl RunRecorder {
    /// The id of the run.
    pub(super) fn run(&self) -> &str {
        &self.record.run
    }

    /// What the run is given.
    pub(super) const fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Notes why the call ended without a result, which the spans of a run that only waited do not know.
    pub(super) fn failed(&self, kind: ErrorKind, message: &str) {
        let error = SpanError::new(kind, message);
        self.record.state().end(SpanStatus::Error, Some(error));
        self.kept.changed(&self.record.run);
    }
}

impl Drop for RunRecorder {
    fn drop(&mut self) {
        let mut state = self.record.state();
        if matches!(state.status, SpanStatus::Running | SpanStatus::Paused) {
            state.end(SpanStatus::Cancelled, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kept::KeptLimits;
    use crate::trace::{SpanContent, SpanContext, SpanId};

    fn traces() -> RunTraces {
        RunTraces::new(&Keeper::new(KeptLimits::DEFAULT))
    }

    fn read(traces: &RunTraces, recorder: &RunRecorder) -> Value {
        let record = traces.find(recorder.run()).unwrap();
        serde_json::from_str(&record.to_json().unwrap()).unwrap()
    }

    /// Begins a span in the trace of a run.
    fn begin(recorder: &RunRecorder, name: &str) -> ActiveSpan {
        let scope = recorder.tracer().trace("A").scope();
        scope.begin(SpanKind::Function, name.to_owned()).unwrap()
    }

    #[test]
    fn the_oldest_runs_make_room() {
        let traces = traces();
        let first = traces.begin(None, "A", None).unwrap();
        first.failed(ErrorKind::MaxTurns, "too many");
        for _ in 0..MAX_RUNS {
            let recorder = traces.begin(None, "A", None).unwrap();
            recorder.failed(ErrorKind::MaxTurns, "too many");
        }
        assert!(traces.find(first.run()).is_none());
        assert_eq!(traces.dropped(first.run()), Some(Why::Number));
        assert_eq!(traces.all().len(), MAX_RUNS);
    }

    #[test]
    fn the_oldest_spans_make_room_and_are_counted() {
        let traces = traces();
        let recorder = traces.begin(None, "A", Some("s")).unwrap();
        for n in 0..=MAX_SPANS {
            begin(&recorder, &n.to_string()).end();
        }
        let shown = read(&traces, &recorder);
        assert_eq!(shown["n_dropped"], 1);
        assert_eq!(shown["spans"][0]["name"], "1");

        let large = begin(&recorder, "large");
        large.set("x", "x".repeat(MAX_BYTES));
        large.end();
        assert_eq!(read(&traces, &recorder)["n_dropped"], 2);
        for _ in 0..2 {
            let large = begin(&recorder, "large");
            large.set("x", "x".repeat(MAX_BYTES - 1000));
            large.end();
        }
        let shown = read(&traces, &recorder);
        assert_eq!(shown["spans"].as_array().unwrap().len(), 1);
        assert_eq!(shown["n_dropped"], MAX_SPANS + 3);
    }

    #[test]
    fn content_that_is_too_large_leaves_its_size() {
        let traces = traces();
        let recorder = traces.begin(None, "A", None).unwrap();
        for n_bytes in [MAX_CONTENT, MAX_CONTENT + 1] {
            let span = begin(&recorder, "tool");
            span.add_content("result", || SpanContent::text("x".repeat(n_bytes)));
            span.end();
        }
        let shown = read(&traces, &recorder);
        let content = |n: usize| shown["spans"][n]["content"]["result"].clone();
        assert_eq!(content(0).as_str().unwrap().len(), MAX_CONTENT);
        assert_eq!(content(1), json!({"size": MAX_CONTENT + 1}));
    }

    #[test]
    fn a_run_that_is_given_up_was_cancelled() {
        let traces = traces();
        let recorder = traces.begin(None, "A", None).unwrap();
        let span = begin(&recorder, "run A");
        let shown = read(&traces, &recorder);
        assert_eq!(shown["status"], "running");
        assert_eq!(shown["spans"][0]["status"], "running");
        span.end_as(SpanStatus::Paused);
        let record = traces.find(recorder.run()).unwrap();
        assert_eq!(record.status(), SpanStatus::Paused);
        drop(recorder);
        assert_eq!(record.status(), SpanStatus::Cancelled);
        let recorder = traces.begin(None, "A", None).unwrap();
        recorder.failed(ErrorKind::MaxTurns, "too many");
        let record = traces.find(recorder.run()).unwrap();
        drop(recorder);
        assert_eq!(record.status(), SpanStatus::Error);
        let shown: Value = serde_json::from_str(&record.to_json().unwrap()).unwrap();
        let error = json!({"kind": "max_turns", "message": "too many"});
        assert_eq!(shown["error"], error);
    }

    #[test]
    fn span_that_only_this_process_knows_is_told_to_nobody() {
        let traces = traces();
        let around = SpanContext::new(TraceId::random(), SpanId::random());
        for expect in [None, Some(around)] {
            let begin = || traces.begin(None, "A", None).unwrap();
            let recorder = match expect {
                None => begin(),
                Some(around) => TraceScope::remote(around).enter(begin),
            };
            let span = self::begin(&recorder, "run A");
            assert_eq!(TraceScope::span(span).context(), expect);
        }
    }
}
