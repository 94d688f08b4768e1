//! The one loop: ask the run what is next, do it through the journal, give the outcome back.
//!
//! It is a stream that its caller polls. No task and no channel stand between the socket and the caller, so that a slow reader
//! slows the server and a dropped stream ends everything that it had begun.

mod keep;
mod end;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, Sleep};

use super::callbacks::{BeforeEnd, BeforeModel, HookSet, InputChecks, after_model, hand_off};
use super::handle::RunHandle;
use super::request::{RunRequest, RunScope};
use super::result::{RunEvent, RunResult};
use super::run::Run;
use super::session::{Claim, Loaded, SessionWriter};
use super::step::{HandoffStep, PlannedCall, Step};
use super::to_run_events::show;
use super::tool_calls::{ToolEvent, ToolPool, TurnTools};
use super::tool_sources::ask;
use crate::agent::HandoffHistory;
use crate::context::Cancel;
use crate::error::{RunError, RunFailure};
use crate::future::BoxFuture;
use crate::guardrail::{GuardrailResult, GuardrailTiming};
use crate::journal::{EffectKey, ModelEffect};
use crate::limits::LimitReached;
use crate::model::{
    Delivery, Model, ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseFold,
};
use crate::session::SessionError;
use crate::tools::FunctionTool;

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
    /// The model where neither the run nor the agent has one.
    model: Arc<dyn Model>,
    delivery: Delivery,
    scope: RunScope,
    deadline: Option<Deadline>,
    phase: Phase,
    checks: InputChecks,
    /// Whether what the model says may yet be withheld by an output guardrail.
    holds_output: bool,
    keeper: Option<SessionWriter>,
    /// Whether the final output is known, and only what stands around it is left.
    is_ending: bool,
    /// Whether the end of the run is decided, so that nothing but the last write to the session is waited for.
    is_closing: bool,
    /// What happened and was not asked for yet; an error is the last of it.
    events: VecDeque<Result<RunEvent, RunError>>,
}

enum Phase {
    /// Nothing was done yet; what does not fit together is told first.
    Begin(Option<RunFailure>),
    Decide,
    /// Something of the application is waited for.
    Wait(BoxFuture<'static, Result<Waited, RunFailure>>),
    Model {
        call: ModelEffect,
        fold: ResponseFold,
    },
    Tools(Box<ToolPool>),
    Over,
}

/// What the application was waited for.
enum Waited {
    Tools(Vec<Arc<[FunctionTool]>>),
    Request(Box<ModelRequest>),
    Response(ModelResponse),
    HandedOff(Option<HandoffHistory>),
    Loaded(Result<Box<Loaded>, SessionError>),
    Claimed(Result<SessionWriter, Claim>),
    Saved(SessionWriter, Result<(), SessionError>, After),
    Judged(String, Vec<GuardrailResult>),
}

/// What follows once a turn is in the session.
enum After {
    GoOn,
    Done(String),
    Fail(Box<RunFailure>),
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
            beginning,
            model,
            options,
            delivery,
            scope,
        } = request;
        let options = Arc::new(options);
        let max_duration = options.limits.max_duration;
        let (run, failure) = Run::new(&agent, beginning, (options, &scope), delivery);
        Self {
            run,
            model,
            delivery,
            scope,
            deadline: max_duration.map(|limit| Deadline { limit, sleep: None }),
            phase: Phase::Begin(failure),
            checks: InputChecks::default(),
            holds_output: false,
            keeper: None,
            is_ending: false,
            is_closing: false,
            events: VecDeque::new(),
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
        Err(self.run.fail(RunFailure::Cancelled))
    }

    /// Gives a handle by which the run can be cancelled from elsewhere.
    pub fn handle(&self) -> RunHandle {
        RunHandle(Arc::clone(self.run.cx().control()))
    }

    /// Ends the run, now or after its turn, with the error `cancelled`.
    pub fn cancel(&self, when: Cancel) {
        self.run.cx().control().cancel(when);
    }

