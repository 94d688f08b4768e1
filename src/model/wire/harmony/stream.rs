//! An answer of `/completions`, whole or streamed: both hold pieces of one text.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::transcript::{Stop, Transcript};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::wire::chat::WireUsage;
use crate::model::wire::{Answer, DecodeContext, ServerError, excerpt, parse, text_of};
use crate::model::{Deviation, ModelError, ModelEvent, Received, ResponseEnd};

/// Decodes one answer.
pub(crate) struct Decoder {
    asked: DecodeContext,
    transcript: Transcript,
    end: ResponseEnd,
    finished: bool,
    done: bool,
}

/// A whole answer, or one chunk of a stream.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

impl Decoder {
    pub(crate) fn new(asked: DecodeContext) -> Self {
        Self {
            transcript: Transcript::new(asked.turn),
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
        let body: Body<'_> = parse(text)?;
        if let Some(reason) = body.error.filter(|reason| reason.get() != "null") {
            return Err(ServerError::from_raw(reason).into_error(error));
        }
        self.take_frame(&body);
        let mut has_choice = false;
        for choice in body.choices.into_iter().flatten() {
            if has_choice || choice.index.is_some_and(|index| index > 0) {
                return Err(ModelError::new(
                    ErrorKind::Unsupported,
                    "the server sent a second choice; only one can be followed",
                ));
            }
            has_choice = true;
            self.choice(choice, out)?;
        }
        Ok(has_choice)
    }

    fn take_frame(&mut self, body: &Body<'_>) {
        for (slot, name) in [
            (&mut self.end.response_id, &body.id),
            (&mut self.end.model, &body.model),
        ] {
            if slot.is_none() {
                *slot = name
                    .as_deref()
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned);
            }
        }
        if let Some(usage) = body.usage.as_ref().and_then(WireUsage::usage) {
            self.end.usage = Some(usage);
        }
    }

    fn choice(
        &mut self,
        choice: Choice<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if let Some(text) = choice.text.filter(|text| !text.is_empty()) {
            if self.finished {
                return Err(ModelError::new(
                    ErrorKind::Inconsistent,
                    "the server sent more of the answer after its finish_reason",
                ));
            }
            self.transcript.push(&text, out)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty())
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
            self.end
                .deviations
                .push(Deviation::new("missing_finish_reason", detail));
            Stop::Cut
        };
        self.finished = true;
        self.transcript.finish(stop, out)
    }

    /// Gives what is known beside the items.
    fn take_end(&mut self) -> ResponseEnd {
        let mut end = std::mem::take(&mut self.end);
        end.deviations.extend(self.transcript.take_deviations());
        end
    }

    fn complete(&mut self, out: &mut VecDeque<ModelEvent>) {
        self.done = true;
        out.push_back(ModelEvent::ResponseDone(Box::new(self.take_end())));
    }

    fn cut(&self, message: &str) -> ModelError {
        ModelError::new(ErrorKind::NoTerminalEvent, message).with_received(self.received())
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
            return Err(self.cut("the stream ended before the answer did: neither a finish_reason nor [DONE] was seen"));
        }
        let detail = "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete";
        self.end
            .deviations
            .push(Deviation::new("missing_done", detail));
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
                return Err(self.cut("the stream ended by [DONE] without a finish_reason, so that it cannot be told from a cut one"));
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
                self.end
                    .deviations
                    .push(Deviation::new("unknown_event", detail));
                Ok(())
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn received(&self) -> Received {
        self.transcript.received()
    }
}
