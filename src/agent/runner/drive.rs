//! The one loop: ask the run what is next, do it through the journal, give the outcome back.
//!
//! It is a stream that its caller polls. No task and no channel stand between the socket and the caller, so that a slow reader
//! slows the server and a dropped stream ends everything that it had begun.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep};

use super::RunRequest;
use super::execute::{ToolEvent, ToolPool, TurnTools};
use super::result::{RunEvent, RunResult};
use super::run::Run;
use super::step::{PlannedCall, Step};
use crate::error::{RunError, RunFailure};
use crate::item::ItemKind;
use crate::journal::{EffectKey, Journal, ModelEffect};
use crate::limits::LimitReached;
use crate::model::{Model, ModelError, ModelEvent, ModelRequest, ResponseFold};

/// A run in progress: a stream of its events.
///
/// An error is the last item of the stream. After [`RunEvent::RunDone`] or an error it yields nothing more.
///
/// # Cancel safety
///
/// Dropping the stream cancels the run: the model's connection closes, running tools are dropped where they stand, and none
/// begins. Nothing goes on in the background, except a blocking tool that has begun, which no one can stop. Waiting for the next
/// event and giving up loses nothing.
#[must_use = "a run does nothing until its stream is polled"]
pub struct RunStream {
    run: Run,
    model: Arc<dyn Model>,
    journal: Arc<dyn Journal>,
    max_tool_concurrency: Option<usize>,
    deadline: Option<Deadline>,
    phase: Phase,
    /// What happened and was not asked for yet; an error is the last of it.
    events: VecDeque<Result<RunEvent, RunError>>,
}

enum Phase {
    Decide,
    Model {
        call: ModelEffect,
        fold: ResponseFold,
    },
    Tools(Box<ToolPool>),
    Over,
}

struct Deadline {
    limit: std::time::Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn sleep(&mut self) -> Pin<&mut Sleep> {
        let limit = self.limit;
        self.sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
    }

    fn failure(&self) -> RunFailure {
        RunFailure::Limit(LimitReached::Duration { limit: self.limit })
    }
}

impl RunStream {
    pub(super) fn new(request: RunRequest) -> Self {
        let RunRequest {
            agent,
            input,
            model,
            options,
            delivery,
        } = request;
        Self {
            model,
            journal: Arc::clone(&options.journal),
            max_tool_concurrency: options.max_tool_concurrency,
            deadline: options
                .limits
                .max_duration
                .map(|limit| Deadline { limit, sleep: None }),
            phase: Phase::Decide,
            events: VecDeque::new(),
            run: Run::new(agent, input, options, delivery),
        }
    }

    /// Drops the events and waits for the result.
    ///
    /// # Errors
    ///
    /// The run's error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run.
    pub async fn finish(mut self) -> Result<RunResult, RunError> {
        while let Some(event) = self.next().await {
            if let RunEvent::RunDone { result } = event? {
                return Ok(*result);
            }
        }
        Err(self.run.fail(RunFailure::Model(ModelError::new(
            crate::kind::ErrorKind::Cancelled,
            "the run was over already",
        ))))
    }

    /// Does what the run wants next.
    fn decide(&mut self) -> Result<(), RunFailure> {
        if !self.run.has_final_output() {
            self.check_deadline()?;
        }
        match self.run.next()? {
            Step::CallModel(request) => self.call_model(request),
            Step::RunTools(calls) => self.run_tools(calls),
            Step::Finish(final_output) => {
                self.phase = Phase::Over;
                let result = Box::new(RunResult {
                    final_output,
                    progress: self.run.progress(),
                });
                self.events.push_back(Ok(RunEvent::RunDone { result }));
            }
        }
        Ok(())
    }

    fn call_model(&mut self, request: ModelRequest) {
        let turn = self.run.turn();
        self.events.push_back(Ok(RunEvent::TurnStarted {
            turn,
            agent: self.run.agent().shared_name(),
        }));
        let call = self
            .journal
            .model_call(EffectKey::model_call(turn), self.model.call(request));
        self.phase = Phase::Model {
            call,
            fold: ResponseFold::default(),
        };
    }

    fn run_tools(&mut self, calls: Vec<PlannedCall>) {
        let turn = TurnTools {
            cx: self.run.cx(),
            agent: self.run.agent().shared_name(),
            turn: self.run.turn(),
            journal: Arc::clone(&self.journal),
            max_concurrency: self.max_tool_concurrency,
        };
        self.phase = Phase::Tools(Box::new(ToolPool::new(calls, &turn)));
    }

