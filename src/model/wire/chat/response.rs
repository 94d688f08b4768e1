//! A whole answer of the chat API.

use std::collections::VecDeque;

use super::builder::ResponseBuilder;
use super::types::{ChatBody, ChatMessage, Form};
use crate::kind::ErrorKind;
use crate::model::wire::deviations::Deviations;
use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::object::Object;
use crate::model::wire::{ServerError, excerpt, text_of};
use crate::model::{ModelError, ModelEvent};

/// Decodes the body of a successful response.
///
/// # Errors
///
/// Whatever keeps the body from being one complete answer; see the kinds of the error.
pub(super) fn decode(
    body: &[u8],
    answer: &mut ResponseBuilder,
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    let text = text_of(body)?;
    // Some servers keep the connection alive by blank lines (DeepSeek, OpenRouter), some begin with a byte order mark (IIS).
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            "the server answered with an empty body",
        ));
    }
    read(answer, text, events)?;
    let meta = Box::new(answer.take_meta());
    events.push_back(ModelEvent::ResponseDone(meta));
    Ok(())
}

fn read(
    answer: &mut ResponseBuilder,
    text: &str,
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    let mut index = JsonIndex::default();
    let body = ChatBody::parse((text, &mut index), Form::Whole, &mut answer.notes)?;
    let Some(choices) = body.choices else {
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
    let Some(choice) = choices.into_first() else {
        return Err(ModelError::new(
            ErrorKind::EmptyResponse,
            format!(
                "the server sent no answer: `choices` is empty: {}",
                excerpt(text)
            ),
        ));
    };
    answer.push_names(body.id.as_deref(), body.model.as_deref());
    answer.push_usage(body.usage);
    answer.keep_of_body(body.extra)?;
    // A whole body cannot be cut unnoticed, as a stream can: HTTP has its length. So a missing
    // reason is tolerated here.
    let reason = choice.finish_reason.filter(|reason| !reason.is_empty());
    if reason.is_none() {
        answer.notes.note(
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
    push_message(answer, message)?;
    answer.push_logprobs(choice.logprobs)?;
    answer.keep_of_choice(choice.extra)?;
    answer.finish(reason.as_deref(), events)
}

fn push_message(
    answer: &mut ResponseBuilder,
    mut message: ChatMessage<'_>,
) -> Result<(), ModelError> {
    if let Some((text, in_field)) = message.thought() {
        answer.push_reasoning(&text, in_field)?;
    }
    if let Some(text) = message.content.filter(|text| !text.is_empty()) {
        answer.push_text(text)?;
        answer.end_text();
    }
    answer.push_refusal(message.refusal.as_deref().unwrap_or_default())?;
    answer.push_thinking(message.thinking_blocks)?;
    answer.push_annotations(message.annotations)?;
    answer.keep_of_message(message.extra)?;
    for call in message.tool_calls {
        answer
            .calls
            .push(call, &mut answer.notes, &mut answer.budget)?;
    }
    match message.function_call {
        Some(function) => answer.push_legacy(&function),
        None => Ok(()),
    }
}

/// A successful status whose body is no answer: another API's, or an error without the usual envelope.
fn no_choices(text: &str) -> ModelError {
    let mut unread = Deviations::default();
    let mut index = JsonIndex::default();
    let is_error = Object::parse(text, &mut index).is_ok_and(|body| {
        body.text("object", &mut unread).as_deref() == Some("error")
            || body
                .optional("success", &mut unread, |raw| {
                    (raw.get() == "false").then_some(())
                })
                .is_some()
    });
    if is_error {
        return ServerError::from_body(text.as_bytes()).into_error(ErrorKind::ApiError);
    }
    ModelError::new(
        ErrorKind::MissingField,
        format!("the server's answer has no `choices`: {}", excerpt(text)),
    )
}
