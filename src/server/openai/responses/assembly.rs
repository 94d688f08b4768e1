//! Builds the output items of a response from the events of a run, and the stream's event for each step.

use serde_json::{Value, json};

use super::calls::{CallKey, Calls, OpenCall};
use super::json::{Json, LongText};
use super::request::ResponsesRequest;
use crate::agent::Interruption;
use crate::agent::runner::{RunEvent, RunResult};
use crate::item::{Item, ItemKind, Message, Reasoning};
use crate::server::ToolItems;

/// Puts items together; whoever answers whole drops the events.
pub(super) struct Assembly {
    pub(super) list: OutputList,
    message: Option<OpenMessage>,
    reasoning: Option<OpenReasoning>,
    calls: Calls,
    /// The text of the latest message that was whole.
    last_text: Option<LongText>,
    /// The agent at work.
    agent: String,
    /// Whether reasoning is shown with what the model's server can read of it.
    includes_encrypted: bool,
    /// The requests for approval, each with the call that waits.
    pub(super) approvals: Vec<(String, Interruption)>,
}

/// The items so far, and the events that tell of them and were not sent yet.
pub(super) struct OutputList {
    /// The random part of the response's id, which the ids of its items have too.
    hex: String,
    pub(super) items: Vec<Json>,
    pub(super) events: Vec<Json>,
}

struct OpenMessage {
    at: usize,
    parts: Vec<MessagePart>,
}

enum MessagePart {
    Text(LongText),
    Refusal(LongText),
}

struct OpenReasoning {
    at: usize,
    text: LongText,
}

impl OutputList {
    /// Adds an item that is begun; gives its place.
    pub(super) fn add(&mut self, prefix: &str, item: Value) -> usize {
        let at = self.items.len();
        let id = format!("{prefix}_{}_{at}", self.hex);
        self.add_as_is(Json::from(item).with("id", json!(id)));
        at
    }

    fn add_as_is(&mut self, item: Json) {
        let at = self.items.len();
        let event = json!({"type": "response.output_item.added", "output_index": at, "item": null});
        self.events
            .push(Json::from(event).with("item", item.clone()));
        self.items.push(item);
    }

    /// Tells of a step of an item.
    pub(super) fn tell(&mut self, at: usize, kind: &str, fields: impl Into<Json>) {
        let head = json!({"type": kind, "item_id": self.id(at), "output_index": at});
        let mut event = Json::from(head);
        event.extend(fields.into());
        self.events.push(event);
    }

    /// Changes fields of an item.
    pub(super) fn change(&mut self, at: usize, fields: impl Into<Json>) {
        if let Some(item) = self.items.get_mut(at) {
            item.extend(fields.into());
        }
    }

    /// Tells that an item is whole.
    pub(super) fn done(&mut self, at: usize) {
        let event = json!({"type": "response.output_item.done", "output_index": at, "item": null});
        if let Some(item) = self.items.get(at) {
            self.events
                .push(Json::from(event).with("item", item.clone()));
        }
    }

    fn id(&self, at: usize) -> Option<&str> {
        self.items.get(at)?.get("id")?.as_str()
    }
}

impl Assembly {
    pub(super) fn new(hex: String, style: ToolItems, request: &ResponsesRequest) -> Self {
        Self {
            list: OutputList {
                hex,
                items: Vec::new(),
                events: Vec::new(),
            },
            message: None,
            reasoning: None,
            calls: Calls::new(style, request.tools.names().map(str::to_owned).collect()),
            last_text: None,
            agent: request.model.clone(),
            includes_encrypted: request.includes_encrypted,
            approvals: Vec::new(),
        }
    }

    /// Makes a call known that waited in an earlier response.
    pub(super) fn resume(&mut self, call: &Interruption, request_id: String) {
        if call.path.is_empty() {
            self.calls.resumed.push(OpenCall::waiting(call, request_id));
        }
    }

