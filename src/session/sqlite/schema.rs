//! The tables, and how a connection is opened.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::failure::Failure;
use super::worker::{Access, Patience};
use crate::session::SessionError;

/// What the Python SDK 0.24.0 makes, to the letter; it has no version and never changes tables that are there.
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

/// What only this library reads, in tables of its own.
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

/// The format of our own tables.
const FORMAT: u32 = 1;

/// Opens the file, waits for others that open it too, and makes what is missing.
pub(super) fn open(
    path: &Path,
    access: Access,
    patience: &Patience,
) -> Result<Connection, Failure> {
    if path.as_os_str().is_empty() {
        // SQLite would take a file that is deleted at the end.
        return Err(Failure::refused("the path is empty"));
    }
    let is_new = access == Access::ReadWrite && is_absent(path);
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match access {
            Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
    let mut db = Connection::open_with_flags(path, flags)?;
    let busy = patience.clone();
    let mut since = Instant::now();
    db.busy_handler(Some(move |n_waits| {
        if n_waits == 0 {
            since = Instant::now();
        }
        busy.wait(since)
    }))?;
    if is_new {
        keep_private(path)?;
    }
    if access == Access::ReadWrite {
        use_wal(&db, patience)?;
        make_tables(&mut db)?;
    }
    check_format(&db, path)?;
    Ok(db)
}

fn is_absent(path: &Path) -> bool {
    path != Path::new(":memory:") && !path.exists()
}

/// Conversations are their owner's; the files beside the database take its mode. Not by opening it: closing that would free the
/// locks that other connections of this process hold.
fn keep_private(path: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).map_err(Failure::refused)?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The first to open a file turns WAL on for all. SQLite does not ask the busy handler while it does, so that the wait is here.
fn use_wal(db: &Connection, patience: &Patience) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && patience.wait(since) => {}
            done => return Ok(done?),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// A file that is complete is not written to, so that one that cannot be written can be read.
fn make_tables(db: &mut Connection) -> Result<(), Failure> {
    let is_complete = |db: &Connection| -> rusqlite::Result<bool> {
        let sql = "SELECT count(*) FROM sqlite_master WHERE name IN
            ('agent_sessions', 'agent_messages', 'idx_agent_messages_session_id', 'openai_agents_format',
            'openai_agents_branches', 'openai_agents_branch_messages', 'idx_openai_agents_branch_messages')";
        db.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? == 7))
    };
    if is_complete(db)? {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(PYTHON_TABLES)?;
    transaction.execute_batch(OWN_TABLES)?;
    Ok(transaction.commit()?)
}

fn check_format(db: &Connection, path: &Path) -> Result<(), Failure> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'openai_agents_format'";
    let is_own = db.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? > 0))?;
    if !is_own {
        // The Python SDK made the file, and it is only read here.
        return Ok(());
    }
    let sql = "SELECT coalesce(max(version), 0) FROM openai_agents_format";
    let found: u32 = db.query_row(sql, [], |row| row.get(0))?;
    if found > FORMAT {
        return Err(Failure::Session(SessionError::Newer {
            store: path.display().to_string(),
            found,
            known: FORMAT,
        }));
    }
    Ok(())
}
