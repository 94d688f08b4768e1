//! The local store of traces: a SQLite file.
//!
//! Spans are written in batches. A row holds the spans of one trace that ended together, as JSON lines, and next to them all of their
//! content in one text; the lines say where each part stands. A batch thus costs two rows, where a row per span and value would cost
//! dozens, which would slow runs down. And the list and the tree of a trace can be read without the large values.

mod content;
mod process;
mod retention;
mod schema;
mod summary;
mod totals;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Statement, params};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::id::{SpanId, TraceId};
use super::processor::Processor;
use super::queue::ExportQueue;
use super::record::SpanRecord;
use super::span::{Span, SpanStatus, TraceInfo};
use super::time::of_micros;
use super::tracer::PausedTrace;
use super::{ActiveSpan, QueueLimits};
use crate::future::{BoxError, BoxFuture};
use crate::kind::ErrorKind;
use crate::sqlite::{self, Access, StoreError, Trouble, Worker};
use retention::prune;
use summary::read_summary;
use totals::usage_totals;
use write::StoreWriter;

pub use retention::TraceRetention;
pub use summary::TraceSummary;
pub use totals::{UsageFilter, UsageKey, UsageTotal};

/// Why a job on the database thread failed, before the store's name is added.
type StoreFailure = sqlite::Failure<TraceStoreError>;

/// The most traces in one answer.
const MAX_PAGE: usize = 200;

/// How many paused runs are loaded when a processor starts.
const MAX_PAUSED: i64 = 1000;

/// Keeps traces in a SQLite file and finds them again; a cheap handle.
///
/// The file may also contain sessions. A new file can be read and written by its owner only. Traces are deleted only by
/// [`delete`](Self::delete), [`prune`](Self::prune), and a processor [with a retention](Self::processor_with).
///
/// ```
/// use std::time::Duration;
///
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::trace::{TraceFilter, TraceStore, Tracer};
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = TraceStore::open(":memory:").await?;
/// let tracer = Tracer::builder().processor(store.processor().await?).build();
/// let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
/// runner.run(&Agent::builder("Guide").build()?, "The capital of France?").await?;
/// tracer.flush(Duration::from_secs(5)).await;
///
/// let list = store.list(TraceFilter::default()).await?;
/// let trace = store.trace(list.traces[0].id()).await?.ok_or("it is there")?;
/// assert_eq!(trace.spans.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TraceStore(Arc<Worker>);

/// Selects the traces to list, newest first; by default all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TraceFilter {
    /// Only traces with this status.
    pub status: Option<SpanStatus>,
    /// Only traces of the agent with this name.
    pub agent: Option<String>,
    /// Only traces of the session with this id.
    pub session: Option<String>,
    /// Only traces whose id begins with these digits.
    pub id_prefix: Option<String>,
    /// Only traces that contain this text in messages, arguments, names or errors.
    ///
    /// The case of ASCII letters is ignored.
    pub text: Option<String>,
    /// How many traces a page has at most; 50 by default, 200 at most.
    pub limit: Option<usize>,
    /// Continues behind an earlier page: its [`TraceList::next`].
    pub after: Option<String>,
}

/// A page of traces.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TraceList {
    /// The traces.
    pub traces: Vec<TraceSummary>,
    /// The [`TraceFilter::after`] of the next page, if there is one.
    pub next: Option<String>,
}

/// A trace with its spans.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredTrace {
    /// What the list shows of it.
    pub summary: TraceSummary,
    /// Its spans as JSON, also running ones. Of their content they have only sizes.
    pub spans: Vec<Box<RawValue>>,
}

/// Says why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceStoreError {
    /// It cannot be opened, read or written.
    #[error("the traces in `{store}` cannot be used")]
    Unavailable {
        /// The file.
        store: String,
        /// What SQLite reported.
        #[source]
        source: BoxError,
    },
    /// A newer version of this library made it.
    #[error(
        "the traces in `{store}` have format {found}; this library knows formats up to {known}"
    )]
    Newer {
        /// The file.
        store: String,
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// It was closed.
    #[error("the traces in `{store}` were closed")]
    Closed {
        /// The file.
        store: String,
    },
    /// The filter cannot be used.
    #[error("{detail}")]
    Filter {
        /// What is wrong.
        detail: &'static str,
    },
}

impl TraceStoreError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Filter { .. } => ErrorKind::Config,
            _ => ErrorKind::Session,
        }
    }
}

impl StoreError for TraceStoreError {
    fn at(store: &str, trouble: Trouble) -> Self {
        let store = store.to_owned();
        match trouble {
            Trouble::Unavailable(source)
            | Trouble::Full(source)
            | Trouble::ReadOnly(source)
            | Trouble::Refused(source) => Self::Unavailable { store, source },
            Trouble::Newer { found, known } => Self::Newer {
                store,
                found,
                known,
            },
            Trouble::Closed => Self::Closed { store },
        }
    }
}

