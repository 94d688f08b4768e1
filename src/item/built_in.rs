//! Calls of the tools that the Responses API defines and that run on this side: a shell and a patch.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{FunctionCall, Item, ItemKind, OutputContent};

/// A tool that the Responses API defines, with items of its own for calls and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltInTool {
    /// `shell_call`: commands of a shell, one after the other.
    Shell,
    /// `local_shell_call`: one program with arguments.
    LocalShell,
    /// `apply_patch_call`: one file is made, changed or deleted.
    ApplyPatch,
}

impl BuiltInTool {
    const ALL: [Self; 3] = [Self::Shell, Self::LocalShell, Self::ApplyPatch];

    const fn call_type(self) -> &'static str {
        match self {
            Self::Shell => "shell_call",
            Self::LocalShell => "local_shell_call",
            Self::ApplyPatch => "apply_patch_call",
        }
    }

    const fn output_type(self) -> &'static str {
        match self {
            Self::Shell => "shell_call_output",
            Self::LocalShell => "local_shell_call_output",
            Self::ApplyPatch => "apply_patch_call_output",
        }
    }

    /// Where a call says what is to be done.
    const fn asked_key(self) -> &'static str {
        match self {
            Self::Shell | Self::LocalShell => "action",
            Self::ApplyPatch => "operation",
        }
    }

    /// The name of the function tool that does the same.
    pub(crate) const fn tool_name(self) -> &'static str {
        match self {
            Self::Shell | Self::LocalShell => "run_command",
            Self::ApplyPatch => "apply_patch",
        }
    }

    /// Reads a call as one of the function tool that does the same; its arguments are what the call is to do, in the server's words.
    pub(super) fn read_call(item: &Item) -> Option<(Self, FunctionCall)> {
        let type_name = unknown_type(item)?;
        let tool = Self::ALL
            .into_iter()
            .find(|tool| tool.call_type() == type_name)?;
        let call: Value = serde_json::from_str(item.to_json()).ok()?;
        let id = call.get("call_id")?.as_str()?;
        let asked = call.get(tool.asked_key())?.to_string();
        let call = FunctionCall::new(id, tool.tool_name(), asked);
        Some((tool, call))
    }

    /// The same call, with other things to do.
    pub(super) fn with_arguments(self, item: &Item, arguments: &str) -> Item {
        // Both are objects of JSON: one was read as a call, and the caller has read the other.
        let mut fields: Map<String, Value> =
            serde_json::from_str(item.to_json()).unwrap_or_default();
        let asked = serde_json::from_str(arguments).unwrap_or_default();
        fields.insert(self.asked_key().to_owned(), asked);
        Item::other(self.call_type(), fields)
    }

    /// Reads which call an output is for.
    fn read_output(item: &Item) -> Option<(Self, String)> {
        #[derive(Deserialize)]
        struct AnsweredCall {
            call_id: String,
        }
        let type_name = unknown_type(item)?;
        let tool = Self::ALL
            .into_iter()
            .find(|tool| tool.output_type() == type_name)?;
        let output: AnsweredCall = serde_json::from_str(item.to_json()).ok()?;
        Some((tool, output.call_id))
    }

    /// The output of a call. What went wrong is told where the server looks for it.
    pub(super) fn output_item(
        self,
        call_id: &str,
        content: &OutputContent,
        failure: Option<&str>,
    ) -> Item {
        let text = content.text();
        let mut fields = Map::from_iter([("call_id".to_owned(), Value::from(call_id))]);
        match self {
            Self::LocalShell => drop(fields.insert("output".to_owned(), text.into())),
            Self::ApplyPatch => {
                let status = failure.map_or("completed", |_| "failed");
                fields.insert("status".to_owned(), status.into());
                fields.insert("output".to_owned(), text.into());
            }
            Self::Shell => match serde_json::from_str(&text) {
                Ok(ShellOutput {
                    output,
                    max_output_length,
                }) if failure.is_none() => {
                    fields.insert("output".to_owned(), output.into());
                    fields.extend(max_output_length.map(|n| ("max_output_length".to_owned(), n)));
                }
                // What the model is told in place of an output: of a failure, of a rejection.
                Ok(_) | Err(_) => {
                    let outcome = json!({"type": "exit", "exit_code": 1});
                    let told = json!([{"stdout": "", "stderr": text, "outcome": outcome}]);
                    fields.insert("output".to_owned(), told);
                }
            },
        }
        Item::other(self.output_type(), fields)
    }
}

/// What a tool that runs shell commands gives as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShellOutput {
    output: Vec<Value>,
    #[serde(default)]
    max_output_length: Option<Value>,
}

/// Returns the call that an item is the output of, of whatever kind it is.
pub(crate) fn answered_call_id(item: &Item) -> Option<String> {
    match item.kind() {
        ItemKind::FunctionCallOutput(output) => Some(output.call_id.clone()),
        ItemKind::Unknown { .. } => BuiltInTool::read_output(item).map(|(_, id)| id),
        ItemKind::Message(_) | ItemKind::FunctionCall(_) | ItemKind::Reasoning(_) => None,
    }
}

/// Returns an output of a call with another text, or nothing if the item is no output.
pub(crate) fn with_other_text(item: &Item, text: &str) -> Option<Item> {
    match item.kind() {
        ItemKind::FunctionCallOutput(output) => {
            let output = super::FunctionCallOutput::new(output.call_id.clone(), text.into());
            Some(output.into())
        }
        ItemKind::Unknown { .. } => {
            let (tool, call_id) = BuiltInTool::read_output(item)?;
            Some(tool.output_item(&call_id, &text.into(), None))
        }
        ItemKind::Message(_) | ItemKind::FunctionCall(_) | ItemKind::Reasoning(_) => None,
    }
}

fn unknown_type(item: &Item) -> Option<&str> {
    match item.kind() {
        ItemKind::Unknown { type_name } => Some(type_name),
        _ => None,
    }
}
