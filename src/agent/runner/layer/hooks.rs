//! The hooks of the application, told before and after the steps that they are about.

use std::sync::Arc;

use futures_util::future::{Either, ready, try_join_all};
use futures_util::{FutureExt, StreamExt, stream};

use super::{RunLayer, RunStep, StepKind, StepOutcome, StepOutcomes};
use crate::agent::runner::options::RunOptions;
use crate::agent::{Agent, DynHooks, HookFuture, Interruption, RunEnd};
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::kind::ErrorKind;
use crate::model::{ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseAccumulator};
use crate::tools::{CallObserver, ToolContext, ToolError, ToolOutput};

/// The hooks of a run and of the agent at work.
#[derive(Clone)]
pub(in crate::agent::runner) struct HookSet(Vec<Arc<dyn DynHooks>>);

impl HookSet {
    pub(in crate::agent::runner) fn of(options: &RunOptions, agent: &Agent) -> Self {
        Self::joined(&options.hooks, agent)
    }

    fn joined(run_hooks: &[Arc<dyn DynHooks>], agent: &Agent) -> Self {
        Self(run_hooks.iter().chain(agent.hooks()).cloned().collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all of them side by side.
    async fn tell<'a>(
        &'a self,
        name: &'static str,
        tell: impl Fn(&'a dyn DynHooks) -> HookFuture<'a>,
    ) -> Result<(), RunFailure> {
        let told = try_join_all(self.0.iter().map(|hooks| tell(&**hooks))).await;
        told.map(drop).map_err(|source| RunFailure::CallbackFailed {
            callback: format!("the hook {name}"),
            source,
        })
    }

    /// As [`tell`](Self::tell), for hooks of tools, whose errors travel with the call.
    async fn tell_of_call<'a>(
        &'a self,
        cx: &ToolContext,
        name: &'static str,
        tell: impl Fn(&'a dyn DynHooks) -> HookFuture<'a>,
    ) -> Result<(), ToolError> {
        let told = try_join_all(self.0.iter().map(|hooks| tell(&**hooks))).await;
        told.map(drop).map_err(|source| ToolError::CallbackFailed {
            tool: cx.tool_name().clone(),
            callback: format!("the hook {name}"),
            source,
        })
    }
}

/// Tells the hooks of agents and models. Those of tools are told by the call itself, which knows whether it is really made.
pub(super) struct HookLayer {
    /// Those of the run; each agent has more of its own.
    run_hooks: Arc<[Arc<dyn DynHooks>]>,
}

impl HookLayer {
    pub(super) fn shared(run_hooks: &[Arc<dyn DynHooks>]) -> Arc<dyn RunLayer> {
        Arc::new(Self {
            run_hooks: run_hooks.into(),
        })
    }
}

impl RunLayer for HookLayer {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        // A layer around the steps: it gets the outcomes of a step as a stream, and puts the hooks
        // before it, behind it, or between two events.
        let told = match &step.kind {
            // An agent's own hooks are told when the conversation comes to it.
            StepKind::HandOff { to, .. } => to,
            _ => &step.agent,
        };
        let hooks = HookSet::joined(&self.run_hooks, told);
        if hooks.is_empty() {
            return outcomes;
        }
        let (cx, agent) = (step.cx.clone(), step.agent.clone());
        match &step.kind {
            StepKind::StartAgent => before(
                async move {
                    let (cx, agent) = (&cx, &agent);
                    let tell =
                        hooks.tell("on_agent_start", |hooks| hooks.on_agent_start(cx, agent));
                    tell.await
                },
                outcomes,
            ),
            StepKind::EndAgent { output } => {
                let output = Arc::clone(output);
                let told = async move {
                    let (cx, agent, output) = (&cx, &agent, &*output);
                    let tell = hooks.tell("on_agent_end", |hooks| {
                        hooks.on_agent_end(cx, agent, output)
                    });
                    tell.await
                };
                before(told, outcomes)
            }
            StepKind::HandOff { to, .. } => {
                let to = to.clone();
                // What the model wrote for the handoff has passed by then.
                after(outcomes, async move {
                    let (cx, from, to) = (&cx, &agent, &to);
                    let tell = hooks.tell("on_handoff", |hooks| hooks.on_handoff(cx, from, to));
                    tell.await
                })
            }
            StepKind::CheckInput { .. } | StepKind::CheckOutput { .. } => {
                guardrail_heard(hooks, cx, outcomes)
            }
            StepKind::Pause { interruptions, .. } => {
                let failed = (ErrorKind::ApprovalRequired, pause_message(interruptions));
                before(run_ended(hooks, cx, Err(failed)), outcomes)
            }
            StepKind::Finish { output } => {
                before(run_ended(hooks, cx, Ok(Arc::clone(output))), outcomes)
            }
            StepKind::Fail { kind, message } => {
                let failed = (*kind, message.clone());
                before(run_ended(hooks, cx, Err(failed)), outcomes)
            }
            StepKind::CallModel { request, .. } => {
                let call = ModelCall { hooks, cx, agent };
                let request = Arc::clone(request);
                let outcomes = call.clone().around_response(outcomes);
                before(async move { call.started(&request).await }, outcomes)
            }
            _ => outcomes,
        }
    }
}

/// A model call that hooks are told of.
#[derive(Clone)]
struct ModelCall {
    hooks: HookSet,
    cx: RunContext,
    agent: Agent,
}

impl ModelCall {
    async fn started(&self, request: &ModelRequest) -> Result<(), RunFailure> {
        let (cx, agent) = (&self.cx, &self.agent);
        let tell = |hooks| DynHooks::on_model_start(hooks, cx, agent, request);
        self.hooks.tell("on_model_start", tell).await
    }

