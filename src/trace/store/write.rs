//! Writes spans to the store, on the thread of a queue.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::content::RowContent;
use super::retention::{TraceRetention, prune};
use super::summary::{OpenTrace, OpenTraces, WriteStatements, by_trace};
use super::{StoreFailure, TraceStoreError};
use crate::future::BoxError;
use crate::sqlite::Worker;
use crate::trace::processor::Exporter;
use crate::trace::span::Span;

/// How much content a row holds before another is begun; a single span may exceed it.
const MAX_ROW_CONTENT: usize = 4 * 1024 * 1024;

/// How often old traces are deleted: at the first batch and every so many batches.
const BATCHES_BETWEEN_PRUNES: u64 = 256;

pub(super) struct StoreWriter {
    worker: Arc<Worker>,
    open: Arc<Mutex<OpenTraces>>,
    retention: TraceRetention,
    n_batches: u64,
}

impl StoreWriter {
    pub(super) fn new(worker: Arc<Worker>, retention: TraceRetention) -> Self {
        Self {
            worker,
            open: Arc::default(),
            retention,
            n_batches: 0,
        }
    }
}

impl Exporter for StoreWriter {
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError> {
        let (spans, open) = (spans.to_vec(), Arc::clone(&self.open));
        let write = move |db: &mut Connection| -> Result<(), StoreFailure> {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let written = write(db, &mut open, &spans);
            if written.is_err() {
                // The batch was rolled back, so the traces in memory are ahead of the store: load them anew.
                open.clear();
            }
            written
        };
        let written: Result<(), TraceStoreError> = self.worker.keep_blocking(write);
        written?;
        if self.retention != TraceRetention::default()
            && self.n_batches.is_multiple_of(BATCHES_BETWEEN_PRUNES)
        {
            let retention = self.retention;
            let pruned: Result<u64, TraceStoreError> =
                self.worker.keep_blocking(move |db| prune(db, retention));
            // Not an error of this batch, whose spans are written.
            if let Err(error) = pruned {
                tracing::warn!(target: "openai_agents::trace", "old traces could not be deleted, the file keeps more than its retention says: {error}");
            }
        }
        self.n_batches += 1;
        Ok(())
    }

    fn wants_running(&self) -> bool {
        true
    }

    fn target(&self) -> String {
        self.worker.store().to_owned()
    }
}

fn write(
    db: &mut Connection,
    open: &mut OpenTraces,
    spans: &[Arc<Span>],
) -> Result<(), StoreFailure> {
    let change = db.transaction()?;
    let mut statements = WriteStatements::prepare(&change)?;
    let mut rows = Rows::default();
    for (id, spans) in by_trace(spans) {
        let mut trace = match (open.remove(&id), spans.first()) {
            (Some(trace), _) => trace,
            (None, Some(first)) => OpenTrace::load(&mut statements, first)?,
            (None, None) => continue,
        };
        for span in &spans {
            if span.ended_at.is_none() {
                let has_ended = |other: &Arc<Span>| other.id == span.id && other.ended_at.is_some();
                // Began and ended in one batch: the ended span, which follows, says all there is to know.
                if !spans.iter().any(has_ended) {
                    let mut json = Vec::new();
                    span.write_json_with(&[], &mut json);
                    trace.take(span, &String::from_utf8_lossy(&json));
                }
                continue;
            }
            if rows.content.n_bytes() > MAX_ROW_CONTENT {
                rows.insert(&mut statements, &id.to_string())?;
            }
            trace.take(span, "");
            rows.push(span);
        }
        rows.insert(&mut statements, &id.to_string())?;
        trace.save(&mut statements)?;
        if !trace.is_settled() {
            open.insert(id, trace);
        }
    }
    drop(statements);
    change.commit()?;
    Ok(())
}

/// A row that is put together.
#[derive(Default)]
struct Rows {
    /// JSON lines; one list of bytes for all, into which each is written.
    spans: Vec<u8>,
    content: RowContent,
}

impl Rows {
    fn push(&mut self, span: &Span) {
        let has_request = span.content("request").is_some();
        let mut places = Vec::new();
        for (name, content) in &span.content {
            // The exact request says all that is known otherwise of what the model was given.
            if has_request && matches!(&**name, "input" | "instructions") {
                continue;
            }
            places.push(self.content.push(name.clone(), content));
        }
        if !self.spans.is_empty() {
            self.spans.push(b'\n');
        }
        span.write_json_with(&places, &mut self.spans);
    }

    fn insert(
        &mut self,
        statements: &mut WriteStatements<'_>,
        trace: &str,
    ) -> Result<(), StoreFailure> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let insert = &mut statements.insert;
        let spans = std::str::from_utf8(&self.spans).map_err(StoreFailure::refused)?;
        insert.execute(params![trace, spans, self.content.as_str()])?;
        // Their room is used again.
        self.spans.clear();
        self.content.clear();
        Ok(())
    }
}
