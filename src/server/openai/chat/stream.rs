//! Streams a chat answer.

use std::collections::VecDeque;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::Chat;
use super::answer::Ending;
use crate::agent::runner::RunEvent;
use crate::error::RunError;
use crate::server::active::ActiveRun;
use crate::server::error::ApiError;
use crate::usage::Usage;

/// Turns the events of a run into chunks.
pub(super) struct ChunkStream {
    chat: Chat,
    run: ActiveRun,
    tells_usage: bool,
    waiting: VecDeque<Bytes>,
    is_over: bool,
}

impl ChunkStream {
    pub(super) fn new(chat: Chat, run: ActiveRun, tells_usage: bool) -> Self {
        let mut chunks = Self {
            chat,
            run,
            tells_usage,
            waiting: VecDeque::new(),
            is_over: false,
        };
        // As OpenAI begins: clients read the role from the first chunk.
        chunks.send_delta(&json!({"role": "assistant", "content": "", "refusal": null}));
        chunks
    }

    /// Waits for the beginning of the answer, so that a run that cannot begin is an error.
    pub(super) async fn begun(mut self) -> Result<Self, ApiError> {
        while let Some(event) = self.run.next().await {
            let is_before = event.as_ref().is_ok_and(RunEvent::is_before_answer);
            // An error before the first event of the answer becomes a status. Later it can only be
            // an event of the stream.
            self.take(event)?;
            if !is_before {
                break;
            }
        }
        Ok(self)
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Bytes> + Send + 'static {
        stream::unfold(self, |mut chunks| async move {
            loop {
                if let Some(chunk) = chunks.waiting.pop_front() {
                    return Some((chunk, chunks));
                }
                if chunks.is_over {
                    return None;
                }
                let event = chunks.run.next().await?;
                if let Err(error) = chunks.take(event) {
                    chunks.waiting.push_back(error_event(&error));
                    chunks.is_over = true;
                }
            }
        })
    }

    fn take(&mut self, event: Result<RunEvent, RunError>) -> Result<(), ApiError> {
        match event {
            Ok(RunEvent::RunDone { result }) => {
                if let Some(text) = self.chat.text.end(&result) {
                    self.send_delta(&json!({"content": text}));
                }
                self.end(&Ending::STOP, &result.usage());
            }
            Ok(RunEvent::RefusalDelta { delta }) => self.send_delta(&json!({"refusal": delta})),
            Ok(event) => {
                if let Some(text) = self.chat.text.take(&event) {
                    self.send_delta(&json!({"content": text}));
                }
            }
            Err(error) => {
                let usage = error.progress().usage;
                let ending = self.chat.ending(error)?;
                self.end(&ending, &usage);
            }
        }
        Ok(())
    }

    fn end(&mut self, ending: &Ending, usage: &Usage) {
        if !ending.calls.is_empty() {
            self.send_delta(&json!({"tool_calls": ending.calls_json()}));
        }
        let chunk = self
            .chat
            .answer
            .chunk(&json!({}), Some(ending.finish_reason));
        let chunk = self.with_usage(chunk);
        self.send(&chunk);
        if self.tells_usage {
            let chunk = self.chat.answer.usage_chunk(usage);
            self.send(&chunk);
        }
        self.waiting
            .push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
    }

    fn send_delta(&mut self, delta: &Value) {
        let chunk = self.chat.answer.chunk(delta, None);
        let chunk = self.with_usage(chunk);
        self.send(&chunk);
    }

    /// All chunks have the field where one has it.
    fn with_usage(&self, mut chunk: Value) -> Value {
        if let (true, Some(object)) = (self.tells_usage, chunk.as_object_mut()) {
            object.insert("usage".to_owned(), Value::Null);
        }
        chunk
    }

    fn send(&mut self, data: &Value) {
        self.waiting
            .push_back(Bytes::from(format!("data: {data}\n\n")));
    }
}

/// An error, as clients of the chat API find it in a stream.
pub(super) fn error_event(error: &ApiError) -> Bytes {
    let event = json!({"error": error.to_json()});
    Bytes::from(format!("data: {event}\n\n"))
}
