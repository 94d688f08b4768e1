//! Reads `RunAgentInput` of AG-UI.

use serde_json::Value;

use super::content;
use crate::item::Item;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::service::{Decision, UiInput, session_id};
use crate::session::SessionId;

/// What a run is asked for.
pub(super) struct RunInput {
    pub(super) session: SessionId,
    pub(super) run_id: String,
    pub(super) input: UiInput,
}

impl RunInput {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = BodyFields::parse(body)?;
        let session = session_id(fields.need("threadId")?)?;
        let run_id = fields.need("runId")?;
        let messages: Vec<Value> = fields.need("messages")?;
        let resume: Option<Vec<Value>> = fields.take("resume")?;
        refuse_what_changes_the_agent(&mut fields)?;
        // What else there is says nothing that a run depends on.
        drop(fields.take_rest());
        let input = match resume.filter(|answers| !answers.is_empty()) {
            Some(answers) => UiInput::Decisions(decisions(answers)?),
            None => UiInput::Items(new_messages(&messages)?),
        };
        Ok(Self {
            session,
            run_id,
            input,
        })
    }
}

/// Tools of the page, readable context and shared state would be part of the question; an agent has its own.
fn refuse_what_changes_the_agent(fields: &mut BodyFields) -> Result<(), ApiError> {
    for name in ["tools", "context", "state"] {
        let value: Option<Value> = fields.take(name)?;
        let is_empty = match &value {
            None => true,
            Some(Value::Array(values)) => values.is_empty(),
            Some(Value::Object(values)) => values.is_empty(),
            Some(_) => false,
        };
        if !is_empty {
            let message = format!(
                "`{name}` of the page cannot be given to an agent of this server, which has its own tools, instructions and state"
            );
            return Err(ApiError::unsupported(name, message));
        }
    }
    Ok(())
}

/// The messages of the user behind the last of anybody else: what was said before is in the session.
fn new_messages(messages: &[Value]) -> Result<Vec<Item>, ApiError> {
    let is_of_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    let n_new = messages.iter().rev().take_while(is_of_user).count();
    let new = messages.iter().skip(messages.len() - n_new);
    let items: Vec<Item> = new.map(user_message).collect::<Result<_, _>>()?;
    if items.is_empty() {
        let message =
            "the last of `messages` must be of the user, or `resume` must answer interrupts";
        return Err(ApiError::invalid("messages", message));
    }
    Ok(items)
}

fn user_message(message: &Value) -> Result<Item, ApiError> {
    match message.get("content") {
        Some(Value::String(text)) => Ok(Item::user(text.as_str())),
        Some(Value::Array(parts)) => {
            let parts: Vec<Value> = parts.iter().map(part).collect::<Result<_, _>>()?;
            content::user_message(&parts)
        }
        _ => Err(ApiError::invalid(
            "messages",
            "`content` is a text or a list of parts",
        )),
    }
}

fn part(part: &Value) -> Result<Value, ApiError> {
    let of = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = of(part, "type").unwrap_or_default();
    if kind == "text" {
        return Ok(content::text(&of(part, "text").unwrap_or_default()));
    }
    let source = part.get("source").unwrap_or(&Value::Null);
    let value = of(source, "value");
    let media_type = of(source, "mimeType");
    let unsupported = || {
        let message = format!("a part `{kind}` with such a source is not supported by this server");
        ApiError::unsupported("messages", message)
    };
    let value = value.ok_or_else(unsupported)?;
    let default = if kind == "image" {
        "image/*"
    } else {
        "application/octet-stream"
    };
    let media_type = media_type.unwrap_or_else(|| default.to_owned());
    match (kind.as_str(), of(source, "type").as_deref()) {
        ("image" | "document", Some("data")) => {
            let url = format!("data:{media_type};base64,{value}");
            content::file(&media_type, &url, of(part, "id").as_deref())
        }
        ("image", Some("url")) => content::file("image/*", &value, None),
        _ => Err(unsupported()),
    }
}

/// The answers to the interrupts: resolved with `{"approved": true}`, and otherwise refused.
fn decisions(answers: Vec<Value>) -> Result<Vec<Decision>, ApiError> {
    let answers = answers.into_iter().enumerate();
    answers
        .map(|(n, answer)| {
            let mut fields = BodyFields::of(answer, format!("resume[{n}]"))?;
            let id = fields.need("interruptId")?;
            let status: String = fields.need("status")?;
            let payload: Option<Value> = fields.take("payload")?;
            drop(fields.take_rest());
            let payload = payload.unwrap_or_default();
            let text = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
            let is_approved = payload.get("approved").and_then(Value::as_bool);
            let approve = match (status.as_str(), is_approved) {
                ("cancelled", _) => false,
                ("resolved", Some(approved)) => approved,
                _ => {
                    let message = "an answer is `cancelled`, or `resolved` with `{\"approved\": true}` or `false` as its `payload`";
                    return Err(ApiError::invalid(format!("resume[{n}]"), message));
                }
            };
            Ok(Decision {
                id,
                approve,
                message: if approve { None } else { text("reason") },
                arguments: if approve { text("arguments") } else { None },
            })
        })
        .collect()
}
