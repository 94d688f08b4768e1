//! A conversation that grows.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::item::Item;
use crate::memo::EncodedPrefix;

/// The items of a conversation, oldest first; cheap to clone, and only ever added to.
///
/// It remembers how its beginning was last encoded, so that a request costs what is new in it.
///
/// ```
/// use openai_agents::Item;
/// use openai_agents::item::History;
///
/// let mut history = History::from(vec![Item::user("hi")]);
/// let before = history.clone();
/// history.extend([Item::assistant("hello")]);
/// assert_eq!((before.len(), history.len()), (1, 2));
/// ```
#[derive(Clone, Default)]
pub struct History(Arc<HistoryInner>);

#[derive(Default)]
struct HistoryInner {
    items: Vec<Item>,
    encoded: Mutex<Option<EncodedPrefix>>,
}

impl History {
    /// Adds items at the end; clones keep what they have.
    pub fn extend(&mut self, items: impl IntoIterator<Item = Item>) {
        Arc::make_mut(&mut self.0).items.extend(items);
    }

    /// How large the last encoding of the beginning is.
    #[cfg(feature = "http")]
    pub(crate) fn n_encoded_bytes(&self) -> usize {
        let encoded = self.0.lock();
        encoded.as_ref().map_or(0, |encoded| encoded.bytes.len())
    }

    /// Returns the last encoding of the beginning.
    pub(crate) fn encoded(&self) -> Option<EncodedPrefix> {
        self.0.lock().clone()
    }

    /// Keeps an encoding of the beginning.
    pub(crate) fn keep_encoded(&self, prefix: EncodedPrefix) {
        *self.0.lock() = Some(prefix);
    }
}

impl HistoryInner {
    fn lock(&self) -> MutexGuard<'_, Option<EncodedPrefix>> {
        self.encoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both begin alike, so the encoding holds for both.
impl Clone for HistoryInner {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            encoded: Mutex::new(self.lock().clone()),
        }
    }
}

impl Deref for History {
    type Target = [Item];

    fn deref(&self) -> &[Item] {
        &self.0.items
    }
}

impl From<Vec<Item>> for History {
    fn from(items: Vec<Item>) -> Self {
        Self(Arc::new(HistoryInner {
            items,
            encoded: Mutex::default(),
        }))
    }
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
