//! The tables of runs and of their effects.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::JournalFailure;
use crate::sqlite::{Access, check_format, has_all};

/// An effect without an outcome has begun, and nobody knows whether it took place once its execution is over. The numbers of `changed` grow
/// over all runs, so that they are in the order in which they were changed however the clock was set.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS openai_agents_journal_format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS openai_agents_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    input TEXT NOT NULL,
    settings TEXT NOT NULL,
    status TEXT NOT NULL,
    state TEXT,
    decided INTEGER NOT NULL DEFAULT 0,
    final_output TEXT,
    error_kind TEXT,
    error TEXT,
    execution INTEGER NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    changed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_openai_agents_runs_changed ON openai_agents_runs (changed);
CREATE TABLE IF NOT EXISTS openai_agents_effects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    path TEXT NOT NULL,
    turn INTEGER NOT NULL,
    effect TEXT NOT NULL,
    asked TEXT NOT NULL,
    outcome TEXT,
    execution INTEGER NOT NULL,
    UNIQUE (run, path, turn, effect)
);
INSERT INTO openai_agents_journal_format (version)
    SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM openai_agents_journal_format);
";

/// For files from before there was an order but the time.
const ADD_ORDER: &str = "
ALTER TABLE openai_agents_runs ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE openai_agents_runs SET changed = ranked.place
    FROM (SELECT id, row_number() OVER (ORDER BY updated_at, id) AS place FROM openai_agents_runs) AS ranked
    WHERE ranked.id = openai_agents_runs.id;
CREATE INDEX idx_openai_agents_runs_changed ON openai_agents_runs (changed);
";

/// The format of the tables. A file with and one without `changed` have the same: programs that do not know it leave it as it is.
const FORMAT: u32 = 1;

/// Makes what is missing.
pub(super) fn prepare(
    db: &mut Connection,
    path: &Path,
    access: Access,
) -> Result<(), JournalFailure> {
    let names = [
        "openai_agents_journal_format",
        "openai_agents_runs",
        "openai_agents_effects",
    ];
    if !has_all(db, &names)? {
        if access == Access::ReadOnly {
            return Err(JournalFailure::refused("the file has no journal"));
        }
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.commit()?;
    }
    check_format(db, path, ("openai_agents_journal_format", FORMAT))?;
    if access == Access::ReadWrite && !has_order(db)? {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        if !has_order(&transaction)? {
            transaction.execute_batch(ADD_ORDER)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Whether the runs know their order; those of an old file that is only read do not.
pub(super) fn has_order(db: &Connection) -> rusqlite::Result<bool> {
    let sql =
        "SELECT count(*) > 0 FROM pragma_table_info('openai_agents_runs') WHERE name = 'changed'";
    db.query_row(sql, [], |row| row.get(0))
}
