//! What comes back from a model, in pieces and folded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::ModelError;
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
    ResponseDone(Box<ResponseEnd>),
}

/// What is known when a response is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseEnd {
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
    pub usage_json: Option<Value>,
    /// The other fields of the answer, such as `system_fingerprint`; those of its choice stand under `choice`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// What the server did differently from the protocol and was tolerated.
    pub deviations: Vec<Deviation>,
}

/// Something that a server did differently from the protocol and that was tolerated, since only one reading of it is possible.
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
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelResponse {
    /// The items, in order.
    pub items: Vec<Item>,
    /// What is known beside them.
    pub end: ResponseEnd,
}

/// Folds the events of one response into the response.
#[derive(Debug, Default)]
pub struct ResponseFold {
    items: Vec<Item>,
    end: Option<Box<ResponseEnd>>,
}

impl ResponseFold {
    /// Takes an event.
    pub fn push(&mut self, event: ModelEvent) {
        match event {
            ModelEvent::ItemDone { item } => self.items.push(item),
            ModelEvent::ResponseDone(end) => self.end = Some(end),
            ModelEvent::TextDelta { .. }
            | ModelEvent::RefusalDelta { .. }
            | ModelEvent::ReasoningDelta { .. }
            | ModelEvent::ToolCallStarted { .. }
            | ModelEvent::ToolCallDelta { .. }
            | ModelEvent::Other { .. } => {}
        }
    }

    /// Gives the response.
    ///
    /// # Errors
    ///
    /// `no_terminal_event` when no [`ModelEvent::ResponseDone`] was taken.
    pub fn finish(self) -> Result<ModelResponse, ModelError> {
        match self.end {
            Some(end) => Ok(ModelResponse {
                items: self.items,
                end: *end,
            }),
            None => Err(ModelError::new(
                ErrorKind::NoTerminalEvent,
                "the model's stream ended without a complete response",
            )),
        }
    }
}

impl ResponseEnd {
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
        let extra = Value::Object(std::mem::take(&mut self.extra));
        if let Value::Object(extra) = redactor.redact_value(extra) {
            self.extra = extra;
        }
        self.usage_json = self
            .usage_json
            .take()
            .map(|usage| redactor.redact_value(usage));
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