    async fn failed(self, error: ModelError) -> StepOutcome {
        let (cx, agent, failed) = (&self.cx, &self.agent, &error);
        let told = self.hooks.tell("on_model_error", |hooks| {
            hooks.on_model_error(cx, agent, failed)
        });
        let told = told.await;
        StepOutcome::Failed(told.err().unwrap_or(RunFailure::Model(error)))
    }

    async fn ended(self, response: ModelResponse) -> Result<(), RunFailure> {
        let (cx, agent, response) = (&self.cx, &self.agent, &response);
        let tell = self.hooks.tell("on_model_end", |hooks| {
            hooks.on_model_end(cx, agent, response)
        });
        tell.await
    }

    /// Tells the hooks of the whole response, before the run learns that it is whole.
    fn around_response(self, outcomes: StepOutcomes) -> StepOutcomes {
        let mut fold = ResponseAccumulator::default();
        Box::pin(outcomes.then(move |outcome| {
            if let StepOutcome::Model(
                event @ (ModelEvent::ItemDone { .. } | ModelEvent::ResponseDone(_)),
            ) = &outcome
            {
                fold.push(event.clone());
            }
            if let StepOutcome::Failed(RunFailure::Model(error)) = outcome {
                let call = self.clone();
                return Either::Right(Either::Left(async move { call.failed(error).await }));
            }
            if !matches!(outcome, StepOutcome::Model(ModelEvent::ResponseDone(_))) {
                return Either::Left(ready(outcome));
            }
            let (call, response) = (self.clone(), std::mem::take(&mut fold).finish());
            Either::Right(Either::Right(async move {
                let told = match response {
                    Ok(response) => call.ended(response).await,
                    Err(error) => Err(RunFailure::Model(error)),
                };
                told.map_or_else(StepOutcome::Failed, |()| outcome)
            }))
        }))
    }
}

/// Tells the hooks of a verdict, before the run learns of it.
fn guardrail_heard(hooks: HookSet, cx: RunContext, outcomes: StepOutcomes) -> StepOutcomes {
    Box::pin(outcomes.then(move |outcome| {
        let (hooks, cx) = (hooks.clone(), cx.clone());
        async move {
            let StepOutcome::Verdict(result) = &outcome else {
                return outcome;
            };
            let cx = &cx;
            let told = hooks.tell("on_guardrail", |hooks| hooks.on_guardrail(cx, result));
            match told.await {
                Ok(()) => outcome,
                Err(failure) => StepOutcome::Failed(failure),
            }
        }
    }))
}

/// Says what a run waits for.
fn pause_message(interruptions: &[Interruption]) -> String {
    let tools: Vec<&str> = interruptions.iter().map(|call| &*call.tool).collect();
    let need = match tools.len() {
        1 => "1 call needs".to_owned(),
        n_calls => format!("{n_calls} calls need"),
    };
    format!("{need} approval: {}", tools.join(", "))
}

/// Tells the hooks that the run is over, which nothing can change any more.
async fn run_ended(
    hooks: HookSet,
    cx: RunContext,
    end: Result<Arc<str>, (ErrorKind, String)>,
) -> Result<(), RunFailure> {
    let end = match &end {
        Ok(output) => RunEnd::Done { output },
        Err((kind, message)) => RunEnd::Failed {
            kind: *kind,
            message,
        },
    };
    let (cx, end) = (&cx, &end);
    let told = hooks.tell("on_run_end", |hooks| hooks.on_run_end(cx, end));
    if let Err(failure) = told.await {
        tracing::warn!(target: "openai_agents::hooks", "{failure}: the run is over and stays as it ended");
    }
    Ok(())
}

/// Does something first; if it fails, nothing else happens.
fn before(
    first: impl Future<Output = Result<(), RunFailure>> + Send + 'static,
    outcomes: StepOutcomes,
) -> StepOutcomes {
    let begun = first.map(|told| match told {
        Ok(()) => outcomes,
        Err(failure) => stream::once(ready(StepOutcome::Failed(failure))).boxed(),
    });
    begun.flatten_stream().boxed()
}

/// Does something behind a step that did not fail.
fn after(
    mut outcomes: StepOutcomes,
    last: impl Future<Output = Result<(), RunFailure>> + Send + 'static,
) -> StepOutcomes {
    let ended = async move {
        match outcomes.next().await {
            Some(StepOutcome::Done) => last
                .await
                .map_or_else(StepOutcome::Failed, |()| StepOutcome::Done),
            Some(outcome) => outcome,
            None => StepOutcome::Done,
        }
    };
    stream::once(ended).boxed()
}

impl CallObserver for HookSet {
    async fn started(&self, cx: &ToolContext) -> Result<(), ToolError> {
        self.tell_of_call(cx, "on_tool_start", |hooks| hooks.on_tool_start(cx))
            .await
    }

    async fn ended(&self, cx: &ToolContext, output: &ToolOutput) -> Result<(), ToolError> {
        if self.is_empty() {
            return Ok(());
        }
        let text = output.text();
        self.tell_of_call(cx, "on_tool_end", |hooks| hooks.on_tool_end(cx, &text))
            .await
    }
}
