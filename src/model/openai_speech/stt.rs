//! `/audio/transcriptions`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::events::{AnswerProgress, EventReader, SpeechAnswer, events_of};
use super::form::{EncodedForm, FormFile, encode};
use super::{MAX_ANSWER_BYTES, OpenAiSpeech, is_type, unexpected_body};
use crate::future::BoxStream;
use crate::kind::ErrorKind;
use crate::model::exchange::http_error;
use crate::model::voice::{
    SpeechUsage, Stt, Transcript, TranscriptFormat, TranscriptSegment, TranscriptWord,
    TranscriptionEvent, TranscriptionRequest,
};
use crate::model::wire::{ServerError, parse_json, text_of};
use crate::model::{Delivery, Deviation, ModelError};
use crate::secret::StreamRedactor;

const PATH: &str = "audio/transcriptions";

/// A model behind an OpenAI-compatible `/audio/transcriptions`; made by [`OpenAiSpeech::stt`].
#[derive(Clone)]
pub struct OpenAiStt {
    server: OpenAiSpeech,
    model: Arc<str>,
}

/// One request and its answer.
struct Transcribing {
    server: OpenAiSpeech,
    form: Option<EncodedForm>,
    format: TranscriptFormat,
    delivery: Delivery,
    events: Option<EventReader>,
    /// Takes secrets out of the text that comes in pieces.
    deltas: StreamRedactor,
    progress: AnswerProgress<TranscriptionEvent>,
}

impl OpenAiStt {
    pub(super) const fn new(server: OpenAiSpeech, model: Arc<str>) -> Self {
        Self { server, model }
    }

    fn form(&self, request: &TranscriptionRequest) -> EncodedForm {
        let mut fields = vec![
            ("model", self.model.as_ref().to_owned()),
            ("response_format", request.format.as_str().to_owned()),
        ];
        if request.delivery == Delivery::Stream {
            fields.push(("stream", "true".to_owned()));
        }
        for (name, value) in [("language", &request.language), ("prompt", &request.prompt)] {
            if let Some(value) = value {
                fields.push((name, value.clone()));
            }
        }
        if let Some(temperature) = request.temperature {
            fields.push(("temperature", temperature.to_string()));
        }
        for granularity in &request.timestamps {
            fields.push(("timestamp_granularities[]", granularity.as_str().to_owned()));
        }
        for (name, value) in &request.extra {
            fields.push((name, value.clone()));
        }
        encode(
            &fields,
            &FormFile {
                field: "file",
                name: &request.audio.name,
                media_type: request.audio.media_type(),
                bytes: &request.audio.bytes,
            },
        )
    }
}

impl Stt for OpenAiStt {
    fn name(&self) -> &str {
        &self.model
    }

    fn transcribe(
        &self,
        request: TranscriptionRequest,
    ) -> BoxStream<'static, Result<TranscriptionEvent, ModelError>> {
        let transcribing = Transcribing {
            server: self.server.clone(),
            form: Some(self.form(&request)),
            format: request.format,
            delivery: request.delivery,
            events: None,
            deltas: StreamRedactor::new(self.server.redactor().clone()),
            progress: AnswerProgress::new(self.server.clone()),
        };
        events_of(transcribing)
    }
}

impl SpeechAnswer for Transcribing {
    type Event = TranscriptionEvent;

    async fn step(&mut self) -> Result<(), ModelError> {
        let Some(form) = self.form.take() else {
            return self.on_event().await;
        };
        let response = self
            .server
            .post(PATH, &form.content_type, form.body)
            .await?;
        let content_type = response.headers.get("content-type").unwrap_or_default();
        let content_type = content_type.to_owned();
        let is_events = is_type(&content_type, "text/event-stream");
        if is_events && self.delivery == Delivery::Stream {
            self.events = Some(EventReader::new(self.server.clone(), PATH, response));
            return Ok(());
        }
        // Models that cannot stream answer whole (whisper-1, as the API says it).
        let body = response.body.collect_up_to(MAX_ANSWER_BYTES).await;
        let body = body.map_err(http_error)?;
        let is_text = !self.format.is_json();
        if is_events || is_type(&content_type, "text/html") {
            let expected = if is_text { "text" } else { "JSON" };
            return Err(unexpected_body(&content_type, expected, &body));
        }
        let transcript = if is_text {
            self.file(text_of(&body)?)
        } else {
            transcript(&self.server.redactor().redact_json(text_of(&body)?))?
        };
        self.finish(transcript);
        Ok(())
    }

