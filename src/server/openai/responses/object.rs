//! Encodes a response as JSON.

use serde_json::{Map, Value, json};

use super::json::Json;
use super::request::ResponsesRequest;
use crate::server::state::now;
use crate::usage::Usage;

/// How far a response has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// The model's server cut the answer.
    Incomplete(&'static str),
    /// The error object.
    Failed(Value),
    Cancelled,
}

/// What of a response does not change.
#[derive(Debug, Clone)]
pub(super) struct ResponseHead {
    pub(super) id: String,
    pub(super) created_at: u64,
    agent: String,
    fields: Map<String, Value>,
}

impl ResponseHead {
    pub(super) fn new(id: String, created_at: u64, request: &ResponsesRequest) -> Self {
        let conversation = request.conversation.as_ref();
        let mut fields = Map::new();
        let defaults = json!({
            "background": false,
            "instructions": null,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "model": request.model,
            "parallel_tool_calls": true,
            "previous_response_id": request.previous,
            "conversation": conversation.map(|id| json!({"id": id.as_str()})),
            "prompt_cache_key": null,
            "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null,
            "service_tier": "default",
            "store": request.stores,
            "temperature": null,
            "text": {"format": {"type": "text"}, "verbosity": null},
            "tool_choice": "auto",
            "tools": request.tools.to_json(),
            "top_logprobs": 0,
            "top_p": null,
            "truncation": "disabled",
            "user": null,
            "metadata": {},
        });
        if let Value::Object(defaults) = defaults {
            fields.extend(defaults);
        }
        for (name, value) in &request.echo {
            match (fields.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(value)) => known.extend(value.clone()),
                _ => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        Self {
            id,
            created_at,
            agent: request.model.clone(),
            fields,
        }
    }

    /// The agent that was asked.
    pub(super) fn agent(&self) -> &str {
        &self.agent
    }

    pub(super) fn to_json(&self, status: &Status, output: &[Json], usage: Option<&Usage>) -> Json {
        let name = match status {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) => "incomplete",
            Status::Failed(_) => "failed",
            Status::Cancelled => "cancelled",
        };
        let error = match status {
            Status::Failed(error) => {
                let kind = error.get("code");
                let is_limit =
                    error.get("type").and_then(Value::as_str) == Some("rate_limit_error");
                // The specification has a list of codes, which strict clients hold a response to.
                let code = if is_limit {
                    "rate_limit_exceeded"
                } else {
                    "server_error"
                };
                json!({"code": code, "message": error.get("message"), "kind": kind})
            }
            _ => Value::Null,
        };
        let incomplete = match status {
            Status::Incomplete(reason) => json!({"reason": reason}),
            _ => Value::Null,
        };
        let head = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": matches!(status, Status::Completed).then(now),
            "status": name,
            "error": error,
            "incomplete_details": incomplete,
            "output": null,
            "usage": usage.map(usage_json),
        });
        let mut response = Json::from(head).with("output", Json::List(output.to_vec()));
        response.extend(Json::from(Value::Object(self.fields.clone())));
        response
    }
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    })
}
