//! Items into chat messages.
//!
//! A chat message can hold what are several items: reasoning, a message and tool calls that follow each other are one assistant
//! message. Each item keeps the bytes of its own part, so that a turn only copies them together.

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{thinking, tool_media};
use crate::item::{
    Content, FunctionCall, FunctionCallOutput, Item, ItemKind, Message, Part, Reasoning, Role,
};
use crate::kind::ErrorKind;
use crate::memo::Encoding;
use crate::model::verbatim::{CALL_FIELDS, CHAT_FIELDS};
use crate::model::wire::body::{Rest, put, write_json};
use crate::model::wire::excerpt;
use crate::model::{Dialect, ModelError, ToolMedia};

/// Writes the rest of the messages, without the array's brackets.
pub(super) fn encode(
    bytes: &mut BytesMut,
    rest: &Rest<'_>,
    instructions: Option<&str>,
    items: &[Item],
    dialect: &Dialect,
) -> Result<(), ModelError> {
    let mut writer = MessageWriter {
        bytes,
        dialect,
        empty: rest.is_start,
    };
    if let Some(instructions) = instructions.filter(|_| rest.is_start) {
        writer.value(&TextMessage {
            role: "system",
            content: instructions,
        })?;
    }
    let mut rest = rest.items;
    let mut media = Vec::new();
    // Items that follow each other may be one message, so each round takes a group and not an item.
    while let Some(item) = rest.first() {
        match item.kind() {
            ItemKind::FunctionCallOutput(output)
                if dialect.tool_media == ToolMedia::UserMessage =>
            {
                collect_media((item, output), items, &mut media)?;
            }
            _ => writer.media(&mut media)?,
        }
        let n_group = assistant_group(rest);
        let (group, after) = rest.split_at(n_group.max(1));
        rest = after;
        // Three forms: an item of its own, a turn in the old `functions` form, and an assistant
        // message with its calls.
        if n_group == 0 {
            writer.single(item, items)?;
        } else if dialect.force_functions && group.iter().any(is_call) {
            writer.legacy_turn(Group::of(group)?, rest)?;
        } else {
            writer.assistant(Group::of(group)?)?;
        }
    }
    writer.media(&mut media)
}

/// Says whether the messages of these items stay as they are when items are added: the last one is whole.
pub(super) fn is_closed(items: &[Item], dialect: &Dialect) -> bool {
    items.last().is_some_and(|last| {
        // What media the outputs of a turn have goes behind the last of them, and another may come.
        let may_show = dialect.tool_media == ToolMedia::UserMessage
            && matches!(last.kind(), ItemKind::FunctionCallOutput(_));
        assistant_group(std::slice::from_ref(last)) == 0 && !may_show
    })
}

/// Counts the leading items that are one assistant message; 0 if the first item is not of the assistant.
///
/// A message after a message begins a new one; a message after a tool call belongs to it, since nothing may stand between a
/// call and its output. A message whose content is a plain text was written by an application, and is one by itself.
fn assistant_group(items: &[Item]) -> usize {
    let (mut has_message, mut has_calls) = (false, false);
    for (n, item) in items.iter().enumerate() {
        match item.kind() {
            ItemKind::Reasoning(_) if !has_message || has_calls => {}
            ItemKind::Message(Message {
                role: Role::Assistant,
                content: Content::Text(_),
                ..
            }) if !has_message && !has_calls => return n + 1,
            ItemKind::Message(message)
                if message.role == Role::Assistant && (!has_message || has_calls) =>
            {
                has_message = true;
            }
            ItemKind::FunctionCall(_) => has_calls = true,
            _ => return n,
        }
    }
    items.len()
}

fn is_call(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::FunctionCall(_))
}

/// A message of one text, as nearly every one is. It is written without a [`Value`] in between, which costs more than all else.
#[derive(Serialize)]
struct TextMessage<'a, R> {
    role: R,
    content: &'a str,
}

