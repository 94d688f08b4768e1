//! What each step of a run does.

use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::{FutureExt, TryStreamExt};

use super::journaled;
use super::work::{Checks, InProgress, PendingVerdict, Work};
use crate::agent::runner::callbacks;
use crate::agent::runner::layer::{Performance, RunStep, StepKind, StepOutcome};
use crate::agent::runner::run::Run;
use crate::agent::runner::session::{SessionChangeStep, SessionReadStep};
use crate::agent::runner::session_writes::SessionWrites;
use crate::agent::runner::step::{InputAfter, InputCheck, ModelStep, Outcome, PrepareStep, Step};
use crate::agent::runner::tool_calls::ToolPool;
use crate::error::RunFailure;
use crate::future::BoxFuture;
use crate::guardrail::OutputGuardrail;
use crate::journal::ModelEffect;
use crate::model::ModelEvent;
use crate::session::Session;
use crate::tools::{ToolOffer, ToolSource};
use crate::usage::Price;

/// Performs the steps of one run, through its layers.
pub(super) struct Performer<'a> {
    run: &'a Run,
}

impl<'a> Performer<'a> {
    pub(super) const fn of(run: &'a Run) -> Self {
        Self { run }
    }

    /// Begins a step in the place of the one before; nothing of it happens before it is polled.
    pub(super) fn begin(&self, step: Step, work: &mut Work) {
        // The assignment drops the step that was there, which cancels it if it is not over. Input
        // guardrails live in `work.checks` instead, because they go on beside the steps that
        // follow.
        work.step = match step {
            Step::Stop => {
                work.checks = Checks::default();
                InProgress::Nothing
            }
            // No step is in progress. The run says `Proceed` until these guardrails have answered.
            Step::CheckInput(checks) => {
                self.check_input(checks, work);
                InProgress::Nothing
            }
            Step::CallModel(mut call) => {
                self.check_input(std::mem::take(&mut call.checks), work);
                self.call_model(call)
            }
            Step::LoadSession(read) => self.read_session(read),
            Step::MergeInput(merge, history, new) => self.future(
                StepKind::MergeInput,
                callbacks::merge_input(merge, history, new),
            ),
            Step::ClaimSession(change) | Step::SaveTurn(change) => self.write_session(change),
            Step::WithdrawTurns(session, writes) => self.withdraw(session, writes),
            Step::ListTools(sources) => self.future(StepKind::ListTools, list_tools(sources)),
            Step::CheckOffers(tools) => {
                let (cx, agent) = (self.run.cx().clone(), self.run.agent().shared_name());
                let checked = callbacks::check_offers(tools, ToolOffer::new(cx, agent));
                self.future(StepKind::CheckOffers, checked)
            }
            Step::DecideToolUse(decide, results) => {
                let decided = callbacks::decide_tool_use(decide, self.run.cx().clone(), results);
                self.future(StepKind::DecideToolUse, decided)
            }
            // This reads the inbox of the run's own handle. It is no effect, so no layer and no
            // journal is asked.
            Step::TakeInput(after) => {
                let control = self.run.cx().control();
                InProgress::Input(Outcome::Input(match after {
                    InputAfter::Taken => control.take_input(),
                    InputAfter::Refused => control.take_last_input(),
                }))
            }
            Step::StartAgent => self.at_once(|| StepKind::StartAgent),
            Step::PrepareRequest(prepare) => self.prepare_request(*prepare),
            Step::RunTools(calls) => InProgress::Tools(ToolPool::new(calls, self.run)),
            Step::HandOff(step) => {
                let kind = || StepKind::HandOff {
                    to: step.to.clone(),
                    call_id: step.call.call_id.clone(),
                };
                let kind = kind();
                let told = callbacks::hand_off(self.run.cx(), self.run.agent(), *step);
                self.future(kind, told)
            }
            Step::FilterHistory(filtering) => {
                let (filter, history) = *filtering;
                self.future(
                    StepKind::FilterHistory,
                    callbacks::filter_history(filter, history),
                )
            }
            Step::EndAgent(output) => self.at_once(|| StepKind::EndAgent { output }),
            Step::CheckOutput(output, guardrails) => self.check_output(&output, &guardrails),
            Step::Pause(interruptions) => self.end(|| StepKind::Pause {
                interruptions,
                pause_key: self.run.pause_key(),
            }),
            Step::Finish(output) => self.end(|| StepKind::Finish { output }),
            Step::Fail(note) => self.end(|| StepKind::Fail {
                kind: note.kind,
                message: note.message,
            }),
            // The loop has them for itself.
            Step::Proceed | Step::GiveState(_) | Step::Emit(_) | Step::Over => return,
        };
    }

    fn step(&self, kind: StepKind) -> RunStep {
        RunStep {
            cx: self.run.cx().clone(),
            agent: self.run.agent().clone(),
            turn: self.run.turn(),
            kind,
        }
    }

    fn one(&self, kind: impl FnOnce() -> StepKind, inner: Performance) -> InProgress {
        InProgress::One(self.run.layers().around(|| self.step(kind()), inner))
    }

    fn future(
        &self,
        kind: StepKind,
        outcome: impl Future<Output = StepOutcome> + Send + 'static,
    ) -> InProgress {
        self.one(|| kind, Performance::Future(Box::pin(outcome)))
    }

    /// A step that only layers have something to do in.
    fn at_once(&self, kind: impl FnOnce() -> StepKind) -> InProgress {
        self.one(kind, Performance::Done)
    }