impl TraceStore {
    /// Opens the file, and creates it and its tables if necessary.
    ///
    /// `:memory:` is a store without a file.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the file cannot be opened or created, is not a database, or has a
    /// newer format.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file may have been created.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, TraceStoreError> {
        let path: PathBuf = path.as_ref().to_owned();
        let worker = Worker::start(path, Access::ReadWrite, schema::prepare).await?;
        Ok(Self(Arc::new(worker)))
    }

    /// Returns a processor that writes to the store, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the paused runs cannot be read.
    pub async fn processor(&self) -> Result<impl Processor + use<>, TraceStoreError> {
        self.processor_with(TraceRetention::default()).await
    }

    /// Returns a processor that also deletes old traces.
    ///
    /// It does so at its first batch and every 256 batches.
    ///
    /// # Errors
    ///
    /// As for [`processor`](Self::processor).
    pub async fn processor_with(
        &self,
        retention: TraceRetention,
    ) -> Result<impl Processor + use<>, TraceStoreError> {
        let paused = self.0.run(|db| paused(db)).await?;
        let writer = StoreWriter::new(Arc::clone(&self.0), retention);
        Ok(StoreProcessor {
            queue: ExportQueue::with_limits(writer, QueueLimits::default()),
            paused,
        })
    }

    /// Lists traces, newest first.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be read or [`TraceFilter::after`] is invalid.
    pub async fn list(&self, filter: TraceFilter) -> Result<TraceList, TraceStoreError> {
        self.0.run(move |db| list(db, &filter)).await
    }

    /// Returns a trace and its spans without their content; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be read.
    pub async fn trace(&self, id: TraceId) -> Result<Option<StoredTrace>, TraceStoreError> {
        self.0.run(move |db| trace(db, id)).await
    }

    /// Returns a span as JSON with its content; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be read.
    pub async fn span(&self, id: TraceId, span: SpanId) -> Result<Option<Value>, TraceStoreError> {
        self.0.run(move |db| one_span(db, id, span)).await
    }

    /// Returns all spans of a trace with their content; running spans have none yet.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be read.
    pub async fn spans(&self, id: TraceId) -> Result<Vec<Span>, TraceStoreError> {
        self.0.run(move |db| whole_spans(db, id)).await
    }

    /// Adds up what the model calls of all traces used, ordered by the keys.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be read or [`UsageFilter::since`] is not a day.
    pub async fn usage(&self, filter: UsageFilter) -> Result<Vec<UsageTotal>, TraceStoreError> {
        self.0.run(move |db| usage_totals(db, &filter)).await
    }

    /// Deletes the traces that the retention does not keep, and returns how many.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be written.
    pub async fn prune(&self, retention: TraceRetention) -> Result<u64, TraceStoreError> {
        self.0.keep(move |db| prune(db, retention)).await
    }

    /// Deletes a trace; returns whether it was there.
    ///
    /// # Errors
    ///
    /// [`TraceStoreError`] when the store cannot be written.
    pub async fn delete(&self, id: TraceId) -> Result<bool, TraceStoreError> {
        let delete = move |db: &mut Connection| -> Result<bool, StoreFailure> {
            let id = id.to_string();
            let change = db.transaction()?;
            change.execute("DELETE FROM trace_spans WHERE trace_id = ?1", [&id])?;
            let n_deleted = change.execute("DELETE FROM traces WHERE id = ?1", [&id])?;
            change.commit()?;
            Ok(n_deleted > 0)
        };
        self.0.keep(delete).await
    }
}

/// Writes to a store, and knows the runs that other processes left paused in it.
struct StoreProcessor {
    queue: ExportQueue,
    paused: Vec<(u64, PausedTrace)>,
}

impl Processor for StoreProcessor {
    fn on_start(&self, span: &ActiveSpan) {
        self.queue.on_start(span);
    }

    fn on_end(&self, span: &SpanRecord) {
        self.queue.on_end(span);
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.queue.flush()
    }

    fn n_lost(&self) -> u64 {
        self.queue.n_lost()
    }

    fn paused(&self, key: u64) -> Option<PausedTrace> {
        let mut paused = self.paused.iter();
        paused.find_map(|(known, paused)| (*known == key).then(|| paused.clone()))
    }
}

