//! Sessions that are encrypted before they are stored.

mod cipher;
mod key;

use std::fmt;
use std::sync::Arc;

use super::{Session, SessionError, SessionId, SessionItems, SessionTurn, SessionVersion};
use crate::future::BoxFuture;
use crate::item::Item;

use cipher::Ciphers;
pub use key::{SessionKey, SessionKeyError, SessionKeys};

/// Encrypts each item before another session stores it.
///
/// An item is encrypted with XChaCha20-Poly1305 under a random nonce, with a key that HKDF-SHA256 derives for the session; the id of the
/// key and of the session are authenticated with it. What was encrypted with another key, edited, put in from another session, or
/// not encrypted at all is an error when it is read, and never passed over. Who can write to the store can still take items away,
/// repeat them or change their order, and can see their number, their sizes, and the ids of session and key.
///
/// ```
/// use openai_agents::session::{
///     EncryptedSession, MemorySession, Session, SessionId, SessionKey, SessionKeys, SessionTurn,
/// };
/// use openai_agents::{Item, Secret};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SessionKey::new("2026-11", &Secret::new("32 random bytes or more, as text"))?;
/// let store = MemorySession::new(SessionId::new("alice")?);
/// let session = EncryptedSession::new(store.clone(), &SessionKeys::new(key));
/// session.append(SessionTurn::new([Item::user("the code is 1234")])).await?;
/// assert_eq!(session.items(None).await?.items, [Item::user("the code is 1234")]);
/// assert!(!store.items(None).await?.items[0].to_json().contains("1234"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EncryptedSession {
    session: Arc<dyn Session>,
    ciphers: Arc<Ciphers>,
}

impl EncryptedSession {
    /// Encrypts with the first of the keys, and decrypts with all of them.
    pub fn new(session: impl Session + 'static, keys: &SessionKeys) -> Self {
        Self {
            ciphers: Arc::new(Ciphers::new(session.id(), keys)),
            session: Arc::new(session),
        }
    }

    fn encrypt(&self, turn: &SessionTurn) -> Result<SessionTurn, SessionError> {
        let items = turn.items.iter().map(|item| self.ciphers.encrypt(item));
        Ok(SessionTurn {
            items: items.collect::<Result<_, _>>()?,
            after: turn.after.clone(),
        })
    }
}

impl Session for EncryptedSession {
    fn id(&self) -> &SessionId {
        self.session.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        Box::pin(async move {
            let read = self.session.items(limit).await?;
            let items = read.items.iter().enumerate();
            let items = items.map(|(place, item)| self.ciphers.decrypt(item, place));
            Ok(SessionItems::new(
                items.collect::<Result<_, _>>()?,
                read.version,
            ))
        })
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move { self.session.append(self.encrypt(&turn)?).await })
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move { self.session.replace(self.encrypt(&turn)?).await })
    }

    /// Takes away only what can be decrypted.
    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        Box::pin(async move {
            // Decrypted before it is removed: with a wrong key, `pop` would destroy items that another key can read.
            let read = self.session.items(Some(1)).await?;
            let latest = read.items.iter().enumerate();
            for (place, item) in latest {
                self.ciphers.decrypt(item, place)?;
            }
            let popped = self.session.pop().await?;
            popped
                .map(|item| self.ciphers.decrypt(&item, 0))
                .transpose()
        })
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        self.session.clear()
    }
}

impl fmt::Debug for EncryptedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedSession")
            .field("id", self.id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
