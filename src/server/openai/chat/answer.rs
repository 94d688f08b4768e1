//! Encodes a chat answer as JSON: whole, and in chunks.

use serde_json::{Value, json};

use crate::error::{RunError, RunFailure};
use crate::kind::ErrorKind;
use crate::server::openai::open_turns::HandedCall;
use crate::usage::Usage;

/// What all parts of one answer have.
#[derive(Debug, Clone)]
pub(super) struct ChatAnswer {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
}

/// An end that the API has a word for, though the run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) finish_reason: &'static str,
    /// Text that came in before the end.
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
    /// Calls of the client's tools.
    pub(super) calls: Vec<HandedCall>,
}

impl Ending {
    pub(super) const STOP: Self = Self {
        finish_reason: "stop",
        text: None,
        refusal: None,
        calls: Vec::new(),
    };

    /// Calls that the client is to answer.
    pub(super) fn calls(calls: &[HandedCall]) -> Self {
        Self {
            finish_reason: "tool_calls",
            calls: calls.to_vec(),
            ..Self::STOP
        }
    }

    /// The calls as a stream has them; a whole answer has no place of each.
    pub(super) fn calls_json(&self) -> Value {
        let calls = self.calls.iter().enumerate();
        calls
            .map(|(n, call)| {
                json!({
                    "index": n,
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })
            })
            .collect()
    }

    /// Recognises a refusal, an answer that the model's server cut at a length, and one that its filter cut.
    pub(super) fn of(error: &RunError) -> Option<Self> {
        let finish_reason = match error.kind() {
            ErrorKind::Refusal => "stop",
            ErrorKind::Truncated => "length",
            ErrorKind::ContentFilter => "content_filter",
            _ => return None,
        };
        let refusal = match error.failure() {
            RunFailure::Refusal { refusal } => Some(refusal.clone()),
            _ => None,
        };
        let received = error
            .model_error()
            .map(|error| error.received().text.clone());
        let text = received.filter(|text| !text.is_empty());
        // Half a tool call is no answer.
        (refusal.is_some() || text.is_some()).then_some(Self {
            finish_reason,
            text,
            refusal,
            calls: Vec::new(),
        })
    }
}

impl ChatAnswer {
    pub(super) fn whole(&self, text: Option<&str>, ending: &Ending, usage: &Usage) -> Value {
        let mut message = json!({
            "role": "assistant",
            "content": text,
            "refusal": ending.refusal,
            "annotations": [],
        });
        if let (Some(message), Value::Array(mut calls)) =
            (message.as_object_mut(), ending.calls_json())
            && !calls.is_empty()
        {
            for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                call.shift_remove("index");
            }
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": ending.finish_reason,
            }],
            "usage": usage_json(usage),
        })
    }

    pub(super) fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let choice =
            json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        self.chunk_of(&json!([choice]))
    }

    fn chunk_of(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    /// The last chunk, which tells what the run cost.
    pub(super) fn usage_chunk(&self, usage: &Usage) -> Value {
        let mut chunk = self.chunk_of(&json!([]));
        if let Some(object) = chunk.as_object_mut() {
            object.insert("usage".to_owned(), usage_json(usage));
        }
        chunk
    }
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
