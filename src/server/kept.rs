//! Things that are kept until newer ones take their place.

use indexmap::IndexMap;

/// Keeps at most so many values by their ids; the one that was longest not asked for goes first.
#[derive(Debug)]
pub(super) struct Kept<V> {
    entries: IndexMap<String, V>,
    max: usize,
}

impl<V> Kept<V> {
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: IndexMap::new(),
            max,
        }
    }

    /// Keeps a value, in place of an earlier one of the same id; gives back what has to go.
    pub(super) fn insert(&mut self, id: String, value: V) -> Option<V> {
        self.entries.shift_remove(&id);
        self.entries.insert(id, value);
        if self.entries.len() > self.max {
            return self.entries.shift_remove_index(0).map(|(_, value)| value);
        }
        None
    }

    /// Finds a value, which counts as asking for it.
    pub(super) fn get(&mut self, id: &str) -> Option<&mut V> {
        let at = self.entries.get_index_of(id)?;
        self.entries.move_index(at, self.entries.len() - 1);
        self.entries.get_mut(id)
    }

    /// Gives all, that which was longest not asked for first.
    #[cfg(feature = "mcp-server")]
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.entries.values()
    }

    #[cfg(feature = "server")]
    pub(super) fn remove(&mut self, id: &str) -> Option<V> {
        self.entries.shift_remove(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_longest_not_asked_for_goes_first() {
        let mut kept = Kept::new(2);
        assert_eq!(kept.insert("a".to_owned(), 1), None);
        assert_eq!(kept.insert("b".to_owned(), 2), None);
        assert_eq!(kept.get("a"), Some(&mut 1));
        assert_eq!(kept.insert("c".to_owned(), 3), Some(2));
        assert_eq!(kept.insert("a".to_owned(), 4), None);
        assert_eq!(kept.get("b"), None);
        #[cfg(feature = "server")]
        assert_eq!(kept.remove("a"), Some(4));
        assert_eq!(Kept::new(0).insert("a".to_owned(), 1), Some(1));
    }
}
