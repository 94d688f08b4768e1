//! What the list shows of a trace, and how spans change it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Connection, Row, Statement, params};
use serde_json::{Map, Value, json};

use super::StoreFailure;
use super::process::{has_ended, this_process};
use crate::trace::gen_ai;
use crate::trace::id::{SpanId, TraceId};
use crate::trace::span::{Span, SpanError, SpanKind, SpanStatus, TraceInfo};
use crate::trace::time::{micros, of_micros, rfc3339};
use crate::trace::usage::usage_of;
use crate::usage::Usage;

/// The columns that [`read_summary`] reads.
pub(super) const COLUMNS: &str = "id, name, group_id, metadata, status, started_at, ended_at, agent, model, n_turns, usage, session_id, error_kind, error_message, process, seq";

/// What the list shows of a trace.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceSummary {
    /// The trace.
    pub trace: TraceInfo,
    /// How its latest run ended, or that it is running.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: SystemTime,
    /// When its latest run ended.
    pub ended_at: Option<SystemTime>,
    /// The agent that its first run began with.
    pub agent: Option<String>,
    /// The model that was asked last.
    pub model: Option<String>,
    /// How many turns its runs had.
    pub n_turns: u32,
    /// What its model calls used.
    pub usage: Usage,
    /// The session of its runs, if they had one.
    pub session_id: Option<String>,
    /// Why its latest run failed.
    pub error: Option<SpanError>,
    /// Its place in the order in which the store first saw traces; unlike times it only grows.
    pub(super) seq: i64,
}

impl TraceSummary {
    /// Its id.
    pub const fn id(&self) -> TraceId {
        self.trace.id
    }

    /// Where the page after this trace begins.
    pub(super) fn place(&self) -> String {
        self.seq.to_string()
    }

    /// Returns it as JSON.
    pub fn to_value(&self) -> Map<String, Value> {
        let mut json = self.trace.to_value();
        let error = self.error.as_ref();
        let error = error.map(|error| json!({"kind": error.kind, "message": error.message}));
        let usage = serde_json::to_value(self.usage).unwrap_or_default();
        let fields = [
            ("status", self.status.as_str().into()),
            ("started_at", rfc3339(self.started_at).into()),
            ("ended_at", self.ended_at.map(rfc3339).into()),
            ("agent", self.agent.as_deref().into()),
            ("model", self.model.as_deref().into()),
            ("n_turns", self.n_turns.into()),
            ("usage", usage),
            ("session_id", self.session_id.as_deref().into()),
            ("error", error.into()),
        ];
        json.extend(fields.map(|(name, value): (&str, Value)| (name.to_owned(), value)));
        json
    }
}

pub(super) fn read_summary(row: &Row<'_>) -> rusqlite::Result<TraceSummary> {
    let metadata: String = row.get(3)?;
    let metadata: Map<String, Value> = serde_json::from_str(&metadata).unwrap_or_default();
    let id: String = row.get(0)?;
    let status: String = row.get(4)?;
    let usage: String = row.get(10)?;
    let kind: Option<String> = row.get(12)?;
    let message: Option<String> = row.get(13)?;
    let group: Option<String> = row.get(2)?;
    Ok(TraceSummary {
        trace: TraceInfo {
            id: id.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
            name: row.get::<_, String>(1)?.into(),
            group: group.map(Into::into),
            metadata: metadata.into_iter().collect(),
        },
        status: read_status(&status, row.get::<_, Option<String>>(14)?.as_deref()),
        started_at: of_micros(row.get(5)?),
        ended_at: row.get::<_, Option<i64>>(6)?.map(of_micros),
        agent: row.get(7)?,
        model: row.get(8)?,
        n_turns: row.get(9)?,
        usage: serde_json::from_str(&usage).unwrap_or_default(),
        session_id: row.get(11)?,
        error: kind.map(|kind| SpanError {
            kind: kind.into(),
            message: message.unwrap_or_default(),
        }),
        seq: row.get(15)?,
    })
}