    /// Takes an event of the run; what happens in agents that are called as tools is not shown.
    pub(super) fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::TurnStarted { agent, .. } => (**agent).clone_into(&mut self.agent),
            RunEvent::TextDelta { delta } => self.more_text(delta),
            RunEvent::RefusalDelta { delta } => self.more_refusal(delta),
            RunEvent::ReasoningDelta { delta } => self.more_reasoning(delta),
            RunEvent::ToolCallStarted { index, name, .. } => {
                self.calls
                    .begin(&mut self.list, &self.agent, name, CallKey::Index(*index));
            }
            RunEvent::ToolCallDelta { index, delta, .. } => {
                self.calls.more_arguments(&mut self.list, *index, delta);
            }
            RunEvent::ItemDone { item } => self.item_done(item),
            RunEvent::HandoffRequested { call_id, to } => self.calls.hands_off(call_id, to),
            RunEvent::HandoffOccurred { to, .. } => self.calls.handed_off(&mut self.list, to),
            RunEvent::ToolOutputDone {
                call_id,
                name,
                output,
                failure,
            } => {
                let outcome = match failure {
                    None => Ok(output.as_str()),
                    Some(_) => Err(output.as_str()),
                };
                self.calls
                    .output(&mut self.list, (&self.agent, name), call_id, outcome);
            }
            RunEvent::ApprovalRequired { interruption } => self.approval(interruption),
            RunEvent::ModelEvent { .. }
            | RunEvent::ToolCalled { .. }
            | RunEvent::ResponseDone { .. }
            | RunEvent::ToolProgress { .. }
            | RunEvent::GuardrailDone { .. }
            | RunEvent::Nested { .. }
            | RunEvent::RunDone { .. } => {}
        }
    }

    /// Ends a run that gave a result: outputs that no event told of, and an output that no message of the model is.
    pub(super) fn end(&mut self, result: &RunResult) {
        self.calls.end(&mut self.list, &self.agent, result.items());
        let output = result.final_output();
        // A run may end with the output of a tool, or with one that the application gave. No
        // message of the model has that text.
        if self.last_text.as_ref().is_none_or(|text| *text != *output) {
            self.more_text(output);
            self.message_done(None);
        }
    }

    /// Ends a run that failed or paused: what is open stays as far as it came.
    pub(super) fn cut(&mut self) {
        if let Some(message) = self.message.take() {
            self.list.change(message.at, message.as_is("incomplete"));
            self.list.done(message.at);
        }
        self.reasoning_done(None);
        self.calls.cut(&mut self.list);
    }

    fn item_done(&mut self, item: &Item) {
        match item.kind() {
            ItemKind::Message(message) => {
                self.message_done(Some(message));
            }
            ItemKind::Reasoning(reasoning) => self.reasoning_done(Some(reasoning)),
            ItemKind::FunctionCall(call) => self.calls.called(&mut self.list, &self.agent, call),
            ItemKind::FunctionCallOutput(_) => {}
            // A tool that the provider ran: its item says all.
            ItemKind::Unknown { .. } => {
                if let Ok(json) = serde_json::from_str::<Value>(item.to_json()) {
                    self.list.add_as_is(json.into());
                    self.list.done(self.list.items.len() - 1);
                }
            }
        }
    }

    fn more_text(&mut self, delta: &str) {
        let message = open_message(&mut self.message, &mut self.list);
        if !matches!(message.parts.last(), Some(MessagePart::Text(_))) {
            message.add(&mut self.list, MessagePart::Text(LongText::default()));
        }
        let fields =
            json!({"content_index": message.parts.len() - 1, "delta": null, "logprobs": []});
        if let Some(MessagePart::Text(text)) = message.parts.last_mut() {
            let fields = Json::from(fields).with("delta", text.push(delta));
            self.list
                .tell(message.at, "response.output_text.delta", fields);
        }
    }

    fn more_refusal(&mut self, delta: &str) {
        let message = open_message(&mut self.message, &mut self.list);
        if !matches!(message.parts.last(), Some(MessagePart::Refusal(_))) {
            message.add(&mut self.list, MessagePart::Refusal(LongText::default()));
        }
        let fields = json!({"content_index": message.parts.len() - 1});
        if let Some(MessagePart::Refusal(text)) = message.parts.last_mut() {
            let fields = Json::from(fields).with("delta", text.push(delta));
            self.list.tell(message.at, "response.refusal.delta", fields);
        }
    }

    fn message_done(&mut self, whole: Option<&Message>) {
        if self.message.is_none()
            && let Some(whole) = whole
        {
            // A model that answers whole gives no deltas.
            let text = whole.text("");
            if !text.is_empty() || whole.refusal().is_none() {
                self.more_text(&text);
            }
            if let Some(refusal) = whole.refusal() {
                self.more_refusal(refusal);
            }
        }
        let Some(message) = self.message.take() else {
            return;
        };
        for (n, part) in message.parts.iter().enumerate() {
            let (kind, fields) = match part {
                MessagePart::Text(text) => (
                    "response.output_text.done",
                    Json::from(json!({"content_index": n, "text": null, "logprobs": []}))
                        .with("text", text),
                ),
                MessagePart::Refusal(text) => (
                    "response.refusal.done",
                    Json::from(json!({"content_index": n})).with("refusal", text),
                ),
            };
            self.list.tell(message.at, kind, fields);
            let fields = Json::from(json!({"content_index": n})).with("part", part.to_json());
            self.list
                .tell(message.at, "response.content_part.done", fields);
        }
        self.list.change(message.at, message.as_is("completed"));
        self.list.done(message.at);
        self.last_text = Some(message.text());
    }

    fn more_reasoning(&mut self, delta: &str) {
        let list = &mut self.list;
        let open = self.reasoning.get_or_insert_with(|| {
            let at = list.add(
                "rs",
                json!({"type": "reasoning", "id": null, "summary": []}),
            );
            let part = json!({"type": "summary_text", "text": ""});
            let fields = json!({"summary_index": 0, "part": part});
            list.tell(at, "response.reasoning_summary_part.added", fields);
            OpenReasoning {
                at,
                text: LongText::default(),
            }
        });
        let fields = Json::from(json!({"summary_index": 0})).with("delta", open.text.push(delta));
        list.tell(open.at, "response.reasoning_summary_text.delta", fields);
    }

    fn reasoning_done(&mut self, whole: Option<&Reasoning>) {
        let text = whole.map(Reasoning::text).unwrap_or_default();
        let encrypted = whole
            .filter(|_| self.includes_encrypted)
            .and_then(|whole| whole.extra.get("encrypted_content"))
            .filter(|encrypted| !encrypted.is_null());
        if self.reasoning.is_none() && (!text.is_empty() || encrypted.is_some()) {
            self.more_reasoning(&text);
        }
        let Some(open) = self.reasoning.take() else {
            return;
        };
        let index = json!({"summary_index": 0});
        let fields = Json::from(index.clone()).with("text", &open.text);
        self.list
            .tell(open.at, "response.reasoning_summary_text.done", fields);
        let part = Json::from(json!({"type": "summary_text"})).with("text", &open.text);
        let fields = Json::from(index).with("part", part.clone());
        self.list
            .tell(open.at, "response.reasoning_summary_part.done", fields);
        let summary = Json::List(vec![part]);
        self.list
            .change(open.at, Json::from(json!({})).with("summary", summary));
        if let Some(encrypted) = encrypted {
            let fields = json!({"encrypted_content": encrypted});
            self.list.change(open.at, fields);
        }
        self.list.done(open.at);
    }

    fn approval(&mut self, waiting: &Interruption) {
        // The client's own tools wait in the same way, but the client sees them as its calls and
        // not as questions.
        if self.calls.is_clients(&waiting.tool) && waiting.path.is_empty() {
            return;
        }
        self.calls.waits(&mut self.list, &waiting.call_id);
        let at = self.list.add(
            "mcpr",
            json!({
                "type": "mcp_approval_request",
                "id": null,
                "server_label": waiting.agent,
                "name": waiting.tool,
                "arguments": waiting.arguments,
            }),
        );
        self.list.done(at);
        if let Some(id) = self.list.id(at).map(str::to_owned) {
            self.approvals.push((id, waiting.clone()));
        }
    }
}

