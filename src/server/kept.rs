//! An LRU store of what later requests ask for: bounded in bytes and age for all kinds together, in number for each kind.
//!
//! There is one keeper for all kinds, so that what is asked for stays and what is not makes room, whatever it is: a few large runs would
//! otherwise take as much memory as there is of each kind. What was dropped leaves its name for a while, so that who asks for it is told
//! that it was here, and why it is not any more.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(feature = "server")]
use serde_json::Value;
use tokio::time::Instant;

use self::dropped::Dropped;
pub(super) use self::dropped::Why;

mod dropped;

/// Something that is kept; a cheap handle of what others may hold too.
pub(super) trait Keepable: Any + Send + Sync {
    /// How much memory it takes, about.
    fn n_bytes(&self) -> usize;

    /// Whether it is being used and must not be forgotten.
    fn is_busy(&self) -> bool {
        false
    }

    /// Gives up what it can do without.
    fn shrink(&self) {}
}

/// What is kept, in sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptLimits {
    /// How many of each kind.
    pub(super) max: usize,
    pub(super) max_bytes: usize,
    /// How long something is kept that nobody asks for.
    pub(super) max_age: Duration,
}

impl KeptLimits {
    pub(super) const DEFAULT: Self = Self {
        max: 1000,
        max_bytes: 16 * 1024 * 1024,
        max_age: Duration::from_secs(24 * 60 * 60),
    };
}

/// What kinds there are; they share the bounds and not the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    #[cfg(feature = "server")]
    Run,
    #[cfg(feature = "server")]
    Response,
    #[cfg(feature = "server")]
    Conversation,
    /// A turn that waits for a client to answer calls of its own tools.
    #[cfg(feature = "server")]
    OpenTurn,
    /// A conversation in memory, of a server.
    #[cfg(feature = "server")]
    Session,
    /// The same of an MCP server.
    #[cfg(feature = "mcp-server")]
    McpSession,
    #[cfg(feature = "mcp-server")]
    Trace,
}

/// Keeps everything; a cheap handle.
#[derive(Clone)]
pub(super) struct Keeper(Arc<Mutex<KeptState>>);

/// What is kept of one kind, by ids.
pub(super) struct Shelf<V> {
    keeper: Keeper,
    kind: Kind,
    /// The most of this kind, if it is fewer than of the others.
    max: usize,
    values: PhantomData<fn() -> V>,
}

type Key = (Kind, Arc<str>);
type Values = Vec<Box<dyn Keepable>>;

struct KeptState {
    limits: KeptLimits,
    entries: HashMap<Key, KeptEntry>,
    /// In the order in which they were asked for; the numbers grow.
    order: BTreeMap<u64, Key>,
    of_kind: HashMap<Kind, BTreeSet<u64>>,
    next: u64,
    n_bytes: usize,
    dropped: Dropped,
}

struct KeptEntry {
    value: Box<dyn Keepable>,
    n_bytes: usize,
    place: u64,
    used_at: Instant,
}

impl Keeper {
    pub(super) fn new(limits: KeptLimits) -> Self {
        Self(Arc::new(Mutex::new(KeptState {
            limits,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            of_kind: HashMap::new(),
            next: 0,
            n_bytes: 0,
            dropped: Dropped::default(),
        })))
    }

    #[cfg(feature = "server")]
    pub(super) fn set_limits(&self, limits: KeptLimits) {
        self.change(|state| state.limits = limits);
    }

    pub(super) fn shelf<V>(&self, kind: Kind, max: usize) -> Shelf<V> {
        Shelf {
            keeper: self.clone(),
            kind,
            max,
            values: PhantomData,
        }
    }

    /// Forgets what is too old.
    #[cfg(feature = "server")]
    pub(super) fn sweep(&self) {
        self.change(|_| ());
    }

    /// Changes something, and makes room; what goes is dropped when the lock is free, since it may do something at its end.
    fn change<T>(&self, change: impl FnOnce(&mut KeptState) -> T) -> T {
        let mut state = self.state();
        // Old ones go first: what is about to be found must not be too old to be there.
        let mut gone = state.forget_old(Instant::now());
        let changed = change(&mut state);
        gone.extend(state.make_room());
        drop(state);
        drop(gone);
        changed
    }

