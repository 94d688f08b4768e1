//! Runs a spoken conversation: speech to text, a run of the agent, and its answer to speech,
//! sentence by sentence.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc;

use super::answer::{Speech, SpokenAnswer};
use super::builder::{PipelineBuilder, PipelineSettings};
use super::trace::TurnTrace;
use super::{Interruption, VoiceError, VoiceEvent};
use crate::agent::Agent;
use crate::agent::runner::{RunEvent, Runner};
use crate::error::RunError;
use crate::future::BoxStream;
use crate::item::{Item, ItemKind, Role};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::voice::{
    AudioError, AudioFile, LiveRequest, PcmAudio, SpeechEvent, SpeechRequest, Stt,
    TranscriptionEvent, TranscriptionRequest, Tts,
};
use crate::realtime::StreamingSession;

/// The most audio of one turn, in bytes: below the 25 MB that speech servers take as one file.
const MAX_TURN_BYTES: usize = 24 * 1024 * 1024;

/// Holds a spoken conversation with any agent.
///
/// [`send_audio`](Self::send_audio) takes the user's audio and [`commit`](Self::commit) ends their turn. The audio is transcribed, the
/// agent runs on the text, and its answer is spoken sentence by sentence while the model still writes. [`next`](Self::next) returns what
/// happens until the turn is over. What the listener did not hear of an [interrupted](Self::interrupt) answer is not kept in the
/// conversation. The pipeline has no task of its own: nothing happens between two calls, and dropping it ends all its requests.
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
    /// The turn that the user is speaking.
    pub(super) input: Option<TurnInput>,
    pub(super) phase: TurnPhase,
    /// The last answer. It stays when its turn is over, because its audio may still be playing.
    pub(super) answer: Option<SpokenAnswer>,
    /// When a player that never pauses has played all audio it was given.
    pub(super) plays_until: Duration,
    pub(super) trace: TurnTrace,
}

/// The audio of a turn that is not committed yet.
pub(super) struct TurnInput {
    format: PcmAudio,
    n_bytes: usize,
    hearing: Hearing,
}

/// How the audio of a turn is transcribed.
enum Hearing {
    /// It is collected, and transcribed as one recording at the end of the turn.
    Kept(BytesMut),
    /// It is transcribed while it comes in.
    Live {
        audio: mpsc::UnboundedSender<PcmAudio>,
        transcription: BoxStream<'static, Result<TranscriptionEvent, ModelError>>,
    },
}

/// What the turn is doing.
pub(super) enum TurnPhase {
    /// No turn is under way.
    Idle,
    Transcribing(BoxStream<'static, Result<TranscriptionEvent, ModelError>>),
    Answering,
}

/// The first thing that happened.
enum Progress {
    /// A live transcription reported; the user is still speaking.
    Hearing(Option<Result<TranscriptionEvent, ModelError>>),
    Transcription(Option<Result<TranscriptionEvent, ModelError>>),
    Run(Option<Result<RunEvent, RunError>>),
    Speech(Option<Result<SpeechEvent, ModelError>>),
    Done,
}

impl Pipeline {
    /// Starts building a conversation with an agent.
    ///
    /// Limits, hooks and state are set on the runner.
    pub fn builder(runner: &Runner, agent: &Agent) -> PipelineBuilder {
        PipelineBuilder::new(StreamingSession::new(runner, agent))
    }

    /// Takes a piece of the user's audio, of any length.
    ///
    /// It is for the turn that [`commit`](Self::commit) ends.
    ///
    /// With an engine that [transcribes live](Stt::transcribe_live) the turn begins with its first
    /// audio, and [`next`](Self::next) returns the words as they come. While the pipeline [is
    /// deaf](Self::is_deaf), the audio is dropped.
    ///
    /// # Errors
    ///
    /// [`VoiceError::Audio`] if the format differs from that of the turn's first audio, or the turn
    /// is larger than 24 MiB.
    pub fn send_audio(&mut self, audio: &PcmAudio) -> Result<(), VoiceError> {
        if self.is_deaf() {
            return Ok(());
        }
        let mut input = match self.input.take() {
            Some(input) => input,
            None => self.begin_input(audio),
        };
        let taken = input.take(audio);
        self.input = Some(input);
        taken
    }

    fn begin_input(&self, audio: &PcmAudio) -> TurnInput {
        // Unbounded is safe here: the channel holds audio of this turn only, and `TurnInput::take` limits
        // the turn.
        let (sender, mut pieces) = mpsc::unbounded_channel();
        let mut request = LiveRequest::new(stream::poll_fn(move |cx| pieces.poll_recv(cx)));
        let settings = &self.settings.transcription;
        request.language.clone_from(&settings.language);
        request.prompt.clone_from(&settings.prompt);
        TurnInput {
            format: audio.clone(),
            n_bytes: 0,
            hearing: match self.stt.transcribe_live(request) {
                Some(transcription) => Hearing::Live {
                    audio: sender,
                    transcription,
                },
                None => Hearing::Kept(BytesMut::new()),
            },
        }
    }

