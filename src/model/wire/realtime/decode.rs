//! Server events from JSON.

use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::raw_json::RawJson;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::item::{self, missing};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::realtime::{
    ItemContent, ReceivedEvent, ResponseEnd, ResponseStatus, ServerEvent, ServerFault,
};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object::{self, Object};
use crate::model::wire::{ServerError, usage};

/// Reads an event.
///
/// What a session acts on is strict, by the field's name; all else cannot lose the event.
///
/// # Errors
///
/// `invalid_json`, `wrong_type` or `missing_field` when the event cannot be understood.
pub(crate) fn decode(json: &str) -> Result<ReceivedEvent, ModelError> {
    let mut notes = Deviations::default();
    let mut index = JsonIndex::default();
    let event = Object::parse(json, &mut index)?;
    let name = event.required_text("type", &mut notes)?;
    let name = name.ok_or_else(|| missing("type"))?;
    let event = Reader {
        event,
        notes: &mut notes,
    }
    .read(&name, json)?;
    Ok(ReceivedEvent {
        event,
        deviations: notes.take(),
        n_bytes: json.len(),
        json: None,
    })
}

struct Reader<'a, 'n> {
    event: Object<'a>,
    notes: &'n mut Deviations,
}

impl Reader<'_, '_> {
    fn read(mut self, name: &str, json: &str) -> Result<ServerEvent, ModelError> {
        Ok(match name {
            "session.created" | "session.updated" => ServerEvent::Session {
                is_update: name == "session.updated",
                session: self.value("session").unwrap_or_default(),
            },
            "error" => ServerEvent::Error(self.fault("error")),
            "input_audio_buffer.committed" => ServerEvent::AudioCommitted {
                item_id: self.required("item_id")?,
                previous_item_id: self.text("previous_item_id"),
            },
            "input_audio_buffer.cleared" => ServerEvent::AudioCleared,
            "input_audio_buffer.speech_started" => ServerEvent::SpeechStarted {
                item_id: self.text("item_id"),
            },
            "input_audio_buffer.speech_stopped" => ServerEvent::SpeechStopped {
                item_id: self.text("item_id"),
            },
            "response.created" => ServerEvent::ResponseCreated {
                response_id: self.response_id()?,
            },
            "response.done" => ServerEvent::ResponseDone(Box::new(self.response_end()?)),
            "response.output_item.added" => ServerEvent::OutputItemAdded {
                response_id: self.text("response_id"),
                item: item::of_event(&self.event, self.notes)?,
            },
            "response.output_item.done" => ServerEvent::OutputItemDone {
                response_id: self.text("response_id"),
                item: item::of_event(&self.event, self.notes)?,
            },
            _ => match self.conversation(name)? {
                Some(event) => event,
                None => match self.content(name)? {
                    Some(event) => event,
                    None => ServerEvent::Other {
                        name: name.to_owned(),
                        json: json.to_owned(),
                    },
                },
            },
        })
    }

    /// What happens to items; `None` if the event is another.
    fn conversation(&mut self, name: &str) -> Result<Option<ServerEvent>, ModelError> {
        let Some(name) = name.strip_prefix("conversation.item.") else {
            return Ok(None);
        };
        Ok(Some(match name {
            // The beta has one event for an item that is there; GA has one for its beginning and one for its end.
            "added" | "created" => ServerEvent::ItemAdded {
                previous_item_id: self.text("previous_item_id"),
                item: item::of_event(&self.event, self.notes)?,
            },
            "done" => ServerEvent::ItemDone {
                previous_item_id: self.text("previous_item_id"),
                item: item::of_event(&self.event, self.notes)?,
            },
            "truncated" => ServerEvent::ItemTruncated {
                item_id: self.required("item_id")?,
                audio_end_ms: self.event.count("audio_end_ms", self.notes),
            },
            "deleted" => ServerEvent::ItemDeleted {
                item_id: self.required("item_id")?,
            },
            "input_audio_transcription.delta" => ServerEvent::InputTranscriptDelta {
                item_id: self.required("item_id")?,
                delta: self.content_text("delta")?,
            },
            "input_audio_transcription.completed" => ServerEvent::InputTranscriptDone {
                item_id: self.required("item_id")?,
                transcript: self.content_text("transcript")?,
                usage: self.value("usage"),
            },
            "input_audio_transcription.failed" => ServerEvent::InputTranscriptFailed {
                item_id: self.required("item_id")?,
                error: self.fault("error"),
            },
            _ => return Ok(None),
        }))
    }

