//! Text from speech.

use std::fmt;
use std::time::Duration;

use futures_core::Stream;

use super::{AudioFile, PcmAudio, SpeechUsage};
use crate::future::BoxStream;
use crate::model::{Delivery, Deviation, ModelError};

/// Writes speech down.
///
/// The drivers of the crate are [`OpenAiStt`](crate::model::OpenAiStt) for recordings and
/// [`OpenAiLiveStt`](crate::model::OpenAiLiveStt) for speech as it comes; another engine is a type that implements this trait. One call is one
/// request: an implementation neither retries nor falls back. Nothing happens before the stream is first polled, and dropping it ends the
/// request. The last event is [`TranscriptionEvent::Done`]; a stream without it is an error.
pub trait Stt: Send + Sync {
    /// Names the model, as events and traces show it.
    fn name(&self) -> &str;

    /// Begins to write a recording down.
    fn transcribe(
        &self,
        request: TranscriptionRequest,
    ) -> BoxStream<'static, Result<TranscriptionEvent, ModelError>>;

    /// Starts transcribing speech that is still going on.
    ///
    /// It is `None` if the engine takes whole recordings only.
    ///
    /// The end of the audio is the end of the turn. An engine that finds the end of a turn by itself may be done before.
    fn transcribe_live(
        &self,
        request: LiveRequest,
    ) -> Option<BoxStream<'static, Result<TranscriptionEvent, ModelError>>> {
        drop(request);
        None
    }
}

/// Speech that is still going on, and how to transcribe it.
#[non_exhaustive]
pub struct LiveRequest {
    /// The audio as it comes, all in one format.
    pub audio: BoxStream<'static, PcmAudio>,
    /// The language, as `en`, if it is known.
    pub language: Option<String>,
    /// Words that help with names and spelling.
    pub prompt: Option<String>,
}

impl LiveRequest {
    /// Asks for the text of this audio.
    pub fn new(audio: impl Stream<Item = PcmAudio> + Send + 'static) -> Self {
        Self {
            audio: Box::pin(audio),
            language: None,
            prompt: None,
        }
    }
}

impl fmt::Debug for LiveRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveRequest")
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

/// A recording, and how to transcribe it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TranscriptionRequest {
    /// The recording.
    pub audio: AudioFile,
    /// Whole, or as a stream of pieces where the server can do that.
    pub delivery: Delivery,
    /// The form of the answer.
    pub format: TranscriptFormat,
    /// The language, as `en`, if it is known.
    pub language: Option<String>,
    /// Words that help with names and spelling.
    pub prompt: Option<String>,
    /// How freely the model guesses.
    pub temperature: Option<f64>,
    /// What is to have times, in [`TranscriptFormat::VerboseJson`].
    pub timestamps: Vec<TimestampGranularity>,
    /// Further fields of the form, as the API names them.
    pub extra: Vec<(String, String)>,
}

impl TranscriptionRequest {
    /// Asks for the text of a recording.
    pub const fn new(audio: AudioFile) -> Self {
        Self {
            audio,
            delivery: Delivery::Whole,
            format: TranscriptFormat::Json,
            language: None,
            prompt: None,
            temperature: None,
            timestamps: Vec::new(),
            extra: Vec::new(),
        }
    }
}

/// The form of a transcript.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranscriptFormat {
    /// The text.
    #[default]
    Json,
    /// The text, as the server writes it into a file.
    Text,
    /// Subtitles in the format `SubRip`.
    Srt,
    /// Subtitles in the format `WebVTT`.
    Vtt,
    /// The text with language, length and times.
    VerboseJson,
    /// The text with who says what.
    DiarizedJson,
}

impl TranscriptFormat {
    /// Every format there is.
    pub const ALL: [Self; 6] = [
        Self::Json,
        Self::Text,
        Self::Srt,
        Self::Vtt,
        Self::VerboseJson,
        Self::DiarizedJson,
    ];

    /// Returns the name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::VerboseJson => "verbose_json",
            Self::DiarizedJson => "diarized_json",
        }
    }

    /// Whether the server's answer is JSON.
    pub(crate) const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::VerboseJson | Self::DiarizedJson)
    }
}

/// What of a transcript has times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampGranularity {
    /// Each word.
    Word,
    /// Each segment.
    Segment,
}

impl TimestampGranularity {
    /// Returns the name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Segment => "segment",
        }
    }
}

/// An event of a transcription.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TranscriptionEvent {
    /// More of the text.
    Delta {
        /// The new piece.
        delta: String,
    },
    /// Another event of the server, verbatim.
    Other {
        /// Its type.
        name: String,
        /// Its JSON.
        json: String,
    },
    /// All of it; nothing comes behind this.
    Done(Box<Transcript>),
}

/// A recording as text.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Transcript {
    /// The text; in a format of files the file.
    pub text: String,
    /// The language that was heard.
    pub language: Option<String>,
    /// The length of the recording.
    pub duration: Option<Duration>,
    /// Segments with their times.
    pub segments: Vec<TranscriptSegment>,
    /// Words with their times.
    pub words: Vec<TranscriptWord>,
    /// What it cost.
    pub usage: Option<SpeechUsage>,
    /// The answer as the server sent it, for what is not read here.
    pub body: String,
    /// What the server did differently from the API.
    pub deviations: Vec<Deviation>,
}

/// A part of a transcript.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TranscriptSegment {
    /// When it begins.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
    /// What is said.
    pub text: String,
    /// Who says it.
    pub speaker: Option<String>,
}

/// A word of a transcript.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TranscriptWord {
    /// When it begins.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
    /// The word.
    pub word: String,
}

impl TranscriptSegment {
    pub(crate) const fn new(
        start: Duration,
        end: Duration,
        text: String,
        speaker: Option<String>,
    ) -> Self {
        Self {
            start,
            end,
            text,
            speaker,
        }
    }
}

impl TranscriptWord {
    pub(crate) const fn new(start: Duration, end: Duration, word: String) -> Self {
        Self { start, end, word }
    }
}

impl Transcript {
    /// Makes a transcript of a text.
    pub fn of_text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            body: text.clone(),
            text,
            ..Self::default()
        }
    }
}
