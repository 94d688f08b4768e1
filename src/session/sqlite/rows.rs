//! The rows of one session, read and written in transactions.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::SessionFailure;
use super::branch::{BranchName, no_branch};
use crate::item::Item;
use crate::session::{
    MAX_ITEMS, SessionCause, SessionError, SessionId, SessionItems, SessionSummary, SessionTurn,
    SessionVersion, python,
};

const MAIN_TABLE: &str = "agent_messages";
const BRANCH_TABLE: &str = "openai_agents_branch_messages";

/// Where the items of one branch of a session stand.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    session: SessionId,
    branch: BranchName,
    table: &'static str,
    /// The column that says whose an item is, and what it says.
    owner: &'static str,
    is: Value,
}

impl Rows {
    /// The table of the Python SDK.
    pub(super) fn main(session: &SessionId) -> Self {
        Self {
            session: session.clone(),
            branch: BranchName::main(),
            table: MAIN_TABLE,
            owner: "session_id",
            is: Value::Text(session.as_str().to_owned()),
        }
    }

    /// A table of our own, which the Python SDK does not look at.
    pub(super) fn of_branch(session: &SessionId, branch: BranchName, id: i64) -> Self {
        Self {
            session: session.clone(),
            branch,
            table: BRANCH_TABLE,
            owner: "branch_id",
            is: Value::Integer(id),
        }
    }

    pub(super) fn session(&self) -> &SessionId {
        &self.session
    }

    pub(super) fn branch(&self) -> &BranchName {
        &self.branch
    }

