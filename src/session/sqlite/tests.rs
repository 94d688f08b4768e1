//! What only the inside shows: full disks, damaged rows, query plans.

use std::path::{Path, PathBuf};
use std::task::Poll;

use rusqlite::Connection;

use super::*;

/// A file in a folder that is there as long as the value.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str) -> Self {
        let folder = format!("openai-agents-unit-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.join("sessions.db"))
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(self.0.parent().unwrap()));
    }
}

async fn open(path: &Path) -> SqliteSessions {
    SqliteSessions::open(path).await.unwrap()
}

fn id(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

fn turn(text: &str) -> SessionTurn {
    SessionTurn::new([Item::user(text), Item::assistant(text)])
}

async fn sql(session: &SqliteSession, sql: &'static str) {
    let run = |db: &mut Connection| -> Result<_, SessionFailure> { Ok(db.execute_batch(sql)?) };
    session.worker.run(run).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_leaves_no_half_turn() {
    let file = TestFile::new("full");
    let session = open(&file.0).await.session(id("s"));
    session.append(turn("before")).await.unwrap();
    let before = session.items(None).await.unwrap();
    let large = || {
        let items = (0..200).map(|n| Item::user(format!("{n} {}", "x".repeat(10_000))));
        SessionTurn::new(items)
    };
    // A database that may not grow is a disk that is full.
    sql(&session, "PRAGMA max_page_count = 20").await;
    for change in [session.append(large()), session.replace(large())] {
        let error = change.await.unwrap_err();
        assert!(matches!(error, SessionError::Full { .. }), "{error:?}");
        assert_eq!(session.items(None).await.unwrap(), before);
    }
    // The lock is free for others, and the same turn can be saved again.
    open(&file.0)
        .await
        .session(id("t"))
        .append(turn("other"))
        .await
        .unwrap();
    sql(&session, "PRAGMA max_page_count = 1000000").await;
    session.append(large()).await.unwrap();
    assert_eq!(session.items(None).await.unwrap().items.len(), 202);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_names_it() {
    let file = TestFile::new("damaged");
    let sessions = open(&file.0).await;
    for (data, what) in [
        ("'not JSON'", "not an item"),
        ("'[]'", "not an item"),
        ("'{\"type\":\"function_call\"}'", "not an item"),
        ("x'00ff'", "Blob and not a text"),
        ("CAST(x'ff' AS TEXT)", "invalid utf-8"),
    ] {
        let session = sessions.session(id(data));
        session.append(turn("a")).await.unwrap();
        let insert =
            format!("INSERT INTO agent_messages (session_id, message_data) VALUES (?1, {data})");
        let damage = move |db: &mut Connection| -> Result<_, SessionFailure> {
            Ok(db.execute(&insert, [data])?)
        };
        session.worker.run(damage).await.unwrap();
        let read = session.items(None).await.map(drop);
        for error in [read.unwrap_err(), session.pop().await.unwrap_err()] {
            let SessionError::Corrupt { row, source, .. } = error else {
                panic!("{error:?}");
            };
            assert!(row.ends_with("of agent_messages"), "{row}");
            assert!(source.to_string().contains(what), "{source}");
        }
        // What is in front of it is not read, so what is behind it can be.
        session.append(turn("b")).await.unwrap();
        assert_eq!(session.items(Some(2)).await.unwrap().items, turn("b").items);
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let file = TestFile::new("newer");
    let session = open(&file.0).await.session(id("s"));
    sql(&session, "UPDATE openai_agents_format SET version = 7").await;
    let error = SqliteSessions::open(&file.0).await.unwrap_err();
    assert!(
        matches!(
            error,
            SessionError::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn other_file_is_refused_and_unchanged() {
    let file = TestFile::new("other");
    std::fs::write(&file.0, "x".repeat(5000)).unwrap();
    let error = SqliteSessions::open(&file.0).await.unwrap_err();
    assert!(matches!(error, SessionError::Refused { .. }), "{error:?}");
    assert_eq!(std::fs::read(&file.0).unwrap(), "x".repeat(5000).as_bytes());
    let missing = file.0.parent().unwrap().join("no/such/folder.db");
    let error = SqliteSessions::open(missing).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Unavailable { .. }),
        "{error:?}"
    );
    let error = SqliteSessions::open("").await.unwrap_err();
    assert!(matches!(error, SessionError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_that_is_opened_to_read_is_not_changed() {
    let file = TestFile::new("read-only");
    assert!(SqliteSessions::open_read_only(&file.0).await.is_err());
    let session = open(&file.0).await.session(id("s"));
    session.append(turn("a")).await.unwrap();
    let only = SqliteSessions::open_read_only(&file.0).await.unwrap();
    let other = only.session(id("s"));
    assert_eq!(
        other.items(None).await.unwrap(),
        session.items(None).await.unwrap()
    );
    for change in [other.append(turn("b")), other.replace(turn("b"))] {
        let error = change.await.unwrap_err();
        assert!(matches!(error, SessionError::ReadOnly { .. }), "{error:?}");
    }
    assert!(matches!(
        other.clear().await,
        Err(SessionError::ReadOnly { .. })
    ));
    assert!(matches!(
        other.pop().await,
        Err(SessionError::ReadOnly { .. })
    ));
    assert_eq!(only.list(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_waits_for_others_and_ends_with_its_handle() {
    let file = TestFile::new("busy");
    let session = open(&file.0).await.session(id("s"));
    let other = Connection::open(&file.0).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = session.append(turn("a"));
    assert!(std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    // Readers do not wait for writers, and the writer goes on when the lock is free.
    assert_eq!(
        open(&file.0)
            .await
            .session(id("s"))
            .items(None)
            .await
            .unwrap()
            .items,
        []
    );
    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    // With the handle the waiting ends, at once and without a change.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = session.append(turn("b"));
    assert!(std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    drop(waiting);
    drop(session);
    other.execute_batch("COMMIT").unwrap();
    let items = open(&file.0)
        .await
        .session(id("s"))
        .items(None)
        .await
        .unwrap()
        .items;
    assert_eq!(items, turn("a").items);
}

#[tokio::test]
async fn the_index_finds_the_latest_items() {
    let file = TestFile::new("plan");
    let session = open(&file.0).await.session(id("s"));
    let plan = |db: &mut Connection| -> Result<_, SessionFailure> {
        let mut details = Vec::new();
        for sql in [
            "SELECT id, message_data FROM agent_messages WHERE session_id = 's' ORDER BY id DESC LIMIT 2",
            "SELECT coalesce(max(id), 0) FROM agent_messages WHERE session_id = 's'",
        ] {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                details.push(row.get::<_, String>(3)?);
            }
        }
        Ok(details)
    };
    let details = session.worker.run(plan).await.unwrap();
    assert_eq!(details.len(), 2, "{details:?}");
    for detail in details {
        let is_index = detail.contains("USING INDEX idx_agent_messages_session_id")
            || detail.contains("USING COVERING INDEX idx_agent_messages_session_id");
        assert!(detail.starts_with("SEARCH") && is_index, "{detail}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let file = TestFile::new("mode");
    let session = open(&file.0).await.session(id("s"));
    session.append(turn("a")).await.unwrap();
    for name in ["sessions.db", "sessions.db-wal"] {
        let mode = std::fs::metadata(file.0.with_file_name(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
