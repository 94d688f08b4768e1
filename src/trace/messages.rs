//! Converts items in the form of the Responses API to the message formats of other systems.

use serde_json::{Value, json};

use super::span::Span;

/// A message in a form that all target formats have.
enum Turned {
    Text {
        role: String,
        text: String,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    Output {
        id: String,
        output: String,
    },
}

/// The items in a model call's `input` or `output` content.
pub(super) fn items_of(span: &Span, name: &str) -> Vec<Value> {
    let text = span.content(name).map(super::SpanContent::to_text);
    let items = text.and_then(|text| serde_json::from_str(&text).ok());
    items.unwrap_or_default()
}

fn turned(items: &[Value]) -> Vec<Turned> {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let turn = |item: &Value| match item.get("type").and_then(Value::as_str) {
        Some("function_call") => Some(Turned::Call {
            id: text(item, "call_id"),
            name: text(item, "name"),
            arguments: text(item, "arguments"),
        }),
        Some("function_call_output") => Some(Turned::Output {
            id: text(item, "call_id"),
            output: item.get("output").map(plain).unwrap_or_default(),
        }),
        Some("message") | None => Some(Turned::Text {
            role: text(item, "role"),
            text: item.get("content").map(plain).unwrap_or_default(),
        }),
        _ => None,
    };
    items.iter().filter_map(turn).collect()
}

/// The text of a content, or of all its parts.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect(),
        other => other.to_string(),
    }
}

/// As messages of the chat API, where consecutive calls belong to one message.
pub(super) fn chat_messages(items: &[Value]) -> Vec<Value> {
    let mut messages: Vec<Value> = Vec::new();
    for item in turned(items) {
        match item {
            Turned::Text { role, text } => messages.push(json!({"role": role, "content": text})),
            Turned::Output { id, output } => {
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": output}));
            }
            Turned::Call {
                id,
                name,
                arguments,
            } => {
                let function = json!({"name": name, "arguments": arguments});
                let call = json!({"id": id, "type": "function", "function": function});
                let last = messages
                    .last_mut()
                    .filter(|last| last.get("role").and_then(Value::as_str) == Some("assistant"));
                match last.and_then(Value::as_object_mut) {
                    Some(last) => {
                        let calls = last.entry("tool_calls").or_insert_with(|| json!([]));
                        if let Value::Array(calls) = calls {
                            calls.push(call);
                        }
                    }
                    None => messages
                        .push(json!({"role": "assistant", "content": null, "tool_calls": [call]})),
                }
            }
        }
    }
    messages
}

/// As messages with parts, the form of the OpenTelemetry conventions.
pub(super) fn otel_messages(items: &[Value]) -> Vec<Value> {
    let message = |item| match item {
        Turned::Text { role, text } => {
            json!({"role": role, "parts": [{"type": "text", "content": text}]})
        }
        Turned::Call {
            id,
            name,
            arguments,
        } => {
            // A model may write arguments that are not JSON; they are shown as text.
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
            let part = json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments});
            json!({"role": "assistant", "parts": [part]})
        }
        Turned::Output { id, output } => {
            let part = json!({"type": "tool_call_response", "id": id, "response": output});
            json!({"role": "tool", "parts": [part]})
        }
    };
    turned(items).into_iter().map(message).collect()
}
