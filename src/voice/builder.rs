//! Builds a pipeline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::pipeline::{Pipeline, TurnPhase};
use super::trace::TurnTrace;
use crate::item::Item;
use crate::model::Delivery;
use crate::model::voice::{AudioFile, SpeechRequest, Stt, TranscriptionRequest, Tts};
use crate::realtime::{Clock, StreamingSession};
use crate::trace::Tracer;

#[derive(Debug, Clone)]
pub(super) struct PipelineSettings {
    /// The request for every transcription; its audio is filled in.
    pub(super) transcription: TranscriptionRequest,
    /// The request for every sentence; its text is filled in.
    pub(super) speech: SpeechRequest,
    /// For how long after its own speech the pipeline ignores the microphone; `None` means it
    /// always listens.
    pub(super) half_duplex: Option<Duration>,
    pub(super) clock: Clock,
}

/// Builds a [`Pipeline`]; started by [`Pipeline::builder`].
///
/// It has a method `build` once both [`stt`](Self::stt) and [`tts`](Self::tts) are set.
#[must_use = "a pipeline is made by build()"]
pub struct PipelineBuilder<S = (), T = ()> {
    session: StreamingSession,
    stt: S,
    tts: T,
    settings: PipelineSettings,
    tracer: Option<Tracer>,
}

impl PipelineBuilder {
    pub(super) fn new(session: StreamingSession) -> Self {
        let mut transcription = TranscriptionRequest::new(AudioFile::new("audio.wav", ""));
        // The user sees their words as they are recognised. A model that cannot stream sends them all at
        // once.
        transcription.delivery = Delivery::Stream;
        Self {
            session,
            stt: (),
            tts: (),
            settings: PipelineSettings {
                transcription,
                speech: SpeechRequest::new("", ""),
                half_duplex: None,
                clock: Clock::default(),
            },
            tracer: None,
        }
    }
}

impl<S, T> PipelineBuilder<S, T> {
    /// Sets the engine that transcribes the user's speech.
    pub fn stt(self, stt: impl Stt + 'static) -> PipelineBuilder<Arc<dyn Stt>, T> {
        PipelineBuilder {
            session: self.session,
            stt: Arc::new(stt),
            tts: self.tts,
            settings: self.settings,
            tracer: self.tracer,
        }
    }

    /// Sets the engine that speaks the answers, and its voice.
    pub fn tts(
        mut self,
        tts: impl Tts + 'static,
        voice: impl Into<String>,
    ) -> PipelineBuilder<S, Arc<dyn Tts>> {
        self.settings.speech.voice = voice.into();
        PipelineBuilder {
            session: self.session,
            stt: self.stt,
            tts: Arc::new(tts),
            settings: self.settings,
            tracer: self.tracer,
        }
    }

    /// Continues a conversation; by default it begins empty.
    pub fn history(mut self, history: Vec<Item>) -> Self {
        self.session = self.session.with_history(history);
        self
    }

    /// Sets the language that the user speaks, such as `en`.
    ///
    /// By default the engine detects it.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.settings.transcription.language = Some(language.into());
        self
    }

    /// Gives the transcription words whose spelling it should know, such as names.
    pub fn transcription_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.settings.transcription.prompt = Some(prompt.into());
        self
    }

    /// Describes how the answers should be spoken, such as "cheerful".
    pub fn speech_instructions(mut self, instructions: impl Into<String>) -> Self {
        self.settings.speech.instructions = Some(instructions.into());
        self
    }

    /// Sets how fast the answers are spoken; 1 is normal.
    pub fn speed(mut self, speed: f64) -> Self {
        self.settings.speech.speed = Some(speed);
        self
    }

    /// Ignores the user's audio while the agent speaks, and for `hold` afterwards.
    ///
    /// For devices whose microphone hears their own loudspeaker. By default the pipeline always
    /// listens.
    pub fn half_duplex(mut self, hold: Duration) -> Self {
        self.settings.half_duplex = Some(hold);
        self
    }

    /// Records each turn as one trace: transcription, run and speech.
    ///
    /// Without a tracer a turn is recorded where a [scope](crate::trace::TraceScope) is current
    /// when it begins, and the run where the runner has a tracer.
    pub fn tracer(mut self, tracer: &Tracer) -> Self {
        self.tracer = Some(tracer.clone());
        self
    }

    /// Sets the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }
}

impl PipelineBuilder<Arc<dyn Stt>, Arc<dyn Tts>> {
    /// Makes the pipeline; nothing is sent yet.
    pub fn build(self) -> Pipeline {
        Pipeline {
            session: self.session,
            stt: self.stt,
            tts: self.tts,
            settings: self.settings,
            input: None,
            phase: TurnPhase::Idle,
            answer: None,
            plays_until: Duration::ZERO,
            trace: TurnTrace::new(self.tracer),
        }
    }
}

impl<S, T> fmt::Debug for PipelineBuilder<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("session", &self.session)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