    /// Begins: what does not fit together ends the run before anything is asked.
    fn begin(&mut self, failure: Option<RunFailure>) -> Result<(), RunFailure> {
        self.phase = Phase::Decide;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if self.run.has_waiting_calls() {
            if self.ask_sources() {
                return Ok(());
            }
            self.run.resume()?;
        }
        self.begin_session()?;
        if matches!(self.phase, Phase::Decide) {
            self.begun();
        }
        Ok(())
    }

    /// Asks the agent's sources for their tools; `false` if there are none to ask.
    fn ask_sources(&mut self) -> bool {
        let sources = self.run.sources().to_vec();
        if sources.is_empty() {
            return false;
        }
        let lists = ask(sources).map(|lists| lists.map(Waited::Tools));
        self.phase = Phase::Wait(Box::pin(lists));
        true
    }

    fn begun(&mut self) {
        if self.run.turn() == 0 {
            self.ask_guardrails(|timing| timing == GuardrailTiming::Blocking);
        }
    }

    fn ask_guardrails(&mut self, is_asked: impl Fn(GuardrailTiming) -> bool) {
        let run = &self.run;
        let lists = [
            run.agent().input_guardrails(),
            &run.options().input_guardrails,
        ];
        let new = Arc::from(run.input());
        for guardrails in lists {
            let about = (run.cx(), run.agent());
            self.checks
                .ask(guardrails, &is_asked, about, (run.seen(), &new));
        }
    }

    /// Does what the run wants next; nothing, while guardrails must be waited for.
    fn decide(&mut self) -> Poll<Result<(), RunFailure>> {
        let waits =
            self.checks.is_holding() || (!self.checks.is_done() && !self.run.is_inside_turn());
        if waits {
            return Poll::Pending;
        }
        Poll::Ready(self.step())
    }

    fn step(&mut self) -> Result<(), RunFailure> {
        let unsaved = self.unsaved();
        if self.run.is_between_turns() && !unsaved.is_empty() {
            self.save_then(unsaved, After::GoOn);
            return Ok(());
        }
        if self.must_save_input() {
            self.save_then(Vec::new(), After::GoOn);
            return Ok(());
        }
        if self.run.is_between_turns() && self.ask_sources() {
            return Ok(());
        }
        if !self.run.has_final_output() {
            self.check_deadline()?;
            if self.run.is_between_turns()
                && self.run.turn() > 0
                && self.requested_cancel().is_some()
            {
                return Err(RunFailure::Cancelled);
            }
        }
        let step = self.run.next()?;
        if !matches!(step, Step::Finish(_)) {
            self.holds_output = false;
        }
        match step {
            Step::CallModel(request) => return self.prepare(request),
            Step::RunTools(calls) => self.run_tools(calls),
            Step::Handoff(step) => self.hand_off(*step),
            Step::Pause => return Err(self.pause()),
            Step::Finish(output) => self.finish_with(output),
        }
        Ok(())
    }

    fn prepare(&mut self, request: ModelRequest) -> Result<(), RunFailure> {
        if self.run.turn() == 1 {
            self.ask_guardrails(|timing| timing != GuardrailTiming::Blocking);
        }
        let before = BeforeModel {
            cx: self.run.cx().clone(),
            agent: self.run.agent().clone(),
            hooks: HookSet::of(self.run.options(), self.run.agent()),
            is_fresh: self.run.take_first_turn(),
            filter: self.run.options().model_input_filter.clone(),
        };
        if !before.is_needed() {
            return self.call_model(&request);
        }
        let prepared = before.prepare(request).map(|request| request.map(Box::new));
        self.phase = Phase::Wait(Box::pin(
            prepared.map(|request| request.map(Waited::Request)),
        ));
        Ok(())
    }

