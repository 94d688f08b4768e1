//! Parses the requests of the service.

use std::time::Duration;

use serde_json::Value;

use super::overrides::AgentOverrides;
use super::record::Decision;
use crate::context::Cancel;
use crate::item::Item;
use crate::limits::Limits;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::session::SessionId;

/// `POST /run`.
#[derive(Debug)]
pub(super) struct StartRun {
    pub(super) agent: String,
    pub(super) items: Vec<Item>,
    pub(super) session: Option<SessionId>,
    pub(super) limits: Limits,
    pub(super) overrides: AgentOverrides,
    pub(super) streams: bool,
}

impl StartRun {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = BodyFields::parse(body)?;
        let session: Option<String> = fields.take("session")?;
        let request = Self {
            agent: fields.need("agent")?,
            items: items(fields.need("input")?)?,
            session: session.map(session_id).transpose()?,
            limits: limits(fields.object("limits")?)?,
            overrides: AgentOverrides::parse(fields.object("overrides")?)?,
            streams: fields.take("stream")?.unwrap_or(false),
        };
        fields.finish()?;
        Ok(request)
    }
}

pub(in crate::server) fn session_id(id: String) -> Result<SessionId, ApiError> {
    SessionId::new(id).map_err(|error| ApiError::invalid("session", error.to_string()))
}

fn items(input: Value) -> Result<Vec<Item>, ApiError> {
    let items: Vec<Item> = match input {
        Value::String(text) => vec![Item::user(text)],
        input => serde_json::from_value(input)
            .map_err(|error| ApiError::invalid("input", format!("input: {error}")))?,
    };
    if items.is_empty() {
        return Err(ApiError::invalid("input", "`input` must not be empty"));
    }
    Ok(items)
}

/// `POST /send/{session}`.
pub(super) fn input(body: &[u8]) -> Result<Vec<Item>, ApiError> {
    let mut fields = BodyFields::parse(body)?;
    let items = items(fields.need("input")?)?;
    fields.finish()?;
    Ok(items)
}

/// Limits that hold beside those of the runner.
fn limits(fields: Option<BodyFields>) -> Result<Limits, ApiError> {
    let mut limits = Limits::NONE;
    let Some(mut fields) = fields else {
        return Ok(limits);
    };
    limits.max_turns = fields.take("max_turns")?;
    limits.max_requests = fields.take("max_requests")?;
    limits.max_input_tokens = fields.take("max_input_tokens")?;
    limits.max_output_tokens = fields.take("max_output_tokens")?;
    limits.max_total_tokens = fields.take("max_total_tokens")?;
    limits.max_tool_calls = fields.take("max_tool_calls")?;
    limits.max_cost = fields.take("max_cost")?;
    limits.max_duration = fields
        .take("max_duration_seconds")?
        .map(Duration::from_secs);
    fields.finish()?;
    Ok(limits)
}

/// `POST /cancel/{session}`; an empty body is enough.
pub(super) fn cancel(body: &[u8]) -> Result<Cancel, ApiError> {
    if body.is_empty() {
        return Ok(Cancel::Now);
    }
    let mut fields = BodyFields::parse(body)?;
    let when: Option<String> = fields.take("when")?;
    fields.finish()?;
    match when.as_deref() {
        None | Some("now") => Ok(Cancel::Now),
        Some("after_turn") => Ok(Cancel::AfterTurn),
        Some(_) => Err(ApiError::invalid("when", "`when` is `now` or `after_turn`")),
    }
}

/// `POST /approve/{session}`.
pub(super) fn decisions(body: &[u8]) -> Result<Vec<Decision>, ApiError> {
    let mut fields = BodyFields::parse(body)?;
    let decisions: Vec<Value> = fields.need("approvals")?;
    fields.finish()?;
    let decisions = decisions.into_iter().enumerate();
    decisions
        .map(|(n, decision)| {
            let mut fields = BodyFields::of(decision, format!("approvals[{n}]"))?;
            let decision = Decision {
                id: fields.need("id")?,
                approve: fields.need("approve")?,
                message: fields.take("message")?,
                arguments: fields.take("arguments")?,
            };
            let (given, without) = if decision.approve {
                ("message", decision.message.is_none())
            } else {
                ("arguments", decision.arguments.is_none())
            };
            if !without {
                let message = "a refusal has a message, and an approval may have other arguments";
                return Err(ApiError::invalid(fields.name(given), message));
            }
            fields.finish()?;
            Ok(decision)
        })
        .collect()
}
