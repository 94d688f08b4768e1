//! Reads what `useChat` sends: the messages of a chat, and the answers to approvals in the last of them.

use serde_json::Value;

use super::content;
use crate::item::Item;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::service::{Decision, UiInput, session_id};
use crate::session::SessionId;

/// What a run is asked for.
pub(super) struct ChatInput {
    pub(super) session: SessionId,
    pub(super) input: UiInput,
    /// The message of the assistant that goes on.
    pub(super) message_id: Option<String>,
}

impl ChatInput {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = BodyFields::parse(body)?;
        let session = session_id(fields.need("id")?)?;
        let messages: Vec<Value> = fields.need("messages")?;
        let trigger: Option<String> = fields.take("trigger")?;
        // What an application adds is its own matter.
        drop(fields.take_rest());
        let last = messages.last().unwrap_or(&Value::Null);
        let is_of_assistant = role(last) == "assistant";
        let input = if is_of_assistant {
            UiInput::Decisions(decisions(last)?)
        } else if trigger.as_deref() == Some("regenerate-message") {
            UiInput::Again(new_messages(&messages)?)
        } else {
            UiInput::Items(new_messages(&messages)?)
        };
        let id = last.get("id").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            session,
            input,
            message_id: id.filter(|_| is_of_assistant),
        })
    }
}

fn role(message: &Value) -> &str {
    let role = message.get("role").and_then(Value::as_str);
    role.unwrap_or_default()
}

fn parts(message: &Value) -> &[Value] {
    let parts = message.get("parts").and_then(Value::as_array);
    parts.map_or(&[], Vec::as_slice)
}

/// The messages of the user behind the last of anybody else: what was said before is in the session.
fn new_messages(messages: &[Value]) -> Result<Vec<Item>, ApiError> {
    let is_of_user = |message: &&Value| role(message) == "user";
    let n_new = messages.iter().rev().take_while(is_of_user).count();
    let new = messages.iter().skip(messages.len() - n_new);
    let items: Vec<Item> = new.map(user_message).collect::<Result<_, _>>()?;
    if items.is_empty() {
        let message = "the last of `messages` must be of the user, or answer approvals";
        return Err(ApiError::invalid("messages", message));
    }
    Ok(items)
}

fn user_message(message: &Value) -> Result<Item, ApiError> {
    let parts = parts(message).iter().map(part);
    content::user_message(&parts.collect::<Result<Vec<_>, _>>()?)
}

fn part(part: &Value) -> Result<Value, ApiError> {
    let of = |name: &str| part.get(name).and_then(Value::as_str);
    match (of("type").unwrap_or_default(), of("text"), of("url")) {
        ("text", Some(text), _) => Ok(content::text(text)),
        ("file", _, Some(url)) => {
            content::file(of("mediaType").unwrap_or_default(), url, of("filename"))
        }
        (kind, ..) => {
            let message = format!("a part `{kind}` of a message is not supported by this server");
            Err(ApiError::unsupported("messages", message))
        }
    }
}

fn decisions(message: &Value) -> Result<Vec<Decision>, ApiError> {
    let responded = parts(message)
        .iter()
        .filter(|part| part.get("state").and_then(Value::as_str) == Some("approval-responded"));
    let decisions: Vec<Decision> = responded.filter_map(decision).collect();
    if decisions.is_empty() {
        let message = "the last message is of the assistant and answers no approval";
        return Err(ApiError::invalid("messages", message));
    }
    Ok(decisions)
}

fn decision(part: &Value) -> Option<Decision> {
    let approval = part.get("approval")?;
    let approve = approval.get("approved")?.as_bool()?;
    let reason = approval.get("reason").and_then(Value::as_str);
    Some(Decision {
        id: approval.get("id")?.as_str()?.to_owned(),
        approve,
        message: reason.filter(|_| !approve).map(str::to_owned),
        arguments: None,
    })
}