    /// Takes what the model call gave: an event, an error, or its end.
    fn model_event(
        &mut self,
        event: Option<Result<ModelEvent, ModelError>>,
    ) -> Result<(), RunFailure> {
        let Phase::Model { fold, .. } = &mut self.phase else {
            return Ok(());
        };
        let event = match event {
            Some(event) => event.map_err(RunFailure::Model)?,
            None => return self.response_done(),
        };
        let shown = match event {
            ModelEvent::TextDelta { delta } => RunEvent::TextDelta { delta },
            ModelEvent::RefusalDelta { delta } => RunEvent::RefusalDelta { delta },
            ModelEvent::ReasoningDelta { delta } => RunEvent::ReasoningDelta { delta },
            ModelEvent::ToolCallStarted { index, name } => {
                RunEvent::ToolCallStarted { index, name }
            }
            ModelEvent::ToolCallDelta { index, delta } => RunEvent::ToolCallDelta { index, delta },
            ModelEvent::Other { name, json } => RunEvent::ModelEvent { name, json },
            ModelEvent::ItemDone { item } => {
                fold.push(ModelEvent::ItemDone { item: item.clone() });
                self.events
                    .push_back(Ok(RunEvent::ItemDone { item: item.clone() }));
                match item.kind() {
                    ItemKind::FunctionCall(call) => RunEvent::ToolCalled {
                        call_id: call.call_id.clone(),
                        name: call.name.clone(),
                        arguments: call.arguments.clone(),
                    },
                    _ => return Ok(()),
                }
            }
            ModelEvent::ResponseDone(end) => {
                let shown = RunEvent::ResponseDone {
                    end: (*end).clone(),
                };
                fold.push(ModelEvent::ResponseDone(end));
                self.events.push_back(Ok(shown));
                return self.response_done();
            }
        };
        self.events.push_back(Ok(shown));
        Ok(())
    }

    fn response_done(&mut self) -> Result<(), RunFailure> {
        let Phase::Model { fold, .. } = std::mem::replace(&mut self.phase, Phase::Decide) else {
            return Ok(());
        };
        let response = fold.finish().map_err(RunFailure::Model)?;
        self.run.accept_response(response)
    }

    /// Takes what the tools gave: one call's outcome, or the end of all.
    fn tool_event(&mut self, event: Option<ToolEvent>) -> Result<(), RunFailure> {
        match event {
            Some(ToolEvent::Done { call, outcome }) => {
                self.events.push_back(Ok(RunEvent::ToolOutputDone {
                    call_id: call.call_id,
                    name: call.name,
                    output: outcome.output.text(),
                    failure: outcome.failure,
                }));
                Ok(())
            }
            Some(ToolEvent::Fatal(error)) => Err(RunFailure::Tool(error)),
            None => {
                if let Phase::Tools(pool) = std::mem::replace(&mut self.phase, Phase::Decide) {
                    self.run.accept_outcomes(pool.into_finished());
                }
                Ok(())
            }
        }
    }

    /// Ends the run by an error; what is still running is dropped.
    fn fail(&mut self, failure: RunFailure) -> RunError {
        if let Phase::Tools(pool) = std::mem::replace(&mut self.phase, Phase::Over) {
            self.run.keep_outcomes(pool.into_finished());
        }
        self.run.fail(failure)
    }
}

impl Stream for RunStream {
    type Item = Result<RunEvent, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = &mut *self;
        loop {
            if let Some(event) = stream.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            let polled = match &mut stream.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Decide => Poll::Ready(stream.decide()),
                Phase::Model { call, .. } => call
                    .poll_next_unpin(cx)
                    .map(|event| stream.model_event(event)),
                Phase::Tools(pool) => pool
                    .poll_next_unpin(cx)
                    .map(|event| stream.tool_event(event)),
            };
            let done = match polled {
                Poll::Ready(done) => done,
                Poll::Pending => Err(ready!(stream.poll_deadline(cx))),
            };
            if let Err(failure) = done {
                // Behind what led to it, such as the end of the response.
                let error = stream.fail(failure);
                stream.events.push_back(Err(error));
            }
        }
    }
}

impl RunStream {
    /// Becomes ready when the run's time is over; it is only looked at while something is waited for.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<RunFailure> {
        match &mut self.deadline {
            Some(deadline) => deadline.sleep().poll(cx).map(|()| deadline.failure()),
            None => Poll::Pending,
        }
    }

    /// Looks at the clock before a step, since a run that never waits does not poll its timer. The first step starts the timer.
    fn check_deadline(&mut self) -> Result<(), RunFailure> {
        let Some(deadline) = &mut self.deadline else {
            return Ok(());
        };
        if deadline.sleep().deadline() <= Instant::now() {
            return Err(deadline.failure());
        }
        Ok(())
    }
}

impl std::fmt::Debug for RunStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunStream")
            .field("agent", &self.run.agent().name())
            .field("turn", &self.run.turn())
            .finish_non_exhaustive()
    }
}
