//! A chat answer as it comes together, whole or from pieces, and the rules by which it is taken or refused.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::model::wire::raw_json::RawJson;
use serde_json::{Map, Value, json};

use super::calls::Calls;
use super::extra::{BodyExtra, BodyFields, Extra, ExtraFields};
use super::thinking::{self, ThinkingBlocks};
use super::types::{ChatFunction, Logprobs};
use crate::item::{Content, Item, Message, Part, Reasoning, Role};
use crate::kind::ErrorKind;
use crate::model::wire::budget::{ResponseBudget, VALUE_COST, append};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::harmony::{leak::LeakGuard, served};
use crate::model::wire::usage::Reported;
use crate::model::wire::{DecodeContext, check_finish_reason, object};
use crate::model::{FinishReason, ModelError, ModelEvent, Received, ResponseMeta};

/// The answer so far.
pub(super) struct ResponseBuilder {
    cx: DecodeContext,
    id: Option<String>,
    model: Option<String>,
    /// The text that may be shown.
    text: String,
    guard: LeakGuard,
    refusal: String,
    reasoning: String,
    /// Whether the reasoning came in the field `reasoning`, not `reasoning_content`.
    reasoning_field: bool,
    thinking: ThinkingBlocks,
    pub(super) calls: Calls,
    annotations: Vec<Value>,
    /// The log probabilities of the text's tokens: JSON values, with commas between them.
    logprobs: String,
    /// What else the message, the choice and the body hold.
    message_extra: ExtraFields,
    choice_extra: ExtraFields,
    extra: BodyFields,
    finish_reason: Option<String>,
    usage: Reported,
    pub(super) notes: Deviations,
    pub(super) budget: ResponseBudget,
}

impl ResponseBuilder {
    pub(super) fn new(mut cx: DecodeContext) -> Self {
        let notes = Deviations::new(std::mem::take(&mut cx.deviations));
        let calls = Calls::new(cx.turn);
        Self {
            budget: ResponseBudget::new(cx.limits),
            cx,
            id: None,
            model: None,
            text: String::new(),
            guard: LeakGuard::default(),
            refusal: String::new(),
            reasoning: String::new(),
            reasoning_field: false,
            thinking: ThinkingBlocks::default(),
            calls,
            annotations: Vec::new(),
            logprobs: String::new(),
            message_extra: ExtraFields::new("message"),
            choice_extra: ExtraFields::new("choices[0]"),
            extra: BodyFields::default(),
            finish_reason: None,
            usage: Reported::default(),
            notes,
        }
    }

    pub(super) fn push_usage(&mut self, usage: Option<Reported>) {
        // Usage may come more than once. What counts something replaces what came before; what
        // counts nothing never does.
        if let Some(usage) = usage
            && (usage.usage.is_some() || self.usage.json.is_none())
        {
            self.usage = usage;
        }
    }

    pub(super) fn push_names(&mut self, id: Option<&str>, model: Option<&str>) {
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
    /// `harmony` when the text holds a control token, `limit_exceeded` when the answer is larger than it may be.
    pub(super) fn push_text<'a>(
        &mut self,
        delta: Cow<'a, str>,
    ) -> Result<Option<Cow<'a, str>>, ModelError> {
        self.budget.spend(delta.len())?;
        match self.guard.push(delta) {
            Ok(text) => {
                append(&mut self.text, &text);
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
            Err(leak) => Err(served::leaked("the answer", &leak)),
        }
    }

    /// Takes the end of the text and gives what was not shown of it yet.
    pub(super) fn end_text(&mut self) -> Option<String> {
        let rest = self.guard.finish()?;
        self.text.push_str(&rest);
        Some(rest)
    }

    pub(super) fn push_refusal(&mut self, text: &str) -> Result<(), ModelError> {
        self.budget.spend(text.len())?;
        append(&mut self.refusal, text);
        Ok(())
    }

    pub(super) fn push_reasoning(&mut self, text: &str, in_field: bool) -> Result<(), ModelError> {
        // Remembered, because the reasoning of a tool turn goes back in the field that it came in
        // (DeepSeek answers 400 without it).
        self.reasoning_field = in_field;
        self.budget.spend(text.len())?;
        append(&mut self.reasoning, text);
        Ok(())
    }

    /// Takes thoughts as `LiteLLM` passes them on from Anthropic.
    pub(super) fn push_thinking(&mut self, raw: Option<RawJson<'_>>) -> Result<(), ModelError> {
        let Some(raw) = raw else { return Ok(()) };
        self.budget.spend(raw.get().len())?;
        match object::value_of(raw) {
            Some(Value::Array(blocks)) if blocks.iter().all(Value::is_object) => {
                let blocks = blocks.into_iter().filter_map(|block| match block {
                    Value::Object(block) => Some(block),
                    _ => None,
                });
                self.thinking.push(blocks.collect());
            }
            _ => self
                .notes
                .field("unreadable_field", "message.thinking_blocks", raw.get()),
        }
        Ok(())
    }