    fn call_model(&mut self, request: &ModelRequest) -> Result<(), RunFailure> {
        let turn = self.run.turn();
        let agent = self.run.agent();
        let model = self.run.options().model_of(agent, &self.model)?;
        let guardrails = agent.output_guardrails().iter();
        self.holds_output = guardrails
            .chain(&self.run.options().output_guardrails)
            .any(crate::guardrail::OutputGuardrail::holds);
        self.events.push_back(Ok(RunEvent::TurnStarted {
            turn,
            agent: agent.shared_name(),
        }));
        let key = EffectKey::model_call(turn).within(&self.scope.path);
        let call = model.call(request.clone());
        let journal = &self.run.options().journal;
        let call = journal.model_call(key, request, call);
        self.phase = Phase::Model {
            call,
            fold: ResponseFold::default(),
        };
        Ok(())
    }

    fn run_tools(&mut self, calls: Vec<PlannedCall>) {
        let turn = TurnTools {
            cx: self.run.cx(),
            agent: self.run.agent(),
            turn: self.run.turn(),
            options: self.run.options(),
            model: &self.model,
            delivery: self.delivery,
            scope: &self.scope,
        };
        self.phase = Phase::Tools(Box::new(ToolPool::new(calls, &turn)));
    }

    fn hand_off(&mut self, step: HandoffStep) {
        let hooks = self.run.options().hooks.clone();
        let done = hand_off(self.run.cx().clone(), hooks, step);
        self.phase = Phase::Wait(Box::pin(
            done.map(|filtered| filtered.map(Waited::HandedOff)),
        ));
    }

    fn finish_with(&mut self, output: String) {
        self.is_ending = true;
        let agent = self.run.agent();
        let guardrails = agent.output_guardrails().iter();
        let end = BeforeEnd {
            cx: self.run.cx().clone(),
            hooks: HookSet::of(self.run.options(), agent),
            guardrails: guardrails
                .chain(&self.run.options().output_guardrails)
                .cloned()
                .collect(),
            agent: agent.clone(),
            output: output.as_str().into(),
        };
        if !end.is_needed() {
            self.done(output);
            return;
        }
        let judged = end
            .check()
            .map(|results| Ok(Waited::Judged(output, results?)));
        self.phase = Phase::Wait(Box::pin(judged));
    }

    /// Takes what the application gave.
    fn waited(&mut self, waited: Waited) -> Result<(), RunFailure> {
        self.phase = Phase::Decide;
        match waited {
            Waited::Tools(lists) => {
                self.run.accept_tools(lists)?;
                if self.run.has_waiting_calls() {
                    return self.begin(None);
                }
            }
            Waited::Request(request) => return self.call_model(&request),
            Waited::Response(response) => return self.run.accept_response(response),
            Waited::HandedOff(filtered) => {
                let from = self.run.agent().shared_name();
                self.run.accept_handoff(filtered);
                let to = self.run.agent().shared_name();
                self.events
                    .push_back(Ok(RunEvent::HandoffOccurred { from, to }));
            }
            Waited::Loaded(loaded) => self.loaded(loaded)?,
            Waited::Claimed(claimed) => self.claimed(claimed)?,
            Waited::Saved(keeper, saved, after) => self.saved(keeper, saved, after)?,
            Waited::Judged(output, results) => {
                for result in results {
                    self.run.note(result.clone());
                    if result.is_tripped {
                        self.run.withhold();
                        return Err(RunFailure::GuardrailTripped {
                            result: Box::new(result),
                        });
                    }
                }
                self.done(output);
            }
        }
        Ok(())
    }

    /// Takes a verdict on the input.
    fn verdict(&mut self, result: Result<GuardrailResult, RunFailure>) -> Result<(), RunFailure> {
        let result = result?;
        self.run.note(result.clone());
        if result.is_tripped {
            return Err(RunFailure::GuardrailTripped {
                result: Box::new(result),
            });
        }
        Ok(())
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
        let is_last = matches!(event, ModelEvent::ResponseDone(_));
        show(event, fold, self.run.agent(), &mut self.events);
        if is_last {
            return self.response_done();
        }
        Ok(())
    }

