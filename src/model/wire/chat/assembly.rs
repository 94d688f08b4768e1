//! An answer as it comes together, whole or from pieces, and the rules by which it is taken or refused.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::thinking::{self, ThinkingBlocks};
use super::types::{Call, Function, WireUsage};
use crate::item::{Content, FunctionCall, Item, Message, Part, Reasoning, Role};
use crate::kind::ErrorKind;
use crate::model::wire::harmony::{leak::LeakGuard, served};
use crate::model::wire::{DecodeContext, excerpt};
use crate::model::{Deviation, FinishReason, ModelError, Received, ResponseEnd};
use crate::usage::Usage;

/// The answer so far.
#[derive(Default)]
pub(super) struct Assembly {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// The text that may be shown.
    pub(super) text: String,
    guard: LeakGuard,
    pub(super) refusal: String,
    pub(super) reasoning: String,
    /// Whether the reasoning came in the field `reasoning`, not `reasoning_content`.
    pub(super) reasoning_field: bool,
    pub(super) thinking: ThinkingBlocks,
    pub(super) calls: Vec<PartialCall>,
    /// Whether the call came as a legacy function call, which has no id.
    is_legacy: bool,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) deviations: Vec<Deviation>,
}

/// A tool call so far.
#[derive(Default)]
pub(super) struct PartialCall {
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// Whether its start was told.
    pub(super) started: bool,
    pub(super) extra: Map<String, Value>,
}

impl PartialCall {
    /// Gives the name of the tool: a name of a tool has no dot, so the namespace can only be a leaked one.
    pub(super) fn tool_name(&self) -> &str {
        served::tool_name(&self.name)
    }

    /// Refuses a name that a server cut out of Harmony text in the wrong place.
    pub(super) fn check_name(&self) -> Result<(), ModelError> {
        served::check_tool_name(&self.name)
    }

    /// Keeps what the server sent beside the call.
    pub(super) fn keep_extra(&mut self, extra: Vec<(String, &RawValue)>) {
        for (key, raw) in extra {
            if let Ok(value) = serde_json::from_str(raw.get()) {
                self.extra.insert(key, value);
            }
        }
    }
}

impl Assembly {
    pub(super) fn note(&mut self, code: &'static str, detail: impl Into<String>) {
        // A server that deviates does so in every chunk; once is enough.
        if !self.deviations.iter().any(|known| known.code == code) {
            self.deviations.push(Deviation::new(code, detail));
        }
    }

    pub(super) fn take_usage(&mut self, usage: Option<&WireUsage>) {
        if let Some(usage) = usage.and_then(WireUsage::usage) {
            self.usage = Some(usage);
        }
    }

    pub(super) fn take_names(&mut self, id: Option<&str>, model: Option<&str>) {
        for (slot, name) in [(&mut self.id, id), (&mut self.model, model)] {
            if slot.is_none()
                && let Some(name) = name.filter(|name| !name.is_empty())
            {
                *slot = Some(name.to_owned());
            }
        }
    }

