//! A call that is passed on as the item that it came in.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::LazyLock;

use super::{FunctionCall, Item, ItemKind};

/// A function call, cheap to clone: a run passes a call on in many places, and its texts are copied for none of them.
#[derive(Clone)]
pub(crate) struct CallItem(Item);

impl CallItem {
    /// Takes an item that is a function call.
    pub(crate) fn new(item: &Item) -> Option<Self> {
        matches!(item.kind(), ItemKind::FunctionCall(_)).then(|| Self(item.clone()))
    }
}

impl Deref for CallItem {
    type Target = FunctionCall;

    fn deref(&self) -> &FunctionCall {
        /// Stands where no call is, which `new` rules out: an item never changes its kind.
        static NONE: LazyLock<FunctionCall> = LazyLock::new(|| FunctionCall::new("", "", ""));
        match self.0.kind() {
            ItemKind::FunctionCall(call) => call,
            _ => &NONE,
        }
    }
}

/// Calls are told apart by their ids.
impl Hash for CallItem {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call_id.hash(state);
    }
}

impl PartialEq for CallItem {
    fn eq(&self, other: &Self) -> bool {
        self.call_id == other.call_id
    }
}

impl Eq for CallItem {}

impl fmt::Debug for CallItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
