//! What the next agent sees of the conversation after a handoff.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::item::{Content, Item, ItemKind, Message, Role};

/// Changes what the next agent sees after a handoff.
///
/// It is set on one handoff, or on a run for all handoffs that have none of their own.
///
/// Results and sessions keep the conversation as it was. A filter cannot be used where the server keeps the conversation, which is
/// found before the first request.
#[derive(Clone)]
pub struct HandoffFilter(Arc<FilterFn>);

type FilterFn =
    dyn Fn(HandoffHistory) -> BoxFuture<'static, Result<HandoffHistory, BoxError>> + Send + Sync;

/// The conversation up to a handoff, in three parts that follow each other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HandoffHistory {
    /// The run.
    pub cx: RunContext,
    /// The agent that hands off.
    pub from: Arc<str>,
    /// The agent that is next.
    pub to: Arc<str>,
    /// The input of the run, or what an earlier filter made of it.
    pub input: Vec<Item>,
    /// What the run added before this turn.
    pub earlier: Vec<Item>,
    /// What this turn added: the handoff's call and output among it.
    pub new: Vec<Item>,
}

/// A prompt that tells a model of agents and handoffs.
///
/// Put it before the instructions of agents that hand off.
///
/// The text is the Python SDK's.
pub const HANDOFF_PROMPT: &str = "# System context
You are part of a multi-agent system called the Agents SDK, designed to make agent coordination and execution easy. Agents uses two primary abstraction: **Agents** and **Handoffs**. An agent encompasses instructions and tools and can hand off a conversation to another agent when appropriate. Handoffs are achieved by calling a handoff function, generally named `transfer_to_<agent_name>`. Transfers between agents are handled seamlessly in the background; do not mention or draw attention to these transfers in your conversation with the user.
";

const PREAMBLE: &str =
    "For context, here is the conversation so far between the user and the previous agent:";
const START: &str = "<CONVERSATION HISTORY>";
const END: &str = "</CONVERSATION HISTORY>";
const NOTHING: &str = "(no previous turns recorded)";

impl HandoffFilter {
    /// Makes a filter of a function.
    pub fn new(filter: impl Fn(HandoffHistory) -> HandoffHistory + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |history| {
            Box::pin(std::future::ready(Ok(filter(history))))
        }))
    }

    /// Makes a filter of an asynchronous function that may fail.
    ///
    /// Its error ends the run with the error `callback_failed`.
    pub fn from_async<F, R>(filter: F) -> Self
    where
        F: Fn(HandoffHistory) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<HandoffHistory>> + Send + 'static,
    {
        Self(Arc::new(move |history| {
            let changed = filter(history);
            Box::pin(async move { changed.await.into_outcome() })
        }))
    }

    /// Leaves out calls and outputs of tools, handoffs, and reasoning: only messages remain.
    pub fn remove_tools() -> Self {
        Self::new(|mut history| {
            for part in [&mut history.input, &mut history.earlier, &mut history.new] {
                part.retain(|item| !is_tool_work(item));
            }
            history
        })
    }

    /// Folds the conversation into a message that tells it.
    ///
    /// Only the last turn's messages stay behind it as they were.
    ///
    /// The form is the Python SDK's `nest_handoff_history`. What such a message of an earlier handoff tells is told again, not nested.
    pub fn nested_history() -> Self {
        Self::new(nest)
    }

    pub(crate) fn apply(
        &self,
        history: HandoffHistory,
    ) -> BoxFuture<'static, Result<HandoffHistory, BoxError>> {
        (self.0)(history)
    }
}

fn is_tool_work(item: &Item) -> bool {
    match item.kind() {
        ItemKind::Message(_) => false,
        ItemKind::FunctionCall(_) | ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) => {
            true
        }
        ItemKind::Unknown { type_name } => {
            type_name.ends_with("_call")
                || type_name.ends_with("_output")
                || matches!(
                    type_name.as_str(),
                    "mcp_list_tools" | "mcp_approval_request" | "mcp_approval_response"
                )
        }
    }
}