/// The items of one assistant message.
#[derive(Clone, Copy)]
struct Group<'a>(&'a [Item]);

impl<'a> Group<'a> {
    fn of(items: &'a [Item]) -> Result<Self, ModelError> {
        // `assistant_group` has chosen them: an item that is added there and not here is refused, and not left out.
        let is_other = |item: &&Item| match item.kind() {
            ItemKind::Message(_) | ItemKind::Reasoning(_) | ItemKind::FunctionCall(_) => false,
            ItemKind::FunctionCallOutput(_) | ItemKind::Unknown { .. } => true,
        };
        match items.iter().find(is_other) {
            Some(item) => Err(unsupported(item, "it is not the assistant's")),
            None => Ok(Self(items)),
        }
    }

    fn messages(self) -> impl Iterator<Item = (&'a Item, &'a Message)> {
        self.0.iter().filter_map(|item| match item.kind() {
            ItemKind::Message(message) => Some((item, message)),
            _ => None,
        })
    }

    fn reasoning(self) -> impl Iterator<Item = &'a Reasoning> {
        self.0.iter().filter_map(|item| match item.kind() {
            ItemKind::Reasoning(reasoning) => Some(reasoning),
            _ => None,
        })
    }

    fn calls(self) -> impl Iterator<Item = (&'a Item, &'a FunctionCall)> {
        self.0.iter().filter_map(|item| match item.kind() {
            ItemKind::FunctionCall(call) => Some((item, call)),
            _ => None,
        })
    }

    fn texts(self) -> Vec<String> {
        let messages = self.messages();
        messages.map(|(_, message)| message.text("\n")).collect()
    }

    /// The fields of the chat API that were noted beside the first of the items.
    fn chat_fields(self) -> Option<&'a Map<String, Value>> {
        let of_messages = self.messages().map(|(_, message)| &message.extra);
        let of_calls = self.calls().map(|(_, call)| &call.extra);
        of_messages.chain(of_calls).find_map(chat_fields)
    }
}

struct MessageWriter<'a> {
    bytes: &'a mut BytesMut,
    dialect: &'a Dialect,
    empty: bool,
}

