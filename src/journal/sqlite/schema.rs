//! The tables of runs and of their effects.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::JournalFailure;
use crate::sqlite::{Access, check_format, has_all};

/// An effect without an outcome has begun, and nobody knows whether it took place once its execution is over.
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
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
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

/// The format of the tables.
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
    check_format(db, path, ("openai_agents_journal_format", FORMAT))
}
