//! Converts the messages of a chat request to items.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::item::{
    Content, FunctionCall, FunctionCallOutput, Item, ItemKind, Message, OutputContent, Part, Role,
};
use crate::model::verbatim::{CALL_FIELDS, CHAT_FIELDS};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::openai::OpenTurns;
use crate::server::openai::open_turns::{HandedCall, OpenTurn};

/// Reads the messages; calls of the client's tools that this server handed out stand for all that the agent did before them.
pub(super) fn parse(messages: Vec<Value>, open_turns: &OpenTurns) -> Result<Vec<Item>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` must not be empty",
        ));
    }
    let mut reader = MessageReader {
        open_turns,
        items: Vec::with_capacity(messages.len()),
        functions: Vec::new(),
    };
    for (n, message) in messages.into_iter().enumerate() {
        let mut fields = BodyFields::of(message, format!("messages[{n}]"))?;
        match fields.need::<String>("role")?.as_str() {
            "system" => reader.message(Role::System, fields)?,
            "developer" => reader.message(Role::Developer, fields)?,
            "user" => reader.message(Role::User, fields)?,
            "assistant" => reader.assistant(fields)?,
            "tool" => reader.tool_output(fields)?,
            "function" => reader.function_output(fields)?,
            other => {
                let message = format!("messages of the role `{other}` are not supported");
                return Err(ApiError::unsupported(fields.name("role"), message));
            }
        }
    }
    Ok(reader.items)
}

struct MessageReader<'a> {
    open_turns: &'a OpenTurns,
    items: Vec<Item>,
    /// Calls in their older form that have no output yet: id and name.
    functions: Vec<(String, String)>,
}

impl MessageReader<'_> {
    fn message(&mut self, role: Role, mut fields: BodyFields) -> Result<(), ApiError> {
        let mut message = Message::new(role, "");
        let mut own = Map::new();
        message.content = match fields.need("content")? {
            Value::String(text) => Content::Text(text),
            value => Content::Parts(parts(value, &fields.name("content"), &mut own)?),
        };
        own.extend(fields.take_rest());
        note(&mut message.extra, CHAT_FIELDS, own);
        self.items.push(message.into());
        Ok(())
    }

    /// An assistant's text and the calls that it made become items of their own.
    fn assistant(&mut self, mut fields: BodyFields) -> Result<(), ApiError> {
        let calls: Vec<Value> = fields.take("tool_calls")?.unwrap_or_default();
        let mut calls: Vec<FunctionCall> = calls
            .into_iter()
            .enumerate()
            .map(|(n, value)| call(value, fields.name(&format!("tool_calls[{n}]"))))
            .collect::<Result<_, _>>()?;
        // The client shows only its own calls. What the agent did before them is put in here, or
        // the model would do it again.
        if let Some(turn) = self.open_turn(&calls) {
            self.items.extend(turn.items.iter().cloned());
            return Ok(());
        }
        let mut own = Map::new();
        let mut parts = match fields.take("content")? {
            None => Vec::new(),
            Some(Value::String(text)) => vec![Part::OutputText { text }],
            Some(value) => output_parts(texts(value, &fields.name("content"), &mut own)?),
        };
        if let Some(refusal) = fields.take("refusal")? {
            parts.push(Part::Refusal { refusal });
        }
        if let Some(function) = fields.object("function_call")? {
            calls.push(self.function(function)?);
        }
        // They are of the answer, which a server does not want back.
        fields.take::<Value>("annotations")?;
        own.extend(fields.take_rest());
        if !parts.is_empty() || (calls.is_empty() && !own.is_empty()) {
            let mut message = Message::from_parts(Role::Assistant, parts);
            note(&mut message.extra, CHAT_FIELDS, std::mem::take(&mut own));
            self.items.push(message.into());
        }
        for mut call in calls {
            note(&mut call.extra, CHAT_FIELDS, std::mem::take(&mut own));
            self.items.push(call.into());
        }
        Ok(())
    }

    /// Finds the turn in which this server handed these calls out, if they are as it did.
    fn open_turn(&self, calls: &[FunctionCall]) -> Option<Arc<OpenTurn>> {
        let turn = self.open_turns.get(&calls.first()?.call_id)?;
        let is_same = |(call, handed): (&FunctionCall, &HandedCall)| {
            call.call_id == handed.id
                && call.name == handed.name
                && call.arguments == handed.arguments
        };
        let all_same =
            calls.len() == turn.calls.len() && calls.iter().zip(&turn.calls).all(is_same);
        all_same.then_some(turn)
    }

    fn tool_output(&mut self, mut fields: BodyFields) -> Result<(), ApiError> {
        let mut call_id: String = fields.need("tool_call_id")?;
        let has_call = |id: &str| {
            let is_it = |item: &Item| matches!(item.kind(), ItemKind::FunctionCall(call) if call.call_id == id);
            self.items.iter().any(is_it)
        };
        // A call may have been handed out under another id than the model gave it. The output has
        // to go to the model's.
        if !has_call(&call_id)
            && let Some(turn) = self.open_turns.get(&call_id)
            && let Some(call) = turn.calls.iter().find(|call| call.id == call_id)
            && has_call(&call.call_id)
        {
            call_id.clone_from(&call.call_id);
        }
        let mut own = Map::new();
        let output = match fields.need("content")? {
            Value::String(text) => OutputContent::Text(text),
            value => OutputContent::Parts(texts(value, &fields.name("content"), &mut own)?),
        };
        own.extend(fields.take_rest());
        let mut output = FunctionCallOutput::new(call_id, output);
        note(&mut output.extra, CHAT_FIELDS, own);
        self.items.push(output.into());
        Ok(())
    }

    /// A call in its older form, which has no id.
    fn function(&mut self, mut fields: BodyFields) -> Result<FunctionCall, ApiError> {
        let id = format!("call_function_{}", self.items.len());
        let (name, arguments): (String, String) = (fields.need("name")?, fields.need("arguments")?);
        self.functions.push((id.clone(), name.clone()));
        Ok(FunctionCall::new(id, name, arguments))
    }

    fn function_output(&mut self, mut fields: BodyFields) -> Result<(), ApiError> {
        let name: String = fields.need("name")?;
        // The API of before `tools` had no ids: the first open call of the name is meant.
        let at = self
            .functions
            .iter()
            .position(|(_, called)| *called == name);
        let at = at.ok_or_else(|| {
            let message = format!("no `function_call` of `{name}` stands before this output");
            ApiError::invalid(fields.name("name"), message)
        })?;
        let (id, _) = self.functions.remove(at);
        let text: String = fields.take("content")?.unwrap_or_default();
        let output = FunctionCallOutput::new(id, OutputContent::Text(text));
        self.items.push(output.into());
        Ok(())
    }
}

fn call(value: Value, param: String) -> Result<FunctionCall, ApiError> {
    let mut fields = BodyFields::of(value, param)?;
    let id: String = fields.need("id")?;
    let kind: Option<String> = fields.take("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        let message = format!("calls of the type `{kind}` are not supported; there are functions");
        return Err(ApiError::unsupported(fields.name("type"), message));
    }
    fields.take::<usize>("index")?;
    let mut function = BodyFields::of(fields.need("function")?, fields.name("function"))?;
    let (name, arguments): (String, String) = (function.need("name")?, function.need("arguments")?);
    let mut call = FunctionCall::new(id, name, arguments);
    note(&mut call.extra, CALL_FIELDS, fields.take_rest());
    Ok(call)
}

/// Notes beside an item what has no place in it, for a model of the chat API.
fn note(extra: &mut Map<String, Value>, key: &str, fields: Map<String, Value>) {
    if fields.is_empty() {
        return;
    }
    let data = extra
        .entry("provider_data")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(data) = data.as_object_mut() {
        data.insert(key.to_owned(), Value::Object(fields));
    }
}

fn output_parts(parts: Vec<Part>) -> Vec<Part> {
    let output = |part| match part {
        Part::InputText { text } => Part::OutputText { text },
        other => other,
    };
    parts.into_iter().map(output).collect()
}

/// Reads parts; if one has what our parts have no place for, all of them stand in the message's own fields as they came.
fn parts(value: Value, param: &str, own: &mut Map<String, Value>) -> Result<Vec<Part>, ApiError> {
    let Value::Array(values) = &value else {
        return Err(ApiError::invalid(
            param,
            "content must be a text or a list of parts",
        ));
    };
    let mut has_more = false;
    let mut parts = Vec::with_capacity(values.len());
    for (n, value) in values.iter().enumerate() {
        let (part, rest) = part(value, &format!("{param}[{n}]"))?;
        has_more |= rest == PartRemainder::More;
        parts.push(part);
    }
    if has_more {
        own.insert("content".to_owned(), value);
    }
    Ok(parts)
}

/// As [`parts`], where the chat API has texts only: others go out as they came.
fn texts(value: Value, param: &str, own: &mut Map<String, Value>) -> Result<Vec<Part>, ApiError> {
    let parts = parts(value.clone(), param, own)?;
    let is_text = |part: &Part| matches!(part, Part::InputText { .. } | Part::Refusal { .. });
    if !parts.iter().all(is_text) {
        own.insert("content".to_owned(), value);
    }
    Ok(parts)
}

/// Whether a part says more than ours can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartRemainder {
    Nothing,
    More,
}

fn part(value: &Value, param: &str) -> Result<(Part, PartRemainder), ApiError> {
    let mut fields = BodyFields::of(value.clone(), param)?;
    let kind: String = fields.need("type")?;
    let inner = match kind.as_str() {
        "image_url" | "input_audio" | "file" => Some(kind.as_str()),
        _ => None,
    };
    let mut inner = match inner {
        Some(name) => Some(BodyFields::of(
            fields.need(name)?,
            format!("{param}.{name}"),
        )?),
        None => None,
    };
    let part = match (kind.as_str(), &mut inner) {
        ("text", _) => Part::text(fields.need::<String>("text")?),
        ("refusal", _) => Part::Refusal {
            refusal: fields.need("refusal")?,
        },
        ("image_url", Some(image)) => Part::Image {
            image_url: image.need("url")?,
            detail: image.take("detail")?,
        },
        ("input_audio", Some(audio)) => Part::Audio {
            data: audio.need("data")?,
            format: audio.need("format")?,
        },
        ("file", Some(file)) => Part::File {
            file_data: file.take("file_data")?,
            file_id: file.take("file_id")?,
            filename: file.take("filename")?,
        },
        // Such as `video_url`, which some servers know: theirs to judge.
        _ => return Ok((Part::Unknown(value.clone()), PartRemainder::More)),
    };
    let mut more = inner.map(|mut inner| inner.take_rest()).unwrap_or_default();
    more.extend(fields.take_rest());
    let rest = if more.is_empty() {
        PartRemainder::Nothing
    } else {
        PartRemainder::More
    };
    Ok((part, rest))
}
