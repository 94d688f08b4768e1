//! How a connection to a file is opened, alone or while others open it too.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failure::{Failure, StoreError, Trouble};

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// How long a job waits for other processes.
const BUSY: Duration = Duration::from_secs(10);

/// Says how long to wait for other processes: [`BUSY`], but no longer than there is a handle.
#[derive(Clone)]
pub(super) struct Patience {
    is_closing: Arc<AtomicBool>,
    busy: Duration,
}

impl Patience {
    pub(super) fn new(is_closing: Arc<AtomicBool>) -> Self {
        Self {
            is_closing,
            busy: BUSY,
        }
    }

    /// Waits a moment; `false` when it has been too long since `since`.
    fn wait(&self, since: Instant) -> bool {
        // SQLite has no queue: who asks often is served first, who asks seldom may starve.
        const MOMENT: Duration = Duration::from_millis(2);
        if self.is_closing.load(Ordering::Relaxed) || since.elapsed() >= self.busy {
            return false;
        }
        thread::sleep(MOMENT);
        true
    }
}

/// Opens the file, and makes it if it may; its tables are the business of others.
pub(super) fn open<E: StoreError>(
    path: &Path,
    access: Access,
    patience: &Patience,
) -> Result<Connection, Failure<E>> {
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
    }
    Ok(db)
}

fn is_absent(path: &Path) -> bool {
    path != Path::new(":memory:") && !path.exists()
}

/// What is kept is its owner's; the files beside the database take its mode. Not by opening it: closing that would free the
/// locks that other connections of this process hold.
fn keep_private<E: StoreError>(path: &Path) -> Result<(), Failure<E>> {
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
fn use_wal<E>(db: &Connection, patience: &Patience) -> Result<(), Failure<E>> {
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

/// Whether all tables and indexes of these names are there; a file that is complete need not be written to, so that one that
/// cannot be written can be read.
pub(crate) fn has_all(db: &Connection, names: &[&str]) -> rusqlite::Result<bool> {
    let mut statement = db.prepare("SELECT count(*) FROM sqlite_master WHERE name = ?1")?;
    for name in names {
        let n_found: i64 = statement.query_row([name], |row| row.get(0))?;
        if n_found == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses tables that a newer version of this library made; `table` has their version, if it is there.
pub(crate) fn check_format<E: StoreError>(
    db: &Connection,
    path: &Path,
    (table, known): (&str, u32),
) -> Result<(), Failure<E>> {
    if !has_all(db, &[table])? {
        return Ok(());
    }
    let sql = format!("SELECT coalesce(max(version), 0) FROM {table}");
    let found: u32 = db.query_row(&sql, [], |row| row.get(0))?;
    if found > known {
        let store = path.display().to_string();
        return Err(Failure::Own(E::at(&store, Trouble::Newer { found, known })));
    }
    Ok(())
}