fn open_message<'a>(
    open: &'a mut Option<OpenMessage>,
    list: &mut OutputList,
) -> &'a mut OpenMessage {
    open.get_or_insert_with(|| {
        let message = json!({
            "type": "message", "id": null, "status": "in_progress", "role": "assistant", "content": [],
        });
        OpenMessage { at: list.add("msg", message), parts: Vec::new() }
    })
}

impl OpenMessage {
    fn add(&mut self, list: &mut OutputList, part: MessagePart) {
        let fields =
            Json::from(json!({"content_index": self.parts.len()})).with("part", part.to_json());
        list.tell(self.at, "response.content_part.added", fields);
        self.parts.push(part);
    }

    /// The fields of its item that change.
    fn as_is(&self, status: &str) -> Json {
        let content = self.parts.iter().map(MessagePart::to_json).collect();
        Json::from(json!({"status": status})).with("content", Json::List(content))
    }

    fn text(&self) -> LongText {
        let texts = self.parts.iter().filter_map(|part| match part {
            MessagePart::Text(text) => Some(text),
            MessagePart::Refusal(_) => None,
        });
        texts.collect()
    }
}

impl MessagePart {
    fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(
                json!({"type": "output_text", "text": null, "annotations": [], "logprobs": []}),
            )
            .with("text", text),
            Self::Refusal(refusal) => {
                Json::from(json!({"type": "refusal"})).with("refusal", refusal)
            }
        }
    }
}
