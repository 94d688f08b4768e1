//! A streamed answer of the chat API.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::assembly::{Assembly, PartialCall};
use super::shape::{Piece, Shape, lone_piece};
use super::types::{Body, Call, Choice, Message};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::wire::{Answer, DecodeContext, ServerError, excerpt, parse, text_of};
use crate::model::{ModelError, ModelEvent, Received, ResponseEnd};

/// Decodes one answer: a whole body, or server-sent events into model events.
pub(crate) struct Decoder {
    asked: DecodeContext,
    answer: Assembly,
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
            asked,
            answer: Assembly::default(),
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
        super::response::decode(body, &self.asked)
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
                self.answer.note(
                    "unknown_event",
                    format!(
                        "an event `{}` is not of the protocol; it was passed over",
                        excerpt(other)
                    ),
                );
                return Ok(());
            }
        }
        let body: Body<'_> = parse(text)?;
        if let Some(error) = body.error {
            return Err(ServerError::from_raw(error).into_error(ErrorKind::StreamError));
        }
        if self.answer.id.is_none() || self.answer.model.is_none() {
            self.answer
                .take_names(body.id.as_deref(), body.model.as_deref());
        }
        self.answer.take_usage(body.usage.as_ref());
        if body.choices.is_none() && body.usage.is_none() {
            self.answer.note(
                "unknown_event",
                format!(
                    "an event without `choices` was passed over: {}",
                    excerpt(text)
                ),
            );
        }
        let lone = lone_piece(&body);
        for choice in body.choices.into_iter().flatten() {
            self.choice(choice, out)?;
        }
        match lone {
            Some((Piece::Arguments { .. }, lone)) if self.is_started(self.last_call) => {
                self.shape.learn(
                    text,
                    Piece::Arguments {
                        call: self.last_call,
                    },
                    lone,
                );
            }
            None | Some((Piece::Arguments { .. }, _)) => {}
            Some((piece, lone)) => self.shape.learn(text, piece, lone),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn received(&self) -> Received {
        self.answer.received()
    }

    /// Takes the end of the body.
    ///
    /// A server that leaves out `[DONE]` but gave a finish reason is complete (TensorRT-LLM); one that gave none is cut.
    fn end(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            let message = "the stream ended before the answer did: neither a finish_reason nor [DONE] was seen";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message)
                .with_received(self.answer.received()));
        }
        self.answer.note("missing_done", "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete");
        self.complete(out);
        Ok(())
    }
}

impl Decoder {
    fn is_started(&self, call: usize) -> bool {
        self.answer.calls.get(call).is_some_and(|call| call.started)
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
                if let Some(text) = self.answer.take_text(text)? {
                    out.push_back(ModelEvent::TextDelta {
                        delta: text.into_owned(),
                    });
                }
            }
            Piece::Reasoning { in_reasoning_field } => {
                self.answer.reasoning_field = in_reasoning_field;
                self.answer.reasoning.push_str(&text);
                out.push_back(ModelEvent::ReasoningDelta {
                    delta: text.into_owned(),
                });
            }
            Piece::Arguments { call: index } => {
                if let Some(call) = self.answer.calls.get_mut(index) {
                    call.arguments.push_str(&text);
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
        if let Some(error) = choice.error {
            return Err(ServerError::from_raw(error).into_error(ErrorKind::StreamError));
        }
        if let Some(message) = choice.message {
            self.delta(message, out)?;
        }
        // Some gateways send an empty reason with every chunk.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty())
            && !self.finished
        {
            self.answer.finish_reason = Some(reason.into_owned());
            if let Some(delta) = self.answer.end_text() {
                out.push_back(ModelEvent::TextDelta { delta });
            }
            self.start_calls(out)?;
            let items = self.answer.finish(&self.asked)?;
            self.finished = true;
            out.extend(items.into_iter().map(|item| ModelEvent::ItemDone { item }));
        }
        Ok(())
    }

    fn delta(
        &mut self,
        delta: Message<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let content = delta.content.get();
        let refusal = delta.refusal.filter(|refusal| !refusal.is_empty());
        let has_call = delta
            .tool_calls
            .as_ref()
            .is_some_and(|calls| !calls.is_empty())
            || delta.function_call.is_some();
        if self.finished && (content.is_some() || refusal.is_some() || has_call) {
            return Err(ModelError::new(
                ErrorKind::Inconsistent,
                "the server sent more of the answer after its finish_reason",
            ));
        }
        let reasoning = match (delta.reasoning_content.get(), delta.reasoning.get()) {
            (Some(text), _) => Some((text, false)),
            (None, Some(text)) => Some((text, true)),
            (None, None) => None,
        };
        self.answer
            .thinking
            .take(delta.thinking_blocks.unwrap_or_default());
        if let Some((text, in_reasoning_field)) = reasoning {
            self.piece(Piece::Reasoning { in_reasoning_field }, text, out)?;
        }
        if let Some(text) = content {
            self.piece(Piece::Text, text, out)?;
        }
        if let Some(text) = refusal {
            self.answer.refusal.push_str(&text);
            out.push_back(ModelEvent::RefusalDelta {
                delta: text.into_owned(),
            });
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out)?;
        }
        if let Some(function) = delta.function_call {
            self.answer.take_legacy(&function, &self.asked);
        }
        Ok(())
    }

