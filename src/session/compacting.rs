//! A session that shortens its history when it becomes long.

use std::fmt;
use std::sync::Arc;

use super::{
    Session, SessionCause, SessionError, SessionId, SessionItems, SessionSettings, SessionTurn,
    SessionVersion,
};
use crate::future::BoxFuture;
use crate::item::{Item, ItemKind, Role};

/// Shortens a history, for example by a summary.
///
/// A [`CompactingSession`] calls it with the older part of a history, in which every call has its output, and replaces that part by
/// the result. The result must have fewer items. An asynchronous closure that takes and returns a `Vec<Item>` is a compactor too.
/// Dropping the future changes nothing.
pub trait Compactor: Send + Sync {
    /// Returns the items that replace these.
    fn compact(&self, items: Vec<Item>) -> BoxFuture<'_, Result<Vec<Item>, SessionCause>>;
}

impl<F, R> Compactor for F
where
    F: Fn(Vec<Item>) -> R + Send + Sync,
    R: Future<Output = Result<Vec<Item>, SessionCause>> + Send + 'static,
{
    fn compact(&self, items: Vec<Item>) -> BoxFuture<'_, Result<Vec<Item>, SessionCause>> {
        Box::pin(self(items))
    }
}

/// Lets a [`Compactor`] shorten a long history before a turn is appended to it.
///
/// The shorter history and the turn replace the longer history in one step, so that nothing is lost in between. The old items are
/// gone. If the compactor fails, the error is [`SessionError::Compaction`], the history stays as it is, and the turn is not
/// appended. A history in which a call waits for its output is shortened only after the output is there. If somebody else writes
/// while the compactor works, a turn that must come [`after`](SessionTurn::after) a version is a conflict, as always. Any other turn
/// is appended to the long history.
///
/// ```
/// use openai_agents::Item;
/// use openai_agents::session::{CompactingSession, MemorySession, Session, SessionId, SessionTurn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let forget = async |items: Vec<Item>| Ok(vec![Item::user(format!("({} items)", items.len()))]);
/// let store = MemorySession::new(SessionId::new("alice")?);
/// let session = CompactingSession::new(store, 4, forget);
/// for n in 0..3 {
///     session.append(SessionTurn::new([Item::user(format!("{n}")), Item::assistant("ok")])).await?;
/// }
/// let items = session.items(None).await?.items;
/// assert_eq!(items, [Item::user("(4 items)"), Item::user("2"), Item::assistant("ok")]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CompactingSession {
    session: Arc<dyn Session>,
    compactor: Arc<dyn Compactor>,
    threshold: usize,
    n_kept: usize,
}

impl CompactingSession {
    /// Makes a session that shortens a history of `threshold` items or more.
    pub fn new(
        session: impl Session + 'static,
        threshold: usize,
        compactor: impl Compactor + 'static,
    ) -> Self {
        Self {
            session: Arc::new(session),
            compactor: Arc::new(compactor),
            threshold,
            n_kept: 0,
        }
    }

    /// Keeps at least this many of the latest items as they are; 0 by default.
    ///
    /// The kept part begins with a message of the user. A run that loses its session to another
    /// takes out what it has written, and can find it only as long as no compactor has replaced it.
    /// So keep as many items as a run may write.
    #[must_use]
    pub fn keep(mut self, n_items: usize) -> Self {
        self.n_kept = n_items;
        self
    }

    async fn append_short(&self, turn: SessionTurn) -> Result<SessionVersion, SessionError> {
        // Reads at most `threshold` items to find out, and the whole history only if it is long.
        let is_long = self.session.items(Some(self.threshold)).await?.items.len() >= self.threshold;
        if turn.items.is_empty() || !is_long {
            return self.session.append(turn).await;
        }
        let long = self.session.items(None).await?;
        if let Some(expected) = &turn.after
            && *expected != long.version
        {
            return Err(SessionError::Conflict {
                session: self.id().clone(),
                expected: expected.clone(),
                found: long.version,
            });
        }
        let Some((old, latest)) = split(&long.items, self.n_kept) else {
            return self.session.append(turn).await;
        };
        let mut items = self.compacted(old).await?;
        items.extend(latest.iter().chain(&turn.items).cloned());
        // Under the version that was read. The compactor may take minutes, in which somebody else
        // can write.
        let replaced = self
            .session
            .replace(SessionTurn::new(items).after(long.version));
        match replaced.await {
            // A turn without a version may come behind anything. The next one tries to compact
            // again.
            Err(SessionError::Conflict { .. }) if turn.after.is_none() => {
                self.session.append(turn).await
            }
            replaced => replaced,
        }
    }

