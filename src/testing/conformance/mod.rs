//! What every back end of a session must do, and every model.

mod contents;
mod order;
mod model;

use std::fmt::Debug;

use crate::item::Item;
use crate::model::ModelError;
use crate::session::{Session, SessionError, SessionId, SessionIdError, SessionTurn};

pub use model::model_conformance;

/// Checks a back end against what [`Session`] promises, and says what it does otherwise.
///
/// `open` opens the session of an id; it is called often, also twice for one id, and both must then see the same items. The ids are
/// made from `prefix` and are empty at the start and at the end, so that a store that lasts can be checked again and again.
///
/// ```
/// use openai_agents::session::MemorySession;
/// use openai_agents::testing::{SessionShelf, session_conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), openai_agents::testing::NonConformance> {
/// let shelf = SessionShelf::new(MemorySession::new);
/// session_conformance("test", async |id| shelf.open(id)).await
/// # }
/// ```
///
/// # Errors
///
/// [`NonConformance`] names the first promise that is not kept, and what was seen.
///
/// # Cancel safety
///
/// When the future is dropped, sessions that it made may stay.
pub async fn session_conformance<S: Session>(
    prefix: &str,
    open: impl AsyncFn(SessionId) -> S,
) -> Result<(), NonConformance> {
    let bench = Bench { prefix, open };
    contents::check(&bench).await?;
    order::check(&bench).await
}

/// Says which promise a back end does not keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NonConformance {
    /// Something else was there than was written or announced.
    #[error("{promise}: expected {expected}, found {found}")]
    Differs {
        /// What is promised.
        promise: &'static str,
        /// What should have been there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// The session failed where it must not.
    #[error("{promise}: the session failed")]
    Failed {
        /// What a session promises.
        promise: &'static str,
        /// How it failed.
        source: SessionError,
    },
    /// The model failed where it must not.
    #[error("{promise}: the model failed")]
    ModelFailed {
        /// What a model promises.
        promise: &'static str,
        /// How it failed.
        source: ModelError,
    },
    /// The prefix cannot begin a session id.
    #[error("the prefix cannot begin a session id")]
    Prefix {
        /// What is wrong with it.
        #[from]
        source: SessionIdError,
    },
}

/// The back end that is checked.
struct Bench<'a, F> {
    prefix: &'a str,
    open: F,
}

impl<S: Session, F: AsyncFn(SessionId) -> S> Bench<'_, F> {
    async fn open(&self, name: &str) -> Result<S, NonConformance> {
        let id = SessionId::new(format!("{}{name}", self.prefix))?;
        let session = (self.open)(id.clone()).await;
        differs(
            "a session has the id that it was opened with",
            &id,
            session.id(),
        )?;
        Ok(session)
    }

    async fn open_empty(&self, name: &str) -> Result<S, NonConformance> {
        let session = self.open(name).await?;
        session.clear().await.or_fail("a session can be cleared")?;
        Ok(session)
    }
}

fn differs<T: Debug + PartialEq>(
    promise: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), NonConformance> {
    if expected == found {
        return Ok(());
    }
    // A text of a megabyte helps nobody.
    let short = |value: &T| format!("{value:?}").chars().take(500).collect();
    Err(NonConformance::Differs {
        promise,
        expected: short(expected),
        found: short(found),
    })
}

/// Compares the JSON, not its meaning: fields that nobody knows, their order and their escapes are kept too.
async fn holds(
    promise: &'static str,
    session: &impl Session,
    limit: Option<usize>,
    expected: &[Item],
) -> Result<(), NonConformance> {
    let read = session.items(limit).await.or_fail(promise)?;
    let json = |items: &[Item]| -> Vec<String> {
        items.iter().map(|item| item.to_json().to_owned()).collect()
    };
    differs(promise, &json(expected), &json(&read.items))
}

async fn append(
    session: &impl Session,
    items: impl IntoIterator<Item = Item>,
) -> Result<crate::session::SessionVersion, NonConformance> {
    let appended = session.append(SessionTurn::new(items)).await;
    appended.or_fail("a turn can be appended")
}

trait OrFail<T> {
    fn or_fail(self, promise: &'static str) -> Result<T, NonConformance>;
}

impl<T> OrFail<T> for Result<T, SessionError> {
    fn or_fail(self, promise: &'static str) -> Result<T, NonConformance> {
        self.map_err(|source| NonConformance::Failed { promise, source })
    }
}
