//! A response as JSON.

use serde_json::{Map, Value, json};

use super::request::ResponsesRequest;
use crate::model::ToolChoice;
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
    fields: Map<String, Value>,
}

impl ResponseHead {
    pub(super) fn new(id: String, created_at: u64, request: &ResponsesRequest) -> Self {
        let settings = &request.settings;
        let conversation = request.conversation.as_ref();
        let passed_on = |name: &str| {
            settings
                .extra_body
                .get(name)
                .cloned()
                .unwrap_or(Value::Null)
        };
        let fields = json!({
            "background": false,
            "instructions": request.instructions,
            "max_output_tokens": settings.max_tokens,
            "max_tool_calls": null,
            "model": request.model,
            "parallel_tool_calls": settings.parallel_tool_calls.unwrap_or(true),
            "previous_response_id": request.previous,
            "conversation": conversation.map(|id| json!({"id": id.as_str()})),
            "prompt_cache_key": passed_on("prompt_cache_key"),
            "reasoning": {"effort": settings.reasoning_effort, "summary": settings.reasoning_summary},
            "safety_identifier": passed_on("safety_identifier"),
            "service_tier": settings.extra_body.get("service_tier").cloned().unwrap_or_else(|| json!("default")),
            "store": request.stores,
            "temperature": settings.temperature,
            "text": {"format": request.format.to_json(), "verbosity": settings.verbosity},
            "tool_choice": tool_choice(settings.tool_choice.as_ref()),
            "tools": [],
            "top_logprobs": 0,
            "top_p": settings.top_p,
            "truncation": "disabled",
            "user": passed_on("user"),
            "metadata": request.metadata,
        });
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self {
            id,
            created_at,
            fields,
        }
    }

    pub(super) fn to_json(
        &self,
        status: &Status,
        output: &[Value],
        usage: Option<&Usage>,
    ) -> Value {
        let name = match status {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) => "incomplete",
            Status::Failed(_) => "failed",
            Status::Cancelled => "cancelled",
        };
        let error = match status {
            Status::Failed(error) => {
                json!({"code": error.get("code"), "message": error.get("message")})
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
            "status": name,
            "error": error,
            "incomplete_details": incomplete,
            "output": output,
            "usage": usage.map(usage_json),
        });
        let mut response = match head {
            Value::Object(response) => response,
            _ => Map::new(),
        };
        response.extend(self.fields.clone());
        Value::Object(response)
    }
}

fn tool_choice(choice: Option<&ToolChoice>) -> Value {
    match choice {
        None | Some(ToolChoice::Auto) => json!("auto"),
        Some(ToolChoice::Required) => json!("required"),
        Some(ToolChoice::None) => json!("none"),
        Some(ToolChoice::Function(name)) => json!({"type": "function", "name": name}),
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
