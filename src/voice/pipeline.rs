//! The pipeline: speech to text, a run, its answer to speech, sentence by sentence.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::answer::{Speech, SpokenAnswer};
use super::builder::{PipelineBuilder, PipelineSettings};
use super::{Interruption, VoiceError, VoiceEvent};
use crate::agent::Agent;
use crate::agent::runner::{RunEvent, Runner};
use crate::error::RunError;
use crate::future::BoxStream;
use crate::item::{Item, ItemKind, Role};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::voice::{
    AudioError, AudioFile, PcmAudio, SpeechEvent, SpeechRequest, Stt, TranscriptionEvent,
    TranscriptionRequest, Tts,
};
use crate::realtime::StreamingSession;

/// The most audio of a turn; speech servers take files of 25 MB.
const MAX_TURN_BYTES: usize = 24 * 1024 * 1024;

/// A spoken conversation with any agent.
///
/// The user's audio comes in with [`send_audio`](Self::send_audio) and is a turn with [`commit`](Self::commit): it is written down, an
/// agent runs on it, and the answer is spoken sentence by sentence while the model still writes. [`next`](Self::next) gives what happens,
/// until the turn is over. What the listener did not hear of an answer that was [interrupted](Self::interrupt) is not in the
/// conversation. Nothing happens between two calls: the pipeline has no task of its own, and dropping it ends all its requests.
///
/// ```
/// use openai_agents::model::voice::PcmAudio;
/// use openai_agents::testing::{ScriptedModel, ScriptedStt, ScriptedTts};
/// use openai_agents::voice::{Pipeline, VoiceEvent};
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("It is late. Go home."));
/// let agent = Agent::builder("Clerk").build()?;
/// let (stt, tts) = (ScriptedStt::new(["What time is it?"]), ScriptedTts::new());
/// let mut pipeline = Pipeline::builder(&runner, &agent).stt(stt).tts(tts, "alloy").build();
///
/// pipeline.send_audio(&PcmAudio::new(24_000, 1, vec![0; 48_000])?)?;
/// pipeline.commit().await?;
/// let mut sentences = Vec::new();
/// while let Some(event) = pipeline.next().await {
///     match event? {
///         VoiceEvent::SentenceStarted { text } => sentences.push(text),
///         VoiceEvent::Audio { audio } => { /* play it */ }
///         _ => {}
///     }
/// }
/// assert_eq!(sentences, ["It is late.", "Go home."]);
/// # Ok(())
/// # }
/// ```
pub struct Pipeline {
    pub(super) session: StreamingSession,
    pub(super) stt: Arc<dyn Stt>,
    pub(super) tts: Arc<dyn Tts>,
    pub(super) settings: PipelineSettings,
    /// The audio of the turn that the user speaks, and its format.
    pub(super) input: Option<(PcmAudio, BytesMut)>,
    pub(super) phase: TurnPhase,
    /// The last answer; it stays when its turn is over, since its audio may still be played.
    pub(super) answer: Option<SpokenAnswer>,
    /// Until when a player that never pauses plays what it was given.
    pub(super) plays_until: Duration,
}

/// What the turn waits for.
pub(super) enum TurnPhase {
    /// There is no turn under way.
    Idle,
    Transcribing(BoxStream<'static, Result<TranscriptionEvent, ModelError>>),
    Answering,
}

/// What happened first.
enum Progress {
    Transcription(Option<Result<TranscriptionEvent, ModelError>>),
    Run(Option<Result<RunEvent, RunError>>),
    Speech(Option<Result<SpeechEvent, ModelError>>),
    Done,
}

impl Pipeline {
    /// Begins a conversation with an agent; what a run of the agent has (limits, hooks, state) is set on the runner.
    pub fn builder(runner: &Runner, agent: &Agent) -> PipelineBuilder {
        PipelineBuilder::new(StreamingSession::new(runner, agent))
    }

    /// Takes audio of the user, in any pieces, for the turn that [`commit`](Self::commit) ends.
    ///
    /// While the pipeline [is deaf](Self::is_deaf), the audio is thrown away.
    ///
    /// # Errors
    ///
    /// [`VoiceError::Audio`] if it has another format than the audio before it, or the turn is too large.
    pub fn send_audio(&mut self, audio: &PcmAudio) -> Result<(), VoiceError> {
        if self.is_deaf() {
            return Ok(());
        }
        let (first, bytes) = self
            .input
            .get_or_insert_with(|| (audio.clone(), BytesMut::new()));
        audio.check_follows(first)?;
        let n_bytes = bytes.len() + audio.bytes().len();
        if n_bytes > MAX_TURN_BYTES {
            let max_bytes = MAX_TURN_BYTES;
            return Err(AudioError::TooLarge { n_bytes, max_bytes }.into());
        }
        bytes.extend_from_slice(audio.bytes());
        Ok(())
    }

