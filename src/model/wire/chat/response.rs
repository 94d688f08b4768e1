//! A whole answer of the chat API.

use super::assembly::{Assembly, PartialCall};
use super::types::{Body, Message};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::wire::{DecodeContext, ServerError, excerpt, parse, text_of};
use crate::model::{ModelError, ResponseEnd};

/// Decodes the body of a successful response.
///
/// # Errors
///
/// Whatever keeps the body from being one complete answer; see the kinds of the error.
pub(super) fn decode(
    body: &[u8],
    asked: &DecodeContext,
) -> Result<(Vec<Item>, ResponseEnd), ModelError> {
    let text = text_of(body)?;
    // Some servers keep the connection alive by blank lines (DeepSeek, OpenRouter), some begin with a byte order mark (IIS).
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            "the server answered with an empty body",
        ));
    }
    let body: Body<'_> = parse(text)?;
    if let Some(error) = body.error {
        return Err(ServerError::from_raw(error).into_error(ErrorKind::ApiError));
    }
    let Some(mut choices) = body.choices else {
        return Err(no_choices(text));
    };
    if choices.len() > 1 {
        return Err(ModelError::new(
            ErrorKind::Unsupported,
            format!(
                "the server sent {} choices; only one can be followed",
                choices.len()
            ),
        ));
    }
    let Some(choice) = choices.pop() else {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            format!(
                "the server sent no answer: `choices` is empty: {}",
                excerpt(text)
            ),
        ));
    };
    let mut assembly = Assembly::default();
    assembly.take_names(body.id.as_deref(), body.model.as_deref());
    assembly.take_usage(body.usage.as_ref());
    assembly.finish_reason = choice
        .finish_reason
        .map(String::from)
        .filter(|reason| !reason.is_empty());
    if let Some(error) = choice.error {
        return Err(ServerError::from_raw(error).into_error(ErrorKind::ApiError));
    }
    if assembly.finish_reason.is_none() {
        assembly.note(
            "missing_finish_reason",
            "the answer has no finish_reason; its body is whole, so it was taken as complete",
        );
    }
    let message = choice.message.ok_or_else(|| {
        ModelError::new(
            ErrorKind::MissingField,
            format!("the choice has no `message`: {}", excerpt(text)),
        )
    })?;
    take_message(&mut assembly, message, asked)?;
    let items = assembly.finish(asked)?;
    Ok((items, assembly.end()))
}

fn take_message(
    assembly: &mut Assembly,
    message: Message<'_>,
    asked: &DecodeContext,
) -> Result<(), ModelError> {
    if message.audio.is_some() {
        return Err(ModelError::new(
            ErrorKind::Unsupported,
            "the server answered with `audio`, which was not asked for",
        ));
    }
    if let Some(text) = message.content.get() {
        assembly.take_text(text)?;
        assembly.end_text();
    }
    assembly.refusal = message.refusal.map(String::from).unwrap_or_default();
    assembly
        .thinking
        .take(message.thinking_blocks.unwrap_or_default());
    match (message.reasoning_content.get(), message.reasoning.get()) {
        (Some(text), _) => assembly.reasoning = text.into_owned(),
        (None, Some(text)) => {
            assembly.reasoning = text.into_owned();
            assembly.reasoning_field = true;
        }
        (None, None) => {}
    }
    for call in message.tool_calls.into_iter().flatten() {
        Assembly::check_type(&call)?;
        let function = call.function.unwrap_or_default();
        let mut partial = PartialCall {
            id: call.id.map(String::from).unwrap_or_default(),
            name: function.name.map(String::from).unwrap_or_default(),
            arguments: function
                .arguments
                .map(|arguments| arguments.0.into_owned())
                .unwrap_or_default(),
            ..PartialCall::default()
        };
        partial.keep_extra(call.extra);
        assembly.calls.push(partial);
    }
    if let Some(function) = message.function_call {
        assembly.take_legacy(&function, asked);
    }
    Ok(())
}

/// A successful status whose body is no answer: another API's, or an error without the usual envelope.
fn no_choices(text: &str) -> ModelError {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value)
            if value.get("object").and_then(|object| object.as_str()) == Some("error")
                || value.get("success") == Some(&false.into()) =>
        {
            ServerError::from_value(&value).into_error(ErrorKind::ApiError)
        }
        _ => ModelError::new(
            ErrorKind::MissingField,
            format!("the server's answer has no `choices`: {}", excerpt(text)),
        ),
    }
}
