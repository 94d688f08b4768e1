//! What a run makes of a session's history and its new input.

use std::collections::HashMap;
use std::sync::Arc;

use crate::future::{BoxError, BoxFuture};
use crate::item::Item;

/// Makes the input of a run out of its history and its new items.
///
/// It may leave out, reorder, change and add. What it changes is what the model sees; the session's history stays as it is, and only
/// items that are new are saved. A clone of an item is that item; so leave what you do not change uncopied.
pub type SessionInput = Arc<
    dyn Fn(Vec<Item>, Vec<Item>) -> BoxFuture<'static, Result<Vec<Item>, BoxError>> + Send + Sync,
>;

/// What a run sends and what it saves at its start.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MergedInput {
    /// What the model is to see, oldest first.
    pub items: Vec<Item>,
    /// The items among them that the session does not have yet.
    pub new: Vec<Item>,
}

impl MergedInput {
    /// Puts the new items behind the history.
    pub fn appended(history: Vec<Item>, new: Vec<Item>) -> Self {
        let mut items = history;
        items.extend(new.iter().cloned());
        Self { items, new }
    }

    /// Finds what is new in the items that a [`SessionInput`] gave.
    ///
    /// Each item is judged once: it is new if it is one of the new items; else it belongs to the history if it is one of its items or has
    /// the same JSON as one that was not seen yet; else it is new.
    pub fn judged(items: Vec<Item>, history: &[Item], new: &[Item]) -> Self {
        let mut unseen = UnseenItems::new(history, new);
        let new = items.iter().filter(|item| unseen.is_new(item)).cloned();
        Self {
            new: new.collect(),
            items,
        }
    }
}

/// What of the history and of the new items has not come out yet.
struct UnseenItems<'a> {
    new: HashMap<*const u8, usize>,
    history: HashMap<*const u8, usize>,
    history_json: HashMap<&'a str, usize>,
}

impl<'a> UnseenItems<'a> {
    fn new(history: &'a [Item], new: &[Item]) -> Self {
        Self {
            new: count(new.iter().map(identity)),
            history: count(history.iter().map(identity)),
            history_json: count(history.iter().map(Item::to_json)),
        }
    }

    fn is_new(&mut self, item: &Item) -> bool {
        if take(&mut self.new, &identity(item)) {
            return true;
        }
        // A callback may repeat an item of the history; however often, it is not saved again.
        if self.history.contains_key(&identity(item)) {
            take(&mut self.history_json, item.to_json());
            return false;
        }
        !take(&mut self.history_json, item.to_json())
    }
}

/// Clones share their JSON, so its address says whether two items are one.
fn identity(item: &Item) -> *const u8 {
    item.to_json().as_ptr()
}

fn count<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

fn take<K, Q>(counts: &mut HashMap<K, usize>, key: &Q) -> bool
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    match counts.get_mut(key) {
        Some(n) if *n > 0 => {
            *n -= 1;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[Item]) -> Vec<String> {
        let text = |item: &Item| match item.kind() {
            crate::item::ItemKind::Message(message) => message.text(""),
            _ => item.to_json().to_owned(),
        };
        items.iter().map(text).collect()
    }

    #[track_caller]
    fn check(
        input: impl Fn(Vec<Item>, Vec<Item>) -> Vec<Item>,
        expect_items: &[&str],
        expect_new: &[&str],
    ) {
        let history = vec![Item::user("a"), Item::assistant("b"), Item::user("a")];
        let new = vec![Item::user("c"), Item::user("a")];
        let items = input(history.clone(), new.clone());
        let merged = MergedInput::judged(items, &history, &new);
        assert_eq!(texts(&merged.items), expect_items);
        assert_eq!(texts(&merged.new), expect_new);
    }

    #[test]
    fn without_a_callback_new_stands_behind_history() {
        let (history, new) = (vec![Item::user("a")], vec![Item::user("b")]);
        let merged = MergedInput::appended(history, new);
        assert_eq!(texts(&merged.items), ["a", "b"]);
        assert_eq!(texts(&merged.new), ["b"]);
    }

    #[test]
    fn session_input_saves_new_items_only() {
        // As it would be without a callback; equal items are told apart by which they are.
        check(
            |history, new| [history, new].concat(),
            &["a", "b", "a", "c", "a"],
            &["c", "a"],
        );
        // One item of the history is kept.
        check(
            |history, new| [&history[1..2], &new].concat(),
            &["b", "c", "a"],
            &["c", "a"],
        );
        // The order changes.
        check(
            |history, new| [new, history].concat(),
            &["c", "a", "a", "b", "a"],
            &["c", "a"],
        );
        // A new item is dropped, the others are saved.
        check(
            |history, new| [&history, &new[..1]].concat(),
            &["a", "b", "a", "c"],
            &["c"],
        );
        // A changed or added item is new.
        check(
            |_, _| vec![Item::user("A"), Item::user("d")],
            &["A", "d"],
            &["A", "d"],
        );
        // A copy of the history's items is the history's, as often as they are there.
        check(
            |_, _| vec![Item::user("a"), Item::user("a"), Item::user("a")],
            &["a", "a", "a"],
            &["a"],
        );
        // An item of the history that comes twice is not saved again.
        check(
            |history, _| [&history[1..2], &history[1..2]].concat(),
            &["b", "b"],
            &[],
        );
        check(|_, _| Vec::new(), &[], &[]);
    }
}
