//! The tables.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::SessionFailure;
use crate::sqlite::{Access, check_format, has_all};

/// Exactly what the Python SDK 0.24.0 creates. It keeps no schema version and never changes
/// existing tables.
const PYTHON_TABLES: &str = "
CREATE TABLE IF NOT EXISTS agent_sessions (
                session_id TEXT PRIMARY KEY,
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
            );
CREATE TABLE IF NOT EXISTS agent_messages (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                session_id TEXT NOT NULL,
                message_data TEXT NOT NULL,
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id)
                    ON DELETE CASCADE
            );
CREATE INDEX IF NOT EXISTS idx_agent_messages_session_id
            ON agent_messages (session_id, id)
        ;
";

/// Tables of this library only; the Python SDK ignores them.
const OWN_TABLES: &str = "
CREATE TABLE IF NOT EXISTS openai_agents_format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS openai_agents_branches (
    branch_id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT NOT NULL,
    n_forked INTEGER NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (session_id, name)
);
CREATE TABLE IF NOT EXISTS openai_agents_branch_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    branch_id INTEGER NOT NULL,
    message_data TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_openai_agents_branch_messages
    ON openai_agents_branch_messages (branch_id, id);
INSERT INTO openai_agents_format (version) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM openai_agents_format);
";

/// The version of our own tables.
const FORMAT: u32 = 1;

/// Creates the tables that are missing, and refuses a file of a newer version.
pub(super) fn prepare(
    db: &mut Connection,
    path: &Path,
    access: Access,
) -> Result<(), SessionFailure> {
    if access == Access::ReadWrite {
        make_tables(db)?;
    }
    // A file without a format was made by the Python SDK, and is opened to be read only.
    check_format(db, path, ("openai_agents_format", FORMAT))
}

/// Leaves a complete file untouched, so that a file without write permission can still be read.
fn make_tables(db: &mut Connection) -> Result<(), SessionFailure> {
    let names = [
        "agent_sessions",
        "agent_messages",
        "idx_agent_messages_session_id",
        "openai_agents_format",
        "openai_agents_branches",
        "openai_agents_branch_messages",
        "idx_openai_agents_branch_messages",
    ];
    if has_all(db, &names)? {
        return Ok(());
    }
    // Two processes may open a new file at once: the lock is taken before either creates a table.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(PYTHON_TABLES)?;
    transaction.execute_batch(OWN_TABLES)?;
    Ok(transaction.commit()?)
}
