//! The messages of a chat request, as items.

use serde_json::Value;

use crate::item::{
    Content, FunctionCall, FunctionCallOutput, Item, Message, OutputContent, Part, Role,
};
use crate::server::error::ApiError;
use crate::server::fields::Fields;

pub(super) fn parse(messages: Vec<Value>) -> Result<Vec<Item>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "messages",
            "`messages` must not be empty",
        ));
    }
    let mut items = Vec::with_capacity(messages.len());
    for (n, message) in messages.into_iter().enumerate() {
        let mut fields = Fields::of(message, format!("messages[{n}]"))?;
        match fields.need::<String>("role")?.as_str() {
            "system" => items.push(message_of(Role::System, &mut fields)?),
            "developer" => items.push(message_of(Role::Developer, &mut fields)?),
            "user" => items.push(message_of(Role::User, &mut fields)?),
            "assistant" => assistant(&mut fields, &mut items)?,
            "tool" => items.push(tool_output(&mut fields)?),
            other => {
                let message = format!("messages of the role `{other}` are not supported");
                return Err(ApiError::unsupported(fields.name("role"), message));
            }
        }
        fields.finish()?;
    }
    Ok(items)
}

fn message_of(role: Role, fields: &mut Fields) -> Result<Item, ApiError> {
    let mut message = Message::new(role, "");
    message.content = match fields.need("content")? {
        Value::String(text) => Content::Text(text),
        value => Content::Parts(parts(value, &fields.name("content"))?),
    };
    Ok(message.into())
}

/// An assistant's text and the calls that it made become items of their own.
fn assistant(fields: &mut Fields, items: &mut Vec<Item>) -> Result<(), ApiError> {
    let mut parts = match fields.take("content")? {
        None => Vec::new(),
        Some(Value::String(text)) => vec![Part::OutputText { text }],
        Some(value) => output_parts(parts(value, &fields.name("content"))?),
    };
    if let Some(refusal) = fields.take("refusal")? {
        parts.push(Part::Refusal { refusal });
    }
    // Clients send these back as they got them, most often empty.
    fields.only("annotations", &[Value::Array(Vec::new())])?;
    if !parts.is_empty() {
        items.push(Message::from_parts(Role::Assistant, parts).into());
    }
    let calls: Vec<Value> = fields.take("tool_calls")?.unwrap_or_default();
    for (n, call) in calls.into_iter().enumerate() {
        let mut call = Fields::of(call, fields.name(&format!("tool_calls[{n}]")))?;
        let id: String = call.need("id")?;
        call.only("type", &["function".into()])?;
        call.take::<usize>("index")?;
        let mut function = Fields::of(call.need("function")?, call.name("function"))?;
        let (name, arguments): (String, String) =
            (function.need("name")?, function.need("arguments")?);
        function.finish()?;
        call.finish()?;
        items.push(FunctionCall::new(id, name, arguments).into());
    }
    Ok(())
}

fn tool_output(fields: &mut Fields) -> Result<Item, ApiError> {
    let call_id: String = fields.need("tool_call_id")?;
    let output = match fields.need("content")? {
        Value::String(text) => OutputContent::Text(text),
        value => OutputContent::Parts(parts(value, &fields.name("content"))?),
    };
    Ok(FunctionCallOutput::new(call_id, output).into())
}

fn output_parts(parts: Vec<Part>) -> Vec<Part> {
    let output = |part| match part {
        Part::InputText { text } => Part::OutputText { text },
        other => other,
    };
    parts.into_iter().map(output).collect()
}

fn parts(value: Value, param: &str) -> Result<Vec<Part>, ApiError> {
    let Value::Array(parts) = value else {
        return Err(ApiError::invalid(
            param,
            "content must be a text or a list of parts",
        ));
    };
    let parts = parts.into_iter().enumerate();
    parts
        .map(|(n, value)| part(value, &format!("{param}[{n}]")))
        .collect()
}

fn part(value: Value, param: &str) -> Result<Part, ApiError> {
    let mut fields = Fields::of(value, param)?;
    let part = match fields.need::<String>("type")?.as_str() {
        "text" => Part::text(fields.need::<String>("text")?),
        "refusal" => Part::Refusal {
            refusal: fields.need("refusal")?,
        },
        "image_url" => {
            let mut image = Fields::of(fields.need("image_url")?, format!("{param}.image_url"))?;
            let part = Part::Image {
                image_url: image.need("url")?,
                detail: image.take("detail")?,
            };
            image.finish()?;
            part
        }
        "input_audio" => {
            let mut audio =
                Fields::of(fields.need("input_audio")?, format!("{param}.input_audio"))?;
            let part = Part::Audio {
                data: audio.need("data")?,
                format: audio.need("format")?,
            };
            audio.finish()?;
            part
        }
        "file" => {
            let mut file = Fields::of(fields.need("file")?, format!("{param}.file"))?;
            let part = Part::File {
                file_data: file.take("file_data")?,
                file_id: file.take("file_id")?,
                filename: file.take("filename")?,
            };
            file.finish()?;
            part
        }
        other => {
            let message = format!("parts of the type `{other}` are not supported");
            return Err(ApiError::unsupported(format!("{param}.type"), message));
        }
    };
    fields.finish()?;
    Ok(part)
}
