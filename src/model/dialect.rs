//! What one server does differently from another, as data.

use std::collections::BTreeMap;

use crate::model::{FinishReason, ToolChoice};

/// How a server wants to be spoken to; the default is OpenAI's own way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate fact about a server"
)]
pub struct Dialect {
    /// The body has `model` and `messages`, and `stream` when streaming; nothing else (`VLLM_MIN_PAYLOAD`).
    pub min_payload: bool,
    /// Tools go out as the legacy `functions` and `function_call`, outputs with role `function` (`VLLM_FORCE_FUNCTIONS`).
    pub force_functions: bool,
    /// `parallel_tool_calls` is sent when it is set; `VLLM_DISABLE_PARALLEL_TOOL_CALLS` turns it off.
    pub send_parallel_tool_calls: bool,
    /// What is sent as tool choice, whatever the settings say (`VLLM_TOOL_CHOICE`).
    pub tool_choice: Option<ToolChoiceOverride>,
    /// Tools are told to the model; `VLLM_DISABLE_TOOLS_IN_LLM` turns it off.
    pub send_tools: bool,
    /// The request is logged, pretty-printed and redacted, at `debug` (`VLLM_DEBUG_PAYLOAD`).
    pub log_payload: bool,
    /// Usage is asked for in streams (`stream_options.include_usage`).
    pub stream_usage: bool,
    /// Reasoning text of tool turns is sent back in the field that it came in.
    pub replay_reasoning: bool,
    /// What words for the end of an answer mean.
    ///
    /// They go before those that are known of all servers ([`FinishReason`]).
    pub finish_reasons: BTreeMap<String, FinishReason>,
    /// What becomes of pictures, sounds and files that tools give, on the chat API.
    pub tool_media: ToolMedia,
}

/// What becomes of pictures, sounds and files that tools give, on the chat API.
///
/// The chat API takes only text from a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolMedia {
    /// The model is told in words, at its place, that it was left out.
    ///
    /// A deviation says so too.
    #[default]
    Described,
    /// It is sent as a message of the user, behind all outputs of the turn.
    UserMessage,
}

/// A tool choice that overrides the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoiceOverride {
    /// `"auto"`.
    Auto,
    /// `"none"`.
    None,
    /// `{"type":"auto"}`.
    ObjectAuto,
    /// `{"type":"none"}`.
    ObjectNone,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            min_payload: false,
            force_functions: false,
            send_parallel_tool_calls: true,
            tool_choice: None,
            send_tools: true,
            log_payload: false,
            stream_usage: true,
            replay_reasoning: true,
            finish_reasons: BTreeMap::new(),
            tool_media: ToolMedia::Described,
        }
    }
}

impl Dialect {
    /// Says what the server's word for the end of an answer means; `None` if nobody knows.
    #[cfg(feature = "http")]
    pub(crate) fn finish_reason(&self, word: &str) -> Option<FinishReason> {
        let own = self.finish_reasons.get(word).copied();
        own.or_else(|| FinishReason::from_word(word))
    }

    /// Returns the JSON to send as tool choice, if any.
    pub(crate) fn tool_choice(&self, choice: Option<&ToolChoice>) -> Option<serde_json::Value> {
        use serde_json::json;
        Some(match (self.tool_choice, choice) {
            (Some(ToolChoiceOverride::Auto), _) => json!("auto"),
            (Some(ToolChoiceOverride::None), _) => json!("none"),
            (Some(ToolChoiceOverride::ObjectAuto), _) => json!({ "type": "auto" }),
            (Some(ToolChoiceOverride::ObjectNone), _) => json!({ "type": "none" }),
            (None, None) => return None,
            (None, Some(ToolChoice::Auto)) => json!("auto"),
            (None, Some(ToolChoice::None)) => json!("none"),
            (None, Some(ToolChoice::Required)) => json!("required"),
            (None, Some(ToolChoice::Hosted(choice))) => choice.clone().into(),
            (None, Some(ToolChoice::Function(name))) if self.force_functions => {
                json!({ "name": name })
            }
            (None, Some(ToolChoice::Function(name))) => {
                json!({ "type": "function", "function": { "name": name } })
            }
        })
    }
}
