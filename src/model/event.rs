//! What comes back from a model, in pieces and folded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
#[cfg(feature = "http")]
use crate::model::memory_limit::KeptAnswer;
use crate::model::{Delivery, JsonText, ModelError};
use crate::usage::Usage;

/// One event of a model's answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ModelEvent {
    /// More of the answer's text.
    TextDelta {
        /// The new piece.
        delta: String,
    },
    /// More of a refusal.
    RefusalDelta {
        /// The new piece.
        delta: String,
    },
    /// More of the reasoning.
    ReasoningDelta {
        /// The new piece.
        delta: String,
    },
    /// A tool call began; its name is known.
    ToolCallStarted {
        /// The place of the call in this response, by when it began, from 0.
        index: usize,
        /// The call's id, as its [`ItemDone`](Self::ItemDone) has it.
        call_id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a tool call's arguments.
    ToolCallDelta {
        /// The place of the call in this response, by when it began, from 0.
        index: usize,
        /// The new piece of JSON.
        delta: String,
    },
    /// Another event of the server, such as the progress of a hosted tool.
    Other {
        /// Its type.
        name: String,
        /// Its JSON, verbatim.
        json: String,
    },
    /// An item is complete.
    ItemDone {
        /// The item.
        item: Item,
    },
    /// The response is complete.
    ResponseDone(Box<ResponseMeta>),
}

impl ModelEvent {
    /// More of the answer's text.
    pub fn text_delta(delta: impl Into<String>) -> Self {
        Self::TextDelta {
            delta: delta.into(),
        }
    }

    /// More of the reasoning.
    pub fn reasoning_delta(delta: impl Into<String>) -> Self {
        Self::ReasoningDelta {
            delta: delta.into(),
        }
    }

    /// A tool call began.
    pub fn tool_call_started(
        index: usize,
        call_id: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self::ToolCallStarted {
            index,
            call_id: call_id.into(),
            name: name.into(),
        }
    }

    /// More of a tool call's arguments.
    pub fn tool_call_delta(index: usize, delta: impl Into<String>) -> Self {
        Self::ToolCallDelta {
            index,
            delta: delta.into(),
        }
    }

    /// An item is complete.
    pub const fn item_done(item: Item) -> Self {
        Self::ItemDone { item }
    }

    /// The response is complete.
    pub fn response_done(meta: ResponseMeta) -> Self {
        Self::ResponseDone(Box::new(meta))
    }

    /// Names the variant, for errors.
    const fn name(&self) -> &'static str {
        match self {
            Self::TextDelta { .. } => "TextDelta",
            Self::RefusalDelta { .. } => "RefusalDelta",
            Self::ReasoningDelta { .. } => "ReasoningDelta",
            Self::ToolCallStarted { .. } => "ToolCallStarted",
            Self::ToolCallDelta { .. } => "ToolCallDelta",
            Self::Other { .. } => "Other",
            Self::ItemDone { .. } => "ItemDone",
            Self::ResponseDone(_) => "ResponseDone",
        }
    }

    /// Says whether it is a piece of what an [`ItemDone`](Self::ItemDone) brings whole.
    pub const fn is_delta(&self) -> bool {
        match self {
            Self::TextDelta { .. }
            | Self::RefusalDelta { .. }
            | Self::ReasoningDelta { .. }
            | Self::ToolCallStarted { .. }
            | Self::ToolCallDelta { .. } => true,
            Self::Other { .. } | Self::ItemDone { .. } | Self::ResponseDone(_) => false,
        }
    }
}

/// What is known when a response is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseMeta {
    /// The response's id.
    pub response_id: Option<String>,
    /// The server's id of the request, from its headers.
    pub request_id: Option<String>,
    /// The model that answered, as the server names it.
    pub model: Option<String>,
    /// Why the answer ended, as the server says it.
    pub finish_reason: Option<String>,
    /// What it cost; `None` if the server does not say.
    pub usage: Option<Usage>,
    /// The server's own usage object, with the counts that [`Usage`] has no field for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_json: Option<JsonText>,
    /// The other fields of the answer, such as `system_fingerprint`.
    ///
    /// Those of its choice stand under `choice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonText>,
    /// What the server did differently from the protocol and was tolerated.
    pub deviations: Vec<Deviation>,
    /// What the answer counts for in a [`MemoryLimit`](super::MemoryLimit), as long as anyone keeps this.
    #[cfg(feature = "http")]
    #[serde(skip)]
    pub(crate) memory: KeptAnswer,
}

/// Something that a server did differently from the protocol and that was tolerated.
///
/// It was tolerated since only one reading of it is possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deviation {
    /// A stable name, such as `missing_tool_call_id`.
    pub code: Cow<'static, str>,
    /// What was seen and what was made of it.
    pub detail: String,
    /// What stood in a field that could not be used, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
}

/// A complete answer.
///
/// A model of your own that has its answer whole makes the events from it:
///
/// ```
/// use openai_agents::model::{Delivery, ModelEvent, ModelResponse, ResponseMeta};
/// use openai_agents::{Item, Usage};
///
/// let meta = ResponseMeta::default().with_usage(Usage::of_request(12, 2, 14));
/// let response = ModelResponse::new([Item::assistant("Ahoy, sailor!")]).with_meta(meta.clone());
/// assert_eq!(
///     response.into_events(Delivery::Stream),
///     [
///         ModelEvent::text_delta("Ahoy, "),
///         ModelEvent::text_delta("sailor!"),
///         ModelEvent::item_done(Item::assistant("Ahoy, sailor!")),
///         ModelEvent::response_done(meta),
///     ]
/// );
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelResponse {
    /// The items, in order.
    pub items: Vec<Item>,
    /// What is known beside them.
    pub meta: ResponseMeta,
}