    /// Says whether audio of the user is dropped.
    ///
    /// It is in half duplex, while the agent speaks and during the hold after it.
    pub fn is_deaf(&self) -> bool {
        let Some(hold) = self.settings.half_duplex else {
            return false;
        };
        let now = self.settings.clock.now();
        let is_held = !self.plays_until.is_zero() && now < self.plays_until + hold;
        !matches!(self.phase, TurnPhase::Idle) || is_held
    }

    /// Ends the user's turn, so that it is transcribed and answered.
    ///
    /// An answer that is still playing is interrupted.
    ///
    /// # Errors
    ///
    /// [`VoiceError::NoAudio`] if there is no audio; then nothing is interrupted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the answer may have been interrupted; the audio is kept.
    pub async fn commit(&mut self) -> Result<Option<Interruption>, VoiceError> {
        let input = self.input.as_ref().filter(|input| input.n_bytes > 0);
        let input = input.ok_or(VoiceError::NoAudio)?;
        if let Hearing::Kept(bytes) = &input.hearing {
            let (rate, n_channels) = (input.format.sample_rate_hz(), input.format.n_channels());
            let audio = PcmAudio::new(rate, n_channels, Bytes::copy_from_slice(bytes))?;
            return Ok(self.send_file(AudioFile::wav(&audio)?).await);
        }
        let interruption = self.interrupt().await;
        if let Some(TurnInput {
            hearing: Hearing::Live { transcription, .. },
            ..
        }) = self.input.take()
        {
            self.record_transcription();
            // Taking the input dropped the sender, which tells the engine that the audio is over.
            self.phase = TurnPhase::Transcribing(transcription);
        }
        Ok(interruption)
    }

    /// Takes a recording as the user's turn, in any format that the server reads.
    ///
    /// Otherwise like [`commit`](Self::commit).
    ///
    /// # Cancel safety
    ///
    /// As for [`commit`](Self::commit).
    pub async fn send_file(&mut self, audio: AudioFile) -> Option<Interruption> {
        let interruption = self.interrupt().await;
        self.input = None;
        let request = TranscriptionRequest {
            audio,
            ..self.settings.transcription.clone()
        };
        self.record_transcription();
        self.phase = TurnPhase::Transcribing(self.stt.transcribe(request));
        interruption
    }

    /// Begins the spans of a spoken turn. Spans of an earlier turn that are still open end as
    /// cancelled.
    fn record_transcription(&mut self) {
        self.trace.begin(&self.session.agent().shared_name());
        self.trace.transcribe(self.stt.name());
    }

    /// Takes a text as the user's turn; otherwise like [`commit`](Self::commit).
    ///
    /// # Cancel safety
    ///
    /// As for [`commit`](Self::commit).
    pub async fn send_text(&mut self, text: impl Into<String>) -> Option<Interruption> {
        let interruption = self.interrupt().await;
        self.trace.begin(&self.session.agent().shared_name());
        self.begin_answer(text.into()).await;
        interruption
    }

    async fn begin_answer(&mut self, text: String) {
        // `send` interrupts an answer first; there is none here, so it returns at once and has nothing to
        // report.
        let sent = self.session.send(text);
        drop(match self.trace.scope() {
            Some(scope) => scope.run(sent).await,
            None => sent.await,
        });
        self.phase = TurnPhase::Answering;
        self.answer = Some(SpokenAnswer::default());
    }

    /// Reports how much of this answer's audio was played, from its beginning.
    ///
    /// After the first report only reports count, no longer the clock: what is not reported was not
    /// heard.
    pub fn played(&mut self, position: Duration) {
        if let Some(answer) = &mut self.answer {
            answer.reported = Some(position);
        }
    }

    /// Stops the answer: its requests end, and its tools are dropped.
    ///
    /// Returns what was heard, unless all of it was.
    ///
    /// It also works when all audio was given out and is still playing.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the answer stays cancelled; the next call of any method finishes
    /// the work.
    pub async fn interrupt(&mut self) -> Option<Interruption> {
        if self.session.is_answering() {
            drop(self.session.interrupt().await);
        }
        let is_over = matches!(self.phase, TurnPhase::Idle);
        self.phase = TurnPhase::Idle;
        self.trace.cancel();
        let answer = self.answer.take()?;
        let now = self.settings.clock.now();
        // Without reports, assume a player that started at once and never paused: what it has left
        // to play was not heard.
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

    /// Returns the conversation: what was said, and of interrupted answers what was heard.
    pub fn history(&self) -> &[Item] {
        self.session.history()
    }

    /// Returns the agent that answers next; after a handoff, the one that took over.
    pub const fn agent(&self) -> &Agent {
        self.session.agent()
    }

    /// Waits for the next event of the turn; `None` when no turn is under way.
    ///
    /// Audio of the user can be sent between two calls.
    ///
    /// # Errors
    ///
    /// [`VoiceError`] if the speech cannot be transcribed, the run fails, or the answer cannot be
    /// spoken. The turn is over then, and the conversation holds what was heard.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<VoiceEvent, VoiceError>> {
        loop {
            if matches!(self.phase, TurnPhase::Idle) && !self.is_hearing() {
                return None;
            }
            self.request_speech();
            if let Some(text) = self.answer.as_mut().and_then(SpokenAnswer::begin_sentence) {
                return Some(Ok(VoiceEvent::SentenceStarted { text }));
            }
            let event = match poll_fn(|cx| self.poll_progress(cx)).await {
                Progress::Hearing(event) => match self.on_hearing(event).await {
                    Ok(event) => Ok(event),
                    // It was only about the turn being spoken: the answer that is playing continues.
                    Err(error) => return Some(Err(error)),
                },
                Progress::Transcription(event) => self.on_transcription(event).await,
                Progress::Run(event) => self.on_run(event),
                Progress::Speech(event) => self.on_speech(event),
                Progress::Done => {
                    self.trace.end();
                    self.phase = TurnPhase::Idle;
                    Ok(Some(VoiceEvent::TurnDone))
                }
            };
            match event {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => {
                    self.trace.fail(&error);
                    drop(self.interrupt().await);
                    return Some(Err(error));
                }
            }
        }
    }