    /// Takes the sources that the text names, which the Responses API has without the inner object.
    pub(super) fn push_annotations(&mut self, raw: Option<RawJson<'_>>) -> Result<(), ModelError> {
        let Some(raw) = raw else { return Ok(()) };
        self.budget
            .spend(raw.get().len().saturating_mul(VALUE_COST))?;
        let Some(Value::Array(annotations)) = object::value_of(raw) else {
            self.notes
                .field("unreadable_field", "message.annotations", raw.get());
            return Ok(());
        };
        for annotation in annotations {
            if annotation.is_object() {
                self.annotations.push(flattened(annotation));
            } else {
                let json = annotation.to_string();
                self.notes
                    .field("unreadable_field", "message.annotations[]", &json);
            }
        }
        Ok(())
    }

    /// Takes log probabilities of the text's tokens.
    pub(super) fn push_logprobs(&mut self, logprobs: Logprobs<'_>) -> Result<(), ModelError> {
        let list = logprobs.content.map_or("[]", RawJson::get);
        let inner = list.get(1..list.len() - 1).unwrap_or_default().trim();
        if !inner.is_empty() {
            // An entry is an object: its value takes a few times of what its JSON does.
            self.budget.spend(list.len().saturating_mul(4))?;
            if !self.logprobs.is_empty() {
                self.logprobs.push(',');
            }
            self.logprobs.push_str(inner);
        }
        let extra = logprobs.extra.into_iter();
        let extra = extra.map(|(key, raw)| (format!("logprobs.{key}").into(), raw));
        self.keep_of_choice(extra.collect())
    }

    /// Keeps fields of the message that are not acted on.
    pub(super) fn keep_of_message(&mut self, extra: Extra<'_>) -> Result<(), ModelError> {
        self.message_extra
            .push(extra, &mut self.notes, &mut self.budget)
    }

    /// Keeps fields of the choice that are not acted on.
    pub(super) fn keep_of_choice(&mut self, extra: Extra<'_>) -> Result<(), ModelError> {
        self.choice_extra
            .push(extra, &mut self.notes, &mut self.budget)
    }

    /// Keeps fields of the body that are not acted on.
    pub(super) fn keep_of_body(&mut self, extra: BodyExtra<'_>) -> Result<(), ModelError> {
        self.extra.push(extra, &mut self.notes, &mut self.budget)
    }

    /// Takes a legacy function call, or a piece of one.
    pub(super) fn push_legacy(&mut self, function: &ChatFunction<'_>) -> Result<(), ModelError> {
        let n_bytes = function.arguments.as_deref().map_or(0, str::len);
        self.calls.push_legacy(function, &self.cx, &mut self.notes);
        self.budget.spend(n_bytes)
    }

    /// Returns what was received, for an error.
    pub(super) fn take_received(&mut self) -> Received {
        Received {
            text: std::mem::take(&mut self.text),
            reasoning: std::mem::take(&mut self.reasoning),
        }
    }

    /// Decides whether the answer is one, and gives its items: reasoning, message, tool calls.
    pub(super) fn finish(
        &mut self,
        reason: Option<&str>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        self.finish_reason = reason.map(str::to_owned);
        // In this order: a cut answer is a cut answer, whatever else is wrong with it.
        self.check_finish_reason()?;
        self.calls.check(&mut self.notes)?;
        if self.text.is_empty() && self.refusal.is_empty() && self.calls.is_empty() {
            return Err(self.says_nothing());
        }
        // The order of the Responses API, whichever order the fields came in.
        let reasoning = self.reasoning_item();
        let message = self.message_item()?;
        let items = reasoning.into_iter().chain(message);
        events.extend(items.chain(self.calls.items()).map(ModelEvent::item_done));
        Ok(())
    }

    fn says_nothing(&self) -> ModelError {
        // Not empty: it said something, in a form that nobody asked for.
        if self.message_extra.contains("audio") {
            return ModelError::new(
                ErrorKind::Unsupported,
                "the server answered with `audio`, which was not asked for",
            );
        }
        let what = if self.reasoning.is_empty() {
            "nothing"
        } else {
            "only reasoning"
        };
        ModelError::new(
            ErrorKind::EmptyResponse,
            format!("the answer holds {what}: no text and no tool call"),
        )
    }