    fn state(&self) -> MutexGuard<'_, KeptState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn n_bytes(&self) -> usize {
        self.state().n_bytes
    }
}

impl<V: Keepable + Clone> Shelf<V> {
    /// Keeps a value, in place of an earlier one of the same id.
    pub(super) fn insert(&self, id: &str, value: V) {
        let key = self.key(id);
        let replaced = self.keeper.change(|state| {
            // Not dropped inside the lock: a value may end a run, or write, when it goes.
            let replaced = state.remove(&key);
            state.dropped.forget(&key);
            state.insert(key, Box::new(value));
            let gone = state.make_room_for_kind(self.kind, self.max);
            (replaced, gone)
        });
        drop(replaced);
    }

    /// Finds a value, which counts as asking for it.
    #[cfg(feature = "server")]
    pub(super) fn get(&self, id: &str) -> Option<V> {
        let key = self.key(id);
        self.keeper.change(|state| {
            // Asked for, so it goes to the end of the order in which things make room.
            state.touch(&key);
            state.find(&key)
        })
    }

    /// Finds a value, or makes and keeps it; one at a time.
    pub(super) fn get_or_insert_with(&self, id: &str, make: impl FnOnce() -> V) -> V {
        let key = self.key(id);
        let (value, gone) = self.keeper.change(|state| {
            state.touch(&key);
            if let Some(value) = state.find(&key) {
                return (value, Vec::new());
            }
            // Made inside the lock, so that two requests for one id get the same value.
            let value = make();
            state.dropped.forget(&key);
            state.insert(key, Box::new(value.clone()));
            (value, state.make_room_for_kind(self.kind, self.max))
        });
        drop(gone);
        value
    }

    /// Takes a value away, which was not dropped then but is not wanted any more.
    #[cfg(feature = "server")]
    pub(super) fn remove(&self, id: &str) -> Option<V> {
        let key = self.key(id);
        let removed = self.keeper.change(|state| state.remove(&key))?;
        downcast(&*removed)
    }

    /// Counts the bytes of a value that has changed; others make room.
    pub(super) fn changed(&self, id: &str) {
        let key = self.key(id);
        self.keeper.change(|state| {
            state.touch(&key);
            state.count(&key);
        });
    }

    /// Finds a value; looking does not keep it longer.
    #[cfg(feature = "mcp-server")]
    pub(super) fn find(&self, id: &str) -> Option<V> {
        let key = self.key(id);
        self.keeper.change(|state| state.find(&key))
    }

    /// Returns all, the one that was last asked for first.
    pub(super) fn all(&self) -> Vec<V> {
        self.keeper.change(|state| {
            let places = state.of_kind.get(&self.kind).into_iter().flatten();
            let keys = places.rev().filter_map(|place| state.order.get(place));
            keys.filter_map(|key| state.find(key)).collect()
        })
    }

    /// Says why something is not kept any more; `None` if it never was, or that is long ago.
    pub(super) fn dropped(&self, id: &str) -> Option<Why> {
        self.keeper.state().dropped.find(&self.key(id))
    }

    fn key(&self, id: &str) -> Key {
        (self.kind, Arc::from(id))
    }
}

impl<V> Clone for Shelf<V> {
    fn clone(&self) -> Self {
        self.keeper.shelf(self.kind, self.max)
    }
}

/// How much memory a JSON value takes, about.
#[cfg(feature = "server")]
pub(super) fn json_bytes(value: &Value) -> usize {
    /// Of a value by itself, and of an entry of a map beside its name.
    const OVERHEAD: usize = 48;
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(json_bytes).sum(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| name.len() + json_bytes(value))
                .sum()
        }
    };
    OVERHEAD + inside
}

fn downcast<V: Clone + 'static>(value: &dyn Keepable) -> Option<V> {
    let value: &dyn Any = value;
    value.downcast_ref().cloned()
}

