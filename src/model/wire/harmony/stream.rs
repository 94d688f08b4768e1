//! An answer of `/completions`, whole or streamed: both hold pieces of one text.

use std::collections::VecDeque;

use super::transcript::{Stop, Transcript};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::wire::budget::Budget;
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object::Object;
use crate::model::wire::usage::reported;
use crate::model::wire::{Answer, DecodeContext, ServerError, excerpt, text_of};
use crate::model::{ModelError, ModelEvent, Received, ResponseEnd};

/// Decodes one answer.
pub(crate) struct Decoder {
    asked: DecodeContext,
    transcript: Transcript,
    end: ResponseEnd,
    notes: Deviations,
    budget: Budget,
    finished: bool,
    done: bool,
}

impl Decoder {
    pub(crate) fn new(asked: DecodeContext) -> Self {
        Self {
            transcript: Transcript::new(asked.turn),
            budget: Budget::new(asked.limits),
            notes: Deviations::default(),
            asked,
            end: ResponseEnd::default(),
            finished: false,
            done: false,
        }
    }

    /// Takes a body, or an event of a stream; an error inside it is of the kind given.
    fn chunk(
        &mut self,
        text: &str,
        error: ErrorKind,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<bool, ModelError> {
        let body = Object::parse(text)?;
        if let Some(reason) = ServerError::inside(&body, &mut self.notes) {
            return Err(reason.into_error(error));
        }
        self.frame(&body);
        let mut has_choice = false;
        let choices = body.needed_list("choices", &mut self.notes)?;
        for raw in choices.into_iter().flatten() {
            let Some(choice) = Object::of(raw, "choices[0]") else {
                let message = format!("`choices[0]` is not an object: {}", excerpt(raw.get()));
                return Err(ModelError::new(ErrorKind::WrongType, message));
            };
            let index = choice.count("index", &mut self.notes);
            if has_choice || index.is_some_and(|index| index > 0) {
                return Err(ModelError::new(
                    ErrorKind::Unsupported,
                    "the server sent a second choice; only one can be followed",
                ));
            }
            has_choice = true;
            self.choice(&choice, out)?;
        }
        Ok(has_choice)
    }

    fn frame(&mut self, body: &Object<'_>) {
        for (slot, key) in [
            (&mut self.end.response_id, "id"),
            (&mut self.end.model, "model"),
        ] {
            if slot.is_none() {
                let name = body.text(key, &mut self.notes);
                *slot = name.filter(|name| !name.is_empty()).map(String::from);
            }
        }
        if let Some(usage) = reported(body, &mut self.notes)
            && (usage.usage.is_some() || self.end.usage_json.is_none())
        {
            self.end.usage = usage.usage;
            self.end.usage_json = usage.json;
        }
    }

    fn choice(
        &mut self,
        choice: &Object<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let text = choice.needed_text("text", &mut self.notes)?;
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            if self.finished {
                return Err(ModelError::new(
                    ErrorKind::Inconsistent,
                    "the server sent more of the answer after its finish_reason",
                ));
            }
            self.budget.spend(text.len())?;
            self.transcript.push(&text, out)?;
        }
        let reason = choice.needed_text("finish_reason", &mut self.notes)?;
        if let Some(reason) = reason.filter(|reason| !reason.is_empty())
            && !self.finished
        {
            self.end.finish_reason = Some(reason.into_owned());
            self.finish(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let stop = if let Some(reason) = self.end.finish_reason.as_deref() {
            self.asked.check_end("finish_reason", reason)?;
            Stop::Model
        } else {
            let detail = "the answer has no finish_reason; it says itself that it is complete";
            self.notes.note("missing_finish_reason", detail);
            Stop::Cut
        };
        self.finished = true;
        self.transcript.finish(stop, out)
    }

    /// Gives what is known beside the items.
    fn take_end(&mut self) -> ResponseEnd {
        let mut end = std::mem::take(&mut self.end);
        end.deviations = self.notes.take();
        end.deviations.extend(self.transcript.take_deviations());
        end
    }

    fn complete(&mut self, out: &mut VecDeque<ModelEvent>) {
        self.done = true;
        out.push_back(ModelEvent::ResponseDone(Box::new(self.take_end())));
    }
}

impl Answer for Decoder {
    fn decode(&mut self, body: &[u8]) -> Result<(Vec<Item>, ResponseEnd), ModelError> {
        let text = text_of(body)?.trim();
        let mut events = VecDeque::new();
        if !self.chunk(text, ErrorKind::ApiError, &mut events)? {
            let message = format!("the server's answer has no `choices`: {}", excerpt(text));
            return Err(ModelError::new(ErrorKind::MissingField, message));
        }
        if !self.finished {
            self.finish(&mut events)?;
        }
        let items = events.into_iter().filter_map(|event| match event {
            ModelEvent::ItemDone { item } => Some(item),
            _ => None,
        });
        Ok((items.collect(), self.take_end()))
    }

    fn end(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            return Err(ModelError::new(
                ErrorKind::NoTerminalEvent,
                "the stream ended before the answer did: neither a finish_reason nor [DONE] was seen",
            ));
        }
        let detail = "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete";
        self.notes.note("missing_done", detail);
        self.complete(out);
        Ok(())
    }

    fn take(
        &mut self,
        name: &str,
        data: &[u8],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if data == b"[DONE]" {
            if !self.finished {
                return Err(ModelError::new(
                    ErrorKind::NoTerminalEvent,
                    "the stream ended by [DONE] without a finish_reason, so that it cannot be told from a cut one",
                ));
            }
            self.complete(out);
            return Ok(());
        }
        match name {
            "" | "message" => self
                .chunk(text_of(data)?, ErrorKind::StreamError, out)
                .map(drop),
            "error" => Err(ServerError::from_body(data).into_error(ErrorKind::StreamError)),
            other => {
                let detail = format!(
                    "an event `{}` is not of the protocol; it was passed over",
                    excerpt(other)
                );
                self.notes.note("unknown_event", detail);
                self.budget.spend(data.len())
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn take_received(&mut self) -> Received {
        self.transcript.take_received()
    }
}
