//! Items in a form that the Python SDK can read, and back.

use std::borrow::Cow;

use crate::item::{Content, Item, ItemError, ItemKind, Role};

/// Added to a message of the model that has parts and no id. Without an id, the Python SDK 0.24.0
/// takes it for a message of a user and fails on its parts. The value is the one that the SDK
/// itself invents for answers of the chat API; the tab before it shows that the mark is ours.
const MARK: &str = ",\t\"id\":\"__fake_id__\"}";

/// Returns the JSON of an item, made readable for the Python SDK; [`decode`] gives the item back.
pub(super) fn encode(item: &Item) -> Cow<'_, str> {
    let json = item.to_json();
    if json.ends_with(MARK) {
        // This item came with the text of the mark; the newline keeps `decode` from removing it.
        return Cow::Owned(format!("{json}\n"));
    }
    match json.strip_suffix('}') {
        Some(open) if needs_id(item) => Cow::Owned(format!("{open}{MARK}")),
        _ => Cow::Borrowed(json),
    }
}

/// Reads what [`encode`] or another program wrote; white space around it is no part of an item.
pub(super) fn decode(stored: &str) -> Result<Item, ItemError> {
    match stored.strip_suffix(MARK) {
        Some(open) => Item::from_json(&format!("{open}}}")),
        None => Item::from_json(stored),
    }
}

fn needs_id(item: &Item) -> bool {
    match item.kind() {
        ItemKind::Message(message) => {
            message.role == Role::Assistant
                && matches!(message.content, Content::Parts(_))
                && !message.extra.contains_key("id")
        }
        ItemKind::FunctionCall(_)
        | ItemKind::FunctionCallOutput(_)
        | ItemKind::Reasoning(_)
        | ItemKind::Unknown { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, stored: &str) {
        let item = Item::from_json(json).unwrap();
        assert_eq!(encode(&item), stored);
        assert_eq!(decode(stored).unwrap().to_json(), json);
    }

    #[test]
    fn only_messages_of_the_model_without_id_are_marked() {
        for json in [
            r#"{"role":"user","content":"hi"}"#,
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#,
            r#"{"type":"message","role":"assistant","content":"hi"}"#,
            r#"{"type":"message","role":"assistant","content":[],"id":"msg_1"}"#,
            r#"{"type":"message","role":"assistant","content":[],"id": "__fake_id__"}"#,
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
            r#"{"type":"unknown","role":"assistant","content":[]}"#,
        ] {
            check(json, json);
        }
        check(
            r#"{"type":"message","role":"assistant","content":[]}"#,
            "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\t\"id\":\"__fake_id__\"}",
        );
        check(
            "{ \"type\":\"message\",\"role\":\"assistant\",\"content\":[] }",
            "{ \"type\":\"message\",\"role\":\"assistant\",\"content\":[] ,\t\"id\":\"__fake_id__\"}",
        );
    }

    #[test]
    fn a_mark_that_was_there_stays() {
        for json in [
            "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\t\"id\":\"__fake_id__\"}",
            "{\"type\":\"x\",\t\"id\":\"__fake_id__\"}",
        ] {
            check(json, &format!("{json}\n"));
        }
    }
}
