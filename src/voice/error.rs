//! What can go wrong in a spoken conversation.

use crate::error::RunError;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::voice::AudioError;

/// Says why a turn of a spoken conversation failed; the conversation goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoiceError {
    /// The audio cannot be used.
    #[error("{0}")]
    Audio(AudioError),
    /// There is no audio, so there is no turn.
    #[error("there is no audio to transcribe")]
    NoAudio,
    /// The speech could not be transcribed.
    #[error("the speech could not be transcribed: {0}")]
    Transcription(ModelError),
    /// The run of the agent failed.
    #[error("{0}")]
    Run(Box<RunError>),
    /// The answer could not be spoken.
    #[error("the answer could not be spoken: {0}")]
    Speech(ModelError),
}

impl VoiceError {
    /// Returns the stable kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Audio(error) => error.kind(),
            Self::NoAudio => ErrorKind::Unsupported,
            Self::Transcription(error) | Self::Speech(error) => error.kind(),
            Self::Run(error) => error.kind(),
        }
    }
}

impl From<AudioError> for VoiceError {
    fn from(error: AudioError) -> Self {
        Self::Audio(error)
    }
}
