//! The settings of a realtime session, as `session.update` sends them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AudioFormat, TurnDetection};
use crate::model::ToolChoice;
use crate::tools::ToolSpec;

/// Holds the settings of a realtime session.
///
/// What is not set is not sent, and is the server's choice.
///
/// The audio formats are always sent, with every change: a server that takes a `session.update` as a whole would reset them otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RealtimeSettings {
    /// What the model is told before the conversation.
    pub instructions: Option<Arc<str>>,
    /// The tools that the model may call.
    pub tools: Arc<[ToolSpec]>,
    /// Whether and which tool the model must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model answers in audio or in text.
    pub modality: Modality,
    /// The voice; servers let it change only before the first audio.
    pub voice: Option<String>,
    /// How fast the voice speaks; 1 is usual.
    pub speed: Option<f64>,
    /// The format of the user's audio.
    pub input_format: AudioFormat,
    /// The format of the model's audio.
    pub output_format: AudioFormat,
    /// How the user's speech is transcribed.
    pub transcription: Option<Transcription>,
    /// `near_field` or `far_field`.
    pub noise_reduction: Option<String>,
    /// How the turns of the user are found.
    pub turn_detection: Option<TurnDetection>,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<u32>,
    /// Further fields of the session, laid over these.
    pub extra: Map<String, Value>,
}

/// What a realtime model answers in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Modality {
    /// Audio, with its transcript.
    #[default]
    Audio,
    /// Text.
    Text,
}

/// Says how the user's speech is transcribed.
///
/// The transcript is for people and the history; the model hears the audio.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transcription {
    /// The model that writes it down.
    pub model: String,
    /// The language, as `en`.
    pub language: Option<String>,
    /// Words that help with names and spelling.
    pub prompt: Option<String>,
}

impl Transcription {
    /// Has this model write speech down.
    pub fn by(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            language: None,
            prompt: None,
        }
    }
}

impl Modality {
    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Text => "text",
        }
    }
}
