//! What the model thought.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Item, ItemKind};

/// Reasoning of the model, as text or encrypted.
///
/// Servers of the chat API have two fields for it: `reasoning_content` is kept as a summary, `reasoning` as content, as the Python
/// SDK does, so that each goes back in the field that it came in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename = "reasoning")]
#[non_exhaustive]
pub struct Reasoning {
    /// Summaries that may be shown.
    #[serde(default)]
    pub summary: Vec<ReasoningPart>,
    /// The reasoning itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<ReasoningPart>>,
    /// Every other field of the item, such as `id` and `encrypted_content`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One part of a reasoning item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReasoningPart {
    /// `summary_text` or `reasoning_text`.
    pub r#type: String,
    /// The text.
    pub text: String,
}

impl Item {
    /// Takes the id away from reasoning; another item stays as it is.
    pub(crate) fn without_reasoning_id(self) -> Self {
        match self.kind() {
            ItemKind::Reasoning(reasoning) if reasoning.extra.contains_key("id") => {
                let mut reasoning = reasoning.clone();
                reasoning.extra.shift_remove("id");
                reasoning.into()
            }
            _ => self,
        }
    }
}

impl Reasoning {
    /// Makes reasoning from a summary.
    pub fn from_summary(text: impl Into<String>) -> Self {
        Self {
            summary: vec![ReasoningPart {
                r#type: "summary_text".to_owned(),
                text: text.into(),
            }],
            ..Self::default()
        }
    }

    /// Makes reasoning from its content.
    pub fn from_content(text: impl Into<String>) -> Self {
        Self {
            content: Some(vec![ReasoningPart {
                r#type: "reasoning_text".to_owned(),
                text: text.into(),
            }]),
            ..Self::default()
        }
    }

    /// Returns the whole text: the content, or the summary where there is no content.
    pub fn text(&self) -> String {
        let parts = match &self.content {
            Some(content) if !content.is_empty() => content,
            _ => &self.summary,
        };
        parts.iter().map(|part| part.text.as_str()).collect()
    }
}
