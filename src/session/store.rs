//! A place that keeps many sessions: opened by their ids, and listed.

use std::sync::Arc;

use super::{Session, SessionError, SessionId};
use crate::future::BoxFuture;

/// Keeps many sessions, opens one by its id, and lists them.
///
/// The stores of this crate implement it, each with more of its own; a program that lets its user choose one holds an
/// `Arc<dyn Sessions>`.
///
/// ```
/// use std::sync::Arc;
/// use openai_agents::Item;
/// use openai_agents::session::{SessionId, SessionTurn, Sessions, SqliteSessions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions: Arc<dyn Sessions> = Arc::new(SqliteSessions::open(":memory:").await?);
/// let alice = sessions.open(SessionId::new("alice")?);
/// alice.append(SessionTurn::new([Item::user("hi")])).await?;
/// assert_eq!(sessions.list(Some(10)).await?[0].id.as_str(), "alice");
/// # Ok(())
/// # }
/// ```
pub trait Sessions: Send + Sync {
    /// Opens the session with this id; nothing is stored until something is appended.
    fn open(&self, id: SessionId) -> Arc<dyn Session>;

    /// Lists the sessions, the one that was written to last first.
    ///
    /// It lists all of them without a limit.
    ///
    /// A session that is written to meanwhile is listed as it was before or as it is afterwards.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    fn list(
        &self,
        limit: Option<usize>,
    ) -> BoxFuture<'_, Result<Vec<SessionSummary>, SessionError>>;
}

/// What a list of sessions says about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// The session.
    pub id: SessionId,
    /// How many items it has.
    pub n_items: u64,
    /// When it was first written to, in UTC, as `2026-11-24 15:26:41`, if the store knows.
    pub created_at: Option<String>,
    /// When it was last written to, in UTC, if the store knows.
    pub updated_at: Option<String>,
}
