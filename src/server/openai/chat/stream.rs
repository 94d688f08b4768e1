//! A chat answer as it comes in.

use std::collections::VecDeque;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::answer::{Answer, Ending};
use super::text::AnswerText;
use crate::agent::runner::RunEvent;
use crate::error::RunError;
use crate::server::active::ActiveRun;
use crate::server::error::ApiError;
use crate::usage::Usage;

/// Turns the events of a run into chunks.
pub(super) struct ChunkStream {
    pub(super) run: ActiveRun,
    pub(super) answer: Answer,
    pub(super) text: AnswerText,
    pub(super) tells_usage: bool,
    pub(super) waiting: VecDeque<Bytes>,
    pub(super) is_over: bool,
}

impl ChunkStream {
    /// Waits for the first event that says more than that the run began, so that a run that cannot begin is an error status.
    pub(super) async fn begin(&mut self) -> Result<(), ApiError> {
        self.send_delta(&json!({"role": "assistant", "content": "", "refusal": null}));
        while let Some(event) = self.run.next().await {
            match event {
                Err(error) if Ending::of(&error).is_none() => return Err(ApiError::of_run(&error)),
                event => {
                    let says_more = !matches!(event, Ok(RunEvent::TurnStarted { .. }));
                    self.take(event);
                    if says_more {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
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
                chunks.take(event);
            }
        })
    }

    fn take(&mut self, event: Result<RunEvent, RunError>) {
        match event {
            Ok(RunEvent::RunDone { result }) => {
                if let Some(text) = self.text.end(&result) {
                    self.send_delta(&json!({"content": text}));
                }
                self.end(&Ending::STOP, &result.usage());
            }
            Ok(RunEvent::RefusalDelta { delta }) => self.send_delta(&json!({"refusal": delta})),
            Ok(event) => {
                if let Some(text) = self.text.take(&event) {
                    self.send_delta(&json!({"content": text}));
                }
            }
            Err(error) => {
                if let Some(ending) = Ending::of(&error) {
                    self.end(&ending, &error.progress().usage);
                } else {
                    self.send(&json!({"error": ApiError::of_run(&error).to_json()}));
                    self.is_over = true;
                }
            }
        }
    }

    fn end(&mut self, ending: &Ending, usage: &Usage) {
        let chunk = self.answer.chunk(&json!({}), Some(ending.finish_reason));
        let chunk = self.with_usage(chunk);
        self.send(&chunk);
        if self.tells_usage {
            let chunk = self.answer.usage_chunk(usage);
            self.send(&chunk);
        }
        self.waiting
            .push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
    }

    fn send_delta(&mut self, delta: &Value) {
        let chunk = self.answer.chunk(delta, None);
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
