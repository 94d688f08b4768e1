//! `/audio/speech`.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::events::{AnswerProgress, EventReader, SpeechAnswer, events_of};
use super::{MAX_ANSWER_BYTES, OpenAiSpeech, is_type, unexpected_body};
use crate::future::BoxStream;
use crate::http::{HttpBody, HttpResponse};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::exchange::http_error;
use crate::model::voice::{SpeechEvent, SpeechFormat, SpeechRequest, SpeechUsage, Tts};

const PATH: &str = "audio/speech";

/// What the API says of `pcm`, where the server says nothing.
const PCM_RATE_HZ: u32 = 24_000;

/// The most bytes of an error that are read where audio was due.
const MAX_WORDS: usize = 64 * 1024;

/// A model behind an OpenAI-compatible `/audio/speech`; made by [`OpenAiSpeech::tts`].
#[derive(Clone)]
pub struct OpenAiTts {
    server: OpenAiSpeech,
    model: Arc<str>,
}

/// One request and its answer.
struct Speaking {
    server: OpenAiSpeech,
    body: Option<Bytes>,
    as_events: bool,
    format: SpeechFormat,
    source: AudioSource,
    /// The first half of a sample whose second half is still to come.
    half: Option<u8>,
    n_bytes: usize,
    progress: AnswerProgress<SpeechEvent>,
}

/// Where the audio comes from.
enum AudioSource {
    None,
    Bytes(Box<HttpBody>),
    Events(Box<EventReader>),
}

impl OpenAiTts {
    pub(super) const fn new(server: OpenAiSpeech, model: Arc<str>) -> Self {
        Self { server, model }
    }

    fn encode(&self, request: SpeechRequest) -> Bytes {
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        put("model", self.model.as_ref().into());
        put("input", request.text.into());
        put("voice", request.voice.into());
        put("response_format", request.format.as_str().into());
        if let Some(instructions) = request.instructions {
            put("instructions", instructions.into());
        }
        if let Some(speed) = request.speed {
            put("speed", speed.into());
        }
        if request.as_events {
            put("stream_format", "sse".into());
        }
        body.extend(request.extra);
        Value::Object(body).to_string().into()
    }
}

impl Tts for OpenAiTts {
    fn name(&self) -> &str {
        &self.model
    }

    fn speak(&self, request: SpeechRequest) -> BoxStream<'static, Result<SpeechEvent, ModelError>> {
        let speaking = Speaking {
            server: self.server.clone(),
            as_events: request.as_events,
            format: request.format,
            body: Some(self.encode(request)),
            source: AudioSource::None,
            half: None,
            n_bytes: 0,
            progress: AnswerProgress::new(self.server.clone()),
        };
        events_of(speaking)
    }
}

impl SpeechAnswer for Speaking {
    type Event = SpeechEvent;

    async fn step(&mut self) -> Result<(), ModelError> {
        if let Some(body) = self.body.take() {
            let response = self.server.post(PATH, "application/json", body).await?;
            return self.on_head(response).await;
        }
        match &mut self.source {
            AudioSource::None => self.progress.is_over = true,
            AudioSource::Bytes(body) => match body.next_chunk().await {
                Some(chunk) => self.on_audio(chunk.map_err(http_error)?)?,
                None => self.finish(None)?,
            },
            AudioSource::Events(events) => {
                let Some(event) = events.next().await? else {
                    let message = "the body ended before `speech.audio.done`";
                    return Err(ModelError::new(ErrorKind::NoTerminalEvent, message));
                };
                match event.name.as_str() {
                    "speech.audio.delta" => self.on_audio(decode(&event.value)?)?,
                    "speech.audio.done" => self.finish(event.value.get("usage"))?,
                    _ => self.progress.ready.push_back(SpeechEvent::Other {
                        name: event.name,
                        json: event.json,
                    }),
                }
            }
        }
        Ok(())
    }

    fn progress(&mut self) -> &mut AnswerProgress<SpeechEvent> {
        &mut self.progress
    }
}