fn paused(db: &Connection) -> Result<Vec<(u64, PausedTrace)>, StoreFailure> {
    let mut found = db.prepare(
        "SELECT id, name, group_id, metadata, pause_key, pause_task, ended_at FROM traces
         WHERE pause_key IS NOT NULL AND status = 'paused' ORDER BY started_at DESC LIMIT ?1",
    )?;
    let mut rows = found.query([MAX_PAUSED])?;
    let mut paused = Vec::new();
    while let Some(row) = rows.next()? {
        let metadata: String = row.get(3)?;
        let trace = TraceInfo::from_value(&json!({
            "trace_id": row.get::<_, String>(0)?,
            "name": row.get::<_, String>(1)?,
            "group_id": row.get::<_, Option<String>>(2)?,
            "metadata": serde_json::from_str::<Value>(&metadata).unwrap_or_default(),
        }));
        let key: String = row.get(4)?;
        let task: String = row.get(5)?;
        let ended_at: Option<i64> = row.get(6)?;
        if let (Some(trace), Ok(key), Ok(task)) =
            (trace, u64::from_str_radix(&key, 16), task.parse())
        {
            let found = PausedTrace {
                trace: Arc::new(trace),
                task,
                paused_at: of_micros(ended_at.unwrap_or_default()),
            };
            paused.push((key, found));
        }
    }
    Ok(paused)
}

