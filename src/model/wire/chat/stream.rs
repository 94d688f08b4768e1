//! A streamed answer of the chat API.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::builder::ResponseBuilder;
use super::calls::CallDelta;
use super::template::{DeltaKind, DeltaTemplate, single_delta};
use super::types::{ChatBody, ChatCall, ChatMessage, Choice, Form};
use crate::kind::ErrorKind;
use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::{DecodeContext, ResponseDecoder, ServerError, excerpt, text_of};
use crate::model::{ModelError, ModelEvent, Received};

/// Decodes one answer: a whole body, or server-sent events into model events.
pub(crate) struct ChatDecoder {
    answer: ResponseBuilder,
    /// Whether the finish reason was seen, with which all items were given.
    finished: bool,
    template: DeltaTemplate,
    /// The place of the call that the last fragment belonged to.
    last_call: usize,
}

impl ChatDecoder {
    pub(crate) fn new(cx: DecodeContext) -> Self {
        Self {
            answer: ResponseBuilder::new(cx),
            finished: false,
            template: DeltaTemplate::default(),
            last_call: 0,
        }
    }
}

#[cfg(test)]
impl ChatDecoder {
    /// Leaves the next event to the parser.
    pub(super) fn forget_template(&mut self) {
        self.template.forget();
    }
}

impl ResponseDecoder for ChatDecoder {
    fn on_body(
        &mut self,
        body: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        super::response::decode(body, &mut self.answer, events)
    }

    fn on_event(
        &mut self,
        name: &str,
        data: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        // Three ways for an event: the end, a chunk like the one before (the template), or anything
        // else (the parser).
        if data == b"[DONE]" {
            return self.on_done(events);
        }
        // Not behind the finish reason: more text there is an error, which the parser finds.
        if matches!(name, "" | "message")
            && !self.finished
            && let Some((kind, text)) = self.template.delta(data)
        {
            return self.on_delta(kind, text, events);
        }
        // Only what comes twice in a row is taken for a pattern: another event may have changed what stands around the text.
        self.template.forget();
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
        self.on_chunk(text, events)
    }

    /// A server that leaves out `[DONE]` but gave a finish reason is complete (TensorRT-LLM); one that gave none is cut.
    fn on_end(&mut self, events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            let message = "the stream ended before the answer did: neither a finish_reason nor [DONE] was seen";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message));
        }
        self.answer.notes.note("missing_done", "the stream ended without [DONE]; its finish_reason had come, so it was taken as complete");
        self.complete(events);
        Ok(())
    }

    fn n_kept_bytes(&self) -> usize {
        self.answer.budget.n_bytes()
    }

    fn take_received(&mut self) -> Received {
        self.answer.take_received()
    }
}

impl ChatDecoder {
    fn on_chunk(
        &mut self,
        text: &str,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let n_spent = self.answer.budget.n_bytes();
        let mut index = JsonIndex::default();
        let body = ChatBody::parse((text, &mut index), Form::Chunk, &mut self.answer.notes)?;
        self.answer
            .push_names(body.id.as_deref(), body.model.as_deref());
        if body.choices.is_none() && body.usage.is_none() {
            let detail = format!(
                "an event without `choices` was passed over: {}",
                excerpt(text)
            );
            self.answer.notes.note("unknown_event", detail);
        }
        // Looked at before the body is taken apart, learned after it was understood: only a chunk
        // that was accepted becomes a template.
        let single = single_delta(&body);
        self.answer.push_usage(body.usage);
        self.answer.keep_of_body(body.extra)?;
        for choice in body.choices.into_iter().flatten() {
            self.on_choice(choice, events)?;
        }
        match single {
            // Arguments may be passed on only for a call that has started. Before that they wait
            // for a whole name.
            Some((DeltaKind::Arguments { .. }, single))
                if self.answer.calls.is_started(self.last_call) =>
            {
                let call = self.last_call;
                self.template
                    .learn(text, DeltaKind::Arguments { call }, single);
            }
            None | Some((DeltaKind::Arguments { .. }, _)) => {}
            Some((kind, single)) => self.template.learn(text, kind, single),
        }
        // What an event brings beside the usual frame is counted too, kept or not: a stream of nothing else has an end.
        let kept = self.answer.budget.n_bytes() - n_spent;
        self.answer
            .budget
            .spend(text.len().saturating_sub(MAX_FRAME_BYTES + kept))
    }

