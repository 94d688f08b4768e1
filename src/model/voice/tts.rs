//! Speech from text.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::SpeechUsage;
use crate::future::BoxStream;
use crate::model::ModelError;

/// Speaks a text.
///
/// The driver of the crate is [`OpenAiTts`](crate::model::OpenAiTts); another engine is a type that implements this trait. One call is one
/// request: an implementation neither retries nor falls back. Nothing happens before the stream is first polled, and dropping it ends the
/// request. The first event is [`SpeechEvent::Started`] and the last [`SpeechEvent::Done`]; a stream without that is an error.
pub trait Tts: Send + Sync {
    /// Names the model, as events and traces show it.
    fn name(&self) -> &str;

    /// Begins to speak a text.
    fn speak(&self, request: SpeechRequest) -> BoxStream<'static, Result<SpeechEvent, ModelError>>;
}

/// A text, and how it is to be spoken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpeechRequest {
    /// The text; OpenAI takes 4,096 characters.
    pub text: String,
    /// The voice.
    pub voice: String,
    /// The format of the audio.
    pub format: SpeechFormat,
    /// How to say it.
    pub instructions: Option<String>,
    /// How fast; 1 is usual.
    pub speed: Option<f64>,
    /// Whether the audio is asked for as server-sent events.
    ///
    /// These say what it cost. Otherwise it is asked for as plain bytes.
    pub as_events: bool,
    /// Further fields of the request, as the API names them.
    pub extra: Map<String, Value>,
}

impl SpeechRequest {
    /// Asks for a text in a voice, as samples.
    pub fn new(text: impl Into<String>, voice: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            voice: voice.into(),
            format: SpeechFormat::Pcm,
            instructions: None,
            speed: None,
            as_events: false,
            extra: Map::new(),
        }
    }
}

/// The format of synthesised speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpeechFormat {
    /// MP3.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// AAC.
    Aac,
    /// FLAC.
    Flac,
    /// A WAV file.
    Wav,
    /// Signed 16-bit samples, little endian, mono; [`SpeechEvent::Started`] says how many a second.
    #[default]
    Pcm,
}

impl SpeechFormat {
    /// Every format there is.
    pub const ALL: [Self; 6] = [
        Self::Mp3,
        Self::Opus,
        Self::Aac,
        Self::Flac,
        Self::Wav,
        Self::Pcm,
    ];

    /// Returns the name in the API, which is the ending of files too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Pcm => "pcm",
        }
    }
}

/// An event of a text that is being spoken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SpeechEvent {
    /// The server has begun to answer.
    Started {
        /// The samples of a second, for [`SpeechFormat::Pcm`].
        ///
        /// It is what the server says, or else the 24,000 of the API.
        sample_rate_hz: u32,
    },
    /// More audio, in the format that was asked for; of [`SpeechFormat::Pcm`] always whole samples.
    Audio {
        /// The bytes.
        audio: Bytes,
    },
    /// Another event of the server, verbatim.
    Other {
        /// Its type.
        name: String,
        /// Its JSON.
        json: String,
    },
    /// There is no more audio.
    Done {
        /// What it cost, if the server says so.
        usage: Option<SpeechUsage>,
    },
}
