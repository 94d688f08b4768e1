//! A whole answer of the Responses API, and the rules by which a response is taken or refused.

use std::collections::{HashSet, VecDeque};

use super::item::ItemReader;
use super::types::ResponseBody;
use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::object::Object;
use crate::model::wire::{DecodeContext, check_finish_reason, excerpt, text_of};
use crate::model::{ModelError, ModelEvent, ResponseMeta};

/// Decodes the body of a successful response.
///
/// # Errors
///
/// Whatever keeps the body from being one complete answer; see the kinds of the error.
pub(super) fn decode(
    body: &[u8],
    cx: &DecodeContext,
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    let text = text_of(body)?.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            "the server answered with an empty body",
        ));
    }
    let mut reader = ItemReader::new(cx);
    let mut index = JsonIndex::default();
    let mut body = ResponseBody::read(Object::parse(text, &mut index)?, &mut reader.notes)?;
    check_status(&mut body, cx)?;
    let Some(output) = body.output(&mut reader.notes)? else {
        return Err(no_output(&body, text));
    };
    let mut items = Vec::with_capacity(output.len());
    for raw in output {
        let item = reader.read(raw)?;
        items.push(reader.with_call_id(item, items.len())?);
    }
    check_items(&items, cx)?;
    events.extend(items.into_iter().map(|item| ModelEvent::ItemDone { item }));
    let meta = Box::new(meta(body, &mut reader));
    events.push_back(ModelEvent::ResponseDone(meta));
    Ok(())
}

/// Refuses a response that is not complete.
pub(super) fn check_status(
    body: &mut ResponseBody<'_>,
    cx: &DecodeContext,
) -> Result<(), ModelError> {
    let status = body.status.as_deref();
    let reason = body.reason.as_deref();
    match (status, body.error.take()) {
        (Some("failed"), Some(error)) => Err(error.into_error(ErrorKind::ResponseFailed)),
        (_, Some(error)) => Err(error.into_error(ErrorKind::ApiError)),
        (Some(status @ ("failed" | "cancelled")), None) => {
            let message = format!("the response has the status `{status}`");
            Err(ModelError::new(ErrorKind::ResponseFailed, message))
        }
        (Some("incomplete"), None) => {
            let reason = reason.unwrap_or("the server gives no reason");
            Err(ModelError::new(
                ErrorKind::ResponseIncomplete,
                format!("the response is incomplete: {reason}"),
            ))
        }
        // Only a request with `background` gets this. Polling for the end would be a second
        // request, which nobody asked for.
        (Some(status @ ("in_progress" | "queued")), None) => {
            let message = format!(
                "the response is not there yet (status `{status}`), and is not asked for again"
            );
            Err(ModelError::new(ErrorKind::Unsupported, message))
        }
        // Whatever the status says: a server that gives a reason for being incomplete means it.
        (_, None) if reason.is_some() => Err(ModelError::new(
            ErrorKind::ResponseIncomplete,
            format!("the response is incomplete: {}", reason.unwrap_or_default()),
        )),
        (Some(status), None) => check_finish_reason(&cx.dialect, "status", status).map(drop),
        // Some servers leave it out; the event or the whole body says that it is complete.
        (None, None) => Ok(()),
    }
}

/// Refuses a message or a call that is not whole, in a response that says that it is.
fn check_item_status(item: &Item, cx: &DecodeContext) -> Result<(), ModelError> {
    let (what, extra) = match item.kind() {
        ItemKind::Message(message) => ("message", &message.extra),
        ItemKind::FunctionCall(call) => ("tool call", &call.extra),
        ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) | ItemKind::Unknown { .. } => {
            return Ok(());
        }
    };
    match extra.get("status").and_then(serde_json::Value::as_str) {
        None | Some("") => Ok(()),
        Some(status @ ("incomplete" | "in_progress")) => Err(ModelError::new(
            ErrorKind::ResponseIncomplete,
            format!("a {what} of the answer has the status `{status}`"),
        )),
        Some(status) => {
            check_finish_reason(&cx.dialect, &format!("status of a {what}"), status).map(drop)
        }
    }
}

/// What is known beside the items.
pub(super) fn meta(body: ResponseBody<'_>, reader: &mut ItemReader) -> ResponseMeta {
    let usage = body.usage.unwrap_or_default();
    ResponseMeta {
        response_id: body.id.map(String::from),
        model: body.model.map(String::from),
        finish_reason: body.status.map(String::from),
        usage: usage.usage,
        usage_json: usage.json,
        deviations: reader.notes.take(),
        ..ResponseMeta::default()
    }
}

/// Refuses calls that cannot be told apart, parts that are not whole, and an answer that says nothing.
pub(super) fn check_items(items: &[Item], cx: &DecodeContext) -> Result<(), ModelError> {
    let mut ids = HashSet::new();
    for item in items {
        check_item_status(item, cx)?;
        let ItemKind::FunctionCall(call) = item.kind() else {
            continue;
        };
        if call.name.is_empty() {
            let message = format!("a tool call has no name: {}", excerpt(item.to_json()));
            return Err(ModelError::new(ErrorKind::MissingField, message));
        }
        if !ids.insert(&*call.call_id) {
            let message = format!(
                "two tool calls of one answer have the id {:?}",
                call.call_id
            );
            return Err(ModelError::new(ErrorKind::DuplicateToolCallId, message));
        }
    }
    if items.iter().any(says_something) {
        return Ok(());
    }
    let what = if items.is_empty() {
        "nothing"
    } else {
        "only reasoning or empty text"
    };
    Err(ModelError::new(
        ErrorKind::EmptyResponse,
        format!("the answer holds {what}: no text and no call"),
    ))
}

fn says_something(item: &Item) -> bool {
    match item.kind() {
        ItemKind::Message(message) => !message.text("").is_empty() || message.refusal().is_some(),
        ItemKind::Reasoning(_) => false,
        ItemKind::FunctionCall(_) | ItemKind::FunctionCallOutput(_) | ItemKind::Unknown { .. } => {
            true
        }
    }
}

fn no_output(body: &ResponseBody<'_>, text: &str) -> ModelError {
    let hint = if body.object.has("choices") {
        " (it is an answer of the chat API)"
    } else {
        ""
    };
    ModelError::new(
        ErrorKind::MissingField,
        format!(
            "the server's answer has no `output`{hint}: {}",
            excerpt(text)
        ),
    )
}