    /// Adds a delta to what it continues, and passes it on.
    fn on_delta(
        &mut self,
        kind: DeltaKind,
        text: Cow<'_, str>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        match kind {
            DeltaKind::Text => {
                if let Some(text) = self.answer.push_text(text)? {
                    events.push_back(ModelEvent::TextDelta {
                        delta: text.into_owned(),
                    });
                }
            }
            DeltaKind::Reasoning { in_reasoning_field } => {
                self.answer.push_reasoning(&text, in_reasoning_field)?;
                events.push_back(ModelEvent::ReasoningDelta {
                    delta: text.into_owned(),
                });
            }
            DeltaKind::Arguments { call: index } => {
                self.answer.budget.spend(text.len())?;
                if self.answer.calls.push_arguments(index, &text) {
                    events.push_back(ModelEvent::ToolCallDelta {
                        index,
                        delta: text.into_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn on_done(&mut self, events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        if !self.finished {
            let message = "the stream ended by [DONE] without a finish_reason, so that it cannot be told from a cut one";
            return Err(ModelError::new(ErrorKind::NoTerminalEvent, message));
        }
        self.complete(events);
        Ok(())
    }

    fn complete(&mut self, events: &mut VecDeque<ModelEvent>) {
        events.push_back(ModelEvent::ResponseDone(Box::new(self.answer.take_meta())));
    }

    fn on_choice(
        &mut self,
        choice: Choice<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        // A second choice would be mixed into the first.
        if choice.index.is_some_and(|index| index > 0) {
            return Err(ModelError::new(
                ErrorKind::Unsupported,
                "the server streams a second choice; only one can be followed",
            ));
        }
        if let Some(message) = choice.message {
            self.on_message(message, events)?;
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
                events.push_back(ModelEvent::TextDelta { delta });
            }
            // A call without arguments never had a fragment that would start it (Anthropic through
            // OpenRouter, vLLM, Ollama).
            for call in self.answer.calls.start_all()? {
                push_call_events(call, events);
            }
            // The items come with the finish reason. `ResponseDone` waits for `[DONE]`, because
            // usage comes between the two.
            self.answer.finish(Some(&reason), events)?;
            self.finished = true;
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        mut delta: ChatMessage<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let reasoning = delta.thought();
        let content = delta.content.filter(|content| !content.is_empty());
        let refusal = delta.refusal.filter(|refusal| !refusal.is_empty());
        let has_call = !delta.tool_calls.is_empty() || delta.function_call.is_some();
        // Usage and other fields may follow the finish reason. More of the answer may not: its
        // items were given out already.
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
            self.on_delta(DeltaKind::Reasoning { in_reasoning_field }, text, events)?;
        }
        if let Some(text) = content {
            self.on_delta(DeltaKind::Text, text, events)?;
        }
        if let Some(text) = refusal {
            self.answer.push_refusal(&text)?;
            events.push_back(ModelEvent::RefusalDelta {
                delta: text.into_owned(),
            });
        }
        for call in delta.tool_calls {
            self.on_call(call, events)?;
        }
        match delta.function_call {
            Some(function) => self.answer.push_legacy(&function),
            None => Ok(()),
        }
    }

    fn on_call(
        &mut self,
        fragment: ChatCall<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let answer = &mut self.answer;
        let (n, call) =
            answer
                .calls
                .push_fragment(fragment, &mut answer.notes, &mut answer.budget)?;
        self.last_call = n;
        if let Some(call) = call {
            push_call_events(call, events);
        }
        Ok(())
    }
}

/// How much of an event may be its frame, which is not counted as part of the answer: ids, names, empty fields.
const MAX_FRAME_BYTES: usize = 4096;

fn push_call_events(call: CallDelta, events: &mut VecDeque<ModelEvent>) {
    let CallDelta {
        index,
        started,
        delta,
    } = call;
    if let Some((call_id, name)) = started {
        events.push_back(ModelEvent::tool_call_started(index, call_id, name));
    }
    if !delta.is_empty() {
        events.push_back(ModelEvent::ToolCallDelta { index, delta });
    }
}

/// An event named `error`: a JSON object, or plain text.
fn error_event(text: &str) -> ModelError {
    ServerError::from_body(text.as_bytes()).into_error(ErrorKind::StreamError)
}
