//! Resolves references to stored items in the input of a request.

use serde_json::Value;

use super::input::{ApprovalAnswer, InputEntry, ResponseInput};
use crate::item::Item;
use crate::server::AppState;
use crate::server::error::ApiError;

/// What a client sent, without references.
pub(super) struct Entries {
    pub(super) items: Vec<Item>,
    pub(super) approvals: Vec<ApprovalAnswer>,
}

/// Reads items that a conversation is to keep.
///
/// # Errors
///
/// Also for approvals, which are no items here: they go on with a response.
pub(in crate::server::openai) fn read_items(
    app: &AppState,
    items: Vec<Value>,
) -> Result<Vec<Item>, ApiError> {
    let mut input = ResponseInput::default();
    for (n, item) in items.into_iter().enumerate() {
        let param = format!("items[{n}]");
        let kind = item.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind.starts_with("mcp_approval_")) {
            let message = "a conversation does not keep approvals; they go on with a response";
            return Err(ApiError::unsupported(param, message));
        }
        input.take(item, &param)?;
    }
    Ok(resolve(app, &input, "items")?.items)
}

/// Puts items that are kept here in the place of references to them.
pub(super) fn resolve(
    app: &AppState,
    input: &ResponseInput,
    param: &str,
) -> Result<Entries, ApiError> {
    let mut found = Entries {
        items: Vec::new(),
        approvals: input.approvals.clone(),
    };
    for entry in &input.entries {
        match entry {
            InputEntry::Item(item) => found.items.push(item.clone()),
            InputEntry::Reference(id) => {
                let kept = app.responses.item(id);
                let kept = kept.ok_or_else(|| {
                    ApiError::new(404, "not_found", format!("there is no item `{id}`")).about(param)
                })?;
                let mut referred = ResponseInput::default();
                referred.take(kept, param)?;
                for entry in referred.entries {
                    if let InputEntry::Item(item) = entry {
                        found.items.push(item);
                    }
                }
            }
        }
    }
    Ok(found)
}