impl MessageWriter<'_> {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.bytes.put_u8(b',');
        }
    }

    fn value(&mut self, message: &impl Serialize) -> Result<(), ModelError> {
        self.comma();
        write_json(self.bytes, message)
    }

    /// Writes what is encoded once for an item and remembered with it.
    fn remembered(
        &mut self,
        item: &Item,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        // Items are shared by all turns and all runs of a session, and so is what they are encoded
        // to.
        if let Some(known) = item.memo().get(Encoding::Chat) {
            put(self.bytes, known);
            return Ok(());
        }
        let start = self.bytes.len();
        encode(self.bytes)?;
        let encoded = self.bytes.get(start..).unwrap_or_default();
        item.memo().keep_again(Encoding::Chat, encoded);
        Ok(())
    }

    fn single(&mut self, item: &Item, items: &[Item]) -> Result<(), ModelError> {
        match item.kind() {
            ItemKind::Message(message) => {
                self.comma();
                self.remembered(item, |bytes| {
                    if let Content::Text(content) = &message.content
                        && message.extra.is_empty()
                    {
                        let role = &message.role;
                        return write_json(bytes, &TextMessage { role, content });
                    }
                    let value = match chat_content(&message.extra) {
                        Some(_) => json!({ "role": message.role, "content": null }),
                        None => with_cache_control(item, message_value(item, message)?),
                    };
                    write_json(bytes, &with_chat_fields(&message.extra, value))
                })
            }
            ItemKind::FunctionCallOutput(output) if self.dialect.force_functions => {
                // A legacy output refers to its call by the function's name; the outputs of known calls went out with them.
                let is_its_call = |other: &Item| matches!(other.kind(), ItemKind::FunctionCall(call) if call.call_id == output.call_id);
                if items.iter().any(is_its_call) {
                    return Ok(());
                }
                Err(unsupported(item, "its call is not in the conversation"))
            }
            ItemKind::FunctionCallOutput(output) => {
                self.comma();
                let media = self.dialect.tool_media;
                // What a dialect does with media is no part of what is remembered.
                if tool_media::others(output).next().is_some() {
                    tool_media::write(self.bytes, output, media)
                } else {
                    self.remembered(item, |bytes| tool_media::write(bytes, output, media))
                }
            }
            ItemKind::Reasoning(_) | ItemKind::FunctionCall(_) => {
                Err(unsupported(item, "it is the assistant's"))
            }
            ItemKind::Unknown { type_name } => Err(unsupported(
                item,
                &format!("the chat API has nothing for `{type_name}`"),
            )),
        }
    }

    /// Sends the media of a turn's outputs as the user, from whom the API takes them.
    fn media(&mut self, media: &mut Vec<Value>) -> Result<(), ModelError> {
        if media.is_empty() {
            return Ok(());
        }
        let content = std::mem::take(media);
        self.value(&json!({ "role": "user", "content": content }))
    }

    fn assistant(&mut self, group: Group<'_>) -> Result<(), ModelError> {
        let has_calls = group.calls().next().is_some();
        // Reasoning alone says nothing to a chat server, and what it thought before a plain answer is not wanted back.
        if group.messages().next().is_none() && !has_calls {
            return Ok(());
        }
        self.comma();
        self.bytes
            .put_slice(b"{\"role\":\"assistant\",\"content\":");
        self.assistant_content(group)?;
        if has_calls {
            self.bytes.put_slice(b",\"tool_calls\":[");
            for (n, (item, call)) in group.calls().enumerate() {
                if n > 0 {
                    self.bytes.put_u8(b',');
                }
                self.remembered(item, |bytes| write_call(bytes, call))?;
            }
            self.bytes.put_u8(b']');
            self.reasoning(group)?;
        }
        self.chat_fields(group)?;
        self.bytes.put_u8(b'}');
        Ok(())
    }

    /// Writes the fields of the chat API that no item has a place for.
    fn chat_fields(&mut self, group: Group<'_>) -> Result<(), ModelError> {
        let fields = group.chat_fields().into_iter().flatten();
        for (key, value) in fields.filter(|(key, _)| *key != "content") {
            self.bytes.put_u8(b',');
            write_json(self.bytes, key)?;
            self.bytes.put_u8(b':');
            write_json(self.bytes, value)?;
        }
        Ok(())
    }

    /// Writes the value of `content`, and a refusal beside it.
    fn assistant_content(&mut self, group: Group<'_>) -> Result<(), ModelError> {
        if let Some(content) = group.chat_fields().and_then(|fields| fields.get("content")) {
            return write_json(self.bytes, content);
        }
        let refusal = group.messages().find_map(|(_, message)| message.refusal());
        let mut messages = group.messages();
        match (messages.next(), messages.next()) {
            (None, _) => self.bytes.put_slice(b"null"),
            (Some((item, message)), None) => self.remembered(item, |bytes| {
                let text = message.text("\n");
                if text.is_empty() && refusal.is_some() {
                    bytes.put_slice(b"null");
                    return Ok(());
                }
                write_json(bytes, &text)
            })?,
            (Some(_), Some(_)) => write_json(self.bytes, &group.texts().join("\n"))?,
        }
        if let Some(refusal) = refusal {
            self.bytes.put_slice(b",\"refusal\":");
            write_json(self.bytes, &refusal)?;
        }
        Ok(())
    }

    /// Writes the reasoning in the field that it came in.
    fn reasoning(&mut self, group: Group<'_>) -> Result<(), ModelError> {
        if !self.dialect.replay_reasoning {
            return Ok(());
        }
        let Some(first) = group.reasoning().next() else {
            return Ok(());
        };
        let blocks = first
            .extra
            .get("provider_data")
            .and_then(|data| data.get(thinking::KEY));
        if let Some(blocks) = blocks {
            self.bytes.put_slice(b",\"thinking_blocks\":");
            write_json(self.bytes, blocks)?;
        }
        let texts: Vec<String> = group.reasoning().map(Reasoning::text).collect();
        let text = texts.join("\n");
        if text.is_empty() {
            return Ok(());
        }
        // Back into the field that it came in: the builder keeps `reasoning` as content, and
        // `reasoning_content` as a summary.
        let has_content = first
            .content
            .as_ref()
            .is_some_and(|content| !content.is_empty());
        self.bytes.put_slice(if has_content {
            b",\"reasoning\":"
        } else {
            b",\"reasoning_content\":"
        });
        write_json(self.bytes, &text)
    }

    /// Writes calls as legacy functions: for each an assistant message, followed by its output.
    ///
    /// The output is looked for behind the calls: the ids that are made up for legacy calls come again in every run.
    fn legacy_turn(&mut self, group: Group<'_>, after: &[Item]) -> Result<(), ModelError> {
        let mut texts = group.texts();
        for (_, call) in group.calls() {
            let content = std::mem::take(&mut texts).join("\n");
            let content = if content.is_empty() {
                Value::Null
            } else {
                Value::String(content)
            };
            let function_call = json!({ "name": call.name, "arguments": arguments(call) });
            self.value(
                &json!({ "role": "assistant", "content": content, "function_call": function_call }),
            )?;
            let output = after.iter().find_map(|item| match item.kind() {
                ItemKind::FunctionCallOutput(output) if output.call_id == call.call_id => {
                    Some(output)
                }
                _ => None,
            });
            if let Some(output) = output {
                self.value(&json!({ "role": "function", "name": call.name, "content": tool_media::text(output, self.dialect.tool_media) }))?;
            }
        }
        Ok(())
    }
}

