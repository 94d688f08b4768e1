//! What speech recognition and speech synthesis are to this crate: a request in, a stream of events out.

mod audio;
mod stt;
mod tts;

pub use audio::{AudioError, AudioFile, PcmAudio};
pub use stt::{
    LiveRequest, Stt, TimestampGranularity, Transcript, TranscriptFormat, TranscriptSegment,
    TranscriptWord, TranscriptionEvent, TranscriptionRequest,
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

impl SpeechUsage {
    /// Reads what a request cost; a form that is not known is kept.
    pub(crate) fn read(value: Option<&Value>) -> Option<Self> {
        let value = value.filter(|value| !value.is_null())?;
        let count = |key: &str| value.get(key).and_then(Value::as_u64);
        let seconds = value.get("seconds").and_then(Value::as_f64);
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Some(
            match (count("input_tokens"), count("output_tokens"), seconds) {
                (Some(input), Some(output), _) => Self::Tokens {
                    input,
                    output,
                    total: count("total_tokens").unwrap_or_else(|| input.saturating_add(output)),
                },
                (_, _, Some(seconds)) => Self::Duration(seconds),
                _ => Self::Other(value.clone()),
            },
        )
    }
}
