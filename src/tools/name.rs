//! The names of tools.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names a tool: 1 to 64 characters out of `A-Z`, `a-z`, `0-9`, `_` and `-`.
///
/// That is what every provider accepts; a name that only some of them take is refused here and not by a server later.
/// Clones share the text.
///
/// ```
/// use openai_agents::tools::ToolName;
///
/// assert_eq!(ToolName::new("get_weather")?.as_str(), "get_weather");
/// assert!(ToolName::new("get weather").is_err());
/// # Ok::<(), openai_agents::tools::ToolNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolName(Arc<str>);

impl ToolName {
    /// The most characters a name can have.
    pub const MAX_CHARS: usize = 64;

    /// Checks and wraps a name.
    ///
    /// # Errors
    ///
    /// [`ToolNameError`] when the name is empty, too long, or has another character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, ToolNameError> {
        let name = name.as_ref();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() {
            return Err(ToolNameError::Empty);
        }
        if let Some(character) = name.chars().find(|&c| !is_allowed(c)) {
            let name = name.to_owned();
            return Err(ToolNameError::Character { name, character });
        }
        if name.len() > Self::MAX_CHARS {
            return Err(ToolNameError::TooLong {
                name: name.to_owned(),
                n_chars: name.len(),
            });
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name `test`, which needs no check.
    #[cfg(feature = "testing")]
    pub(crate) fn test() -> Self {
        Self(Arc::from("test"))
    }

    /// The name of the search among deferred tools, which needs no check.
    pub(crate) fn search() -> Self {
        Self(Arc::from(super::SEARCH_TOOL))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for ToolName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Lets maps with this key be searched by `&str`.
impl std::borrow::Borrow<str> for ToolName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for ToolName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ToolName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Serialize for ToolName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for ToolName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

/// Says why a text cannot name a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolNameError {
    /// The name has no characters.
    #[error("a tool name cannot be empty")]
    Empty,
    /// The name is longer than [`ToolName::MAX_CHARS`].
    #[error("the tool name `{name}` has {n_chars} characters, at most 64 are allowed")]
    TooLong {
        /// The name.
        name: String,
        /// How long it is.
        n_chars: usize,
    },
    /// The name has a character that providers refuse.
    #[error("the tool name {name:?} contains {character:?}, allowed are A-Z, a-z, 0-9, _ and -")]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}
