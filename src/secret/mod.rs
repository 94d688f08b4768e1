//! A string that is never printed, and the redactor that takes it out of foreign texts.

mod encoding;
mod matcher;
mod redactor;
mod scan;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

#[cfg(feature = "mcp-client")]
pub(crate) use encoding::decode_percent;
#[cfg(feature = "http")]
pub(crate) use redactor::CUT_MARK;
#[cfg(feature = "mcp-client")]
pub(crate) use redactor::REDACTED;
pub use redactor::{Redactor, RedactorBuilder};
#[cfg(feature = "http")]
pub(crate) use stream::StreamRedactor;

/// Holds a key or token.
///
/// `Debug` does not print it, and its memory is wiped on drop.
///
/// A [`Redactor`] removes it from texts, such as answers of a server.
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

    /// Returns the secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
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