    /// Requests the speech of the next sentences. The second is requested while the first plays, so
    /// that its audio is there in time.
    fn request_speech(&mut self) {
        let Some(answer) = &mut self.answer else {
            return;
        };
        while answer.wants_speech()
            && let Some(sentence) = answer.next_sentence()
        {
            let request = SpeechRequest {
                text: sentence.text.clone(),
                ..self.settings.speech.clone()
            };
            self.trace.speak(&sentence.text, self.tts.name());
            answer
                .speeches
                .push_back(Speech::new(sentence, self.tts.speak(request)));
        }
    }

    /// Polls everything that the turn waits for. Audio comes before further text, so that a model
    /// that writes fast does not delay it.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if let Some(TurnInput {
            hearing: Hearing::Live { transcription, .. },
            ..
        }) = &mut self.input
        {
            if let Poll::Ready(event) = transcription.poll_next_unpin(cx) {
                return Poll::Ready(Progress::Hearing(event));
            }
            // The user is still speaking and nothing is being answered: only the transcription can
            // wake this.
            if matches!(self.phase, TurnPhase::Idle) {
                return Poll::Pending;
            }
        }
        let answer = match (&mut self.phase, &mut self.answer) {
            (TurnPhase::Transcribing(stream), _) => {
                return stream.poll_next_unpin(cx).map(Progress::Transcription);
            }
            (TurnPhase::Answering, Some(answer)) => answer,
            (TurnPhase::Idle | TurnPhase::Answering, _) => return Poll::Ready(Progress::Done),
        };
        if let Poll::Ready(event) = answer.poll_speech(cx) {
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
            // So much text waits that a sentence is surely being spoken; its audio wakes this task.
            return Poll::Pending;
        }
        let next = pin!(self.session.next());
        self.trace.enter(|| next.poll(cx)).map(Progress::Run)
    }

    /// Whether the turn that the user is speaking is transcribed live.
    fn is_hearing(&self) -> bool {
        let input = self.input.as_ref();
        input.is_some_and(|input| matches!(input.hearing, Hearing::Live { .. }))
    }

    async fn on_hearing(
        &mut self,
        event: Option<Result<TranscriptionEvent, ModelError>>,
    ) -> Result<Option<VoiceEvent>, VoiceError> {
        match event {
            Some(Ok(TranscriptionEvent::Done(_))) => {
                // The engine detected the end of the turn itself, so this does what `commit` does.
                self.input = None;
                drop(self.interrupt().await);
                self.record_transcription();
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                self.input = None;
                self.record_transcription();
            }
        }
        self.on_transcription(event).await
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
                self.trace.transcribed(&transcript.text);
                if transcript.text.chars().any(char::is_alphanumeric) {
                    self.begin_answer(transcript.text.trim().to_owned()).await;
                } else {
                    // A noise was taken for speech. `Answering` without an answer ends the turn.
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
        let Some(speech) = answer.speeches.front_mut() else {
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
            SpeechEvent::Done { .. } => {
                answer.speeches.pop_front();
                self.trace.spoken();
            }
        }
        Ok(None)
    }
}

impl TurnInput {
    fn take(&mut self, audio: &PcmAudio) -> Result<(), VoiceError> {
        audio.check_follows(&self.format)?;
        let n_bytes = self.n_bytes + audio.bytes().len();
        if n_bytes > MAX_TURN_BYTES {
            let max_bytes = MAX_TURN_BYTES;
            return Err(AudioError::TooLarge { n_bytes, max_bytes }.into());
        }
        self.n_bytes = n_bytes;
        match &mut self.hearing {
            Hearing::Kept(bytes) => bytes.extend_from_slice(audio.bytes()),
            // The engine may have stopped listening; the next event of its stream says why.
            Hearing::Live { audio: sender, .. } => drop(sender.send(audio.clone())),
        }
        Ok(())
    }
}

fn is_answer(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::Assistant)
}

fn ended_early(what: &str) -> ModelError {
    let message = format!("the {what} ended without its final event, so it may be incomplete");
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