fn list(db: &Connection, filter: &TraceFilter) -> Result<TraceList, StoreFailure> {
    let before: i64 = match &filter.after {
        None => i64::MAX,
        Some(after) => after.parse().map_err(|_| {
            StoreFailure::Own(TraceStoreError::Filter {
                detail: "`after` must be the `next` of an earlier page",
            })
        })?,
    };
    let limit = filter.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    // `%` and `_` are wildcards of LIKE; here they stand for themselves.
    let text = filter.text.as_ref().filter(|text| !text.is_empty());
    let text = text.map(|text| {
        let text = text.replace('\\', r"\\").replace('%', r"\%");
        format!("%{}%", text.replace('_', r"\_"))
    });
    let mut statement = db.prepare(&format!(
        r"SELECT {} FROM traces WHERE seq < ?1
          AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR agent = ?3)
          AND (?4 IS NULL OR session_id = ?4)
          AND (?5 IS NULL OR name LIKE ?5 ESCAPE '\' OR error_message LIKE ?5 ESCAPE '\'
            OR EXISTS (SELECT 1 FROM trace_spans WHERE trace_id = traces.id
              AND (spans LIKE ?5 ESCAPE '\' OR content LIKE ?5 ESCAPE '\')))
          AND (?6 IS NULL OR substr(id, 1, length(?6)) = ?6)
          ORDER BY seq DESC",
        summary::COLUMNS
    ))?;
    let stored = filter.status.map(|status| match status {
        // `lost` is never stored: a reader finds it when the process of a running trace is gone.
        SpanStatus::Lost => SpanStatus::Running.as_str(),
        status => status.as_str(),
    });
    let mut rows = statement.query(params![
        before,
        stored,
        filter.agent,
        filter.session,
        text,
        filter.id_prefix
    ])?;
    let mut traces = Vec::new();
    // One more than the page is read, to know whether there is a next one.
    while traces.len() <= limit
        && let Some(row) = rows.next()?
    {
        let summary = read_summary(row)?;
        if filter.status.is_none_or(|status| status == summary.status) {
            traces.push(summary);
        }
    }
    let has_more = traces.len() > limit;
    traces.truncate(limit);
    let next = traces.last().filter(|_| has_more);
    let next = next.map(TraceSummary::place);
    Ok(TraceList { traces, next })
}

fn summary_of(db: &Connection, id: TraceId) -> Result<Option<TraceSummary>, StoreFailure> {
    find_summary(&mut db.prepare(&select_summary())?, id)
}

/// The same by a prepared statement that selects the columns of a summary by an id.
fn find_summary(
    statement: &mut Statement<'_>,
    id: TraceId,
) -> Result<Option<TraceSummary>, StoreFailure> {
    let found = statement
        .query_row([id.to_string()], |row| Ok(read_summary(row)))
        .optional()?;
    found.transpose().map_err(StoreFailure::from)
}

fn select_summary() -> String {
    format!("SELECT {} FROM traces WHERE id = ?1", summary::COLUMNS)
}

fn trace(db: &Connection, id: TraceId) -> Result<Option<StoredTrace>, StoreFailure> {
    let Some(summary) = summary_of(db, id)? else {
        return Ok(None);
    };
    let mut lines: Vec<String> = Vec::new();
    let mut rows = db.prepare("SELECT spans FROM trace_spans WHERE trace_id = ?1 ORDER BY id")?;
    let mut rows = rows.query([id.to_string()])?;
    while let Some(row) = rows.next()? {
        lines.extend(
            row.get_ref(0)?
                .as_str()
                .unwrap_or_default()
                .lines()
                .map(str::to_owned),
        );
    }
    let running: String = db.query_row(
        "SELECT running FROM traces WHERE id = ?1",
        [id.to_string()],
        |row| row.get(0),
    )?;
    for line in running.lines() {
        let span = running_span(line, summary.status)?;
        lines.push(span.to_string());
    }
    let spans = lines.into_iter().map(RawValue::from_string);
    let spans: Result<_, _> = spans.collect();
    let spans = spans.map_err(StoreFailure::refused)?;
    Ok(Some(StoredTrace { summary, spans }))
}

fn one_span(db: &Connection, id: TraceId, span: SpanId) -> Result<Option<Value>, StoreFailure> {
    // Searching the text costs less than parsing each line. Only the span itself has its id in this
    // field: its children have it in `parent_id`.
    let known = format!(r#""span_id":"{span}""#);
    let row = db
        .query_row(
            "SELECT spans, content FROM trace_spans WHERE trace_id = ?1 AND instr(spans, ?2) ORDER BY id LIMIT 1",
            params![id.to_string(), known],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    if let Some((spans, content)) = row {
        let line = spans.lines().find(|line| line.contains(&known));
        return line.map(|line| with_content(line, &content)).transpose();
    }
    let running: Option<String> = db
        .query_row(
            "SELECT running FROM traces WHERE id = ?1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    let line = running.as_deref().unwrap_or_default().lines();
    let line = line.into_iter().find(|line| line.contains(&known));
    line.map(|line| serde_json::from_str(line).map_err(StoreFailure::refused))
        .transpose()
}

/// Replaces the places of a span's content by the content.
fn with_content(line: &str, content: &str) -> Result<Value, StoreFailure> {
    let mut span: Value = serde_json::from_str(line).map_err(StoreFailure::refused)?;
    let Some(places) = span.get_mut("content").and_then(Value::as_object_mut) else {
        return Ok(span);
    };
    for (name, place) in places.iter_mut() {
        let text = content::read(place, content);
        *place = text.map(Value::String).ok_or_else(|| {
            StoreFailure::refused(format!(
                "the content `{name}` is incomplete: the file is damaged"
            ))
        })?;
    }
    Ok(span)
}

fn whole_spans(db: &Connection, id: TraceId) -> Result<Vec<Span>, StoreFailure> {
    let Some(summary) = summary_of(db, id)? else {
        return Ok(Vec::new());
    };
    let status = summary.status;
    let trace = Arc::new(summary.trace);
    let mut statement =
        db.prepare("SELECT spans, content FROM trace_spans WHERE trace_id = ?1 ORDER BY id")?;
    let mut rows = statement.query([id.to_string()])?;
    let mut spans = Vec::new();
    while let Some(row) = rows.next()? {
        let (lines, content): (String, String) = (row.get(0)?, row.get(1)?);
        for line in lines.lines() {
            let span = with_content(line, &content)?;
            spans.extend(Span::from_json(&trace, &span));
        }
    }
    let running: String = db.query_row(
        "SELECT running FROM traces WHERE id = ?1",
        [id.to_string()],
        |row| row.get(0),
    )?;
    for line in running.lines() {
        let span = running_span(line, status)?;
        spans.extend(Span::from_json(&trace, &span));
    }
    Ok(spans)
}

/// A span that was running when it was written. If its process is gone, it is lost.
fn running_span(line: &str, trace: SpanStatus) -> Result<Value, StoreFailure> {
    let mut span: Value = serde_json::from_str(line).map_err(StoreFailure::refused)?;
    if let (SpanStatus::Lost, Some(span)) = (trace, span.as_object_mut()) {
        span.insert("status".to_owned(), trace.as_str().into());
    }
    Ok(span)
}

impl StoredTrace {
    /// Returns it as JSON: the fields of the list, and `spans`.
    pub fn to_value(&self) -> Map<String, Value> {
        let mut json = self.summary.to_value();
        let spans = self.spans.iter();
        // Never skips one: the store contains only JSON that it wrote itself.
        let spans = spans.filter_map(|span| serde_json::from_str(span.get()).ok());
        json.insert("spans".to_owned(), Value::Array(spans.collect()));
        json
    }

    /// Writes the same JSON as text, without parsing the spans.
    pub fn to_json(&self) -> String {
        let mut json = Value::Object(self.summary.to_value()).to_string();
        // The closing brace, to go on with another field.
        json.pop();
        json.push_str(r#","spans":["#);
        for (n, span) in self.spans.iter().enumerate() {
            if n > 0 {
                json.push(',');
            }
            json.push_str(span.get());
        }
        json.push_str("]}");
        json
    }
}

impl fmt::Debug for TraceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceStore")
            .field("store", &self.0.store())
            .finish()
    }
}
