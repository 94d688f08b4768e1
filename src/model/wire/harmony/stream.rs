//! An answer of `/completions`, whole or streamed: both hold pieces of one text.

use std::collections::VecDeque;

use super::transcript::{Stop, Transcript};
use crate::kind::ErrorKind;
use crate::model::wire::budget::ResponseBudget;
use crate::model::wire::deviations::Deviations;
use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::object::Object;
use crate::model::wire::usage::reported;
use crate::model::wire::{
    DecodeContext, ResponseDecoder, ServerError, check_finish_reason, excerpt, text_of,
};
use crate::model::{ModelError, ModelEvent, Received, ResponseMeta};

/// Decodes one answer.
pub(crate) struct HarmonyDecoder {
    cx: DecodeContext,
    transcript: Transcript,
    meta: ResponseMeta,
    notes: Deviations,
    budget: ResponseBudget,
    finished: bool,
}

impl HarmonyDecoder {
    pub(crate) fn new(cx: DecodeContext) -> Self {
        Self {
            transcript: Transcript::new(cx.turn),
            budget: ResponseBudget::new(cx.limits),
            notes: Deviations::default(),
            cx,
            meta: ResponseMeta::default(),
            finished: false,
        }
    }

    /// Reads a body, or an event of a stream; an error inside it is of the kind given.
    fn on_chunk(
        &mut self,
        text: &str,
        error: ErrorKind,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<bool, ModelError> {
        let mut index = JsonIndex::default();
        let body = Object::parse(text, &mut index)?;
        if let Some(reason) = ServerError::inside(&body, &mut self.notes) {
            return Err(reason.into_error(error));
        }
        self.frame(&body);
        let mut has_choice = false;
        let choices = body.required_list("choices", &mut self.notes)?;
        for raw in choices.into_iter().flatten() {
            let Some(choice) = Object::of(raw, "choices[0]") else {
                let message = format!("`choices[0]` is not an object: {}", excerpt(raw.get()));
                return Err(ModelError::new(ErrorKind::WrongType, message));
            };
            let index = choice.count("index", &mut self.notes);
            // Two choices would be two answers mixed into one text.
            if has_choice || index.is_some_and(|index| index > 0) {
                return Err(ModelError::new(
                    ErrorKind::Unsupported,
                    "the server sent a second choice; only one can be followed",
                ));
            }
            has_choice = true;
            self.on_choice(&choice, events)?;
        }
        Ok(has_choice)
    }

    fn frame(&mut self, body: &Object<'_>) {
        for (slot, key) in [
            (&mut self.meta.response_id, "id"),
            (&mut self.meta.model, "model"),
        ] {
            if slot.is_none() {
                let name = body.text(key, &mut self.notes);
                *slot = name.filter(|name| !name.is_empty()).map(String::from);
            }
        }
        if let Some(usage) = reported(body, &mut self.notes)
            && (usage.usage.is_some() || self.meta.usage_json.is_none())
        {
            self.meta.usage = usage.usage;
            self.meta.usage_json = usage.json;
        }
    }

    fn on_choice(
        &mut self,
        choice: &Object<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let text = choice.required_text("text", &mut self.notes)?;
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            if self.finished {
                return Err(ModelError::new(
                    ErrorKind::Inconsistent,
                    "the server sent more of the answer after its finish_reason",
                ));
            }
            self.budget.spend(text.len())?;
            self.transcript.push(&text, events)?;
        }
        let reason = choice.required_text("finish_reason", &mut self.notes)?;
        if let Some(reason) = reason.filter(|reason| !reason.is_empty())
            && !self.finished
        {
            self.meta.finish_reason = Some(reason.into_owned());
            self.finish(events)?;
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let stop = if let Some(reason) = self.meta.finish_reason.as_deref() {
            check_finish_reason(&self.cx.dialect, "finish_reason", reason)?;
            Stop::Model
        } else {
            let detail = "the answer has no finish_reason; it says itself that it is complete";
            self.notes.note("missing_finish_reason", detail);
            Stop::Cut
        };
        // The finish reason ends the text. `[DONE]` ends the stream, and usage may come between
        // them.
        self.finished = true;
        self.transcript.finish(stop, events)
    }

    /// Returns what is known beside the items.
    fn take_meta(&mut self) -> ResponseMeta {
        let mut meta = std::mem::take(&mut self.meta);
        meta.deviations = self.notes.take();
        meta.deviations.extend(self.transcript.take_deviations());
        meta
    }

    fn complete(&mut self, events: &mut VecDeque<ModelEvent>) {
        events.push_back(ModelEvent::ResponseDone(Box::new(self.take_meta())));
    }
}

impl ResponseDecoder for HarmonyDecoder {
    fn on_body(
        &mut self,
        body: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let text = text_of(body)?.trim();
        if !self.on_chunk(text, ErrorKind::ApiError, events)? {
            let message = format!("the server's answer has no `choices`: {}", excerpt(text));
            return Err(ModelError::new(ErrorKind::MissingField, message));
        }
        if !self.finished {
            self.finish(events)?;
        }
        self.complete(events);
        Ok(())
    }

    fn on_end(&mut self, events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            return Err(ModelError::new(
                ErrorKind::NoTerminalEvent,
                "the stream ended before the answer did: neither a finish_reason nor [DONE] was seen",
            ));
        }
        let detail = "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete";
        self.notes.note("missing_done", detail);
        self.complete(events);
        Ok(())
    }

    fn on_event(
        &mut self,
        name: &str,
        data: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if data == b"[DONE]" {
            if !self.finished {
                return Err(ModelError::new(
                    ErrorKind::NoTerminalEvent,
                    "the stream ended by [DONE] without a finish_reason, so that it cannot be told from a cut one",
                ));
            }
            self.complete(events);
            return Ok(());
        }
        match name {
            "" | "message" => self
                .on_chunk(text_of(data)?, ErrorKind::StreamError, events)
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

    fn n_kept_bytes(&self) -> usize {
        self.budget.n_bytes()
    }

    fn take_received(&mut self) -> Received {
        self.transcript.take_received()
    }
}