    /// Takes more of the text and gives what may be shown of it.
    ///
    /// # Errors
    ///
    /// `harmony` when the text holds a control token.
    pub(super) fn take_text<'a>(
        &mut self,
        delta: Cow<'a, str>,
    ) -> Result<Option<Cow<'a, str>>, ModelError> {
        match self.guard.push(delta) {
            Ok(text) => {
                self.text.push_str(&text);
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
            Err(leak) => Err(served::leaked("the answer", &leak).with_received(self.received())),
        }
    }

    /// Takes the end of the text and gives what was not shown of it yet.
    pub(super) fn end_text(&mut self) -> Option<String> {
        let rest = self.guard.finish()?;
        self.text.push_str(&rest);
        Some(rest)
    }

    /// Refuses a call of a type that was not offered.
    pub(super) fn check_type(call: &Call<'_>) -> Result<(), ModelError> {
        match call.r#type.as_deref() {
            None | Some("" | "function") => Ok(()),
            Some(other) => Err(ModelError::new(
                ErrorKind::Unsupported,
                format!(
                    "the model made a tool call of type `{other}`, and only function tools were offered"
                ),
            )),
        }
    }

    /// Takes a legacy function call, or a piece of one; a server that also sends `tool_calls` says the same twice.
    pub(super) fn take_legacy(&mut self, function: &Function<'_>, asked: &DecodeContext) {
        if !self.is_legacy && !self.calls.is_empty() {
            return;
        }
        self.is_legacy = true;
        if !asked.dialect.force_functions {
            let detail = "the server answered a request with `tools` by a legacy `function_call`; it was taken as a tool call";
            self.note("legacy_function_call", detail);
        }
        if self.calls.is_empty() {
            self.calls.push(PartialCall::default());
        }
        if let Some(call) = self.calls.first_mut() {
            call.name
                .push_str(function.name.as_deref().unwrap_or_default());
            call.arguments.push_str(
                function
                    .arguments
                    .as_ref()
                    .map_or("", |arguments| &arguments.0),
            );
        }
    }

    /// What was received, for an error.
    pub(super) fn received(&self) -> Received {
        Received {
            text: self.text.clone(),
            reasoning: self.reasoning.clone(),
        }
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> ModelError {
        ModelError::new(kind, message).with_received(self.received())
    }

    /// Decides whether the answer is one, and gives its items: reasoning, message, tool calls.
    pub(super) fn finish(&mut self, asked: &DecodeContext) -> Result<Vec<Item>, ModelError> {
        self.check_finish_reason(asked)?;
        // The calls' own order, whatever order they came in.
        self.calls.sort_by_key(|call| call.index);
        self.check_calls(asked)?;
        let mut items = Vec::with_capacity(self.calls.len() + 2);
        items.extend(self.reasoning_item());
        items.extend(self.message_item());
        items.extend(self.calls.iter().map(PartialCall::item));
        if self.text.is_empty() && self.refusal.is_empty() && self.calls.is_empty() {
            let what = if self.reasoning.is_empty() {
                "nothing"
            } else {
                "only reasoning"
            };
            return Err(self.error(
                ErrorKind::EmptyResponse,
                format!("the answer holds {what}: no text and no tool call"),
            ));
        }
        Ok(items)
    }

    fn check_finish_reason(&self, asked: &DecodeContext) -> Result<(), ModelError> {
        let Some(reason) = self.finish_reason.as_deref() else {
            return Ok(());
        };
        let end = asked
            .check_end("finish_reason", reason)
            .map_err(|error| error.with_received(self.received()))?;
        if end == FinishReason::ToolCalls && self.calls.is_empty() {
            let message = format!("finish_reason is `{reason}`, but there is no tool call");
            let kind = if self.text.is_empty() {
                ErrorKind::EmptyResponse
            } else {
                ErrorKind::Inconsistent
            };
            return Err(self.error(kind, message));
        }
        Ok(())
    }

    fn check_calls(&mut self, asked: &DecodeContext) -> Result<(), ModelError> {
        let mut assigned = Vec::new();
        for (n, call) in self.calls.iter_mut().enumerate() {
            if call.name.is_empty() {
                let says = excerpt(&call.arguments);
                return Err(self.error(
                    ErrorKind::MissingField,
                    format!("tool call {n} has no name (arguments: {says})"),
                ));
            }
            call.check_name()?;
            if call.id.is_empty() {
                call.id = format!("call_{}_{n}", asked.turn);
                assigned.push(call.id.clone());
            }
        }
        if !assigned.is_empty() && !self.is_legacy {
            self.note(
                "missing_tool_call_id",
                format!(
                    "the server sent tool calls without an id; they were given {}",
                    assigned.join(", ")
                ),
            );
        }
        if let Some(call) = self.calls.iter().find(|call| call.tool_name() != call.name) {
            let detail = format!(
                "the server called the tool `{}` by its Harmony name `{}`; the namespace was taken off",
                call.tool_name(),
                call.name
            );
            self.note("harmony_tool_prefix", detail);
        }
        for (n, call) in self.calls.iter().enumerate() {
            if self.calls.iter().take(n).any(|other| other.id == call.id) {
                let message = format!("two tool calls of one answer have the id {:?}", call.id);
                return Err(self.error(ErrorKind::DuplicateToolCallId, message));
            }
        }
        Ok(())
    }

    fn reasoning_item(&self) -> Option<Item> {
        if self.reasoning.is_empty() && self.thinking.is_empty() {
            return None;
        }
        let mut provider_data = Map::new();
        let mut reasoning = if self.reasoning.is_empty() {
            Reasoning::default()
        } else if self.reasoning_field {
            // The Python SDK's mark for the field, so that either SDK sends it back there.
            provider_data.insert(
                "_chat_completions_reasoning_field".to_owned(),
                json!("reasoning"),
            );
            Reasoning::from_content(&*self.reasoning)
        } else {
            Reasoning::from_summary(&*self.reasoning)
        };
        if !self.thinking.is_empty() {
            provider_data.insert(thinking::KEY.to_owned(), self.thinking.to_json());
        }
        if !provider_data.is_empty() {
            reasoning
                .extra
                .insert("provider_data".to_owned(), Value::Object(provider_data));
        }
        Some(reasoning.into())
    }

    fn message_item(&self) -> Option<Item> {
        let mut parts = Vec::with_capacity(1);
        if !self.text.is_empty() {
            parts.push(Part::OutputText {
                text: self.text.clone(),
            });
        }
        if !self.refusal.is_empty() {
            parts.push(Part::Refusal {
                refusal: self.refusal.clone(),
            });
        }
        if parts.is_empty() {
            return None;
        }
        let extra = Map::from_iter([("status".to_owned(), json!("completed"))]);
        Some(
            Message {
                role: Role::Assistant,
                content: Content::Parts(parts),
                extra,
            }
            .into(),
        )
    }

    /// What is known beside the items.
    pub(super) fn end(&mut self) -> ResponseEnd {
        ResponseEnd {
            response_id: self.id.take(),
            request_id: None,
            model: self.model.take(),
            finish_reason: self.finish_reason.take(),
            usage: self.usage,
            deviations: std::mem::take(&mut self.deviations),
        }
    }
}

impl PartialCall {
    fn item(&self) -> Item {
        let mut call = FunctionCall::new(&*self.id, self.tool_name(), &*self.arguments);
        if !self.extra.is_empty() {
            call.extra.insert(
                "provider_data".to_owned(),
                json!({ "tool_call": self.extra }),
            );
        }
        call.into()
    }
}
