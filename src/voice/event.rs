//! What a spoken conversation reports to its application.

use std::time::Duration;

use crate::agent::runner::RunEvent;
use crate::model::voice::{PcmAudio, Transcript};

/// An event of a spoken turn.
#[derive(Debug)]
#[non_exhaustive]
pub enum VoiceEvent {
    /// Another piece of what the user said.
    UserTranscriptDelta {
        /// The new piece.
        delta: String,
    },
    /// All that the user said.
    ///
    /// Without a letter or digit in it, as after a noise, the agent does not answer.
    UserTranscriptDone {
        /// All of it.
        transcript: Box<Transcript>,
    },
    /// Something happened in the run of the agent.
    Run {
        /// What.
        event: Box<RunEvent>,
    },
    /// A sentence of the answer begins; its audio follows.
    SentenceStarted {
        /// The sentence.
        text: String,
    },
    /// Audio to play after all audio before it.
    Audio {
        /// The audio.
        audio: PcmAudio,
    },
    /// The turn is over and all its audio was given out.
    ///
    /// It may still be playing.
    TurnDone,
}

/// Says what the listener heard of an answer that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interruption {
    /// How much of the answer's audio was heard.
    pub heard: Duration,
    /// The text of it, up to a whole word.
    ///
    /// The conversation keeps only this of the answer.
    ///
    /// Within a sentence it is an estimate, by the share of the sentence's audio that was heard.
    pub text: String,
}