fn nest(mut history: HandoffHistory) -> HandoffHistory {
    // Goes through the conversation and collects what is only told. Before each item that is kept,
    // the collection becomes one message.
    let mut told: Vec<Value> = history.input.iter().flat_map(unfold).collect();
    let mut items = Vec::new();
    let earlier = history
        .earlier
        .iter()
        .map(|item| (item, is_kept_of_earlier(item)));
    let new = history.new.iter().map(|item| (item, is_kept_of_new(item)));
    for (item, is_kept) in earlier.chain(new) {
        if !is_kept {
            told.push(json_of(item));
            continue;
        }
        if !told.is_empty() || items.is_empty() {
            items.push(tell(&std::mem::take(&mut told)));
        }
        items.push(item.clone());
    }
    if !told.is_empty() || items.is_empty() {
        items.push(tell(&told));
    }
    history.input = items;
    history.earlier = Vec::new();
    history.new = Vec::new();
    history
}

fn is_kept_of_earlier(item: &Item) -> bool {
    let is_assistant =
        matches!(item.kind(), ItemKind::Message(message) if message.role == Role::Assistant);
    !is_assistant && is_kept_of_new(item)
}

fn is_kept_of_new(item: &Item) -> bool {
    match item.kind() {
        ItemKind::Message(_) => true,
        ItemKind::FunctionCall(_) | ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) => {
            false
        }
        ItemKind::Unknown { type_name } => {
            !matches!(type_name.as_str(), "program" | "program_output")
        }
    }
}

/// The item's JSON, without what SDKs note beside it for themselves.
fn json_of(item: &Item) -> Value {
    let mut value: Value = serde_json::from_str(item.to_json()).unwrap_or(Value::Null);
    if let Value::Object(object) = &mut value {
        object.shift_remove("provider_data");
    }
    value
}

fn tell(items: &[Value]) -> Item {
    let mut lines = vec![PREAMBLE.to_owned(), START.to_owned()];
    if items.is_empty() {
        lines.push(NOTHING.to_owned());
    }
    let numbered = items.iter().zip(1..);
    lines.extend(numbered.map(|(item, n)| format!("{n}. {}", line(item))));
    lines.push(END.to_owned());
    let mut message = Message::new(Role::Assistant, "");
    message.content = Content::Text(lines.join("\n"));
    message.into()
}

/// A message of one line as `role: text`, everything else as JSON.
fn line(item: &Value) -> String {
    if let Some(role) = item.get("role").and_then(Value::as_str) {
        let text = match item.get("content") {
            None | Some(Value::Null) => Some(""),
            Some(content) => content.as_str(),
        };
        if let Some(text) = text.filter(|text| !text.contains(['\n', '\r'])) {
            return match item.get("name").and_then(Value::as_str) {
                Some(name) if !name.is_empty() => format!("{role} ({name}): {text}"),
                _ => format!("{role}: {text}"),
            };
        }
    }
    python_json(item)
}

/// JSON as Python writes it: a space behind each comma and colon outside of strings.
fn python_json(value: &Value) -> String {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first {
                Ok(())
            } else {
                writer.write_all(b", ")
            }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first {
                Ok(())
            } else {
                writer.write_all(b", ")
            }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
        ) -> std::io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    match serde::Serialize::serialize(value, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => value.to_string(),
    }
}

/// What a message of [`tell`] tells, as the items that it was made of; any other item as it is.
fn unfold(item: &Item) -> Vec<Value> {
    let told = match item.kind() {
        ItemKind::Message(message) if message.role == Role::Assistant => match &message.content {
            Content::Text(text) => told_in(text),
            Content::Parts(_) => None,
        },
        _ => None,
    };
    told.unwrap_or_else(|| vec![json_of(item)])
}

fn told_in(text: &str) -> Option<Vec<Value>> {
    let body = text
        .strip_prefix(PREAMBLE)?
        .strip_prefix('\n')?
        .strip_prefix(START)?
        .strip_prefix('\n')?
        .strip_suffix(END)?
        .strip_suffix('\n')?;
    if body == NOTHING {
        return Some(Vec::new());
    }
    let items = body.split('\n').map(|line| {
        let (_, told) = line.split_once(". ")?;
        if let Ok(value @ Value::Object(_)) = serde_json::from_str(told) {
            return Some(value);
        }
        let (role, text) = told
            .split_once(": ")
            .or_else(|| Some((told.strip_suffix(':')?, "")))?;
        let named = role
            .strip_suffix(')')
            .and_then(|role| role.split_once(" ("));
        Some(match named {
            Some((role, name)) => {
                serde_json::json!({ "role": role, "name": name, "content": text })
            }
            None => serde_json::json!({ "role": role, "content": text }),
        })
    });
    items.collect()
}

impl fmt::Debug for HandoffFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandoffFilter(..)")
    }
}

#[cfg(test)]
mod tests;