    fn progress(&mut self) -> &mut AnswerProgress<TranscriptionEvent> {
        &mut self.progress
    }
}

impl Transcribing {
    /// A transcript in a format of files; servers that do not know the format answer in JSON all the same.
    fn file(&self, body: &str) -> Transcript {
        let redacted = self.server.redactor().redact(body).into_owned();
        Transcript::of_text(redacted)
    }

    fn finish(&mut self, transcript: Transcript) {
        for deviation in &transcript.deviations {
            let (code, detail) = (&deviation.code, &deviation.detail);
            tracing::warn!(target: "openai_agents::wire", %code, "{detail}");
        }
        self.progress.is_over = true;
        let done = TranscriptionEvent::Done(Box::new(transcript));
        self.progress.ready.push_back(done);
    }

    async fn on_event(&mut self) -> Result<(), ModelError> {
        let Some(events) = &mut self.events else {
            self.progress.is_over = true;
            return Ok(());
        };
        let Some(event) = events.next().await? else {
            let message = "the body ended before `transcript.text.done`";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message));
        };
        match event.name.as_str() {
            "transcript.text.delta" => {
                let delta = required(&event.value, "delta")?;
                let delta = self.deltas.push(delta);
                self.push_delta(delta);
            }
            "transcript.text.done" => {
                let held = self.deltas.finish();
                self.push_delta(held);
                self.finish(transcript(&event.json)?);
            }
            _ => self.progress.ready.push_back(TranscriptionEvent::Other {
                name: event.name,
                json: event.json,
            }),
        }
        Ok(())
    }

    fn push_delta(&mut self, delta: String) {
        if !delta.is_empty() {
            self.progress
                .ready
                .push_back(TranscriptionEvent::Delta { delta });
        }
    }
}

fn required(value: &Value, key: &str) -> Result<String, ModelError> {
    match value.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ModelError::new(
            ErrorKind::WrongType,
            format!("`{key}` of a transcript is no text"),
        )),
        None => Err(ModelError::new(
            ErrorKind::MissingField,
            format!("a transcript has no `{key}`"),
        )),
    }
}

/// Reads a transcript: its text strictly, all else so that it cannot lose it.
fn transcript(json: &str) -> Result<Transcript, ModelError> {
    let value: Value = parse_json(json.as_bytes())?;
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(ServerError::from_value(&value).into_error(ErrorKind::ApiError));
    }
    let mut deviations = Vec::new();
    let segments = list(&value, "segments", &mut deviations, |entry| {
        let text = entry.get("text")?.as_str()?.to_owned();
        let speaker = entry.get("speaker").and_then(Value::as_str);
        let (start, end) = (time(entry, "start")?, time(entry, "end")?);
        Some(TranscriptSegment::new(
            start,
            end,
            text,
            speaker.map(str::to_owned),
        ))
    });
    let words = list(&value, "words", &mut deviations, |entry| {
        let word = entry.get("word")?.as_str()?.to_owned();
        let (start, end) = (time(entry, "start")?, time(entry, "end")?);
        Some(TranscriptWord::new(start, end, word))
    });
    let mut transcript = Transcript::of_text(required(&value, "text")?);
    transcript.language = value
        .get("language")
        .and_then(Value::as_str)
        .map(str::to_owned);
    transcript.duration = time(&value, "duration");
    transcript.segments = segments;
    transcript.words = words;
    transcript.usage = SpeechUsage::read(value.get("usage"));
    json.clone_into(&mut transcript.body);
    transcript.deviations = deviations;
    Ok(transcript)
}

fn list<T>(
    value: &Value,
    key: &str,
    deviations: &mut Vec<Deviation>,
    read: impl Fn(&Value) -> Option<T>,
) -> Vec<T> {
    let entries = value.get(key).and_then(Value::as_array);
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    let read: Vec<T> = entries.iter().filter_map(read).collect();
    let left_out = entries.len() - read.len();
    if left_out > 0 {
        deviations.push(Deviation::new(
            "transcript_part_left_out",
            format!("{left_out} of `{key}` have no text or no times"),
        ));
    }
    read
}

/// Times are numbers of seconds; some servers write them as text.
fn time(value: &Value, key: &str) -> Option<Duration> {
    let seconds = match value.get(key)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

impl fmt::Debug for OpenAiStt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiStt")
            .field("model", &self.model)
            .field("server", &self.server)
            .finish()
    }
}
