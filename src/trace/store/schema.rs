//! The tables of the trace store.

use std::path::Path;

use rusqlite::Connection;

use super::{StoreFailure, TraceStoreError};
use crate::sqlite::{Access, check_format, has_all};

/// The format of the tables. 1 lacked the writing process and ordered traces by time, which a clock
/// that is set back confuses. 2 stored every text whole, with one `offset`.
const FORMAT: u32 = 3;

const NAMES: [&str; 5] = [
    "trace_format",
    "traces",
    "traces_seq",
    "trace_spans",
    "trace_spans_trace",
];

pub(super) fn prepare(
    db: &mut Connection,
    path: &Path,
    access: Access,
) -> Result<(), StoreFailure> {
    check_format::<TraceStoreError>(db, path, ("trace_format", FORMAT))?;
    // NORMAL does not wait for the disk at every batch. A power cut may lose the end of a trace, which is
    // worth less than the time of every run; sessions, which must not be lost, use FULL.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    if access == Access::ReadOnly || (has_all(db, &NAMES)? && version_of(db)? == FORMAT) {
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
             running TEXT NOT NULL,
             process TEXT,
             seq INTEGER
         );
         CREATE TABLE IF NOT EXISTS trace_spans (
             id INTEGER PRIMARY KEY,
             trace_id TEXT NOT NULL,
             spans TEXT NOT NULL,
             content TEXT NOT NULL
         );
         CREATE INDEX IF NOT EXISTS trace_spans_trace ON trace_spans (trace_id);",
    )?;
    let version = version_of(&change)?;
    if version == 1 {
        change.execute_batch(
            "ALTER TABLE traces ADD COLUMN process TEXT;
             ALTER TABLE traces ADD COLUMN seq INTEGER;
             UPDATE traces SET seq = ordered.n FROM
                 (SELECT id, row_number() OVER (ORDER BY started_at, id) AS n FROM traces) AS ordered
                 WHERE ordered.id = traces.id;
             DROP INDEX IF EXISTS traces_started;",
        )?;
    }
    change.execute_batch("CREATE UNIQUE INDEX IF NOT EXISTS traces_seq ON traces (seq);")?;
    if version != FORMAT {
        change.execute("DELETE FROM trace_format", [])?;
        change.execute("INSERT INTO trace_format VALUES (?1)", [FORMAT])?;
    }
    change.commit()?;
    Ok(())
}

/// The format of the tables; 0 if they are new.
fn version_of(db: &Connection) -> Result<u32, StoreFailure> {
    let version = "SELECT coalesce(max(version), 0) FROM trace_format";
    Ok(db.query_row(version, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_of_format_1_is_taken_over_in_the_order_of_its_times() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE trace_format (version INTEGER NOT NULL);
             INSERT INTO trace_format VALUES (1);
             CREATE TABLE traces (id TEXT PRIMARY KEY, name TEXT NOT NULL, group_id TEXT, metadata TEXT NOT NULL,
                 status TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER, agent TEXT, model TEXT,
                 n_turns INTEGER NOT NULL, usage TEXT NOT NULL, session_id TEXT, error_kind TEXT, error_message TEXT,
                 pause_key TEXT, pause_task TEXT, running TEXT NOT NULL);
             CREATE INDEX traces_started ON traces (started_at, id);
             CREATE TABLE trace_spans (id INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, spans TEXT NOT NULL, content TEXT NOT NULL);
             CREATE INDEX trace_spans_trace ON trace_spans (trace_id);
             INSERT INTO traces (id, name, metadata, status, started_at, n_turns, usage, running)
                 VALUES ('b', 'B', '{}', 'ok', 2, 0, '{}', ''), ('a', 'A', '{}', 'ok', 1, 0, '{}', '');",
        )
        .unwrap();
        prepare(&mut db, Path::new("t.db"), Access::ReadWrite).unwrap();
        // Again, as by the next program.
        prepare(&mut db, Path::new("t.db"), Access::ReadWrite).unwrap();
        let rows: Vec<(String, i64)> = {
            let mut rows = db
                .prepare("SELECT id, seq FROM traces ORDER BY seq")
                .unwrap();
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            rows.unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(rows, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        // What wrote that format knows no pieces, and must not read them.
        db.execute("UPDATE trace_format SET version = 2", [])
            .unwrap();
        prepare(&mut db, Path::new("t.db"), Access::ReadWrite).unwrap();
        let versions: Vec<u32> = {
            let mut versions = db.prepare("SELECT version FROM trace_format").unwrap();
            let versions = versions.query_map([], |row| row.get(0)).unwrap();
            versions.map(Result::unwrap).collect()
        };
        assert_eq!(versions, [FORMAT]);
    }
}
