//! What a spoken conversation tells its application.

use std::time::Duration;

use crate::agent::runner::RunEvent;
use crate::model::voice::{PcmAudio, Transcript};

/// An event of a turn.
#[derive(Debug)]
#[non_exhaustive]
pub enum VoiceEvent {
    /// More of what the user said.
    UserTranscriptDelta {
        /// The new piece.
        delta: String,
    },
    /// What the user said. If it is no word, nothing is answered.
    UserTranscriptDone {
        /// All of it.
        transcript: Box<Transcript>,
    },
    /// Something happened in the run of the agent.
    Run {
        /// What.
        event: Box<RunEvent>,
    },
    /// A sentence of the answer begins to be spoken; its audio follows.
    SentenceStarted {
        /// The sentence.
        text: String,
    },
    /// Audio to play behind all audio before it.
    Audio {
        /// The audio.
        audio: PcmAudio,
    },
    /// The turn is over, and all its audio was given out.
    TurnDone,
}

/// What was heard of an answer that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interruption {
    /// How much of its audio was heard.
    pub heard: Duration,
    /// The text of that, up to a whole word; it is all that the conversation keeps of the answer.
    ///
    /// Where in a sentence it ends is an estimate, by the share of the sentence's audio that was heard.
    pub text: String,
}
