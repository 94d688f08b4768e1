//! Deletes old traces, where a retention is set.

use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::StoreFailure;
use super::summary::read_status;
use crate::trace::span::SpanStatus;
use crate::trace::time::micros;

/// How many traces one transaction deletes for their age, so that a run that writes meanwhile does
/// not wait long.
const BATCH: u64 = 16;

/// Limits what a store keeps; by default nothing is deleted.
///
/// The oldest traces go first, always whole; running ones stay. The file does not shrink: SQLite
/// uses the freed space again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceRetention {
    /// How long a trace is kept after its end.
    pub max_age: Option<Duration>,
    /// The most bytes that all traces may take in the file.
    pub max_bytes: Option<u64>,
}

impl TraceRetention {
    /// Sets how long traces are kept after their end.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Sets how many bytes are kept.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }
}

/// Deletes what the retention does not keep; returns how many traces.
pub(super) fn prune(db: &mut Connection, retention: TraceRetention) -> Result<u64, StoreFailure> {
    let mut n_deleted = 0;
    if let Some(max_age) = retention.max_age {
        let before = SystemTime::now().checked_sub(max_age).map_or(0, micros);
        loop {
            let n = delete_oldest(db, before, BATCH)?;
            n_deleted += n;
            if n == 0 {
                break;
            }
        }
    }
    if let Some(max_bytes) = retention.max_bytes {
        while used_bytes(db)? > max_bytes {
            // One at a time, because how much space each one frees is known only afterwards.
            let n = delete_oldest(db, i64::MAX, 1)?;
            n_deleted += n;
            if n == 0 {
                break;
            }
        }
    }
    Ok(n_deleted)
}

fn delete_oldest(db: &mut Connection, ended_before: i64, max: u64) -> Result<u64, StoreFailure> {
    let change = db.transaction()?;
    change.execute(
        "CREATE TEMP TABLE IF NOT EXISTS pruned (id TEXT PRIMARY KEY)",
        [],
    )?;
    change.execute("DELETE FROM pruned", [])?;
    let mut n = 0;
    {
        // Whether a trace is still running is decided here, by its process, and not in SQL. So the
        // ids are collected first, and their rows deleted in one statement each.
        let mut oldest = change.prepare(
            "SELECT id, status, process FROM traces
             WHERE coalesce(ended_at, started_at) < ?1 ORDER BY seq",
        )?;
        let mut rows = oldest.query([ended_before])?;
        let mut note = change.prepare("INSERT INTO pruned VALUES (?1)")?;
        while n < max
            && let Some(row) = rows.next()?
        {
            let process: Option<String> = row.get(2)?;
            let status = read_status(&row.get::<_, String>(1)?, process.as_deref());
            if status != SpanStatus::Running {
                note.execute([row.get::<_, String>(0)?])?;
                n += 1;
            }
        }
    }
    if n > 0 {
        let spans = "DELETE FROM trace_spans WHERE trace_id IN (SELECT id FROM pruned)";
        change.execute(spans, [])?;
        change.execute("DELETE FROM traces WHERE id IN (SELECT id FROM pruned)", [])?;
    }
    change.commit()?;
    Ok(n)
}

/// The size of all pages in use; free pages do not count.
fn used_bytes(db: &Connection) -> Result<u64, StoreFailure> {
    let pragma = |name: &str| -> rusqlite::Result<u64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map(|n| u64::try_from(n).unwrap_or_default())
    };
    let n_pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(n_pages.saturating_mul(pragma("page_size")?))
}
