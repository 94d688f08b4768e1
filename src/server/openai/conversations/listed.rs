//! Gives the items of a conversation their ids.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::item::{Item, ItemKind};

/// An item with its id.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::server) struct ListedItem {
    pub(in crate::server) id: String,
    pub(in crate::server) item: Item,
}

/// Gives each item an id: of what it says, and how many before it say the same.
///
/// Sessions keep no ids, and the places of items change. So an id lasts as long as the item, on every server that has the session, and
/// never means an item that says something else, whatever was taken away before it.
pub(in crate::server) fn listed(items: Vec<Item>) -> Vec<ListedItem> {
    let mut n_alike: HashMap<u64, usize> = HashMap::new();
    let listed = items.into_iter().map(|item| {
        let digest = digest(item.to_json());
        let n = n_alike.entry(digest).or_default();
        let id = format!("{}_{digest:016x}_{n}", prefix(&item));
        *n += 1;
        ListedItem { id, item }
    });
    listed.collect()
}

fn prefix(item: &Item) -> &'static str {
    match item.kind() {
        ItemKind::Message(_) => "msg",
        ItemKind::FunctionCall(_) => "fc",
        ItemKind::FunctionCallOutput(_) => "fco",
        ItemKind::Reasoning(_) => "rs",
        ItemKind::Unknown { .. } => "item",
    }
}

/// FNV-1a. Two items of one digest count as alike, so that even then each id is that of one item.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl ListedItem {
    /// Returns the item as OpenAI writes it: what may be left out of an input is there.
    pub(in crate::server) fn to_json(&self) -> Value {
        // An item is an object; that of a message may say no type.
        let fields: Map<String, Value> =
            serde_json::from_str(self.item.to_json()).unwrap_or_default();
        let mut json = Map::new();
        json.insert("id".to_owned(), json!(self.id));
        json.insert("type".to_owned(), json!(self.item.kind().type_name()));
        json.extend(fields.into_iter().filter(|(name, _)| name != "id"));
        if let ItemKind::Message(_) = self.item.kind() {
            to_parts(&mut json);
        }
        match self.item.kind() {
            ItemKind::Message(_) | ItemKind::FunctionCall(_) | ItemKind::FunctionCallOutput(_) => {
                let status = json.entry("status").or_insert(Value::Null);
                if status.is_null() {
                    *status = json!("completed");
                }
            }
            ItemKind::Reasoning(_) | ItemKind::Unknown { .. } => {}
        }
        Value::Object(json)
    }
}

/// A text stands for one part.
fn to_parts(message: &mut Map<String, Value>) {
    let is_answer = message.get("role").and_then(Value::as_str) == Some("assistant");
    let Some(Value::String(text)) = message.get("content") else {
        return;
    };
    let part = if is_answer {
        json!({"type": "output_text", "text": text, "annotations": []})
    } else {
        json!({"type": "input_text", "text": text})
    };
    message.insert("content".to_owned(), json!([part]));
}

/// Returns a list of items, which more may follow.
pub(super) fn to_list(items: &[ListedItem], more: MoreItems) -> Value {
    let data: Vec<Value> = items.iter().map(ListedItem::to_json).collect();
    json!({
        "object": "list",
        "data": data,
        "first_id": items.first().map(|item| &item.id),
        "last_id": items.last().map(|item| &item.id),
        "has_more": more == MoreItems::More,
    })
}

/// Whether items follow behind those of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MoreItems {
    None,
    More,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(items: &[Item]) -> Vec<String> {
        let listed = listed(items.to_vec()).into_iter();
        listed.map(|item| item.id).collect()
    }

    #[test]
    fn an_id_stays_with_its_item() {
        let items = ["a", "b", "a", "c"].map(Item::user);
        let all = ids(&items);
        let [a, b, a_again, c] = &all[..] else {
            panic!("{all:?}")
        };
        assert_ne!(a, a_again);
        // It does not depend on the build, nor on the process.
        assert_eq!(a, "msg_a8b02c7e51f3b771_0");
        assert_eq!(
            ids(&["b", "a", "c", "b"].map(Item::user))[..3],
            [b, a, c].map(String::clone)
        );
    }

    #[track_caller]
    fn check(item: &str, expect: &Value) {
        let items = vec![Item::from_json(item).unwrap()];
        let mut shown = listed(items).remove(0).to_json();
        assert!(shown["id"].take().is_string());
        assert_eq!(shown, *expect);
    }

    #[test]
    fn an_item_is_shown_whole() {
        check(
            r#"{"role":"user","content":"hi"}"#,
            &json!({
                "id": null, "type": "message", "role": "user", "status": "completed",
                "content": [{"type": "input_text", "text": "hi"}],
            }),
        );
        check(
            r#"{"type":"message","id":"msg_1","role":"assistant","status":"incomplete","content":"hello"}"#,
            &json!({
                "id": null, "type": "message", "role": "assistant", "status": "incomplete",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}],
            }),
        );
        check(
            r#"{"type":"function_call","call_id":"c","name":"look","arguments":"{}","status":null}"#,
            &json!({
                "id": null, "type": "function_call", "call_id": "c", "name": "look", "arguments": "{}",
                "status": "completed",
            }),
        );
        check(
            r#"{"type":"web_search_call","id":"ws_1","status":"failed"}"#,
            &json!({"id": null, "type": "web_search_call", "status": "failed"}),
        );
    }
}
