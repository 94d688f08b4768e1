//! By what a saved run is told from all others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::trace::TraceId;

/// The number of a run, which each of its saved states has; not that of a trace, though it is made in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::agent) struct RunId(TraceId);

impl RunId {
    /// Makes an id that no other run has.
    pub(in crate::agent) fn random() -> Self {
        Self(TraceId::random())
    }

    /// Makes the id that belongs to a text: a run that is executed again, or was saved without an id, has the same one each time.
    pub(in crate::agent) fn of_text(text: &str) -> Self {
        Self(TraceId::of_name(text))
    }

    /// Names the state that the run leaves when it is saved for the nth time.
    pub(in crate::agent) fn state_id(self, n_saved: u32) -> String {
        format!("{self}-{n_saved}")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for RunId {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let id = digits.parse().map(Self);
        id.map_err(|_| "the id of a run has 32 hexadecimal digits")
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}
