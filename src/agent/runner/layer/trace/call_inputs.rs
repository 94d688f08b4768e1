//! What the model calls of a run were given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::item::Item;
use crate::trace::SpanContent;

/// Of each model call the items that it was given, which are mostly those of the call before and a few more.
///
/// They are kept once and not for each call. The run's own list is not held: the run adds to it in its place only while it is alone
/// with it, and would copy it in each turn otherwise.
pub(super) struct CallInputs(Mutex<SharedItems>);

type SharedItems = Arc<Mutex<Vec<Item>>>;

/// Room for the items of a run of many turns, which is less than another allocation for each few of them.
const N_ITEMS: usize = 32;

impl Default for CallInputs {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(Mutex::new(Vec::with_capacity(
            N_ITEMS,
        )))))
    }
}

impl CallInputs {
    /// Takes the items of a model call.
    pub(super) fn content(&self, items: &[Item]) -> SpanContent {
        SpanContent::first_items(self.share(items), items.len())
    }

    fn share(&self, items: &[Item]) -> SharedItems {
        let mut latest = lock(&self.0);
        let mut known = lock(&latest);
        let n_known = known.len();
        let is_continued = n_known <= items.len()
            && known
                .iter()
                .zip(items)
                .all(|(known, item)| known.is_same(item));
        if is_continued {
            known.extend(items.iter().skip(n_known).cloned());
            drop(known);
            return Arc::clone(&latest);
        }
        // Another agent, or what the application made of the conversation.
        drop(known);
        *latest = Arc::new(Mutex::new(items.to_vec()));
        Arc::clone(&latest)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_share_what_they_begin_with_and_read_what_they_were_given() {
        let inputs = CallInputs::default();
        let item = |n: usize| Item::user(format!("item {n}"));
        let items: Vec<Item> = (0..4).map(item).collect();
        let changed = [items[0].clone(), item(9)];
        let given = [&items[..1], &items[..3], &changed, &items[..4]];
        let contents = given.map(|items| inputs.content(items));
        for (items, content) in given.iter().zip(&contents) {
            assert_eq!(content.to_text(), serde_json::to_string(items).unwrap());
        }
        // The first two are one list.
        let lists = given.map(|items| inputs.share(items));
        assert!(Arc::ptr_eq(&lists[0], &lists[1]));
        assert!(!Arc::ptr_eq(&lists[1], &lists[2]));
    }
}