    /// The last step: whoever waits for the run elsewhere is told that it is over.
    fn end(&self, kind: impl FnOnce() -> StepKind) -> InProgress {
        self.run.cx().control().end();
        self.at_once(kind)
    }

    fn read_session(&self, read: SessionReadStep) -> InProgress {
        let kind = StepKind::ReadSession {
            session: read.session.id().clone(),
        };
        let read = journaled::session_read(self.run.setup(), read);
        self.future(
            kind,
            read.map(|read| match read {
                Ok(read) => StepOutcome::SessionRead(read),
                Err(error) => StepOutcome::SessionFailed(error),
            }),
        )
    }

    fn write_session(&self, change: SessionChangeStep) -> InProgress {
        let kind = StepKind::WriteSession {
            session: change.session.id().clone(),
            items: change.change.items.as_slice().into(),
        };
        let written = journaled::session_write(self.run.setup(), change);
        self.future(
            kind,
            written.map(|written| match written {
                Ok(version) => StepOutcome::SessionWritten(version),
                Err(error) => StepOutcome::SessionFailed(error),
            }),
        )
    }

    fn withdraw(&self, session: Arc<dyn Session>, writes: SessionWrites) -> InProgress {
        let kind = StepKind::WithdrawTurns {
            session: session.id().clone(),
        };
        let withdrawn = journaled::withdraw(session, writes);
        self.future(
            kind,
            withdrawn.map(|done| match done {
                Ok(()) => StepOutcome::Done,
                Err(error) => StepOutcome::SessionFailed(error),
            }),
        )
    }

    fn prepare_request(&self, prepare: PrepareStep) -> InProgress {
        let kind = StepKind::PrepareRequest {
            request: Arc::new(prepare.request.clone()),
        };
        let prepared = callbacks::prepare(self.run.cx().clone(), self.run.agent().clone(), prepare);
        self.future(kind, prepared)
    }

    fn call_model(&self, step: ModelStep) -> InProgress {
        let ModelStep { model, request, .. } = step;
        let setup = self.run.setup();
        let call = journaled::model_call(setup, &*model, &request);
        // Below the layers, so that all see what it cost; above the journal, so that a run that is played back is priced as well.
        let call = match setup.options.prices.price(model.name()) {
            Some(price) => priced(call, *price),
            None => call,
        };
        let (layers, call) = (self.run.layers(), Performance::Model(call));
        if let Some(trace) = layers.trace_alone() {
            let (model, provider) = layers.names_of(&*model);
            let at = (self.run.agent(), self.run.turn());
            return InProgress::One(trace.model_call(at, &request, (&model, &provider), call));
        }
        let kind = || {
            let (model, provider) = layers.names_of(&*model);
            let request = Arc::new(request);
            StepKind::CallModel {
                request,
                model,
                provider,
            }
        };
        self.one(kind, call)
    }

    /// Asks guardrails beside whatever else is done.
    fn check_input(&self, checks: Vec<InputCheck>, work: &Work) {
        for check in checks {
            let holds = check.holds();
            let guardrail = Arc::clone(check.guardrail.name());
            let verdict = callbacks::check_input(check, self.run.agent());
            let verdict = self.verdict(|| StepKind::CheckInput { guardrail }, verdict);
            work.checks
                .push(Box::pin(async move { (holds, verdict.await) }));
        }
    }

    fn check_output(&self, output: &Arc<str>, guardrails: &[OutputGuardrail]) -> InProgress {
        let asked = guardrails.iter().map(|guardrail| {
            let name = Arc::clone(guardrail.name());
            let verdict = callbacks::check_output(guardrail, output, self.run);
            self.verdict(|| StepKind::CheckOutput { guardrail: name }, verdict)
        });
        InProgress::OutputChecks(asked.collect())
    }

    /// A verdict through the layers.
    fn verdict(&self, kind: impl FnOnce() -> StepKind, verdict: PendingVerdict) -> PendingVerdict {
        let layers = self.run.layers();
        if layers.is_empty() {
            return verdict;
        }
        let outcome =
            verdict.map(|verdict| verdict.map_or_else(StepOutcome::Failed, StepOutcome::Verdict));
        let inner = Performance::Future(Box::pin(outcome));
        let mut performance = layers.around(|| self.step(kind()), inner);
        Box::pin(async move {
            match futures_util::StreamExt::next(&mut performance).await {
                Some(StepOutcome::Verdict(result)) => Ok(result),
                Some(StepOutcome::Failed(failure)) => Err(failure),
                Some(_) | None => Err(RunFailure::Layer {
                    step: "a guardrail",
                }),
            }
        })
    }
}

/// Has a model call say what it cost.
fn priced(call: ModelEffect, price: Price) -> ModelEffect {
    Box::pin(call.map_ok(move |mut event| {
        if let ModelEvent::ResponseDone(meta) = &mut event {
            meta.usage = meta.usage.map(|usage| usage.priced(&price));
        }
        event
    }))
}

fn list_tools(sources: Arc<[Arc<dyn ToolSource>]>) -> BoxFuture<'static, StepOutcome> {
    Box::pin(async move {
        // Side by side: an agent may have several MCP servers, and each takes its own time.
        let lists = try_join_all(sources.iter().map(|source| source.tools())).await;
        match lists {
            Ok(lists) => StepOutcome::ToolsListed(lists),
            Err(error) => StepOutcome::Failed(RunFailure::ToolSource(error)),
        }
    })
}