    /// Whether audio of the user is thrown away: in half duplex, while the agent speaks and for the hold behind it.
    pub fn is_deaf(&self) -> bool {
        let Some(hold) = self.settings.half_duplex else {
            return false;
        };
        let now = self.settings.clock.now();
        let is_held = !self.plays_until.is_zero() && now < self.plays_until + hold;
        !matches!(self.phase, TurnPhase::Idle) || is_held
    }

    /// Ends the user's turn: its audio is written down, and answered. An answer that is not heard to its end is interrupted.
    ///
    /// # Errors
    ///
    /// [`VoiceError::NoAudio`] if there is none; then nothing is interrupted.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have interrupted the answer; the audio is still there.
    pub async fn commit(&mut self) -> Result<Option<Interruption>, VoiceError> {
        let input = self.input.as_ref().filter(|(_, bytes)| !bytes.is_empty());
        let (format, bytes) = input.ok_or(VoiceError::NoAudio)?;
        let bytes = Bytes::copy_from_slice(bytes);
        let audio = PcmAudio::new(format.sample_rate_hz(), format.n_channels(), bytes)?;
        Ok(self.send_file(AudioFile::wav(&audio)?).await)
    }

    /// Takes a recording in any format that the server reads as the user's turn; otherwise as [`commit`](Self::commit).
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub async fn send_file(&mut self, audio: AudioFile) -> Option<Interruption> {
        let interruption = self.interrupt().await;
        self.input = None;
        let request = TranscriptionRequest {
            audio,
            ..self.settings.transcription.clone()
        };
        self.phase = TurnPhase::Transcribing(self.stt.transcribe(request));
        interruption
    }

    /// Takes a text as the user's turn; otherwise as [`commit`](Self::commit).
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub async fn send_text(&mut self, text: impl Into<String>) -> Option<Interruption> {
        let interruption = self.interrupt().await;
        self.begin_answer(text.into()).await;
        interruption
    }

    async fn begin_answer(&mut self, text: String) {
        // No answer is under way, so that nothing is waited for.
        drop(self.session.send(text).await);
        self.phase = TurnPhase::Answering;
        self.answer = Some(SpokenAnswer::default());
    }

    /// Says how much of the audio of this answer was played, from its beginning.
    ///
    /// The first report makes reports all that counts: what was not reported was not heard.
    pub fn played(&mut self, position: Duration) {
        if let Some(answer) = &mut self.answer {
            answer.reported = Some(position);
        }
    }

    /// Stops the answer: its requests close, its tools are dropped. Gives what was heard of it, if it was not heard to its end.
    ///
    /// It works also when all audio was given out and is still being played.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the answer cancelled; the next call of any method finishes it.
    pub async fn interrupt(&mut self) -> Option<Interruption> {
        if self.session.is_answering() {
            drop(self.session.interrupt().await);
        }
        let is_over = matches!(self.phase, TurnPhase::Idle);
        self.phase = TurnPhase::Idle;
        let answer = self.answer.take()?;
        let now = self.settings.clock.now();
        let by_clock = answer
            .given
            .saturating_sub(self.plays_until.saturating_sub(now));
        let heard = answer.reported.unwrap_or(by_clock).min(answer.given);
        self.plays_until = self.plays_until.min(now);
        if is_over && heard == answer.given {
            return None;
        }
        let text = answer.heard_text(heard).to_owned();
        self.session.keep_heard(text.len());
        Some(Interruption { heard, text })
    }

    /// Gives the conversation: what was said, and what was delivered or, where an answer was interrupted, heard.
    pub fn history(&self) -> &[Item] {
        self.session.history()
    }

    /// Gives the agent that answers next; after a handoff it is the one that the conversation went to.
    pub const fn agent(&self) -> &Agent {
        self.session.agent()
    }

    /// Waits for the next event of the turn; `None` when there is none under way.
    ///
    /// # Errors
    ///
    /// [`VoiceError`] if the speech cannot be written down, the run fails, or the answer cannot be spoken. The turn is over then; the
    /// conversation holds what was heard.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<VoiceEvent, VoiceError>> {
        loop {
            if matches!(self.phase, TurnPhase::Idle) {
                return None;
            }
            if let Some(text) = self.begin_sentence() {
                return Some(Ok(VoiceEvent::SentenceStarted { text }));
            }
            let event = match poll_fn(|cx| self.poll_progress(cx)).await {
                Progress::Transcription(event) => self.on_transcription(event).await,
                Progress::Run(event) => self.on_run(event),
                Progress::Speech(event) => self.on_speech(event),
                Progress::Done => {
                    self.phase = TurnPhase::Idle;
                    Ok(Some(VoiceEvent::TurnDone))
                }
            };
            match event {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => {
                    drop(self.interrupt().await);
                    return Some(Err(error));
                }
            }
        }
    }

