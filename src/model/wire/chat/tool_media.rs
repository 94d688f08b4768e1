//! Pictures, sounds and files of tools' outputs: the chat API takes only text from a tool.

use bytes::BytesMut;
use serde::Serialize;
use serde_json::{Value, json};

use super::messages::{chat_fields, with_chat_fields};
use crate::item::{FunctionCallOutput, Item, ItemKind, OutputContent, Part, Role};
use crate::model::wire::body::write_json;
use crate::model::{Deviation, ModelError, ToolMedia};

/// Writes a tool's output; nearly all are a text.
pub(super) fn write(
    bytes: &mut BytesMut,
    output: &FunctionCallOutput,
    media: ToolMedia,
) -> Result<(), ModelError> {
    #[derive(Serialize)]
    struct ToolMessage<'a> {
        role: &'static str,
        tool_call_id: &'a str,
        content: &'a str,
    }

    if let (OutputContent::Text(text), None) = (&output.output, chat_fields(&output.extra)) {
        let message = ToolMessage {
            role: "tool",
            tool_call_id: &output.call_id,
            content: text,
        };
        return write_json(bytes, &message);
    }
    let content = content(output, media);
    let message = json!({ "role": "tool", "tool_call_id": output.call_id, "content": content });
    write_json(bytes, &with_chat_fields(&output.extra, message))
}

/// The content of a tool message: the texts, and words at the place of every other part.
fn content(output: &FunctionCallOutput, media: ToolMedia) -> Value {
    match &output.output {
        OutputContent::Text(text) => text.as_str().into(),
        OutputContent::Parts(parts) if parts.iter().any(|part| part.as_text().is_some()) => parts
            .iter()
            .map(|part| json!({ "type": "text", "text": said(part, media) }))
            .collect(),
        OutputContent::Parts(_) => text(output, media).into(),
    }
}

/// The same, as one text.
pub(super) fn text(output: &FunctionCallOutput, media: ToolMedia) -> String {
    match &output.output {
        OutputContent::Text(text) => text.clone(),
        OutputContent::Parts(parts) => {
            let said: Vec<_> = parts.iter().map(|part| said(part, media)).collect();
            said.join("\n")
        }
    }
}

/// Returns the parts that are no text.
pub(super) fn others(output: &FunctionCallOutput) -> impl Iterator<Item = &Part> {
    let parts = match &output.output {
        OutputContent::Text(_) => &[],
        OutputContent::Parts(parts) => parts.as_slice(),
    };
    parts.iter().filter(|part| part.as_text().is_none())
}

/// Names what is left out of the outputs that a request is the first to send: those behind the model's last words.
pub(super) fn deviation(items: &[Item]) -> Option<Deviation> {
    let is_new = |item: &&Item| match item.kind() {
        ItemKind::FunctionCallOutput(_) => true,
        ItemKind::Message(message) => message.role != Role::Assistant,
        ItemKind::FunctionCall(_) | ItemKind::Reasoning(_) | ItemKind::Unknown { .. } => false,
    };
    let mut left_out: Vec<String> = Vec::new();
    for item in items.iter().rev().take_while(is_new) {
        if let ItemKind::FunctionCallOutput(output) = item.kind() {
            let parts = others(output).map(|part| format!("{} of {}", name(part), output.call_id));
            left_out.extend(parts);
        }
    }
    if left_out.is_empty() {
        return None;
    }
    // Found from the end.
    left_out.reverse();
    let detail = format!(
        "the chat API takes only text from tools, so the model was told that this was left out: {}; `dialect.tool_media: user_message` sends it",
        left_out.join(", ")
    );
    Some(Deviation::new("tool_media_omitted", detail))
}

fn said(part: &Part, media: ToolMedia) -> String {
    match (part.as_text(), media) {
        (Some(text), _) => text.to_owned(),
        (None, ToolMedia::Described) => {
            format!(
                "[{} omitted: this API takes only text from tools]",
                name(part)
            )
        }
        (None, ToolMedia::UserMessage) => {
            format!("[{}: in the message behind the outputs]", name(part))
        }
    }
}

fn name(part: &Part) -> &str {
    match part {
        Part::InputText { .. } | Part::OutputText { .. } | Part::Refusal { .. } => "text",
        Part::Image { .. } => "image",
        Part::Audio { .. } => "audio",
        Part::File { .. } => "file",
        Part::Unknown(value) => match value.get("type").and_then(Value::as_str) {
            Some("input_image" | "image_url" | "image") => "image",
            Some("input_file" | "file") => "file",
            _ => "part",
        },
    }
}