impl KeptState {
    fn find<V: Clone + 'static>(&self, key: &Key) -> Option<V> {
        downcast(&*self.entries.get(key)?.value)
    }

    fn insert(&mut self, key: Key, value: Box<dyn Keepable>) {
        let n_bytes = value.n_bytes().saturating_add(key.1.len());
        let place = self.next;
        self.next += 1;
        self.n_bytes += n_bytes;
        self.order.insert(place, key.clone());
        self.of_kind.entry(key.0).or_default().insert(place);
        let entry = KeptEntry {
            value,
            n_bytes,
            place,
            used_at: Instant::now(),
        };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Box<dyn Keepable>> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.place);
        if let Some(places) = self.of_kind.get_mut(&key.0) {
            places.remove(&entry.place);
        }
        self.n_bytes -= entry.n_bytes;
        Some(entry.value)
    }

    /// Puts an entry behind all others.
    fn touch(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let places = self.of_kind.entry(key.0).or_default();
        self.order.remove(&entry.place);
        places.remove(&entry.place);
        entry.place = self.next;
        entry.used_at = Instant::now();
        self.next += 1;
        self.order.insert(entry.place, key.clone());
        places.insert(entry.place);
    }

    fn count(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            let n_bytes = entry.value.n_bytes().saturating_add(key.1.len());
            self.n_bytes = self.n_bytes - entry.n_bytes + n_bytes;
            entry.n_bytes = n_bytes;
        }
    }

    fn forget_old(&mut self, now: Instant) -> Values {
        let mut gone = Vec::new();
        while let Some((_, key)) = self.order.first_key_value() {
            let key = key.clone();
            let Some(entry) = self.entries.get(&key) else {
                break;
            };
            // `order` is by use, so the first that is young enough ends the search.
            if now.saturating_duration_since(entry.used_at) <= self.limits.max_age {
                break;
            }
            if entry.value.is_busy() {
                // It is being used, which is as good as being asked for.
                self.touch(&key);
                continue;
            }
            self.dropped.remember(&key, Why::Age);
            gone.extend(self.remove(&key));
        }
        gone
    }

    /// Lets the oldest go, until the rest has room; what is busy gives up what it can do without.
    fn make_room(&mut self) -> Values {
        let mut gone = Vec::new();
        let mut from = 0;
        while self.n_bytes > self.limits.max_bytes {
            let Some((place, key)) = self.order.range(from..).next() else {
                break;
            };
            // Go on behind it. A busy entry stays in its place and must not be looked at for ever.
            from = place + 1;
            let key = key.clone();
            let Some(entry) = self.entries.get(&key) else {
                continue;
            };
            // Who reads it at this moment keeps it alive, but not all that it held.
            entry.value.shrink();
            if entry.value.is_busy() {
                self.count(&key);
            } else {
                self.dropped.remember(&key, Why::Bytes);
                gone.extend(self.remove(&key));
            }
        }
        gone
    }

    fn make_room_for_kind(&mut self, kind: Kind, max: usize) -> Values {
        let max = max.min(self.limits.max);
        let Some(places) = self.of_kind.get(&kind) else {
            return Vec::new();
        };
        let n_over = places.len().saturating_sub(max);
        let newest = self.next - 1;
        let is_idle = |place: &&u64| {
            let entry = self.order.get(place).and_then(|key| self.entries.get(key));
            // What has just come is about to be used, unless nothing is to be kept.
            let is_new = **place == newest && max > 0;
            entry.is_some_and(|entry| !entry.value.is_busy() && !is_new)
        };
        let over: Vec<u64> = places
            .iter()
            .filter(is_idle)
            .take(n_over)
            .copied()
            .collect();
        let mut gone = Vec::new();
        for place in over {
            let Some(key) = self.order.get(&place).cloned() else {
                continue;
            };
            self.dropped.remember(&key, Why::Number);
            gone.extend(self.remove(&key));
        }
        gone
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Keeper")
            .field("limits", &state.limits)
            .field("n_entries", &state.entries.len())
            .field("n_bytes", &state.n_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests;
