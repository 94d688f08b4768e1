//! A call that is passed on as the item that it came in.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use super::{BuiltInTool, FunctionCall, FunctionCallOutput, Item, ItemKind, OutputContent};

/// A call, cheap to clone: a run passes a call on in many places, and its texts are copied for none of them.
///
/// One of a tool that the Responses API defines is read as a call of the function tool that does the same.
#[derive(Clone)]
pub(crate) struct CallItem {
    item: Item,
    built_in: Option<Arc<(BuiltInTool, FunctionCall)>>,
}

impl CallItem {
    /// Takes an item that is a call; one that the provider answered itself is a call, too.
    pub(crate) fn new(item: &Item) -> Option<Self> {
        let built_in = match item.kind() {
            ItemKind::FunctionCall(_) => None,
            ItemKind::Unknown { .. } => Some(Arc::new(BuiltInTool::read_call(item)?)),
            ItemKind::Message(_) | ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) => {
                return None;
            }
        };
        Some(Self {
            item: item.clone(),
            built_in,
        })
    }

    /// The tool of the Responses API that is called, if it is not a function.
    pub(crate) fn built_in(&self) -> Option<BuiltInTool> {
        self.built_in.as_deref().map(|(tool, _)| *tool)
    }

    /// The same call with other arguments.
    pub(crate) fn with_arguments(&self, arguments: &str) -> Item {
        match self.built_in() {
            Some(tool) => tool.with_arguments(&self.item, arguments),
            None => Item::from(FunctionCall {
                arguments: arguments.to_owned(),
                ..(**self).clone()
            }),
        }
    }

    /// The output of the call, as an item of the kind that belongs to it.
    pub(crate) fn output_item(&self, content: OutputContent, failure: Option<&str>) -> Item {
        match self.built_in() {
            Some(tool) => tool.output_item(&self.call_id, &content, failure),
            None => FunctionCallOutput::new(self.call_id.clone(), content).into(),
        }
    }
}

impl Deref for CallItem {
    type Target = FunctionCall;

    fn deref(&self) -> &FunctionCall {
        /// Stands where no call is, which `new` rules out: an item never changes its kind.
        static NONE: LazyLock<FunctionCall> = LazyLock::new(|| FunctionCall::new("", "", ""));
        match (self.built_in.as_deref(), self.item.kind()) {
            (Some((_, call)), _) | (None, ItemKind::FunctionCall(call)) => call,
            (None, _) => &NONE,
        }
    }
}

/// Calls are told apart by their ids.
impl Ord for CallItem {
    fn cmp(&self, other: &Self) -> Ordering {
        self.call_id.cmp(&other.call_id)
    }
}

impl PartialOrd for CallItem {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
