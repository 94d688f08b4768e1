//! What goes into a session and what comes out.

use super::SessionVersion;
use crate::item::Item;

/// What is added to a session in one step.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionTurn {
    /// The items, oldest first; none is allowed, and then only the version is checked.
    pub items: Vec<Item>,
    /// The version that must still be the latest.
    ///
    /// Without it, what others wrote in between does not matter.
    pub after: Option<SessionVersion>,
}

/// What was read from a session.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionItems {
    /// The latest items that were asked for, oldest first.
    pub items: Vec<Item>,
    /// The version that they are of.
    pub version: SessionVersion,
}

impl SessionTurn {
    /// Makes a turn that is added whatever others wrote.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self {
            items: items.into_iter().collect(),
            after: None,
        }
    }

    /// Lets the turn be added only if this is still the latest version.
    #[must_use]
    pub fn after(mut self, version: SessionVersion) -> Self {
        self.after = Some(version);
        self
    }
}

impl SessionItems {
    /// Puts items and their version together, as a back end does.
    pub fn new(items: Vec<Item>, version: SessionVersion) -> Self {
        Self { items, version }
    }
}
