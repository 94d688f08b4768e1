//! The keys that sessions are encrypted with.

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Holds a secret that session keys are derived from, and its id.
///
/// Stored items name the secret by its id. The memory of the secret is wiped on drop, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SessionKey {
    id: String,
    secret: Zeroizing<Vec<u8>>,
}

/// Holds the key to encrypt with, and older ones to decrypt with.
///
/// To change the key, make the new one the first and keep the old one; nothing has to be encrypted anew.
#[derive(Debug, Clone)]
pub struct SessionKeys {
    pub(super) current: SessionKey,
    pub(super) old: Vec<SessionKey>,
}

/// Says why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionKeyError {
    /// The id is empty, too long, or has another character.
    ///
    /// Allowed are 1 to 64 out of `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`.
    #[error("the key id {id:?} is not 1 to 64 characters out of A-Z, a-z, 0-9, _, - and .")]
    Id {
        /// The id.
        id: String,
    },
    /// The secret is too short to be random enough.
    #[error("the secret of key `{id}` has {n_bytes} bytes, at least 32 are needed")]
    TooShort {
        /// The id of the key.
        id: String,
        /// How long the secret is.
        n_bytes: usize,
    },
}

impl SessionKey {
    /// The fewest bytes that a secret can have.
    pub const MIN_BYTES: usize = 32;

    /// Makes a key of a secret that was made at random.
    ///
    /// As by `openssl rand -base64 32`; a password is not one.
    ///
    /// # Errors
    ///
    /// [`SessionKeyError`] when the id has other characters, or the secret is shorter than 32 bytes.
    pub fn new(id: impl Into<String>, secret: &Secret) -> Result<Self, SessionKeyError> {
        let id = id.into();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_allowed) {
            return Err(SessionKeyError::Id { id });
        }
        let secret = Zeroizing::new(secret.expose().as_bytes().to_vec());
        if secret.len() < Self::MIN_BYTES {
            let n_bytes = secret.len();
            return Err(SessionKeyError::TooShort { id, n_bytes });
        }
        Ok(Self { id, secret })
    }

    /// Returns the id by which stored items name the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl SessionKeys {
    /// Encrypts and decrypts with one key.
    pub fn new(key: SessionKey) -> Self {
        Self {
            current: key,
            old: Vec::new(),
        }
    }

    /// Also decrypts with a key that is no longer used to encrypt.
    #[must_use]
    pub fn old(mut self, key: SessionKey) -> Self {
        self.old.push(key);
        self
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