/// The status of a trace, which is lost if it was running and its process is gone.
pub(super) fn read_status(status: &str, process: Option<&str>) -> SpanStatus {
    match SpanStatus::of_name(status) {
        Some(SpanStatus::Running) if process.is_some_and(has_ended) => SpanStatus::Lost,
        Some(status) => status,
        None => SpanStatus::Ok,
    }
}

/// The statements of a batch, so that SQLite parses each once and not for every trace.
pub(super) struct WriteStatements<'db> {
    load: Statement<'db>,
    save: Statement<'db>,
    pub(super) insert: Statement<'db>,
}

impl<'db> WriteStatements<'db> {
    pub(super) fn prepare(db: &'db Connection) -> Result<Self, StoreFailure> {
        Ok(Self {
            load: db.prepare(&super::select_summary())?,
            save: db.prepare(
                "INSERT OR REPLACE INTO traces VALUES
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                  coalesce((SELECT seq FROM traces WHERE id = ?1), (SELECT coalesce(max(seq), 0) + 1 FROM traces)))",
            )?,
            insert: db.prepare(
                "INSERT INTO trace_spans (trace_id, spans, content) VALUES (?1, ?2, ?3)",
            )?,
        })
    }
}

/// A trace with running spans, kept between batches.
pub(super) struct OpenTrace {
    summary: TraceSummary,
    /// Usage and number of turns at the end of its last run.
    settled: (Usage, u32),
    /// Whether that run was paused, so that the next one resumes it and counts its usage again.
    is_continued: bool,
    pause: Option<(String, SpanId)>,
    /// Runs that have not ended.
    open_roots: HashSet<SpanId>,
    /// Spans that have not ended, as JSON.
    running: HashMap<SpanId, String>,
}

impl OpenTrace {
    /// Loads the trace from the store, or begins a new one with its first span.
    pub(super) fn load(
        statements: &mut WriteStatements<'_>,
        span: &Span,
    ) -> Result<Self, StoreFailure> {
        let known = super::find_summary(&mut statements.load, span.trace.id)?;
        let summary = known.unwrap_or_else(|| TraceSummary {
            trace: TraceInfo::clone(&span.trace),
            status: SpanStatus::Running,
            started_at: span.started_at,
            ended_at: None,
            agent: None,
            model: None,
            n_turns: 0,
            usage: Usage::default(),
            session_id: None,
            error: None,
            seq: 0,
        });
        // A run reports all of its usage when it ends, so what a running one used so far must not count
        // twice.
        let settled = match summary.status {
            SpanStatus::Running | SpanStatus::Lost => (Usage::default(), 0),
            _ => (summary.usage, summary.n_turns),
        };
        Ok(Self {
            settled,
            is_continued: summary.status == SpanStatus::Paused,
            summary,
            pause: None,
            open_roots: HashSet::new(),
            running: HashMap::new(),
        })
    }

    /// Whether none of its spans is running.
    pub(super) fn is_settled(&self) -> bool {
        self.open_roots.is_empty() && self.running.is_empty()
    }

    pub(super) fn take(&mut self, span: &Span, json: &str) {
        if span.ended_at.is_some() {
            self.running.remove(&span.id);
        } else {
            self.running.insert(span.id, json.to_owned());
        }
        let summary = &mut self.summary;
        summary.started_at = summary.started_at.min(span.started_at);
        let text = |name| Some(span.attribute(name)?.as_str()?.to_owned());
        match span.kind {
            SpanKind::Task if summary.agent.is_none() => summary.agent = text(gen_ai::AGENT_NAME),
            SpanKind::Generation => {
                summary.model = text(gen_ai::REQUEST_MODEL);
                if span.ended_at.is_some() && !span.is_replayed() {
                    summary.usage += usage_of(span);
                }
            }
            SpanKind::Turn => {
                let turn = number(span, gen_ai::TURN);
                let before = if self.is_continued { 0 } else { self.settled.1 };
                summary.n_turns = summary.n_turns.max(before + turn.unwrap_or_default());
            }
            _ => {}
        }
        if span.is_root && span.kind != SpanKind::Approval {
            self.take_root(span);
        }
    }