    fn check_finish_reason(&self) -> Result<(), ModelError> {
        let Some(reason) = self.finish_reason.as_deref() else {
            return Ok(());
        };
        let end = check_finish_reason(&self.cx.dialect, "finish_reason", reason)?;
        if end == FinishReason::ToolCalls && self.calls.is_empty() {
            let message = format!("finish_reason is `{reason}`, but there is no tool call");
            let kind = if self.text.is_empty() {
                ErrorKind::EmptyResponse
            } else {
                ErrorKind::Inconsistent
            };
            return Err(ModelError::new(kind, message));
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

    fn message_item(&mut self) -> Result<Option<Item>, ModelError> {
        let mut annotations = std::mem::take(&mut self.annotations);
        let logprobs = std::mem::take(&mut self.logprobs);
        if self.text.is_empty() {
            // Without a text that they could stand at, they are other fields of the message and the choice.
            if !annotations.is_empty() {
                let annotations = std::mem::take(&mut annotations);
                self.message_extra.insert("annotations", annotations.into());
            }
            if !logprobs.is_empty() {
                let json = format!("[{logprobs}]");
                let value = serde_json::from_str(&json).unwrap_or(Value::String(json));
                self.choice_extra.insert("logprobs", value);
            }
            if self.refusal.is_empty() {
                return Ok(None);
            }
        }
        let mut extra = Map::from_iter([("status".to_owned(), json!("completed"))]);
        let kept = self.message_extra.take();
        if !kept.is_empty() {
            extra.insert("provider_data".to_owned(), json!({ "message": kept }));
        }
        let mut parts = Vec::with_capacity(1);
        let (text, refusal) = (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.refusal),
        );
        if !text.is_empty() && (!annotations.is_empty() || !logprobs.is_empty()) {
            return marked(&[&text, &refusal], &annotations, &logprobs, &extra).map(Some);
        }
        if !text.is_empty() {
            parts.push(Part::OutputText { text });
        }
        if !refusal.is_empty() {
            parts.push(Part::Refusal { refusal });
        }
        let message = Message {
            role: Role::Assistant,
            content: Content::Parts(parts),
            extra,
        };
        Ok(Some(message.into()))
    }

    /// What is known beside the items.
    pub(super) fn take_meta(&mut self) -> ResponseMeta {
        // What came behind the finish reason, when the message was told already.
        if !self.annotations.is_empty() {
            let annotations = std::mem::take(&mut self.annotations);
            self.message_extra.insert("annotations", annotations.into());
        }
        let extra = self.extra.take([
            ("choice", self.choice_extra.take()),
            ("message", self.message_extra.take()),
        ]);
        ResponseMeta {
            response_id: self.id.take(),
            model: self.model.take(),
            finish_reason: self.finish_reason.take(),
            usage: self.usage.usage,
            usage_json: self.usage.json.take(),
            extra,
            deviations: self.notes.take(),
            ..ResponseMeta::default()
        }
    }
}

/// Returns an annotation in the shape of the Responses API: `{"type":"t","t":{..}}` becomes `{"type":"t",..}`.
fn flattened(mut annotation: Value) -> Value {
    let Some(object) = annotation.as_object_mut() else {
        return annotation;
    };
    let name = object
        .get("type")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(name) = name
        && let Some(Value::Object(inner)) = object.get(&name)
        && inner.keys().all(|key| !object.contains_key(key))
    {
        let inner = inner.clone();
        object.shift_remove(&name);
        object.extend(inner);
    }
    annotation
}

/// Makes a message whose text has annotations and log probabilities: they stand in its JSON, as the Responses API has them.
fn marked(
    [text, refusal]: &[&str; 2],
    annotations: &[Value],
    logprobs: &str,
    extra: &Map<String, Value>,
) -> Result<Item, ModelError> {
    let text = Value::from(*text);
    let annotations = Value::from(annotations);
    let mut json = format!(
        r#"{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":{text},"annotations":{annotations}"#
    );
    if !logprobs.is_empty() {
        json.extend([r#","logprobs":["#, logprobs, "]"]);
    }
    json.push('}');
    if !refusal.is_empty() {
        let part = json!({ "type": "refusal", "refusal": refusal });
        json.extend([",", &part.to_string()]);
    }
    json.push(']');
    for (key, value) in extra {
        let key = Value::from(key.as_str()).to_string();
        json.extend([",", &key, ":", &value.to_string()]);
    }
    json.push('}');
    Item::from_json(&json).map_err(|error| {
        let message = format!("the message of the answer cannot be kept: {error}");
        ModelError::new(ErrorKind::InvalidJson, message)
    })
}
