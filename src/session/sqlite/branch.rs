//! Branches of a session: other ways that a conversation went on from one of its turns.

use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::rows::Rows;
use super::{SessionFailure, SqliteSession};
use crate::item::{ItemKind, Role};
use crate::session::{SessionError, SessionId};

/// Names a branch of a session; any text.
///
/// The branch that every session has is `main`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(Arc<str>);

/// What a list of branches says about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionBranch {
    /// The branch.
    pub name: BranchName,
    /// The branch that it was forked from; `None` for `main`.
    pub parent: Option<BranchName>,
    /// How many items it has.
    pub n_items: u64,
    /// How many items it had when it was forked.
    pub n_forked: u64,
}

/// Says which items a new branch begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForkPoint {
    /// All that are there.
    End,
    /// Those before a message of the user, counted from 1.
    BeforeTurn(usize),
}

impl BranchName {
    const MAIN: &str = "main";

    /// Names the branch that every session has.
    pub fn main() -> Self {
        Self::from(Self::MAIN)
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SqliteSession {
    /// Names the branch that this handle reads and writes.
    pub fn branch(&self) -> &BranchName {
        self.rows.branch()
    }

    /// Makes a branch that begins with items of this one, and gives its handle.
    ///
    /// The items are copied, in one step: what later happens to this branch does not matter to the new one. The Python SDK sees the
    /// main branch only. Clearing the main branch takes all branches away.
    ///
    /// # Errors
    ///
    /// [`SessionError::BranchExists`] when the name is taken, [`SessionError::NoTurn`] when there is no such turn.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the branch is there whole or not at all.
    pub async fn fork(
        &self,
        name: impl Into<BranchName>,
        at: ForkPoint,
    ) -> Result<Self, SessionError> {
        let (rows, name) = (self.rows.clone(), name.into());
        let rows = self.worker.run(move |db| fork(db, &rows, name, at)).await?;
        Ok(self.with_rows(rows))
    }

    /// Returns a handle of another branch.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoBranch`] when there is none of this name.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn switch(&self, name: impl Into<BranchName>) -> Result<Self, SessionError> {
        let (id, name) = (self.id.clone(), name.into());
        let rows = self.worker.run(move |db| find(db, &id, &name)).await?;
        Ok(self.with_rows(rows))
    }

    /// Lists the branches: `main`, then the others in the order in which they were made.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn branches(&self) -> Result<Vec<SessionBranch>, SessionError> {
        let id = self.id.clone();
        self.worker.run(move |db| list(db, &id)).await
    }

    /// Takes a branch and its items away; `main` can be cleared instead.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoBranch`] when there is none of this name, and for `main`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the branch is there whole or not at all.
    pub async fn delete_branch(&self, name: impl Into<BranchName>) -> Result<(), SessionError> {
        let (id, name) = (self.id.clone(), name.into());
        self.worker.run(move |db| delete(db, &id, &name)).await
    }

    fn with_rows(&self, rows: Rows) -> Self {
        Self {
            id: self.id.clone(),
            rows,
            worker: Arc::clone(&self.worker),
        }
    }
}

fn fork(
    db: &mut Connection,
    from: &Rows,
    name: BranchName,
    at: ForkPoint,
) -> Result<Rows, SessionFailure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let session = from.session();
    from.check(&transaction)?;
    if name.as_str() == BranchName::MAIN || branch_id(&transaction, session, &name)?.is_some() {
        return Err(SessionFailure::Own(SessionError::BranchExists {
            session: session.clone(),
            branch: name.to_string(),
        }));
    }
    let before = match at {
        ForkPoint::End => i64::MAX,
        ForkPoint::BeforeTurn(turn) => begin_of_turn(&transaction, from, turn)?,
    };
    // Lists of sessions and `clear` go by this row, which a session without items does not have
    // yet.
    let sql = "INSERT OR IGNORE INTO agent_sessions (session_id) VALUES (?1)";
    transaction.execute(sql, [session.as_str()])?;
    let sql = "INSERT INTO openai_agents_branches (session_id, name, parent, n_forked) VALUES (?1, ?2, ?3, 0)";
    transaction.execute(
        sql,
        params![session.as_str(), name.as_str(), from.branch().as_str()],
    )?;
    let id = transaction.last_insert_rowid();
    let rows = Rows::of_branch(session, name, id);
    // Only the copy shows how many items there are, and it needs the id of the new branch.
    let n_forked = rows.copy(&transaction, from, before)?;
    let sql = "UPDATE openai_agents_branches SET n_forked = ?2 WHERE branch_id = ?1";
    transaction.execute(sql, params![id, n_forked])?;
    transaction.commit()?;
    Ok(rows)
}