/// The fields of a chat message that an item has no place for, as they were noted beside it.
pub(super) fn chat_fields(extra: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let fields = extra.get("provider_data")?.get(CHAT_FIELDS)?;
    fields.as_object()
}

/// The content of a chat message, where an item cannot hold it.
fn chat_content(extra: &Map<String, Value>) -> Option<&Value> {
    chat_fields(extra)?.get("content")
}

/// Lays the fields of the chat API over a message.
pub(super) fn with_chat_fields(extra: &Map<String, Value>, mut message: Value) -> Value {
    if let (Some(fields), Some(message)) = (chat_fields(extra), message.as_object_mut()) {
        message.extend(fields.clone());
    }
    message
}

/// Takes the media of an output, to be sent behind the last output of its turn.
fn collect_media(
    (item, output): (&Item, &FunctionCallOutput),
    items: &[Item],
    media: &mut Vec<Value>,
) -> Result<(), ModelError> {
    let mut parts = tool_media::others(output).peekable();
    if parts.peek().is_none() {
        return Ok(());
    }
    let name = items.iter().rev().find_map(|item| match item.kind() {
        ItemKind::FunctionCall(call) if call.call_id == output.call_id => Some(&*call.name),
        _ => None,
    });
    let name = name.unwrap_or(&output.call_id);
    media.push(json!({ "type": "text", "text": format!("From the output of {name}:") }));
    for part in parts {
        media.push(part_value(item, part)?);
    }
    Ok(())
}

/// Puts `cache_control`, which proxies pass on to Anthropic, back where a received message has it: on the message or on a part.
fn with_cache_control(item: &Item, mut value: Value) -> Value {
    const KEY: &str = "cache_control";
    let Some(Ok(received)) = item
        .to_json()
        .contains(KEY)
        .then(|| serde_json::from_str::<Value>(item.to_json()))
    else {
        return value;
    };
    let copy = |from: &Value, to: &mut Value| {
        if let (Some(control), Some(to)) = (from.get(KEY), to.as_object_mut()) {
            to.insert(KEY.to_owned(), control.clone());
        }
    };
    copy(&received, &mut value);
    if let (Some(from), Some(to)) = (
        received.get("content").and_then(Value::as_array),
        value.get_mut("content").and_then(Value::as_array_mut),
    ) {
        from.iter().zip(to).for_each(|(from, to)| copy(from, to));
    }
    value
}

