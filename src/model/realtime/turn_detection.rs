//! Who finds out that the user has finished speaking, and what follows from it.

use std::time::Duration;

/// How the turns of a spoken conversation are found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TurnDetection {
    /// By the silence between words.
    Server(ServerVad),
    /// By what is said: the user may pause inside a sentence.
    Semantic(SemanticVad),
    /// By the application, which commits the audio and asks for a response.
    Manual,
}

/// Turns by silence; what is not set is the server's choice.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerVad {
    /// How loud speech is, from 0 to 1.
    pub threshold: Option<f64>,
    /// How much audio before the speech belongs to it.
    pub prefix_padding: Option<Duration>,
    /// How long a silence ends the turn.
    pub silence: Option<Duration>,
    /// After how long without speech the model speaks by itself.
    pub idle_timeout: Option<Duration>,
    /// Whether the end of a turn makes the model answer.
    pub create_response: Option<bool>,
    /// Whether speech makes the server cancel the answer under way.
    pub interrupt_response: Option<bool>,
}

/// Turns by meaning; what is not set is the server's choice.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SemanticVad {
    /// How soon the model answers.
    pub eagerness: Option<Eagerness>,
    /// Whether the end of a turn makes the model answer.
    pub create_response: Option<bool>,
    /// Whether speech makes the server cancel the answer under way.
    pub interrupt_response: Option<bool>,
}

/// How soon a model with semantic turn detection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eagerness {
    /// It lets the user take their time.
    Low,
    /// In between.
    Medium,
    /// As soon as it can.
    High,
    /// The server's choice.
    Auto,
}

impl TurnDetection {
    /// Whether the server answers the end of a turn by itself.
    pub fn creates_responses(&self) -> bool {
        match self {
            Self::Server(vad) => vad.create_response.unwrap_or(true),
            Self::Semantic(vad) => vad.create_response.unwrap_or(true),
            Self::Manual => false,
        }
    }

    /// Whether the server cancels its answer by itself when the user speaks.
    pub fn interrupts_responses(&self) -> bool {
        match self {
            Self::Server(vad) => vad.interrupt_response.unwrap_or(true),
            Self::Semantic(vad) => vad.interrupt_response.unwrap_or(true),
            Self::Manual => false,
        }
    }
}

impl Eagerness {
    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }
}