    pub(super) fn read(
        &self,
        db: &mut Connection,
        limit: Option<usize>,
    ) -> Result<SessionItems, SessionFailure> {
        // One transaction, so that items and version are of the same moment.
        let transaction = db.transaction()?;
        self.check(&transaction)?;
        let version = self.version(&transaction)?;
        // One more than the maximum is asked for, to tell a session that is too long from a full one.
        // Latest first, because a limit keeps the end of a conversation; they are put in order below.
        let n_rows = limit.unwrap_or(usize::MAX).min(MAX_ITEMS + 1);
        let sql = format!(
            "SELECT id, message_data FROM {} WHERE {} = ?1 ORDER BY id DESC LIMIT ?2",
            self.table, self.owner
        );
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query(params![self.is, to_i64(n_rows)])?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            if items.len() == MAX_ITEMS {
                return Err(SessionFailure::Own(SessionError::TooManyItems {
                    session: self.session.clone(),
                    max_items: MAX_ITEMS,
                }));
            }
            items.push(self.item(row)?);
        }
        items.reverse();
        Ok(SessionItems::new(items, version))
    }

    pub(super) fn append(
        &self,
        db: &mut Connection,
        turn: &SessionTurn,
    ) -> Result<SessionVersion, SessionFailure> {
        let transaction = self.begin(db, turn)?;
        self.insert(&transaction, &turn.items)?;
        self.commit(transaction)
    }

    pub(super) fn replace(
        &self,
        db: &mut Connection,
        turn: &SessionTurn,
    ) -> Result<SessionVersion, SessionFailure> {
        let transaction = self.begin(db, turn)?;
        self.delete(&transaction)?;
        self.insert(&transaction, &turn.items)?;
        self.commit(transaction)
    }

    pub(super) fn pop(&self, db: &mut Connection) -> Result<Option<Item>, SessionFailure> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.check(&transaction)?;
        let sql = format!(
            "SELECT id, message_data FROM {} WHERE {} = ?1 ORDER BY id DESC LIMIT 1",
            self.table, self.owner
        );
        let item = transaction
            .query_row(&sql, [&self.is], |row| {
                // The item's own error is looked at below, before the row is deleted: an item that
                // cannot be read must not be lost without a word.
                Ok((row.get::<_, i64>(0)?, self.item(row)))
            })
            .optional()?;
        let Some((id, item)) = item else {
            return Ok(None);
        };
        let item = item?;
        transaction.execute(&format!("DELETE FROM {} WHERE id = ?1", self.table), [id])?;
        self.touch(&transaction)?;
        transaction.commit()?;
        Ok(Some(item))
    }

    pub(super) fn clear(&self, db: &mut Connection) -> Result<(), SessionFailure> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.check(&transaction)?;
        self.delete(&transaction)?;
        // Clearing a session clears its branches too. Clearing a branch leaves all others.
        if self.is_main() {
            // `ON DELETE CASCADE` does nothing: foreign keys are off, here as in the Python SDK.
            for sql in [
                "DELETE FROM openai_agents_branch_messages WHERE branch_id IN
                    (SELECT branch_id FROM openai_agents_branches WHERE session_id = ?1)",
                "DELETE FROM openai_agents_branches WHERE session_id = ?1",
                "DELETE FROM agent_sessions WHERE session_id = ?1",
            ] {
                transaction.execute(sql, [self.session.as_str()])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Adds the items of another branch up to a row, and counts them.
    pub(super) fn copy(
        &self,
        transaction: &Transaction<'_>,
        from: &Self,
        before: i64,
    ) -> Result<i64, SessionFailure> {
        let sql = format!(
            "INSERT INTO {} ({}, message_data) SELECT ?1, message_data FROM {} WHERE {} = ?2 AND id < ?3 ORDER BY id",
            self.table, self.owner, from.table, from.owner
        );
        let copy = || transaction.execute(&sql, params![self.is, from.is, before]);
        Ok(to_i64(self.numbered(transaction, copy)?))
    }

    /// Shows every item with the number of its row, oldest first.
    pub(super) fn each(
        &self,
        db: &Connection,
        mut see: impl FnMut(i64, &Item),
    ) -> Result<(), SessionFailure> {
        let sql = format!(
            "SELECT id, message_data FROM {} WHERE {} = ?1 ORDER BY id",
            self.table, self.owner
        );
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([&self.is])?;
        while let Some(row) = rows.next()? {
            see(row.get(0)?, &self.item(row)?);
        }
        Ok(())
    }

    /// A branch may have been taken away since its handle was made.
    pub(super) fn check(&self, db: &Connection) -> Result<(), SessionFailure> {
        if self.is_main() {
            return Ok(());
        }
        let sql = "SELECT count(*) FROM openai_agents_branches WHERE branch_id = ?1";
        let n_branches: i64 = db.query_row(sql, [&self.is], |row| row.get(0))?;
        if n_branches == 0 {
            return Err(SessionFailure::Own(no_branch(&self.session, &self.branch)));
        }
        Ok(())
    }

    fn is_main(&self) -> bool {
        self.table == MAIN_TABLE
    }

    /// Begins a change. It takes the write lock at once, so that nobody can write between the look
    /// at the version and the change. A transaction that is dropped is rolled back.
    fn begin<'db>(
        &self,
        db: &'db mut Connection,
        turn: &SessionTurn,
    ) -> Result<Transaction<'db>, SessionFailure> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.check(&transaction)?;
        if let Some(expected) = &turn.after {
            let found = self.version(&transaction)?;
            if *expected != found {
                return Err(SessionFailure::Own(SessionError::Conflict {
                    session: self.session.clone(),
                    expected: expected.clone(),
                    found,
                }));
            }
        }
        Ok(transaction)
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<SessionVersion, SessionFailure> {
        // Read before the commit: after it another process could have written already.
        let version = self.version(&transaction)?;
        transaction.commit()?;
        Ok(version)
    }

    fn insert(&self, transaction: &Transaction<'_>, items: &[Item]) -> Result<(), SessionFailure> {
        if items.is_empty() {
            return Ok(());
        }
        // A session exists once it has an item. The Python SDK writes this row in the same way.
        let sql = "INSERT OR IGNORE INTO agent_sessions (session_id) VALUES (?1)";
        transaction.execute(sql, [self.session.as_str()])?;
        let sql = format!(
            "INSERT INTO {} ({}, message_data) VALUES (?1, ?2)",
            self.table, self.owner
        );
        let mut statement = transaction.prepare(&sql)?;
        self.numbered(transaction, || {
            items.iter().try_for_each(|item| {
                let values = params![self.is, python::encode(item)];
                statement.execute(values).map(drop)
            })
        })?;
        self.touch(transaction)
    }

    /// Adds rows whose numbers are larger than those of all rows in both tables.
    ///
    /// The largest number then tells which session was written last. Times cannot: clocks are set
    /// back. What the Python SDK adds gets the next number of the main table, and so is in order
    /// too.
    fn numbered<T>(
        &self,
        transaction: &Transaction<'_>,
        add: impl FnOnce() -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.is_main() {
            return add();
        }
        raise_numbers(transaction, self.table, MAIN_TABLE)?;
        let added = add()?;
        raise_numbers(transaction, MAIN_TABLE, self.table)?;
        Ok(added)
    }

    fn delete(&self, transaction: &Transaction<'_>) -> Result<(), SessionFailure> {
        let sql = format!("DELETE FROM {} WHERE {} = ?1", self.table, self.owner);
        transaction.execute(&sql, [&self.is])?;
        Ok(())
    }

    fn touch(&self, transaction: &Transaction<'_>) -> Result<(), SessionFailure> {
        let sql = "UPDATE agent_sessions SET updated_at = CURRENT_TIMESTAMP WHERE session_id = ?1";
        transaction.execute(sql, [self.session.as_str()])?;
        Ok(())
    }

    /// The number of the latest item. `AUTOINCREMENT` never uses a number twice, so equal versions
    /// mean equal items.
    fn version(&self, db: &Connection) -> Result<SessionVersion, SessionFailure> {
        let sql = format!(
            "SELECT coalesce(max(id), 0) FROM {} WHERE {} = ?1",
            self.table, self.owner
        );
        let id: i64 = db.query_row(&sql, [&self.is], |row| row.get(0))?;
        Ok(SessionVersion::new(id.to_string()))
    }

    fn item(&self, row: &Row<'_>) -> Result<Item, SessionFailure> {
        let id: i64 = row.get(0)?;
        let corrupt = |source: SessionCause| SessionError::Corrupt {
            session: self.session.clone(),
            row: format!("row {id} of {}", self.table),
            source,
        };
        let item = match row.get_ref(1)? {
            // The file may come from the Python SDK or from another program, so nothing in it is
            // taken on trust.
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map_err(|error| corrupt(error.into()))
                .and_then(|json| python::decode(json).map_err(|error| corrupt(error.into()))),
            other => Err(corrupt(
                format!("{:?} and not a text", other.data_type()).into(),
            )),
        };
        item.map_err(SessionFailure::Own)
    }
}