    fn take_root(&mut self, span: &Span) {
        let summary = &mut self.summary;
        if let Some(session) = span.attribute(gen_ai::CONVERSATION).and_then(Value::as_str) {
            summary.session_id = Some(session.to_owned());
        }
        let Some(ended_at) = span.ended_at else {
            self.open_roots.insert(span.id);
            summary.status = SpanStatus::Running;
            summary.ended_at = None;
            summary.error = None;
            return;
        };
        self.open_roots.remove(&span.id);
        if let Some(turns) = number(span, gen_ai::TURNS) {
            // A resumed run also reports what it used before its pause.
            let (mut usage, mut n_turns) = self.settled;
            if self.is_continued {
                (usage, n_turns) = (Usage::default(), 0);
            }
            usage += usage_of(span);
            n_turns += turns;
            (summary.usage, summary.n_turns) = (usage, n_turns);
            self.settled = (usage, n_turns);
        }
        self.is_continued = span.status == SpanStatus::Paused;
        let key = span.attribute(gen_ai::PAUSE_KEY).and_then(Value::as_str);
        self.pause = key.map(|key| (key.to_owned(), span.id));
        if self.open_roots.is_empty() {
            summary.status = span.status;
            summary.ended_at = Some(ended_at.max(summary.ended_at.unwrap_or(ended_at)));
            summary.error.clone_from(&span.error);
        }
    }

    pub(super) fn save(&self, statements: &mut WriteStatements<'_>) -> Result<(), StoreFailure> {
        let TraceSummary {
            trace,
            status,
            started_at,
            ended_at,
            agent,
            model,
            n_turns,
            usage,
            session_id,
            error,
            seq: _,
        } = &self.summary;
        let metadata: Map<String, Value> = trace.metadata.iter().cloned().collect();
        let running: Vec<&str> = self.running.values().map(String::as_str).collect();
        let usage = serde_json::to_string(usage).map_err(StoreFailure::refused)?;
        // Stored for ended traces too: the status tells whether it matters, and a process that continues
        // the trace stores its own.
        statements.save.execute(params![
            trace.id.to_string(),
            trace.name,
            trace.group,
            Value::Object(metadata).to_string(),
            status.as_str(),
            micros(*started_at),
            ended_at.map(micros),
            agent,
            model,
            n_turns,
            usage,
            session_id,
            error.as_ref().map(|error| &*error.kind),
            error.as_ref().map(|error| &error.message),
            self.pause.as_ref().map(|(key, _)| key),
            self.pause.as_ref().map(|(_, task)| task.to_string()),
            running.join("\n"),
            this_process(),
        ])?;
        Ok(())
    }
}

fn number(span: &Span, name: &str) -> Option<u32> {
    let number = span.attribute(name).and_then(Value::as_u64);
    number.and_then(|number| number.try_into().ok())
}

/// The traces with running spans.
pub(super) type OpenTraces = HashMap<TraceId, OpenTrace>;

/// Groups the spans of a batch by trace; order is kept.
pub(super) fn by_trace(spans: &[Arc<Span>]) -> Vec<(TraceId, Vec<Arc<Span>>)> {
    let mut traces: Vec<(TraceId, Vec<Arc<Span>>)> = Vec::new();
    for span in spans {
        let id = span.trace.id;
        match traces.iter_mut().rev().find(|(known, _)| *known == id) {
            Some((_, spans)) => spans.push(Arc::clone(span)),
            None => traces.push((id, vec![Arc::clone(span)])),
        }
    }
    traces
}
