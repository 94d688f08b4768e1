//! A string that must never be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// Holds a key or token; `Debug` prints nothing of it, and its memory is wiped on drop.
///
/// ```
/// use openai_agents::Secret;
///
/// let key = Secret::new("sk-123");
/// assert_eq!(format!("{key:?}"), "Secret(..)");
/// assert_eq!(key.expose(), "sk-123");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(SecretString::from(secret.into()))
    }

    /// Gives the secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Replaces every occurrence of the secret in a text by `[redacted]`.
    ///
    /// Used on whatever a server says before it may reach an error, log or trace: some servers echo the key.
    /// Secrets of fewer than four bytes are left alone: they would match by chance.
    pub fn redact(&self, text: &str) -> String {
        let secret = self.expose();
        if secret.len() < 4 || !text.contains(secret) {
            return text.to_owned();
        }
        text.replace(secret, "[redacted]")
    }
}

/// Stands where an excerpt of a server's words was cut.
#[cfg(feature = "http")]
pub(crate) const CUT_MARK: &str = "... (";

#[cfg(feature = "http")]
impl Secret {
    /// Takes the secret out of a text, and nearly always finds at once that it is not there.
    pub(crate) fn take_out_of(&self, text: &mut String) {
        let begun = self.expose().as_bytes().get(..4);
        if begun.is_some_and(|begun| memchr::memmem::find(text.as_bytes(), begun).is_some()) {
            *text = self.redact_excerpt(text);
        }
    }

    /// Redacts a text that may hold excerpts: where one was cut, the secret may have been cut with it.
    fn redact_excerpt(&self, text: &str) -> String {
        let text = self.redact(text);
        let secret = self.expose();
        let mut redacted = String::with_capacity(text.len());
        let mut pieces = text.split(CUT_MARK).peekable();
        while let Some(piece) = pieces.next() {
            let is_cut = pieces.peek().is_some();
            let begun = (4..secret.len())
                .rev()
                .filter_map(|n_bytes| secret.get(..n_bytes))
                .find_map(|begun| piece.strip_suffix(begun).filter(|_| is_cut));
            redacted.push_str(begun.unwrap_or(piece));
            if begun.is_some() {
                redacted.push_str("[redacted]");
            }
            if is_cut {
                redacted.push_str(CUT_MARK);
            }
        }
        redacted
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
