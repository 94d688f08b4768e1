//! The ids of sessions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Names a session: 1 to 1024 bytes of any text without NUL.
///
/// Every store keeps such an id unchanged and apart from every other; what it looks like has no meaning. Clones share the text.
///
/// ```
/// use openai_agents::session::SessionId;
///
/// assert_eq!(SessionId::new("user 7: häuser")?.as_str(), "user 7: häuser");
/// assert!(SessionId::new("").is_err());
/// # Ok::<(), openai_agents::session::SessionIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

/// Says why a text cannot name a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionIdError {
    /// The id has no characters.
    #[error("a session id cannot be empty")]
    Empty,
    /// The id is longer than [`SessionId::MAX_BYTES`].
    #[error("the session id has {n_bytes} bytes, at most 1024 are allowed")]
    TooLong {
        /// How long it is.
        n_bytes: usize,
    },
    /// The id has a NUL, at which some stores end a text.
    #[error("the session id has a NUL at byte {at}")]
    Nul {
        /// Where it is.
        at: usize,
    },
}

impl SessionId {
    /// The most bytes an id can have: what the index of every store can hold.
    pub const MAX_BYTES: usize = 1024;

    /// Checks and wraps an id.
    ///
    /// # Errors
    ///
    /// [`SessionIdError`] when the id is empty, too long, or has a NUL.
    pub fn new(id: impl AsRef<str>) -> Result<Self, SessionIdError> {
        let id = id.as_ref();
        if id.is_empty() {
            return Err(SessionIdError::Empty);
        }
        if id.len() > Self::MAX_BYTES {
            return Err(SessionIdError::TooLong { n_bytes: id.len() });
        }
        match id.find('\0') {
            Some(at) => Err(SessionIdError::Nul { at }),
            None => Ok(Self(Arc::from(id))),
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(id: &str) -> Result<Self, SessionIdError> {
        Self::new(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_text_that_every_store_can_hold() {
        let check = |id: &str, expect: Result<(), SessionIdError>| {
            assert_eq!(SessionId::new(id).map(drop), expect, "{id:?}");
        };
        let longest = "x".repeat(1024);
        for good in [
            "a",
            " ",
            "a:b",
            "'; DROP TABLE x; --",
            "\u{1F600}",
            "a\nb",
            &longest,
        ] {
            check(good, Ok(()));
        }
        check("", Err(SessionIdError::Empty));
        check("a\0b", Err(SessionIdError::Nul { at: 1 }));
        let too_long = SessionIdError::TooLong { n_bytes: 1025 };
        check(&format!("{longest}x"), Err(too_long));
    }
}