impl ModelResponse {
    /// Makes an answer of these items, of which nothing else is known.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self {
            items: items.into_iter().collect(),
            meta: ResponseMeta::default(),
        }
    }

    /// Says what is known beside the items.
    #[must_use]
    pub fn with_meta(mut self, meta: ResponseMeta) -> Self {
        self.meta = meta;
        self
    }

    /// Returns the events of the answer; for [`Delivery::Stream`] with deltas, a text word by word.
    pub fn into_events(self, delivery: Delivery) -> Vec<ModelEvent> {
        let mut events = Vec::with_capacity(self.items.len() + 1);
        let mut n_calls = 0;
        for item in self.items {
            if delivery == Delivery::Stream {
                push_deltas(&item, &mut n_calls, &mut events);
            }
            events.push(ModelEvent::item_done(item));
        }
        events.push(ModelEvent::response_done(self.meta));
        events
    }
}

/// The deltas of an item: a text word by word, a call's arguments in one piece.
fn push_deltas(item: &Item, n_calls: &mut usize, events: &mut Vec<ModelEvent>) {
    match item.kind() {
        ItemKind::Message(message) => {
            // Words with their space, so that the pieces put together are the text again.
            let text = message.text("");
            events.extend(text.split_inclusive(' ').map(ModelEvent::text_delta));
            events.extend(message.refusal().map(|refusal| ModelEvent::RefusalDelta {
                delta: refusal.to_owned(),
            }));
        }
        ItemKind::FunctionCall(call) => {
            let index = *n_calls;
            *n_calls += 1;
            let (id, name) = (call.call_id.as_str(), call.name.as_str());
            events.push(ModelEvent::tool_call_started(index, id, name));
            events.push(ModelEvent::ToolCallDelta {
                index,
                delta: call.arguments.clone(),
            });
        }
        ItemKind::Reasoning(reasoning) => events.push(ModelEvent::ReasoningDelta {
            delta: reasoning.text(),
        }),
        ItemKind::FunctionCallOutput(_) | ItemKind::Unknown { .. } => {}
    }
}

/// Folds the events of one response into the response.
#[derive(Debug, Default)]
pub struct ResponseAccumulator {
    items: Vec<Item>,
    meta: Option<Box<ResponseMeta>>,
    /// The ids of the calls that began, in that order.
    call_ids: Vec<String>,
    /// The first event that came behind the end.
    late: Option<&'static str>,
}

impl ResponseAccumulator {
    /// Adds an event.
    pub fn push(&mut self, event: ModelEvent) {
        // Noted here and judged in `finish`, since only then is there a result to refuse.
        if self.meta.is_some() && self.late.is_none() {
            self.late = Some(event.name());
        }
        match event {
            ModelEvent::ItemDone { item } => self.items.push(item),
            ModelEvent::ResponseDone(meta) => self.meta = Some(meta),
            ModelEvent::ToolCallStarted { call_id, .. } => self.call_ids.push(call_id),
            ModelEvent::TextDelta { .. }
            | ModelEvent::RefusalDelta { .. }
            | ModelEvent::ReasoningDelta { .. }
            | ModelEvent::ToolCallDelta { .. }
            | ModelEvent::Other { .. } => {}
        }
    }

    /// Returns the id of a call that began, by its place among them.
    pub(crate) fn call_id(&self, index: usize) -> Option<&str> {
        self.call_ids.get(index).map(String::as_str)
    }

    /// Returns the response.
    ///
    /// # Errors
    ///
    /// `no_terminal_event` when there was no [`ModelEvent::ResponseDone`], `inconsistent` when anything came behind it.
    pub fn finish(self) -> Result<ModelResponse, ModelError> {
        if let Some(late) = self.late {
            let message = format!("the model's stream went on after its response was done: {late}");
            return Err(ModelError::new(ErrorKind::Inconsistent, message));
        }
        match self.meta {
            Some(meta) => Ok(ModelResponse {
                items: self.items,
                meta: *meta,
            }),
            None => Err(ModelError::new(
                ErrorKind::NoTerminalEvent,
                "the model's stream ended without a complete response",
            )),
        }
    }
}

impl ResponseMeta {
    /// Sets the response's id.
    #[must_use]
    pub fn with_response_id(mut self, id: impl Into<String>) -> Self {
        self.response_id = Some(id.into());
        self
    }

    /// Sets the name of the model that answered.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets the server's word for why the answer ended.
    #[must_use]
    pub fn with_finish_reason(mut self, reason: impl Into<String>) -> Self {
        self.finish_reason = Some(reason.into());
        self
    }

    /// Sets what it cost.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Adds something that was tolerated.
    #[must_use]
    pub fn with_deviation(mut self, deviation: Deviation) -> Self {
        self.deviations.push(deviation);
        self
    }

    /// Removes secrets from everything that the server said.
    #[cfg(feature = "http")]
    pub(crate) fn redact(&mut self, redactor: &crate::secret::Redactor) {
        for deviation in &mut self.deviations {
            redactor.redact_in(&mut deviation.detail);
            if let Some(received) = &mut deviation.received {
                redactor.redact_in(received);
            }
        }
        let names = [
            &mut self.response_id,
            &mut self.request_id,
            &mut self.model,
            &mut self.finish_reason,
        ];
        for text in names.into_iter().flatten() {
            redactor.redact_in(text);
        }
        for json in [&mut self.usage_json, &mut self.extra]
            .into_iter()
            .flatten()
        {
            json.redact(redactor);
        }
    }
}

impl Deviation {
    /// Notes a deviation.
    pub fn new(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            detail: detail.into(),
            received: None,
        }
    }
}
