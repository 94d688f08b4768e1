//! A speech recogniser and a speech synthesiser that play scripts.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::future::BoxStream;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::voice::{
    LiveRequest, SpeechEvent, SpeechRequest, Stt, Transcript, TranscriptionEvent,
    TranscriptionRequest, Tts,
};

/// Hears the next text of a script in each recording, and keeps the requests.
///
/// The text comes word by word. A recording past the end of the script is an error. Clones share the script.
///
/// ```
/// use openai_agents::testing::ScriptedStt;
///
/// let stt = ScriptedStt::new(["What time is it?", "Thank you."]);
/// assert!(stt.requests().is_empty());
/// ```
#[derive(Clone)]
pub struct ScriptedStt(Arc<Mutex<SttScript>>);

#[derive(Default)]
struct SttScript {
    is_live: bool,
    texts: VecDeque<Result<String, ModelError>>,
    requests: Vec<TranscriptionRequest>,
}

/// Speaks each text as silence of ten milliseconds for a character, and keeps the requests.
///
/// Clones share the script.
///
/// ```
/// use openai_agents::testing::ScriptedTts;
///
/// let tts = ScriptedTts::new();
/// assert!(tts.requests().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct ScriptedTts(Arc<Mutex<TtsScript>>);

#[derive(Default)]
struct TtsScript {
    failure: Option<(usize, ModelError)>,
    requests: Vec<SpeechRequest>,
}

/// Silence for a character, in PCM of 24 kHz.
const CHARACTER: Duration = Duration::from_millis(10);
const BYTES_PER_MS: usize = 48;

impl ScriptedStt {
    /// Hears these texts, one for each recording.
    pub fn new(texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Arc::new(Mutex::new(SttScript {
            texts: texts.into_iter().map(|text| Ok(text.into())).collect(),
            ..SttScript::default()
        })))
    }

    /// Fails at the recording behind those of the script so far.
    #[must_use]
    pub fn then_fail(self, error: ModelError) -> Self {
        lock(&self.0).texts.push_back(Err(error));
        self
    }

    /// Hears speech as it comes.
    ///
    /// It hears a word for each piece of audio, and the rest at its end.
    #[must_use]
    pub fn live(self) -> Self {
        lock(&self.0).is_live = true;
        self
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<TranscriptionRequest> {
        lock(&self.0).requests.clone()
    }
}

impl ScriptedStt {
    fn next_events(&self) -> Vec<Result<TranscriptionEvent, ModelError>> {
        let text = lock(&self.0).texts.pop_front().unwrap_or_else(|| {
            let message = "the scripted recogniser has no further text";
            Err(ModelError::new(ErrorKind::Config, message))
        });
        match text {
            Err(error) => vec![Err(error)],
            Ok(text) => {
                let words = text
                    .split_inclusive(' ')
                    .map(|word| TranscriptionEvent::Delta {
                        delta: word.to_owned(),
                    });
                let mut events: Vec<_> = words.map(Ok).collect();
                let done = Box::new(Transcript::of_text(text.clone()));
                events.push(Ok(TranscriptionEvent::Done(done)));
                events
            }
        }
    }
}

impl Stt for ScriptedStt {
    fn name(&self) -> &'static str {
        "scripted-stt"
    }

    fn transcribe(
        &self,
        request: TranscriptionRequest,
    ) -> BoxStream<'static, Result<TranscriptionEvent, ModelError>> {
        lock(&self.0).requests.push(request);
        Box::pin(stream::iter(self.next_events()))
    }

    fn transcribe_live(
        &self,
        request: LiveRequest,
    ) -> Option<BoxStream<'static, Result<TranscriptionEvent, ModelError>>> {
        if !lock(&self.0).is_live {
            return None;
        }
        let state = (request.audio, VecDeque::from(self.next_events()));
        Some(Box::pin(stream::unfold(
            state,
            |(mut audio, mut events)| async move {
                if events.len() > 1 {
                    audio.next().await;
                } else {
                    // The whole text comes at the end of the audio.
                    while audio.next().await.is_some() {}
                }
                let event = events.pop_front()?;
                Some((event, (audio, events)))
            },
        )))
    }
}

impl ScriptedTts {
    /// Speaks whatever comes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails at the text of this number, from 0.
    #[must_use]
    pub fn failing_at(self, number: usize, error: ModelError) -> Self {
        lock(&self.0).failure = Some((number, error));
        self
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<SpeechRequest> {
        lock(&self.0).requests.clone()
    }
}

impl Tts for ScriptedTts {
    fn name(&self) -> &'static str {
        "scripted-tts"
    }

    fn speak(&self, request: SpeechRequest) -> BoxStream<'static, Result<SpeechEvent, ModelError>> {
        let mut script = lock(&self.0);
        let number = script.requests.len();
        let n_characters = request.text.chars().count();
        script.requests.push(request);
        if let Some((_, error)) = script.failure.take_if(|(at, _)| *at == number) {
            return Box::pin(stream::iter([Err(error)]));
        }
        let n_ms = n_characters * usize::try_from(CHARACTER.as_millis()).unwrap_or(0);
        let audio = vec![0; n_ms * BYTES_PER_MS];
        Box::pin(stream::iter([
            Ok(SpeechEvent::Started {
                sample_rate_hz: 24_000,
            }),
            Ok(SpeechEvent::Audio {
                audio: audio.into(),
            }),
            Ok(SpeechEvent::Done { usage: None }),
        ]))
    }
}

fn lock<T>(script: &Mutex<T>) -> MutexGuard<'_, T> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ScriptedStt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedStt(..)")
    }
}

impl fmt::Debug for ScriptedTts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedTts(..)")
    }
}