/// The number of the row of the user's nth message.
fn begin_of_turn(
    transaction: &Transaction<'_>,
    rows: &Rows,
    turn: usize,
) -> Result<i64, SessionFailure> {
    let mut n_turns = 0;
    let mut begin = None;
    rows.each(transaction, |row, item| {
        if matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User) {
            n_turns += 1;
            if n_turns == turn {
                begin = Some(row);
            }
        }
    })?;
    begin.ok_or_else(|| {
        SessionFailure::Own(SessionError::NoTurn {
            session: rows.session().clone(),
            turn,
            n_turns,
        })
    })
}

fn find(
    db: &mut Connection,
    session: &SessionId,
    name: &BranchName,
) -> Result<Rows, SessionFailure> {
    if name.as_str() == BranchName::MAIN {
        return Ok(Rows::main(session));
    }
    match branch_id(db, session, name)? {
        Some(id) => Ok(Rows::of_branch(session, name.clone(), id)),
        None => Err(SessionFailure::Own(no_branch(session, name))),
    }
}

fn list(db: &mut Connection, session: &SessionId) -> Result<Vec<SessionBranch>, SessionFailure> {
    // One transaction, so that all counts are of the same moment.
    let transaction = db.transaction()?;
    let n_main: i64 = transaction.query_row(
        "SELECT count(*) FROM agent_messages WHERE session_id = ?1",
        [session.as_str()],
        |row| row.get(0),
    )?;
    let mut branches = vec![SessionBranch {
        name: BranchName::main(),
        parent: None,
        n_items: to_u64(n_main),
        n_forked: 0,
    }];
    // A file made by the Python SDK lacks this table, and gets none when it is opened to be read only.
    if !crate::sqlite::has_all(&transaction, &["openai_agents_branches"])? {
        return Ok(branches);
    }
    let sql = "SELECT name, parent, n_forked, (SELECT count(*) FROM openai_agents_branch_messages m
        WHERE m.branch_id = b.branch_id) FROM openai_agents_branches b WHERE session_id = ?1 ORDER BY branch_id";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([session.as_str()])?;
    while let Some(row) = rows.next()? {
        branches.push(SessionBranch {
            name: BranchName::from(row.get::<_, String>(0)?),
            parent: Some(BranchName::from(row.get::<_, String>(1)?)),
            n_forked: to_u64(row.get(2)?),
            n_items: to_u64(row.get(3)?),
        });
    }
    Ok(branches)
}

fn delete(
    db: &mut Connection,
    session: &SessionId,
    name: &BranchName,
) -> Result<(), SessionFailure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(id) = branch_id(&transaction, session, name)? else {
        return Err(SessionFailure::Own(no_branch(session, name)));
    };
    let sql = "DELETE FROM openai_agents_branch_messages WHERE branch_id = ?1";
    transaction.execute(sql, [id])?;
    let sql = "DELETE FROM openai_agents_branches WHERE branch_id = ?1";
    transaction.execute(sql, [id])?;
    Ok(transaction.commit()?)
}

fn branch_id(
    db: &Connection,
    session: &SessionId,
    name: &BranchName,
) -> Result<Option<i64>, SessionFailure> {
    let sql = "SELECT branch_id FROM openai_agents_branches WHERE session_id = ?1 AND name = ?2";
    let id = db.query_row(sql, [session.as_str(), name.as_str()], |row| row.get(0));
    Ok(id.optional()?)
}

pub(super) fn no_branch(session: &SessionId, name: &BranchName) -> SessionError {
    SessionError::NoBranch {
        session: session.clone(),
        branch: name.to_string(),
    }
}

fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl From<&str> for BranchName {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

impl From<String> for BranchName {
    fn from(name: String) -> Self {
        Self(Arc::from(name))
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
