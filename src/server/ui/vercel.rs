//! Chunks of the UI message stream of the Vercel AI SDK.

use serde_json::{Value, json};

use super::vercel_input::ChatInput;
use super::{UiProtocol, failure};
use crate::server::service::UiInput;

/// One run as a message of the assistant.
pub(super) struct Vercel {
    message_id: Option<String>,
    /// The calls that were refused with this request.
    denied: Vec<String>,
    open: Option<OpenPart>,
    n_parts: u32,
    is_in_step: bool,
    finish_reason: &'static str,
}

#[derive(Debug, Clone)]
enum OpenPart {
    Text(String),
    Reasoning(String),
}

impl Vercel {
    pub(super) fn new(input: &ChatInput) -> Self {
        let denied = match &input.input {
            UiInput::Decisions(decisions) => {
                let denied = decisions.iter().filter(|decision| !decision.approve);
                denied.map(|decision| decision.id.clone()).collect()
            }
            UiInput::Items(_) | UiInput::Again(_) => Vec::new(),
        };
        Self {
            message_id: input.message_id.clone(),
            denied,
            open: None,
            n_parts: 0,
            is_in_step: false,
            finish_reason: "stop",
        }
    }

    fn close(&mut self, chunks: &mut Vec<Value>) {
        match self.open.take() {
            None => {}
            Some(OpenPart::Text(id)) => chunks.push(json!({"type": "text-end", "id": id})),
            Some(OpenPart::Reasoning(id)) => {
                chunks.push(json!({"type": "reasoning-end", "id": id}));
            }
        }
    }

    fn end_step(&mut self, chunks: &mut Vec<Value>) {
        self.close(chunks);
        if std::mem::take(&mut self.is_in_step) {
            chunks.push(json!({"type": "finish-step"}));
        }
    }

    fn part_id(&mut self) -> String {
        self.n_parts += 1;
        self.n_parts.to_string()
    }

    fn text(&mut self, delta: &str, chunks: &mut Vec<Value>) {
        let id = if let Some(OpenPart::Text(id)) = &self.open {
            id.clone()
        } else {
            self.close(chunks);
            let id = self.part_id();
            chunks.push(json!({"type": "text-start", "id": id}));
            self.open = Some(OpenPart::Text(id.clone()));
            id
        };
        chunks.push(json!({"type": "text-delta", "id": id, "delta": delta}));
    }

    fn reasoning(&mut self, delta: &str, chunks: &mut Vec<Value>) {
        let id = if let Some(OpenPart::Reasoning(id)) = &self.open {
            id.clone()
        } else {
            self.close(chunks);
            let id = self.part_id();
            chunks.push(json!({"type": "reasoning-start", "id": id}));
            self.open = Some(OpenPart::Reasoning(id.clone()));
            id
        };
        chunks.push(json!({"type": "reasoning-delta", "id": id, "delta": delta}));
    }

    /// The tools are those of the agent: to the page they are dynamic, and made elsewhere.
    fn called(&mut self, event: &Value, chunks: &mut Vec<Value>) {
        self.close(chunks);
        let (id, name) = (&event["call_id"], &event["name"]);
        let text = event["arguments"].as_str().unwrap_or_default();
        chunks.push(json!({"type": "tool-input-start", "toolCallId": id, "toolName": name, "dynamic": true, "providerExecuted": true}));
        if !text.is_empty() {
            chunks.push(
                json!({"type": "tool-input-delta", "toolCallId": id, "inputTextDelta": text}),
            );
        }
        // Shown as the model wrote it, also where that is no JSON: the call is refused later, and its words explain why.
        let input: Option<Value> = serde_json::from_str(text).ok();
        let input = input.unwrap_or_else(|| json!(text));
        chunks.push(json!({
            "type": "tool-input-available", "toolCallId": id, "toolName": name, "input": input, "dynamic": true,
            "providerExecuted": true,
        }));
    }

    fn answered(&mut self, event: &Value, chunks: &mut Vec<Value>) {
        let id = &event["call_id"];
        let is_denied = self.denied.iter().any(|denied| id == denied);
        chunks.push(if is_denied {
            json!({"type": "tool-output-denied", "toolCallId": id})
        } else if event["failure"].is_null() {
            json!({
                "type": "tool-output-available", "toolCallId": id, "output": event["output"], "dynamic": true,
                "providerExecuted": true,
            })
        } else {
            json!({
                "type": "tool-output-error", "toolCallId": id, "errorText": event["output"], "dynamic": true,
                "providerExecuted": true,
            })
        });
    }

    fn finished(&mut self, event: &Value, chunks: &mut Vec<Value>) {
        self.end_step(chunks);
        let (kind, message) = failure(event);
        let reason = match (event["ok"].as_bool(), kind) {
            (Some(true), _) => self.finish_reason,
            (_, Some("approval_required")) => "tool-calls",
            (_, Some("cancelled")) => {
                chunks.push(json!({"type": "abort", "reason": message}));
                return;
            }
            (_, kind) => {
                let text = format!("{}: {message}", kind.unwrap_or("error"));
                chunks.push(json!({"type": "error", "errorText": text}));
                "error"
            }
        };
        let metadata = json!({"agent": event["agent"], "usage": event["usage"]});
        chunks.push(json!({"type": "finish", "finishReason": reason, "messageMetadata": metadata}));
    }
}

impl UiProtocol for Vercel {
    fn begin(&mut self) -> Vec<Value> {
        vec![match &self.message_id {
            Some(id) => json!({"type": "start", "messageId": id}),
            None => json!({"type": "start"}),
        }]
    }

    fn event(&mut self, event: &Value) -> Vec<Value> {
        let mut chunks = Vec::new();
        let delta = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "turn_started" => {
                self.end_step(&mut chunks);
                self.is_in_step = true;
                chunks.push(json!({"type": "start-step"}));
            }
            "text_delta" | "refusal_delta" if !delta.is_empty() => self.text(delta, &mut chunks),
            "reasoning_delta" if !delta.is_empty() => self.reasoning(delta, &mut chunks),
            "tool_called" => self.called(event, &mut chunks),
            "tool_output" => self.answered(event, &mut chunks),
            "approval_required" => {
                let interruption = &event["interruption"];
                // A page knows the calls of the run itself: one inside an agent that is a tool waits at the call of that agent.
                let path = interruption["path"].as_array();
                let outermost = path.and_then(|path| path.first());
                chunks.push(json!({
                    "type": "tool-approval-request", "approvalId": interruption["id"],
                    "toolCallId": outermost.unwrap_or(&interruption["call_id"]),
                }));
            }
            "response_done" => {
                self.close(&mut chunks);
                // The protocol has it with the end of the message, and only the response knows it.
                self.finish_reason = match event["finish_reason"].as_str() {
                    Some("length") => "length",
                    Some("content_filter") => "content-filter",
                    _ => "stop",
                };
            }
            "handoff_occurred" | "tool_progress" | "nested" => {
                chunks.push(json!({"type": "data-run-event", "data": event, "transient": true}));
            }
            "result" => self.finished(event, &mut chunks),
            "error" => chunks.push(json!({"type": "error", "errorText": event["message"]})),
            _ => {}
        }
        chunks
    }

    fn end(&self) -> Option<&'static str> {
        Some("[DONE]")
    }
}