    /// The content of items of an answer; `None` if the event is another.
    fn content(&mut self, name: &str) -> Result<Option<ServerEvent>, ModelError> {
        Ok(Some(match name {
            // Each pair is the name of GA and that of the beta, which gateways still send.
            "response.output_text.delta" | "response.text.delta" => {
                ServerEvent::TextDelta(self.text_of("delta")?)
            }
            "response.output_text.done" | "response.text.done" => {
                ServerEvent::TextDone(self.text_of("text")?)
            }
            "response.output_audio_transcript.delta" | "response.audio_transcript.delta" => {
                ServerEvent::TextDelta(self.transcript_of("delta")?)
            }
            "response.output_audio_transcript.done" | "response.audio_transcript.done" => {
                ServerEvent::TextDone(self.transcript_of("transcript")?)
            }
            "response.output_audio.delta" | "response.audio.delta" => {
                let audio = self.audio()?;
                ServerEvent::AudioDelta(self.of_item(audio)?)
            }
            "response.output_audio.done" | "response.audio.done" => {
                ServerEvent::AudioDone(self.of_item(())?)
            }
            _ => return Ok(None),
        }))
    }

    fn text_of(&mut self, key: &str) -> Result<ItemContent<String>, ModelError> {
        let text = self.content_text(key)?;
        self.of_item(text)
    }

    fn transcript_of(&mut self, key: &str) -> Result<ItemContent<String>, ModelError> {
        let mut content = self.text_of(key)?;
        content.is_transcript = true;
        Ok(content)
    }

    fn of_item<T>(&mut self, content: T) -> Result<ItemContent<T>, ModelError> {
        let index = self.event.count("content_index", self.notes);
        Ok(ItemContent {
            response_id: self.text("response_id"),
            item_id: self.required("item_id")?,
            content_index: index.and_then(|n| n.try_into().ok()).unwrap_or_default(),
            is_transcript: false,
            content,
        })
    }

    fn audio(&mut self) -> Result<Bytes, ModelError> {
        let text = self.content_text("delta")?;
        let audio = STANDARD.decode(text).map_err(|error| {
            let message = format!("`delta` is audio that is not base64: {error}");
            ModelError::new(ErrorKind::WrongType, message)
        })?;
        Ok(audio.into())
    }

    fn response_id(&mut self) -> Result<Option<String>, ModelError> {
        let response = self
            .event
            .required_object("response", "response", self.notes)?;
        Ok(response.and_then(|response| response.text("id", self.notes).map(Into::into)))
    }

    fn response_end(&mut self) -> Result<ResponseEnd, ModelError> {
        let response = self
            .event
            .required_object("response", "response", self.notes)?;
        let response = response.ok_or_else(|| missing("response"))?;
        let notes = &mut *self.notes;
        let status = response.required_text("status", notes)?;
        let status = status.ok_or_else(|| missing("response.status"))?;
        let details = response.object("status_details", "response.status_details", notes);
        let reason = details
            .as_ref()
            .and_then(|details| details.text("reason", notes));
        let output = response.required_list("output", notes)?.unwrap_or_default();
        let mut items = Vec::with_capacity(output.len());
        for raw in output {
            items.extend(item::read(raw, notes)?);
        }
        let reported = usage::reported(&response, notes).unwrap_or_default();
        Ok(ResponseEnd {
            response_id: response.text("id", notes).map(Into::into),
            status: ResponseStatus::of(&status),
            reason: reason.map(Into::into),
            error: details.and_then(|details| {
                let raw = details.optional("error", notes, Some)?;
                Some(fault(raw, notes))
            }),
            output: items,
            usage: reported.usage,
            usage_json: reported.json.map(|json| json.to_value()),
        })
    }

    fn required(&mut self, key: &str) -> Result<String, ModelError> {
        let text = self.event.required_text(key, self.notes)?;
        text.map_or_else(|| Err(missing(key)), |text| Ok(text.into_owned()))
    }

    /// Text that an answer consists of; a null is an empty one.
    fn content_text(&mut self, key: &str) -> Result<String, ModelError> {
        let text = self.event.required_text(key, self.notes)?;
        Ok(text.unwrap_or_default().into_owned())
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.event.text(key, self.notes).map(Into::into)
    }

    fn value(&mut self, key: &str) -> Option<Value> {
        self.event.optional(key, self.notes, object::value_of)
    }

    fn fault(&mut self, key: &str) -> ServerFault {
        let raw = self.event.optional(key, self.notes, Some);
        raw.map(|raw| fault(raw, self.notes)).unwrap_or_default()
    }
}

/// Reads an error; nothing in it is needed, and all of it is told.
fn fault(raw: RawJson<'_>, notes: &mut Deviations) -> ServerFault {
    let said = match object::value_of(raw) {
        Some(value) => ServerError::from_value(&value),
        None => ServerError::from_value(&Value::String(raw.get().to_owned())),
    };
    let fields = Object::of(raw, "error");
    let mut text = |key: &str| {
        let text = fields.as_ref()?.text(key, notes)?;
        Some(text.into_owned())
    };
    ServerFault {
        code: said.code,
        param: text("param"),
        event_id: text("event_id"),
        message: said.message,
    }
}

impl ResponseStatus {
    /// Understands the server's word.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "completed" => Self::Completed,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            "incomplete" => Self::Incomplete,
            other => Self::Other(other.to_owned()),
        }
    }
}