    /// Has the next sentence spoken, if none is being spoken; gives its text.
    fn begin_sentence(&mut self) -> Option<String> {
        let answer = self.answer.as_mut()?;
        if answer.speech.is_some() {
            return None;
        }
        let text = answer.next_sentence()?;
        let request = SpeechRequest {
            text: text.clone(),
            ..self.settings.speech.clone()
        };
        answer.speech = Some(Speech {
            stream: self.tts.speak(request),
            sample_rate_hz: 0,
        });
        Some(text)
    }

    /// Waits for what happens first; audio comes before the text behind it, so that a fast model does not hold it up.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        let answer = match (&mut self.phase, &mut self.answer) {
            (TurnPhase::Transcribing(stream), _) => {
                return stream.poll_next_unpin(cx).map(Progress::Transcription);
            }
            (TurnPhase::Answering, Some(answer)) => answer,
            (TurnPhase::Idle | TurnPhase::Answering, _) => return Poll::Ready(Progress::Done),
        };
        if let Some(speech) = &mut answer.speech
            && let Poll::Ready(event) = speech.stream.poll_next_unpin(cx)
        {
            return Poll::Ready(Progress::Speech(event));
        }
        if !self.session.is_answering() {
            return if answer.is_silent() {
                Poll::Ready(Progress::Done)
            } else {
                Poll::Pending
            };
        }
        if !answer.has_room() {
            // A sentence is being spoken, whose audio wakes this task.
            return Poll::Pending;
        }
        let next = pin!(self.session.next());
        next.poll(cx).map(Progress::Run)
    }

    async fn on_transcription(
        &mut self,
        event: Option<Result<TranscriptionEvent, ModelError>>,
    ) -> Result<Option<VoiceEvent>, VoiceError> {
        let event = event.unwrap_or_else(|| Err(ended_early("transcript")));
        Ok(match event.map_err(VoiceError::Transcription)? {
            TranscriptionEvent::Delta { delta } => Some(VoiceEvent::UserTranscriptDelta { delta }),
            TranscriptionEvent::Other { .. } => None,
            TranscriptionEvent::Done(transcript) => {
                if transcript.text.chars().any(char::is_alphanumeric) {
                    self.begin_answer(transcript.text.trim().to_owned()).await;
                } else {
                    // A noise was taken for speech: there is nothing to answer.
                    self.answer = None;
                    self.phase = TurnPhase::Answering;
                }
                Some(VoiceEvent::UserTranscriptDone { transcript })
            }
        })
    }

    fn on_run(
        &mut self,
        event: Option<Result<RunEvent, RunError>>,
    ) -> Result<Option<VoiceEvent>, VoiceError> {
        let (Some(event), Some(answer)) = (event, &mut self.answer) else {
            return Ok(None);
        };
        let event = event.map_err(|error| VoiceError::Run(Box::new(error)))?;
        match &event {
            RunEvent::TextDelta { delta } => answer.push_text(delta),
            RunEvent::ItemDone { item } if is_answer(item) => answer.finish_message(),
            RunEvent::RunDone { .. } => answer.finish_message(),
            _ => {}
        }
        let event = Box::new(event);
        Ok(Some(VoiceEvent::Run { event }))
    }

    fn on_speech(
        &mut self,
        event: Option<Result<SpeechEvent, ModelError>>,
    ) -> Result<Option<VoiceEvent>, VoiceError> {
        let Some(answer) = &mut self.answer else {
            return Ok(None);
        };
        let Some(speech) = &mut answer.speech else {
            return Ok(None);
        };
        let event = event.unwrap_or_else(|| Err(ended_early("speech")));
        match event.map_err(VoiceError::Speech)? {
            SpeechEvent::Started { sample_rate_hz } => speech.sample_rate_hz = sample_rate_hz,
            SpeechEvent::Audio { audio } => {
                let audio = PcmAudio::new(speech.sample_rate_hz, 1, audio)?;
                answer.give(&audio);
                let now = self.settings.clock.now();
                self.plays_until = self.plays_until.max(now) + audio.duration();
                return Ok(Some(VoiceEvent::Audio { audio }));
            }
            SpeechEvent::Other { .. } => {}
            SpeechEvent::Done { .. } => answer.speech = None,
        }
        Ok(None)
    }
}

fn is_answer(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::Assistant)
}

fn ended_early(what: &str) -> ModelError {
    let message = format!("the {what} ended without saying that it is whole");
    ModelError::new(ErrorKind::NoTerminalEvent, message)
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("session", &self.session)
            .field("stt", &self.stt.name())
            .field("tts", &self.tts.name())
            .finish_non_exhaustive()
    }
}