fn message_value(item: &Item, message: &Message) -> Result<Value, ModelError> {
    let content = match &message.content {
        Content::Text(text) => Value::String(text.clone()),
        Content::Parts(parts) => Value::Array(
            parts
                .iter()
                .map(|part| part_value(item, part))
                .collect::<Result<_, _>>()?,
        ),
    };
    // Which of several users speaks; the other fields of an item are of the Responses API.
    Ok(match message.extra.get("name").and_then(Value::as_str) {
        Some(name) => json!({ "role": message.role, "content": content, "name": name }),
        None => json!({ "role": message.role, "content": content }),
    })
}

fn part_value(item: &Item, part: &Part) -> Result<Value, ModelError> {
    Ok(match part {
        Part::InputText { text } | Part::OutputText { text } => {
            json!({ "type": "text", "text": text })
        }
        Part::Image { image_url, detail } => {
            // `original` is a word of the Responses API; the chat API has `high` for it.
            let detail = match detail.as_deref() {
                None => "auto",
                Some("original") => "high",
                Some(detail) => detail,
            };
            json!({ "type": "image_url", "image_url": { "url": image_url, "detail": detail } })
        }
        Part::Audio { data, format } => {
            json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } })
        }
        Part::File {
            file_data: None,
            file_id: None,
            ..
        } => return Err(unsupported(item, "a file needs file_data or file_id")),
        Part::File {
            file_data,
            file_id,
            filename,
        } => {
            let mut file = serde_json::Map::new();
            match (file_data, file_id) {
                (Some(data), _) => file.insert("file_data".to_owned(), json!(data)),
                (None, id) => file.insert("file_id".to_owned(), json!(id)),
            };
            if let Some(name) = filename {
                file.insert("filename".to_owned(), json!(name));
            }
            json!({ "type": "file", "file": file })
        }
        Part::Refusal { refusal } => json!({ "type": "refusal", "refusal": refusal }),
        // Parts that are in the chat API's own shape already.
        Part::Unknown(value)
            if matches!(
                value.get("type").and_then(Value::as_str),
                Some("image_url" | "file" | "video_url")
            ) =>
        {
            value.clone()
        }
        Part::Unknown(value) => {
            let name = value
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or("a part without type");
            return Err(unsupported(
                item,
                &format!("the chat API has nothing for the part `{name}`"),
            ));
        }
    })
}

/// Writes one entry of `tool_calls`, by hand: every turn has one, and serde makes a map of a struct that another is laid into.
fn write_call(bytes: &mut BytesMut, call: &FunctionCall) -> Result<(), ModelError> {
    bytes.put_slice(b"{\"id\":");
    write_json(bytes, &call.call_id)?;
    bytes.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    write_json(bytes, &call.name)?;
    bytes.put_slice(b",\"arguments\":");
    write_json(bytes, &arguments(call))?;
    bytes.put_u8(b'}');
    // What the server sent beside the call, such as a thought signature, goes back with it.
    let data = call.extra.get("provider_data");
    let extra = data.and_then(|data| data.get(CALL_FIELDS)?.as_object());
    for (key, value) in extra.into_iter().flatten() {
        bytes.put_u8(b',');
        write_json(bytes, key)?;
        bytes.put_u8(b':');
        write_json(bytes, value)?;
    }
    bytes.put_u8(b'}');
    Ok(())
}

fn arguments(call: &FunctionCall) -> &str {
    if call.arguments.is_empty() {
        "{}"
    } else {
        &call.arguments
    }
}

fn unsupported(item: &Item, why: &str) -> ModelError {
    ModelError::new(
        ErrorKind::Unsupported,
        format!(
            "an item cannot be sent to a chat server: {why}: {}",
            excerpt(item.to_json())
        ),
    )
}