    fn response_done(&mut self) -> Result<(), RunFailure> {
        let Phase::Model { fold, .. } = std::mem::replace(&mut self.phase, Phase::Decide) else {
            return Ok(());
        };
        let response = fold.finish().map_err(RunFailure::Model)?;
        let hooks = HookSet::of(self.run.options(), self.run.agent());
        if hooks.is_empty() {
            return self.run.accept_response(response);
        }
        let (cx, agent) = (self.run.cx().clone(), self.run.agent().clone());
        let told = after_model(cx, agent, hooks, response);
        self.phase = Phase::Wait(Box::pin(
            told.map(|response| response.map(Waited::Response)),
        ));
        Ok(())
    }

    /// Takes what the tools gave: something to show, one call's outcome, or the end of all.
    fn tool_event(&mut self, event: Option<ToolEvent>) -> Result<(), RunFailure> {
        match event {
            Some(ToolEvent::Shown(event)) => {
                self.events.push_back(Ok(*event));
                Ok(())
            }
            Some(ToolEvent::Done { call, outcome }) => {
                for result in outcome.guardrails {
                    self.run.note(result);
                }
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
                    self.run.accept_outcomes(pool.into_ended());
                }
                Ok(())
            }
        }
    }

    /// Whether nothing may go out yet.
    const fn is_held(&self) -> bool {
        self.holds_output || self.checks.is_holding()
    }

    /// Has a wish to cancel wake this task; says whether one has come meanwhile.
    fn is_woken_by_wish(&self, cx: &Context<'_>) -> bool {
        self.run.cx().control().register(cx.waker());
        self.requested_cancel() == Some(Cancel::Now)
    }

    fn requested_cancel(&self) -> Option<Cancel> {
        self.run.cx().control().requested_cancel()
    }

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

    /// Lets the run come as far as it can: ready when something was done.
    fn poll_phase(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RunFailure>> {
        match &mut self.phase {
            Phase::Over => Poll::Pending,
            Phase::Begin(failure) => {
                let failure = failure.take();
                Poll::Ready(self.begin(failure))
            }
            Phase::Decide => self.decide(),
            Phase::Wait(waited) => waited.poll_unpin(cx).map(|waited| self.waited(waited?)),
            Phase::Model { call, .. } => call
                .poll_next_unpin(cx)
                .map(|event| self.model_event(event)),
            Phase::Tools(pool) => pool.poll_next_unpin(cx).map(|event| self.tool_event(event)),
        }
    }
}

impl Stream for RunStream {
    type Item = Result<RunEvent, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = &mut *self;
        loop {
            if !stream.is_held()
                && let Some(event) = stream.events.pop_front()
            {
                return Poll::Ready(Some(event));
            }
            if matches!(stream.phase, Phase::Over) {
                return Poll::Ready(None);
            }
            let polled = if stream.is_closing {
                stream.poll_phase(cx)
            } else if stream.requested_cancel() == Some(Cancel::Now) {
                Poll::Ready(Err(RunFailure::Cancelled))
            } else if let Poll::Ready(result) = stream.checks.poll(cx) {
                // A verdict comes before all else, so that nothing happens after it is known.
                Poll::Ready(stream.verdict(result))
            } else {
                stream.poll_phase(cx)
            };
            let done = match polled {
                Poll::Ready(done) => done,
                Poll::Pending if stream.is_closing => return Poll::Pending,
                Poll::Pending => match stream.poll_deadline(cx) {
                    Poll::Ready(failure) => Err(failure),
                    Poll::Pending if stream.is_woken_by_wish(cx) => continue,
                    Poll::Pending => return Poll::Pending,
                },
            };
            if let Err(failure) = done {
                stream.fail(failure);
            }
        }
    }
}

/// Whoever waits for the run in its tools is told that nobody does any more.
impl Drop for RunStream {
    fn drop(&mut self) {
        self.run.cx().control().end();
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