    async fn compacted(&self, old: &[Item]) -> Result<Vec<Item>, SessionError> {
        let failed = |source| SessionError::Compaction {
            session: self.id().clone(),
            source,
        };
        let compacted = self.compactor.compact(old.to_vec()).await.map_err(failed)?;
        if compacted.len() >= old.len() {
            let (n_before, n_after) = (old.len(), compacted.len());
            let source = format!("{n_before} items became {n_after}, which is not fewer");
            return Err(failed(source.into()));
        }
        tracing::debug!(
            target: "openai_agents::session",
            n_before = old.len(),
            n_after = compacted.len(),
            "history compacted"
        );
        Ok(compacted)
    }
}

/// Splits the history into the part to shorten and the part to keep; `None` if that is not possible
/// now.
fn split(items: &[Item], n_kept: usize) -> Option<(&[Item], &[Item])> {
    // `cut` removes calls without an output, so that a shorter result means that one is waiting.
    let is_open = SessionSettings::default().cut(items.to_vec()).len() < items.len();
    if is_open {
        return None;
    }
    let n_old = items.len().checked_sub(n_kept)?;
    let at = match n_kept {
        0 => n_old,
        _ => (0..=n_old)
            .rev()
            .find(|&at| items.get(at).is_some_and(is_of_user))?,
    };
    (at > 0).then(|| items.split_at(at))
}

fn is_of_user(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User)
}

impl Session for CompactingSession {
    fn id(&self) -> &SessionId {
        self.session.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        self.session.items(limit)
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(self.append_short(turn))
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        self.session.replace(turn)
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        self.session.pop()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        self.session.clear()
    }
}

impl fmt::Debug for CompactingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactingSession")
            .field("id", self.id())
            .field("threshold", &self.threshold)
            .field("n_kept", &self.n_kept)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{FunctionCall, FunctionCallOutput};

    fn items(words: &str) -> Vec<Item> {
        let item = |word: &str| match word.split_at(1) {
            ("c", id) => FunctionCall::new(id, "f", "{}").into(),
            ("o", id) => FunctionCallOutput::new(id, "x".into()).into(),
            ("u", _) => Item::user(word),
            _ => Item::assistant(word),
        };
        words.split_whitespace().map(item).collect()
    }

    #[track_caller]
    fn check(words: &str, n_kept: usize, expect: Option<(&str, &str)>) {
        let all = items(words);
        let found = split(&all, n_kept).map(|(old, new)| (old.to_vec(), new.to_vec()));
        let expect = expect.map(|(old, new)| (items(old), items(new)));
        assert_eq!(found, expect, "{n_kept} of {words}");
    }

    #[test]
    fn compacted_history_begins_with_the_user() {
        check("u1 a1 u2 a2", 0, Some(("u1 a1 u2 a2", "")));
        check("u1 a1 u2 a2", 1, Some(("u1 a1", "u2 a2")));
        check("u1 a1 u2 a2", 2, Some(("u1 a1", "u2 a2")));
        check("u1 a1 u2 a2", 3, None);
        check("u1 a1 u2 a2", 9, None);
        check(
            "u1 c1 o1 a1 u2 c2 o2 a2",
            3,
            Some(("u1 c1 o1 a1", "u2 c2 o2 a2")),
        );
        check("a1 a2", 1, None);
    }

    #[test]
    fn a_call_that_waits_keeps_everything() {
        check("u1 a1 u2 c2", 0, None);
        check("u1 c1 c2 o2", 2, None);
        check("u1 c1 o1 u2 a2", 2, Some(("u1 c1 o1", "u2 a2")));
    }
}
