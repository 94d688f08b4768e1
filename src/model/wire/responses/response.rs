//! A whole answer of the Responses API, and the rules by which a response is taken or refused.

use serde_json::value::RawValue;

use super::types::Body;
use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::wire::harmony::{leak, served};
use crate::model::wire::{DecodeContext, ServerError, excerpt, parse, text_of};
use crate::model::{Deviation, ModelError, ResponseEnd};

/// Decodes the body of a successful response.
///
/// # Errors
///
/// Whatever keeps the body from being one complete answer; see the kinds of the error.
pub(super) fn decode(
    body: &[u8],
    asked: &DecodeContext,
) -> Result<(Vec<Item>, ResponseEnd), ModelError> {
    let text = text_of(body)?.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            "the server answered with an empty body",
        ));
    }
    let body: Body<'_> = parse(text)?;
    check_status(&body, asked)?;
    let Some(output) = &body.output else {
        return Err(no_output(&body, text));
    };
    let mut end = end(&body);
    let mut items = Vec::with_capacity(output.len());
    for raw in output {
        items.push(with_call_id(
            item(raw, &mut end.deviations)?,
            asked.turn,
            items.len(),
            &mut end.deviations,
        ));
    }
    check_items(&items, asked)?;
    Ok((items, end))
}

/// Refuses a response that is not complete.
pub(super) fn check_status(body: &Body<'_>, asked: &DecodeContext) -> Result<(), ModelError> {
    let status = body.status.as_deref();
    let reason = body
        .incomplete_details
        .as_ref()
        .and_then(|details| details.reason.as_deref());
    match (status, body.error) {
        (Some("failed"), Some(error)) => {
            Err(ServerError::from_raw(error).into_error(ErrorKind::ResponseFailed))
        }
        (_, Some(error)) => Err(ServerError::from_raw(error).into_error(ErrorKind::ApiError)),
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
        (Some(status), None) => asked.check_end("status", status).map(drop),
        // Some servers leave it out; the event or the whole body says that it is complete.
        (None, None) => Ok(()),
    }
}

/// Refuses a message or a call that is not whole, in a response that says that it is.
fn check_item_status(item: &Item, asked: &DecodeContext) -> Result<(), ModelError> {
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
        Some(status) => asked
            .check_end(&format!("status of a {what}"), status)
            .map(drop),
    }
}

/// What is known beside the items.
pub(super) fn end(body: &Body<'_>) -> ResponseEnd {
    ResponseEnd {
        response_id: body.id.as_deref().map(str::to_owned),
        request_id: None,
        model: body.model.as_deref().map(str::to_owned),
        finish_reason: body.status.as_deref().map(str::to_owned),
        usage: body.usage.as_ref().and_then(super::types::WireUsage::usage),
        deviations: Vec::new(),
    }
}

/// Reads one output item, verbatim but for what a server of a Harmony model left in a tool's name.
pub(super) fn item(raw: &RawValue, deviations: &mut Vec<Deviation>) -> Result<Item, ModelError> {
    let item = Item::from_json(raw.get()).map_err(|error| {
        let says = error.to_string();
        let kind = if says.contains("missing field") {
            ErrorKind::MissingField
        } else {
            ErrorKind::WrongType
        };
        ModelError::new(
            kind,
            format!(
                "an output item cannot be read: {says}: {}",
                excerpt(raw.get())
            ),
        )
    })?;
    match item.kind() {
        ItemKind::Message(message) => {
            leak::check(&message.text("")).map_err(|leak| served::leaked("the answer", &leak))?;
        }
        ItemKind::FunctionCall(call) => {
            served::check_tool_name(&call.name)?;
            let name = served::tool_name(&call.name);
            if name != call.name {
                deviations.push(Deviation::new(
                    "harmony_tool_prefix",
                    format!("the tool {:?} was taken as {name:?}", call.name),
                ));
                let mut renamed = call.clone();
                name.clone_into(&mut renamed.name);
                return Ok(renamed.into());
            }
        }
        _ => {}
    }
    Ok(item)
}

/// Gives a call without an id one that is made of its place.
pub(super) fn with_call_id(
    item: Item,
    turn: u32,
    n: usize,
    deviations: &mut Vec<Deviation>,
) -> Item {
    match item.kind() {
        ItemKind::FunctionCall(call) if call.call_id.is_empty() => {
            let mut call = call.clone();
            call.call_id = format!("call_{turn}_{n}");
            let detail = format!(
                "the server sent a tool call without an id; it was given {}",
                call.call_id
            );
            deviations.push(Deviation::new("missing_tool_call_id", detail));
            call.into()
        }
        _ => item,
    }
}

/// Refuses calls that cannot be told apart, and an answer that says nothing.
pub(super) fn check_items(items: &[Item], asked: &DecodeContext) -> Result<(), ModelError> {
    let mut ids: Vec<&str> = Vec::new();
    for item in items {
        check_item_status(item, asked)?;
        let ItemKind::FunctionCall(call) = item.kind() else {
            continue;
        };
        if call.name.is_empty() {
            let message = format!("a tool call has no name: {}", excerpt(item.to_json()));
            return Err(ModelError::new(ErrorKind::MissingField, message));
        }
        if ids.contains(&&*call.call_id) {
            let message = format!(
                "two tool calls of one answer have the id {:?}",
                call.call_id
            );
            return Err(ModelError::new(ErrorKind::DuplicateToolCallId, message));
        }
        ids.push(&call.call_id);
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

fn no_output(body: &Body<'_>, text: &str) -> ModelError {
    let hint = if body.choices.is_some() {
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