/// Makes the row numbers of a table continue after those of another. `sqlite_sequence` is where
/// SQLite keeps them for `AUTOINCREMENT`.
fn raise_numbers(transaction: &Transaction<'_>, table: &str, other: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)";
    transaction.execute(sql, [table])?;
    let sql = "UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?2))
        WHERE name = ?1";
    transaction.execute(sql, [table, other])?;
    Ok(())
}

const SUMMARY: &str = "SELECT s.session_id, s.created_at, s.updated_at,
    (SELECT count(*) FROM agent_messages m WHERE m.session_id = s.session_id)
    FROM agent_sessions s";

pub(super) fn list(
    db: &mut Connection,
    limit: Option<usize>,
) -> Result<Vec<SessionSummary>, SessionFailure> {
    let of_main = "SELECT m.id FROM agent_messages m WHERE m.session_id = s.session_id";
    // A file made by the Python SDK lacks these tables, and gets none when it is opened to be read only.
    let of_branches = if crate::sqlite::has_all(db, &["openai_agents_branches", BRANCH_TABLE])? {
        "UNION ALL SELECT m.id FROM openai_agents_branches b JOIN openai_agents_branch_messages m USING (branch_id)
            WHERE b.session_id = s.session_id"
    } else {
        ""
    };
    let sql = format!(
        "{SUMMARY} ORDER BY (SELECT max(id) FROM ({of_main} {of_branches})) DESC, s.rowid DESC LIMIT ?1"
    );
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([to_i64(limit.unwrap_or(usize::MAX))])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(summary(row)?);
    }
    Ok(sessions)
}

pub(super) fn find(
    db: &mut Connection,
    id: &SessionId,
) -> Result<Option<SessionSummary>, SessionFailure> {
    let sql = format!("{SUMMARY} WHERE s.session_id = ?1");
    let found = db.query_row(&sql, [id.as_str()], |row| Ok(summary(row)));
    found.optional()?.transpose()
}

fn summary(row: &Row<'_>) -> Result<SessionSummary, SessionFailure> {
    let id: String = row.get(0)?;
    Ok(SessionSummary {
        // Another program may have stored an id that is not allowed here.
        id: SessionId::new(&id).map_err(SessionFailure::refused)?,
        created_at: row.get(1)?,
        updated_at: row.get(2)?,
        n_items: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
    })
}

fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
