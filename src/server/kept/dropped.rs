//! Remembers what was dropped from the store, and why, for the answer 410.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::Key;

/// How many are remembered.
const MAX: usize = 10_000;

/// Why something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// All together had too many bytes.
    Bytes,
    /// There were too many of its kind.
    Number,
    /// Nobody asked for it for too long.
    Age,
}

impl Why {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "it made room for newer ones (`server.max_kept_bytes`)",
            Self::Number => "there were more of its kind than are kept (`server.max_kept`)",
            Self::Age => "nobody had asked for it for long (`server.max_kept_secs`)",
        }
    }
}

/// The latest that were dropped, by digests of their names, which may be long.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    hasher: RandomState,
    why: HashMap<u64, Why>,
    order: VecDeque<u64>,
}

impl Dropped {
    pub(super) fn remember(&mut self, key: &Key, why: Why) {
        let digest = self.hasher.hash_one(key);
        if self.why.insert(digest, why).is_none() {
            self.order.push_back(digest);
        }
        // The oldest is forgotten, so that a server which runs for months does not remember names
        // without end.
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.why.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, key: &Key) {
        // It stays in the order, where its turn comes.
        self.why.remove(&self.hasher.hash_one(key));
    }

    pub(super) fn find(&self, key: &Key) -> Option<Why> {
        self.why.get(&self.hasher.hash_one(key)).copied()
    }
}
