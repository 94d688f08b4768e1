//! Stands in for the microphone in a program without the feature: opening one is an error.
#![expect(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the functions are those of the program that has the feature"
)]

use std::time::Duration;

use anyhow::Result;
use futures_util::Stream;
use openai_agents::config::Config;
use openai_agents::model::ModelError;
use openai_agents::model::voice::{PcmAudio, SpeechEvent, SpeechUsage, TranscriptionEvent};
use openai_agents::realtime::RealtimeSession;
use openai_agents::voice::Pipeline;

use super::realtime::{TerminalSession, UserMessage};
use super::talk::TalkTurn;
use crate::exit::Exit;
use crate::failure::Usage;
use crate::signal::Signals;
use crate::typed_lines::TypedLines;

/// Never exists: the functions below compile without a device, and cannot be called.
pub(super) enum Microphone {}

/// Never exists.
pub(super) enum Speaker {}

/// Never exists.
pub(super) enum QuestionRecorder {}

/// Never exists.
pub(super) enum RecordingEnd {}

/// Never made, because its microphone never exists.
#[expect(dead_code, reason = "its microphone says that it is not there")]
pub(super) struct LiveSound {
    pub(super) microphone: Microphone,
    pub(super) speaker: Speaker,
    pub(super) half_duplex: bool,
}

fn missing<T>() -> Result<T> {
    let message = "this program was built without its feature `microphone`; \
        `cargo install --path cli --features microphone` builds it (Debian: apt-get install pkg-config libasound2-dev)";
    Err(Usage(message.to_owned()).into())
}

pub(super) fn list(_json: bool) -> Result<()> {
    missing()
}

impl Microphone {
    pub(super) async fn open(_wanted: Option<&str>) -> Result<Self> {
        missing()
    }
}

impl Speaker {
    pub(super) async fn open(_wanted: Option<&str>) -> Result<Self> {
        missing()
    }
}

impl QuestionRecorder {
    pub(super) fn new(
        microphone: Microphone,
        _silence: Duration,
        _interrupts: Option<&Signals>,
    ) -> Result<Self> {
        match microphone {}
    }

    pub(super) async fn record(&mut self) -> Result<(PcmAudio, RecordingEnd)> {
        match *self {}
    }

    pub(super) fn into_stream(
        self,
    ) -> (
        super::listen::SampleStream,
        futures_util::stream::Empty<Result<TranscriptionEvent>>,
    ) {
        match self {}
    }
}

pub(super) async fn speak(
    _events: impl Stream<Item = Result<SpeechEvent, ModelError>> + Unpin,
    speaker: Speaker,
    _config: &Config,
) -> Result<(f64, Option<SpeechUsage>)> {
    match speaker {}
}

pub(super) async fn answer(
    _pipeline: &mut Pipeline,
    _turn: &mut TalkTurn<'_>,
    speaker: &mut Speaker,
) -> Result<Option<Exit>> {
    match *speaker {}
}

pub(super) async fn talk(
    _pipeline: &mut Pipeline,
    _turn: &mut TalkTurn<'_>,
    recorder: QuestionRecorder,
    _speaker: Speaker,
) -> Result<Exit> {
    match recorder {}
}

pub(super) async fn converse(
    _terminal: &mut TerminalSession,
    _session: &mut RealtimeSession,
    _first: Option<UserMessage>,
    _lines: Option<TypedLines>,
    sound: LiveSound,
) -> Result<()> {
    match sound.microphone {}
}
