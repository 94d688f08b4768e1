//! A streamed answer of the chat API.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::builder::ResponseBuilder;
use super::calls::Told;
use super::shape::{Piece, Shape, lone_piece};
use super::types::{Body, Call, Choice, Form, Message};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::wire::{Answer, DecodeContext, ServerError, excerpt, text_of};
use crate::model::{ModelError, ModelEvent, Received, ResponseEnd};

/// Decodes one answer: a whole body, or server-sent events into model events.
pub(crate) struct Decoder {
    asked: DecodeContext,
    answer: ResponseBuilder,
    /// Whether the finish reason was seen, and so all items told.
    finished: bool,
    /// Whether the response is complete.
    done: bool,
    shape: Shape,
    /// The place of the call that the last fragment belonged to.
    last_call: usize,
}

impl Decoder {
    pub(crate) fn new(asked: DecodeContext) -> Self {
        Self {
            answer: ResponseBuilder::new(asked.clone()),
            asked,
            finished: false,
            done: false,
            shape: Shape::default(),
            last_call: 0,
        }
    }
}

#[cfg(test)]
impl Decoder {
    /// Leaves the next event to the parser.
    pub(super) fn forget_shape(&mut self) {
        self.shape.forget();
    }
}

impl Answer for Decoder {
    fn decode(&mut self, body: &[u8]) -> Result<(Vec<Item>, ResponseEnd), ModelError> {
        super::response::decode(body, self.asked.clone())
    }

    fn take(
        &mut self,
        name: &str,
        data: &[u8],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if data == b"[DONE]" {
            return self.take_done(out);
        }
        if matches!(name, "" | "message")
            && !self.finished
            && let Some((piece, text)) = self.shape.piece(data)
        {
            return self.piece(piece, text, out);
        }
        self.shape.forget();
        let text = text_of(data)?;
        match name {
            "" | "message" => {}
            "error" => return Err(error_event(text)),
            // Proxies of other APIs put events of their own between (`event: ping`).
            other => {
                self.answer.notes.note(
                    "unknown_event",
                    format!(
                        "an event `{}` is not of the protocol; it was passed over",
                        excerpt(other)
                    ),
                );
                return self.answer.budget.spend(data.len());
            }
        }
        self.chunk(text, out)
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn take_received(&mut self) -> Received {
        self.answer.take_received()
    }

    /// Takes the end of the body.
    ///
    /// A server that leaves out `[DONE]` but gave a finish reason is complete (TensorRT-LLM); one that gave none is cut.
    fn end(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            let message = "the stream ended before the answer did: neither a finish_reason nor [DONE] was seen";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message)
                .with_received(self.take_received()));
        }
        self.answer.notes.note("missing_done", "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete");
        self.complete(out);
        Ok(())
    }
}

impl Decoder {
    fn chunk(&mut self, text: &str, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let n_spent = self.answer.budget.spent();
        let body = Body::parse(text, Form::Chunk, &mut self.answer.notes)?;
        self.answer
            .push_names(body.id.as_deref(), body.model.as_deref());
        if body.choices.is_none() && body.usage.is_none() {
            let detail = format!(
                "an event without `choices` was passed over: {}",
                excerpt(text)
            );
            self.answer.notes.note("unknown_event", detail);
        }
        let lone = lone_piece(&body);
        self.answer.push_usage(body.usage);
        self.answer.keep_of_body(body.extra)?;
        for choice in body.choices.into_iter().flatten() {
            self.choice(choice, out)?;
        }
        match lone {
            Some((Piece::Arguments { .. }, lone))
                if self.answer.calls.is_started(self.last_call) =>
            {
                let call = self.last_call;
                self.shape.learn(text, Piece::Arguments { call }, lone);
            }
            None | Some((Piece::Arguments { .. }, _)) => {}
            Some((piece, lone)) => self.shape.learn(text, piece, lone),
        }
        // What an event brings beside the usual frame is counted too, kept or not: a stream of nothing else has an end.
        let kept = self.answer.budget.spent() - n_spent;
        self.answer
            .budget
            .spend(text.len().saturating_sub(MAX_FRAME_BYTES + kept))
    }

