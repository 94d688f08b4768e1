//! Live transcription: a `/realtime` session that only transcribes.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::OpenAiRealtime;
use crate::future::{BoxFuture, BoxStream};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::realtime::{
    AudioFormat, ClientEvent, ConnectionEnd, Outgoing, RealtimeConnection, RealtimeSettings,
    ServerEvent, ServerFault, Transcription, TurnDetection,
};
use crate::model::voice::{
    LiveRequest, PcmAudio, SpeechUsage, Stt, Transcript, TranscriptFormat, TranscriptionEvent,
    TranscriptionRequest,
};

/// How much audio waits at most to be sent, in bytes: 20 seconds. More is not taken until some was sent.
const MAX_WAITING_AUDIO: usize = 1024 * 1024;

/// The most bytes of an event of audio; longer pieces are cut.
const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// The most text of a turn, and the most items that it may consist of.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
const MAX_ITEMS: usize = 4096;

/// A model that transcribes speech live, over a WebSocket; made by [`OpenAiRealtime::live_stt`].
///
/// One call is one connection and one turn. It takes samples of 24,000 Hz, one channel; a recording has to be a WAV file of these.
#[derive(Clone)]
pub struct OpenAiLiveStt(OpenAiRealtime);

type Connected = Result<Box<dyn RealtimeConnection>, ModelError>;

/// One turn.
struct Listening {
    opening: Option<BoxFuture<'static, Connected>>,
    connection: Option<Box<dyn RealtimeConnection>>,
    /// What is still being said; `None` behind its end.
    audio: Option<BoxStream<'static, PcmAudio>>,
    queue: VecDeque<Outgoing>,
    n_waiting: usize,
    n_events: u64,
    n_audio: u64,
    /// Whether the end of the audio was sent, and the server has not taken it yet.
    awaits_commit: bool,
    /// The parts of the turn in their order, each with its text when that is whole.
    items: Vec<SpokenItem>,
    n_text: usize,
    usage: Option<SpeechUsage>,
    ready: VecDeque<TranscriptionEvent>,
    is_over: bool,
}

struct SpokenItem {
    id: String,
    has_deltas: bool,
    text: Option<String>,
}

impl OpenAiLiveStt {
    pub(super) const fn new(model: OpenAiRealtime) -> Self {
        Self(model)
    }

    fn listen(
        &self,
        request: LiveRequest,
    ) -> BoxStream<'static, Result<TranscriptionEvent, ModelError>> {
        let model = self.0.clone();
        let mut settings = RealtimeSettings::default();
        let mut transcription = Transcription::by(&model.0.name);
        transcription.language = request.language;
        transcription.prompt = request.prompt;
        settings.transcription = Some(transcription);
        settings.turn_detection = Some(TurnDetection::Manual);
        let mut listening = Listening {
            opening: Some(Box::pin(async move {
                let opened = model.open("realtime?intent=transcription").await;
                opened.map_err(|error| error.redacted(&model.0.redactor))
            })),
            connection: None,
            audio: Some(request.audio),
            queue: VecDeque::new(),
            n_waiting: 0,
            n_events: 0,
            n_audio: 0,
            awaits_commit: false,
            items: Vec::new(),
            n_text: 0,
            usage: None,
            ready: VecDeque::new(),
            is_over: false,
        };
        listening.send(ClientEvent::UpdateTranscription(Box::new(settings)));
        Box::pin(stream::unfold(listening, |mut listening| async move {
            let event = poll_fn(|cx| listening.poll_next(cx)).await?;
            Some((event, listening))
        }))
    }
}

impl Stt for OpenAiLiveStt {
    fn name(&self) -> &str {
        &self.0.0.name
    }

    fn transcribe(
        &self,
        request: TranscriptionRequest,
    ) -> BoxStream<'static, Result<TranscriptionEvent, ModelError>> {
        let audio = match PcmAudio::from_wav(&request.audio.bytes) {
            Ok(_) if request.format != TranscriptFormat::Json => Err(unsupported(format!(
                "a transcript of speech as it comes has no format `{}`",
                request.format.as_str()
            ))),
            Ok(audio) => Ok(audio),
            Err(error) => Err(unsupported(error.to_string())),
        };
        match audio {
            Ok(audio) => {
                let mut live = LiveRequest::new(stream::iter([audio]));
                (live.language, live.prompt) = (request.language, request.prompt);
                self.listen(live)
            }
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    fn transcribe_live(
        &self,
        request: LiveRequest,
    ) -> Option<BoxStream<'static, Result<TranscriptionEvent, ModelError>>> {
        Some(self.listen(request))
    }
}

