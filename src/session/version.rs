//! Which state of a session was read.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Stands for one state of one session.
///
/// Only the session's back end knows what it says.
///
/// Equal versions of a session mean equal items. A version can be saved and used again in another process.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct SessionVersion(Arc<str>);

impl SessionVersion {
    /// Wraps what a back end calls a state.
    pub fn new(version: impl AsRef<str>) -> Self {
        Self(Arc::from(version.as_ref()))
    }

    /// Returns what the back end calls the state.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SessionVersion {
    fn from(version: String) -> Self {
        Self::new(version)
    }
}

impl From<SessionVersion> for String {
    fn from(version: SessionVersion) -> Self {
        version.as_str().to_owned()
    }
}

impl fmt::Display for SessionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
