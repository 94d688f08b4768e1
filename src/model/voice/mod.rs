//! What speech recognition and speech synthesis are to this crate: a request in, a stream of events out.

mod audio;
mod stt;
mod tts;

pub use audio::{AudioError, AudioFile, PcmAudio};
pub use stt::{
    Stt, TimestampGranularity, Transcript, TranscriptFormat, TranscriptSegment, TranscriptWord,
    TranscriptionEvent, TranscriptionRequest,
};
pub use tts::{SpeechEvent, SpeechFormat, SpeechRequest, Tts};

use std::time::Duration;

use serde_json::Value;

/// What a speech request cost, as the server counted it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SpeechUsage {
    /// By tokens.
    Tokens {
        /// Tokens of the input.
        input: u64,
        /// Tokens of the output.
        output: u64,
        /// Tokens in total.
        total: u64,
    },
    /// By the length of the audio.
    Duration(Duration),
    /// In a way that this crate does not know, verbatim.
    Other(Value),
}
