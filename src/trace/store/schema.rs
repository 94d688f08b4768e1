//! The tables of the store.

use std::path::Path;

use rusqlite::Connection;

use super::{StoreFailure, TraceStoreError};
use crate::sqlite::{Access, check_format, has_all};

const FORMAT: u32 = 1;

const NAMES: [&str; 5] = [
    "trace_format",
    "traces",
    "traces_started",
    "trace_spans",
    "trace_spans_trace",
];

pub(super) fn prepare(
    db: &mut Connection,
    path: &Path,
    access: Access,
) -> Result<(), StoreFailure> {
    check_format::<TraceStoreError>(db, path, ("trace_format", FORMAT))?;
    // What is lost when the machine stops is the end of a trace, not of a conversation: waiting for the disk is not worth it.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    if access == Access::ReadOnly || has_all(db, &NAMES)? {
        return Ok(());
    }
    let change = db.transaction()?;
    change.execute_batch(
        "CREATE TABLE IF NOT EXISTS trace_format (version INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS traces (
             id TEXT PRIMARY KEY,
             name TEXT NOT NULL,
             group_id TEXT,
             metadata TEXT NOT NULL,
             status TEXT NOT NULL,
             started_at INTEGER NOT NULL,
             ended_at INTEGER,
             agent TEXT,
             model TEXT,
             n_turns INTEGER NOT NULL,
             usage TEXT NOT NULL,
             session_id TEXT,
             error_kind TEXT,
             error_message TEXT,
             pause_key TEXT,
             pause_task TEXT,
             running TEXT NOT NULL
         );
         CREATE INDEX IF NOT EXISTS traces_started ON traces (started_at, id);
         CREATE TABLE IF NOT EXISTS trace_spans (
             id INTEGER PRIMARY KEY,
             trace_id TEXT NOT NULL,
             spans TEXT NOT NULL,
             content TEXT NOT NULL
         );
         CREATE INDEX IF NOT EXISTS trace_spans_trace ON trace_spans (trace_id);",
    )?;
    let n_formats: i64 =
        change.query_row("SELECT count(*) FROM trace_format", [], |row| row.get(0))?;
    if n_formats == 0 {
        change.execute("INSERT INTO trace_format VALUES (?1)", [FORMAT])?;
    }
    change.commit()?;
    Ok(())
}
