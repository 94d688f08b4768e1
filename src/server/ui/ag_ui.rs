//! Events of AG-UI 1.0.

use serde_json::{Value, json};

use super::ag_ui_input::RunInput;
use super::{UiProtocol, failure};

/// The version of the protocol.
const VERSION: &str = "1.0";

/// One run in the words of AG-UI.
pub(super) struct AgUi {
    thread_id: String,
    run_id: String,
    /// What is open: each has to end before something else begins.
    open: Option<OpenPart>,
    step: Option<String>,
    n_messages: u32,
    interrupts: Vec<Value>,
    /// The model of each answer, and what it used.
    usage: Vec<Value>,
}

#[derive(Debug, Clone)]
enum OpenPart {
    Text(String),
    Reasoning(String),
}

impl AgUi {
    pub(super) fn new(input: &RunInput) -> Self {
        Self {
            thread_id: input.session.as_str().to_owned(),
            run_id: input.run_id.clone(),
            open: None,
            step: None,
            n_messages: 0,
            interrupts: Vec::new(),
            usage: Vec::new(),
        }
    }

    fn message_id(&mut self) -> String {
        self.n_messages += 1;
        format!("{}_{}", self.run_id, self.n_messages)
    }

    fn close(&mut self, events: &mut Vec<Value>) {
        match self.open.take() {
            None => {}
            Some(OpenPart::Text(id)) => {
                events.push(json!({"type": "TEXT_MESSAGE_END", "messageId": id}));
            }
            Some(OpenPart::Reasoning(id)) => {
                events.push(json!({"type": "REASONING_MESSAGE_END", "messageId": id}));
                events.push(json!({"type": "REASONING_END", "messageId": id}));
            }
        }
    }

    fn end_step(&mut self, events: &mut Vec<Value>) {
        self.close(events);
        if let Some(name) = self.step.take() {
            events.push(json!({"type": "STEP_FINISHED", "stepName": name}));
        }
    }

    fn text(&mut self, delta: &str, events: &mut Vec<Value>) {
        let id = if let Some(OpenPart::Text(id)) = &self.open {
            id.clone()
        } else {
            self.close(events);
            let id = self.message_id();
            events
                .push(json!({"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"}));
            self.open = Some(OpenPart::Text(id.clone()));
            id
        };
        events.push(json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": delta}));
    }

    fn reasoning(&mut self, delta: &str, events: &mut Vec<Value>) {
        let id = if let Some(OpenPart::Reasoning(id)) = &self.open {
            id.clone()
        } else {
            self.close(events);
            let id = self.message_id();
            events.push(json!({"type": "REASONING_START", "messageId": id}));
            events.push(
                json!({"type": "REASONING_MESSAGE_START", "messageId": id, "role": "reasoning"}),
            );
            self.open = Some(OpenPart::Reasoning(id.clone()));
            id
        };
        events.push(json!({"type": "REASONING_MESSAGE_CONTENT", "messageId": id, "delta": delta}));
    }

    fn called(&mut self, event: &Value, events: &mut Vec<Value>) {
        self.close(events);
        let id = &event["call_id"];
        events.push(
            json!({"type": "TOOL_CALL_START", "toolCallId": id, "toolCallName": event["name"]}),
        );
        if event["arguments"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            events.push(
                json!({"type": "TOOL_CALL_ARGS", "toolCallId": id, "delta": event["arguments"]}),
            );
        }
        events.push(json!({"type": "TOOL_CALL_END", "toolCallId": id}));
    }

    fn answered(&mut self, event: &Value, events: &mut Vec<Value>) {
        let id = self.message_id();
        events.push(json!({
            "type": "TOOL_CALL_RESULT", "messageId": id, "toolCallId": event["call_id"], "content": event["output"],
            "role": "tool",
        }));
    }

    fn waits(&mut self, interruption: &Value) {
        // A client knows the calls of the run itself: one inside an agent that is a tool waits at the call of that agent.
        let path = interruption["path"].as_array();
        let outermost = path.and_then(|path| path.first());
        self.interrupts.push(json!({
            "id": interruption["id"],
            "reason": "tool_approval",
            "message": format!(
                "{} wants to call {} with {}",
                interruption["agent"].as_str().unwrap_or_default(),
                interruption["tool"].as_str().unwrap_or_default(),
                interruption["arguments"].as_str().unwrap_or_default(),
            ),
            "toolCallId": outermost.unwrap_or(&interruption["call_id"]),
            "responseSchema": {
                "type": "object",
                "properties": {
                    "approved": {"type": "boolean"},
                    "reason": {"type": "string"},
                    "arguments": {"type": "string"},
                },
                "required": ["approved"],
            },
        }));
    }

    fn used(&mut self, event: &Value) {
        let usage = &event["usage"];
        if usage.is_object() {
            self.usage.push(json!({
                "model": event["model"].as_str().unwrap_or("unknown"),
                "inputTokens": usage["input_tokens"],
                "outputTokens": usage["output_tokens"],
                "totalTokens": usage["total_tokens"],
                "reasoningTokens": usage["reasoning_tokens"],
                "cachedInputTokens": usage["cached_tokens"],
                "cacheWriteInputTokens": usage["cache_write_tokens"],
            }));
        }
    }

    fn finished(&mut self, event: &Value, events: &mut Vec<Value>) {
        self.end_step(events);
        let (kind, message) = failure(event);
        let outcome = match (event["ok"].as_bool(), kind) {
            (Some(true), _) => json!({"type": "success"}),
            (_, Some("approval_required")) => {
                json!({"type": "interrupt", "interrupts": self.interrupts})
            }
            (_, Some("cancelled")) => json!({"type": "cancelled"}),
            (_, kind) => {
                // The end of the run in this protocol; `RUN_FINISHED` would say that it had an outcome.
                let code = kind.unwrap_or("error");
                events.push(json!({"type": "RUN_ERROR", "message": message, "code": code}));
                return;
            }
        };
        events.push(json!({
            "type": "RUN_FINISHED", "threadId": self.thread_id, "runId": self.run_id, "usage": self.usage,
            "result": event["final_output"], "outcome": outcome,
        }));
    }
}

impl UiProtocol for AgUi {
    fn begin(&mut self) -> Vec<Value> {
        vec![json!({
            "type": "RUN_STARTED", "threadId": self.thread_id, "runId": self.run_id, "protocolVersion": VERSION,
        })]
    }

    fn event(&mut self, event: &Value) -> Vec<Value> {
        let mut events = Vec::new();
        let delta = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "turn_started" => {
                self.end_step(&mut events);
                let name = format!("turn {}", event["turn"]);
                events.push(json!({"type": "STEP_STARTED", "stepName": name}));
                self.step = Some(name);
            }
            "text_delta" | "refusal_delta" if !delta.is_empty() => self.text(delta, &mut events),
            "reasoning_delta" if !delta.is_empty() => self.reasoning(delta, &mut events),
            "tool_called" => self.called(event, &mut events),
            "tool_output" => self.answered(event, &mut events),
            "approval_required" => self.waits(&event["interruption"]),
            "response_done" => {
                self.close(&mut events);
                self.used(event);
            }
            "handoff_occurred" | "tool_progress" | "nested" => {
                self.close(&mut events);
                events.push(json!({"type": "CUSTOM", "name": "run_event", "value": event}));
            }
            "result" => self.finished(event, &mut events),
            "error" => events.push(json!({
                "type": "RUN_ERROR", "message": event["message"], "code": event["code"],
            })),
            _ => {}
        }
        events
    }

    fn end(&self) -> Option<&'static str> {
        None
    }
}