    fn call(
        &mut self,
        fragment: Call<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        Assembly::check_type(&fragment)?;
        let n = self.place(&fragment)?;
        self.last_call = n;
        let Some(call) = self.answer.calls.get_mut(n) else {
            return Ok(());
        };
        if let Some(id) = fragment.id.as_deref()
            && call.id.is_empty()
        {
            id.clone_into(&mut call.id);
        }
        call.keep_extra(fragment.extra);
        let function = fragment.function.unwrap_or_default();
        if let Some(name) = function.name.as_deref() {
            take_name(call, name)?;
        }
        let arguments = function
            .arguments
            .as_ref()
            .map_or("", |arguments| &arguments.0);
        call.arguments.push_str(arguments);
        if arguments.is_empty() || call.name.is_empty() {
            return Ok(());
        }
        // A name may come in pieces, but not after the arguments began: so it is whole when they do.
        let delta = if call.started {
            arguments.to_owned()
        } else {
            call.arguments.clone()
        };
        if !std::mem::replace(&mut call.started, true) {
            call.check_name()?;
            out.push_back(ModelEvent::ToolCallStarted {
                index: n,
                name: call.tool_name().to_owned(),
            });
        }
        out.push_back(ModelEvent::ToolCallDelta { index: n, delta });
        Ok(())
    }

    /// Finds the call that a fragment belongs to; it is never guessed between two.
    fn place(&mut self, fragment: &Call<'_>) -> Result<usize, ModelError> {
        let id = fragment.id.as_deref().filter(|id| !id.is_empty());
        let has_name = fragment
            .function
            .as_ref()
            .and_then(|function| function.name.as_deref())
            .is_some_and(|name| !name.is_empty());
        let calls = &self.answer.calls;
        let Some(index) = fragment.index else {
            return self.place_without_index(id, has_name);
        };
        // The newest call of the index: lmdeploy and vLLM 0.7 used index 0 for every call.
        let known = calls.iter().rposition(|call| call.index == Some(index));
        match (known, id) {
            (None, _) => Ok(self.open(Some(index))),
            (Some(n), Some(id))
                if calls
                    .get(n)
                    .is_some_and(|call| !call.id.is_empty() && call.id != id) =>
            {
                if !has_name {
                    return Err(ModelError::new(
                        ErrorKind::AmbiguousToolDelta,
                        format!(
                            "a fragment of tool call {index} came with another id ({id:?}) and no name, so that it may belong to either"
                        ),
                    ));
                }
                self.answer.note(
                    "reused_tool_index",
                    format!(
                        "two tool calls came under index {index}; they were told apart by their ids"
                    ),
                );
                Ok(self.open(Some(index)))
            }
            (Some(n), _) => Ok(n),
        }
    }

    fn place_without_index(
        &mut self,
        id: Option<&str>,
        has_name: bool,
    ) -> Result<usize, ModelError> {
        self.answer.note(
            "missing_tool_index",
            "tool calls came without an index; they were told apart by their ids",
        );
        let calls = &self.answer.calls;
        let known = id.and_then(|id| calls.iter().position(|call| call.id == id));
        match (known, id, calls.len()) {
            (Some(n), _, _) => Ok(n),
            (None, Some(_), _) => Ok(self.open(None)),
            (None, None, 0) => Ok(self.open(None)),
            (None, None, 1) if !has_name => Ok(0),
            (None, None, n) => Err(ModelError::new(
                ErrorKind::AmbiguousToolDelta,
                format!("a tool-call fragment has neither index nor id, and {n} calls are open"),
            )),
        }
    }

    fn open(&mut self, index: Option<u64>) -> usize {
        self.answer.calls.push(PartialCall {
            index,
            ..PartialCall::default()
        });
        self.answer.calls.len() - 1
    }

    /// Tells the starts that were held back because no arguments came.
    fn start_calls(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        for (index, call) in self.answer.calls.iter_mut().enumerate() {
            if !std::mem::replace(&mut call.started, true) {
                call.check_name()?;
                out.push_back(ModelEvent::ToolCallStarted {
                    index,
                    name: call.tool_name().to_owned(),
                });
                if !call.arguments.is_empty() {
                    out.push_back(ModelEvent::ToolCallDelta {
                        index,
                        delta: call.arguments.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Takes a name, whole, repeated with every fragment, or in pieces before the arguments.
fn take_name(call: &mut PartialCall, name: &str) -> Result<(), ModelError> {
    if call.name.is_empty() {
        name.clone_into(&mut call.name);
    } else if call.name != name && !name.is_empty() {
        if !call.arguments.is_empty() {
            return Err(ModelError::new(
                ErrorKind::AmbiguousToolDelta,
                format!(
                    "a fragment of the tool call {:?} names another tool, {name:?}",
                    call.name
                ),
            ));
        }
        call.name.push_str(name);
    }
    Ok(())
}

/// An event named `error`: a JSON object, or plain text.
fn error_event(text: &str) -> ModelError {
    ServerError::from_body(text.as_bytes()).into_error(ErrorKind::StreamError)
}