impl Speaking {
    async fn on_head(&mut self, response: HttpResponse) -> Result<(), ModelError> {
        let content_type = response.headers.get("content-type").unwrap_or_default();
        let content_type = content_type.to_owned();
        let is_events = is_type(&content_type, "text/event-stream");
        // Audio is sent under many names; what is certainly none is text.
        let is_text = is_type(&content_type, "text/") || is_type(&content_type, "application/json");
        if is_events != self.as_events || is_text && !is_events {
            let body = response.body.collect_up_to(MAX_WORDS).await;
            let body = body.map_err(http_error)?;
            let expected = if self.as_events {
                "an event stream"
            } else {
                "audio"
            };
            return Err(unexpected_body(&content_type, expected, &body));
        }
        let said = response.headers.get("x-sample-rate");
        let said = said.or_else(|| parameter(&content_type, "rate"));
        let sample_rate_hz = match said {
            Some(rate) => rate.trim().parse().map_err(|_| {
                let message = format!("the server says that the sample rate is {rate:?}");
                ModelError::new(ErrorKind::WrongType, message)
            })?,
            None => PCM_RATE_HZ,
        };
        self.progress
            .ready
            .push_back(SpeechEvent::Started { sample_rate_hz });
        self.source = if is_events {
            AudioSource::Events(Box::new(EventReader::new(
                self.server.clone(),
                PATH,
                response,
            )))
        } else {
            AudioSource::Bytes(Box::new(response.body))
        };
        Ok(())
    }

    fn on_audio(&mut self, audio: Bytes) -> Result<(), ModelError> {
        self.n_bytes += audio.len();
        if self.n_bytes > MAX_ANSWER_BYTES {
            let message = format!("the server sent more than {MAX_ANSWER_BYTES} bytes of audio");
            return Err(ModelError::new(ErrorKind::LimitExceeded, message));
        }
        let audio = match self.format {
            SpeechFormat::Pcm => self.whole_samples(audio),
            _ => audio,
        };
        if !audio.is_empty() {
            self.progress.ready.push_back(SpeechEvent::Audio { audio });
        }
        Ok(())
    }

    fn whole_samples(&mut self, audio: Bytes) -> Bytes {
        let mut audio = match self.half.take() {
            None => audio,
            Some(half) => {
                let mut joined = BytesMut::with_capacity(audio.len() + 1);
                joined.extend_from_slice(&[half]);
                joined.extend_from_slice(&audio);
                joined.freeze()
            }
        };
        if audio.len() % 2 != 0 {
            self.half = audio.split_off(audio.len() - 1).first().copied();
        }
        audio
    }

    fn finish(&mut self, cost: Option<&Value>) -> Result<(), ModelError> {
        if self.half.is_some() {
            let message = "the audio ended in the middle of a sample";
            return Err(ModelError::new(ErrorKind::Truncated, message));
        }
        if self.n_bytes == 0 {
            let message = "the server answered without audio";
            return Err(ModelError::new(ErrorKind::EmptyResponse, message));
        }
        self.progress.is_over = true;
        let usage = SpeechUsage::read(cost);
        self.progress.ready.push_back(SpeechEvent::Done { usage });
        Ok(())
    }
}

fn decode(event: &Value) -> Result<Bytes, ModelError> {
    // Some servers name it as the other events do.
    let audio = event.get("audio").or_else(|| event.get("delta"));
    let Some(audio) = audio.and_then(Value::as_str) else {
        let message = "`speech.audio.delta` has no `audio`";
        return Err(ModelError::new(ErrorKind::MissingField, message));
    };
    let decoded = STANDARD.decode(audio).map_err(|error| {
        let message = "`audio` of `speech.audio.delta` is no base64";
        ModelError::new(ErrorKind::WrongType, message).with_source(error)
    })?;
    Ok(decoded.into())
}

/// Returns a parameter of a media type.
fn parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = content_type.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl fmt::Debug for OpenAiTts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiTts")
            .field("model", &self.model)
            .field("server", &self.server)
            .finish()
    }
}
