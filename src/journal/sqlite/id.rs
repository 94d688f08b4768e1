//! The ids of runs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Names a run in a journal: 16 hexadecimal digits, which the journal chooses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);

/// Says that a text is not the id of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the id of a run, which has {} hexadecimal digits",
    RunId::N_DIGITS
)]
pub struct RunIdError {
    text: String,
}

impl RunId {
    const N_DIGITS: usize = 16;

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(id: &str) -> Result<Self, RunIdError> {
        if id.len() == Self::N_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(id.to_ascii_lowercase().into()));
        }
        Err(RunIdError {
            text: id.to_owned(),
        })
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