    /// Takes a piece of text and nothing else.
    fn piece(
        &mut self,
        piece: Piece,
        text: Cow<'_, str>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        match piece {
            Piece::Text => {
                if let Some(text) = self.answer.push_text(text)? {
                    out.push_back(ModelEvent::TextDelta {
                        delta: text.into_owned(),
                    });
                }
            }
            Piece::Reasoning { in_reasoning_field } => {
                self.answer.push_reasoning(&text, in_reasoning_field)?;
                out.push_back(ModelEvent::ReasoningDelta {
                    delta: text.into_owned(),
                });
            }
            Piece::Arguments { call: index } => {
                self.answer.budget.spend(text.len())?;
                if self.answer.calls.push_arguments(index, &text) {
                    out.push_back(ModelEvent::ToolCallDelta {
                        index,
                        delta: text.into_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn take_done(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            let message = "the stream ended by [DONE] without a finish_reason, so that it cannot be told from a cut one";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message));
        }
        self.complete(out);
        Ok(())
    }

    fn complete(&mut self, out: &mut VecDeque<ModelEvent>) {
        self.done = true;
        out.push_back(ModelEvent::ResponseDone(Box::new(self.answer.end())));
    }

    fn choice(
        &mut self,
        choice: Choice<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if choice.index.is_some_and(|index| index > 0) {
            return Err(ModelError::new(
                ErrorKind::Unsupported,
                "the server streams a second choice; only one can be followed",
            ));
        }
        if let Some(message) = choice.message {
            self.delta(message, out)?;
        }
        if !self.finished {
            self.answer.push_logprobs(choice.logprobs)?;
        }
        self.answer.keep_of_choice(choice.extra)?;
        // Some gateways send an empty reason with every chunk.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty())
            && !self.finished
        {
            if let Some(delta) = self.answer.end_text() {
                out.push_back(ModelEvent::TextDelta { delta });
            }
            for told in self.answer.calls.start_all()? {
                tell(told, out);
            }
            let items = self.answer.finish(Some(&reason))?;
            self.finished = true;
            out.extend(items.into_iter().map(|item| ModelEvent::ItemDone { item }));
        }
        Ok(())
    }

    fn delta(
        &mut self,
        mut delta: Message<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let reasoning = delta.thought();
        let content = delta.content.filter(|content| !content.is_empty());
        let refusal = delta.refusal.filter(|refusal| !refusal.is_empty());
        let has_call = !delta.tool_calls.is_empty() || delta.function_call.is_some();
        if self.finished && (content.is_some() || refusal.is_some() || has_call) {
            return Err(ModelError::new(
                ErrorKind::Inconsistent,
                "the server sent more of the answer after its finish_reason",
            ));
        }
        self.answer.push_thinking(delta.thinking_blocks)?;
        self.answer.push_annotations(delta.annotations)?;
        self.answer.keep_of_message(delta.extra)?;
        if let Some((text, in_reasoning_field)) = reasoning {
            self.piece(Piece::Reasoning { in_reasoning_field }, text, out)?;
        }
        if let Some(text) = content {
            self.piece(Piece::Text, text, out)?;
        }
        if let Some(text) = refusal {
            self.answer.push_refusal(&text)?;
            out.push_back(ModelEvent::RefusalDelta {
                delta: text.into_owned(),
            });
        }
        for call in delta.tool_calls {
            self.call(call, out)?;
        }
        match delta.function_call {
            Some(function) => self.answer.push_legacy(&function),
            None => Ok(()),
        }
    }

    fn call(
        &mut self,
        fragment: Call<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let answer = &mut self.answer;
        let (n, told) =
            answer
                .calls
                .push_fragment(fragment, &mut answer.notes, &mut answer.budget)?;
        self.last_call = n;
        if let Some(told) = told {
            tell(told, out);
        }
        Ok(())
    }
}

/// How much of an event may be its frame, which is not counted as part of the answer: ids, names, empty fields.
const MAX_FRAME_BYTES: usize = 4096;

fn tell(told: Told, out: &mut VecDeque<ModelEvent>) {
    let Told {
        index,
        started,
        delta,
    } = told;
    if let Some(name) = started {
        out.push_back(ModelEvent::ToolCallStarted { index, name });
    }
    if !delta.is_empty() {
        out.push_back(ModelEvent::ToolCallDelta { index, delta });
    }
}

/// An event named `error`: a JSON object, or plain text.
fn error_event(text: &str) -> ModelError {
    ServerError::from_body(text.as_bytes()).into_error(ErrorKind::StreamError)
}