impl Listening {
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<TranscriptionEvent, ModelError>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_progress(cx)) {
                self.is_over = true;
                self.connection = None;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Sends what can be sent and reads one event; ready when something may have come of it.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        if let Some(opening) = &mut self.opening {
            let opened = ready!(opening.as_mut().poll(cx));
            self.opening = None;
            self.connection = Some(opened?);
        }
        loop {
            // Take audio, send it, read one event. If the bound kept audio back and all of the rest
            // is sent, begin again: nothing else would wake this task.
            let has_more = self.take_audio(cx)?;
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Err(broken(None)));
            };
            let sent = connection.poll_send(cx, &mut self.queue);
            self.n_waiting = self.queue.iter().map(audio_bytes).sum();
            let received = connection.poll_event(cx);
            return match (received, sent) {
                (Poll::Ready(Some(Ok(received))), _) => Poll::Ready(self.on_event(received.event)),
                (Poll::Ready(end), _) => Poll::Ready(Err(broken(end.and_then(Result::err)))),
                (Poll::Pending, Poll::Ready(Err(end))) => Poll::Ready(Err(broken(Some(end)))),
                (Poll::Pending, Poll::Ready(Ok(()))) if has_more => continue,
                (Poll::Pending, _) => Poll::Pending,
            };
        }
    }

    /// Takes audio up to the bound; says whether there may be more at once.
    fn take_audio(&mut self, cx: &mut Context<'_>) -> Result<bool, ModelError> {
        while self.n_waiting < MAX_WAITING_AUDIO {
            let Some(audio) = &mut self.audio else {
                return Ok(false);
            };
            match audio.poll_next_unpin(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(audio)) => self.append(&audio)?,
                Poll::Ready(None) => {
                    self.audio = None;
                    if self.n_audio == 0 {
                        return Err(unsupported("there is no audio to transcribe"));
                    }
                    self.awaits_commit = true;
                    self.send(ClientEvent::CommitAudio);
                }
            }
        }
        Ok(true)
    }

    fn append(&mut self, audio: &PcmAudio) -> Result<(), ModelError> {
        let expected = AudioFormat::Pcm16.sample_rate_hz();
        if (audio.sample_rate_hz(), audio.n_channels()) != (expected, 1) {
            let found = audio.format();
            return Err(unsupported(format!(
                "the audio has {found}, and speech as it comes is taken at {expected} Hz, 1 channel"
            )));
        }
        let mut rest = audio.bytes().clone();
        self.n_audio += rest.len() as u64;
        self.n_waiting += rest.len();
        while !rest.is_empty() {
            let chunk = rest.split_to(MAX_CHUNK_BYTES.min(rest.len()));
            self.send(ClientEvent::AppendAudio(chunk));
        }
        Ok(())
    }

    fn send(&mut self, event: ClientEvent) {
        self.n_events += 1;
        self.queue.push_back(Outgoing {
            event_id: format!("client_{}", self.n_events),
            event,
        });
    }

    fn on_event(&mut self, event: ServerEvent) -> Result<(), ModelError> {
        match event {
            ServerEvent::AudioCommitted { item_id, .. } => {
                // One that finds turns all the same may have taken the end before: then it answers the commit by an error, below.
                self.awaits_commit = false;
                self.item(&item_id)?;
            }
            ServerEvent::InputTranscriptDelta { item_id, delta } => {
                let is_next = self.items.last().is_some_and(|last| last.text.is_some());
                let item = self.item(&item_id)?;
                // A server may cut one turn into several items. A space keeps their words apart.
                let is_first = !std::mem::replace(&mut item.has_deltas, true);
                let space = if is_first && is_next { " " } else { "" };
                self.push_text(format!("{space}{delta}"))?;
            }
            ServerEvent::InputTranscriptDone {
                item_id,
                transcript,
                usage,
            } => {
                let is_next = self.items.first().is_some_and(|first| first.text.is_some());
                let item = self.item(&item_id)?;
                let has_deltas = item.has_deltas;
                item.text = Some(transcript.trim().to_owned());
                self.usage = SpeechUsage::read(usage.as_ref()).or(self.usage.take());
                if !has_deltas {
                    // A model that does not stream writes the turn at once.
                    let space = if is_next { " " } else { "" };
                    self.push_text(format!("{space}{}", transcript.trim()))?;
                }
            }
            ServerEvent::InputTranscriptFailed { error, .. } => return Err(refused(error)),
            ServerEvent::Error(error) => {
                let is_taken = error.code.as_deref() == Some("input_audio_buffer_commit_empty")
                    && self.awaits_commit
                    && !self.items.is_empty();
                if !is_taken {
                    return Err(refused(error));
                }
                self.awaits_commit = false;
            }
            ServerEvent::Other { name, json } => {
                self.ready
                    .push_back(TranscriptionEvent::Other { name, json });
            }
            // Nobody speaks here but the user.
            _ => {}
        }
        self.finish_if_whole();
        Ok(())
    }

    fn item(&mut self, id: &str) -> Result<&mut SpokenItem, ModelError> {
        let at = match self.items.iter().position(|item| item.id == id) {
            Some(at) => at,
            None if self.items.len() >= MAX_ITEMS => {
                let message = format!("the server heard more than {MAX_ITEMS} parts in one turn");
                return Err(ModelError::new(ErrorKind::LimitExceeded, message));
            }
            None => {
                self.items.push(SpokenItem {
                    id: id.to_owned(),
                    has_deltas: false,
                    text: None,
                });
                self.items.len() - 1
            }
        };
        self.items.get_mut(at).ok_or_else(|| broken(None))
    }

    fn push_text(&mut self, text: String) -> Result<(), ModelError> {
        self.n_text += text.len();
        if self.n_text > MAX_TEXT_BYTES {
            let message = format!("the server wrote more than {MAX_TEXT_BYTES} bytes of one turn");
            return Err(ModelError::new(ErrorKind::LimitExceeded, message));
        }
        if !text.is_empty() {
            let delta = TranscriptionEvent::Delta { delta: text };
            self.ready.push_back(delta);
        }
        Ok(())
    }

    /// Ends the turn once its end was accepted and every part of it is transcribed.
    fn finish_if_whole(&mut self) {
        let is_committed = self.audio.is_none() && !self.awaits_commit && !self.items.is_empty();
        let texts: Option<Vec<&str>> = self.items.iter().map(|item| item.text.as_deref()).collect();
        let Some(texts) = texts.filter(|_| is_committed) else {
            return;
        };
        let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let mut transcript = Transcript::of_text(texts.join(" "));
        transcript.usage = self.usage.take();
        let done = TranscriptionEvent::Done(Box::new(transcript));
        self.ready.push_back(done);
        self.is_over = true;
        self.connection = None;
    }
}

fn audio_bytes(outgoing: &Outgoing) -> usize {
    match &outgoing.event {
        ClientEvent::AppendAudio(audio) => audio.len(),
        _ => 0,
    }
}

fn unsupported(message: impl Into<String>) -> ModelError {
    ModelError::new(ErrorKind::Unsupported, message)
}

fn refused(error: ServerFault) -> ModelError {
    let message = match error.code {
        Some(code) => format!(
            "the server did not write the speech down: {} ({code})",
            error.message
        ),
        None => format!(
            "the server did not write the speech down: {}",
            error.message
        ),
    };
    ModelError::new(ErrorKind::StreamError, message)
}

/// Says why a turn ended without its text.
fn broken(end: Option<ConnectionEnd>) -> ModelError {
    match end {
        Some(ConnectionEnd::Broken(error) | ConnectionEnd::Protocol(error)) => error,
        Some(end) => ModelError::new(
            ErrorKind::NoTerminalEvent,
            format!("{end}, before the speech was transcribed"),
        ),
        None => ModelError::new(
            ErrorKind::NoTerminalEvent,
            "the server closed the session before the speech was transcribed",
        ),
    }
}

impl fmt::Debug for OpenAiLiveStt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAiLiveStt").field(&self.0).finish()
    }
}
