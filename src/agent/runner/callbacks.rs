//! What an application has put around the steps of a run: hooks, guardrails, computed instructions, filters.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::model_request::instructions;
use super::options::RunOptions;
use super::step::HandoffStep;
use crate::agent::{
    Agent, HandoffHistory, HookFuture, Hooks, Instructions, ModelInput, ModelInputFilter,
};
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::future::{BoxError, BoxFuture};
use crate::guardrail::{
    GuardrailInput, GuardrailOutput, GuardrailResult, GuardrailStage, GuardrailTiming,
    InputGuardrail, OutputGuardrail, Verdict,
};
use crate::item::{History, Item};
use crate::model::{ModelRequest, ModelResponse};
use crate::tools::ToolContext;

/// The hooks of a run and of the agent at work.
#[derive(Clone)]
pub(super) struct HookSet(Vec<Arc<dyn Hooks>>);

impl HookSet {
    pub(super) fn of(options: &RunOptions, agent: &Agent) -> Self {
        Self(options.hooks.iter().chain(agent.hooks()).cloned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all of them side by side.
    pub(super) async fn tell<'a>(
        &'a self,
        name: &'static str,
        tell: impl Fn(&'a dyn Hooks) -> HookFuture<'a>,
    ) -> Result<(), RunFailure> {
        let told = try_join_all(self.0.iter().map(|hooks| tell(&**hooks))).await;
        told.map(drop)
            .map_err(|source| callback(format!("the hook {name}"), source))
    }

    /// As [`tell`](Self::tell), for hooks of tools, whose errors travel with the call.
    pub(super) async fn tell_of_call<'a>(
        &'a self,
        cx: &ToolContext,
        name: &'static str,
        tell: impl Fn(&'a dyn Hooks) -> HookFuture<'a>,
    ) -> Result<(), crate::tools::ToolError> {
        let told = try_join_all(self.0.iter().map(|hooks| tell(&**hooks))).await;
        told.map(drop)
            .map_err(|source| crate::tools::ToolError::CallbackFailed {
                tool: cx.tool_name().clone(),
                callback: format!("the hook {name}"),
                source,
            })
    }
}

fn callback(callback: String, source: BoxError) -> RunFailure {
    RunFailure::CallbackFailed { callback, source }
}

/// What is done to a request before it is sent.
pub(super) struct BeforeModel {
    pub(super) cx: RunContext,
    pub(super) agent: Agent,
    pub(super) hooks: HookSet,
    /// Whether the agent has its first turn.
    pub(super) is_fresh: bool,
    pub(super) filter: Option<ModelInputFilter>,
}

impl BeforeModel {
    /// Whether there is anything to do.
    pub(super) fn is_needed(&self) -> bool {
        let is_computed = matches!(
            self.agent.instruction_source(),
            Some(Instructions::Computed(_))
        );
        is_computed || !self.hooks.is_empty() || self.filter.is_some()
    }

    pub(super) async fn prepare(
        self,
        mut request: ModelRequest,
    ) -> Result<ModelRequest, RunFailure> {
        let Self {
            cx,
            agent,
            hooks,
            is_fresh,
            filter,
        } = &self;
        if *is_fresh {
            hooks
                .tell("on_agent_start", |hooks| hooks.on_agent_start(cx, agent))
                .await?;
        }
        if let Some(Instructions::Computed(compute)) = agent.instruction_source() {
            let text = compute(cx.clone(), agent.clone()).await.map_err(|source| {
                callback(
                    format!("the instructions of agent `{}`", agent.name()),
                    source,
                )
            })?;
            request.instructions = instructions(agent, Some(&text.into()));
        }
        if let Some(filter) = filter {
            let input = ModelInput {
                cx: cx.clone(),
                agent: agent.clone(),
                turn: request.turn,
                instructions: request.instructions.take(),
                items: std::mem::take(&mut request.items),
            };
            let input = filter.apply(input).await;
            let input =
                input.map_err(|source| callback("the model input filter".to_owned(), source))?;
            request.instructions = input.instructions;
            request.items = input.items;
        }
        let asked = &request;
        hooks
            .tell("on_model_start", |hooks| {
                hooks.on_model_start(cx, agent, asked)
            })
            .await?;
        Ok(request)
    }
}

/// Tells the hooks of a response.
pub(super) async fn after_model(
    cx: RunContext,
    agent: Agent,
    hooks: HookSet,
    response: ModelResponse,
) -> Result<ModelResponse, RunFailure> {
    let (cx, agent, got) = (&cx, &agent, &response);
    hooks
        .tell("on_model_end", |hooks| hooks.on_model_end(cx, agent, got))
        .await?;
    Ok(response)
}

/// Does a handoff: the application's callback, the hooks, the filter.
pub(super) async fn hand_off(
    cx: RunContext,
    run_hooks: Vec<Arc<dyn Hooks>>,
    step: HandoffStep,
) -> Result<Option<HandoffHistory>, RunFailure> {
    let HandoffStep {
        from,
        to,
        call,
        handoff,
        filter,
    } = step;
    let call_cx = ToolContext::new(
        cx.clone(),
        from.shared_name(),
        handoff.tool_name().clone(),
        &*call.call_id,
        handoff.arguments(&call),
    );
    handoff
        .tool
        .invoke(call_cx)
        .await
        .into_output()
        .map_err(|error| RunFailure::of_handoff(error, &to))?;
    // An agent's own hooks are told when the conversation comes to it.
    let hooks = HookSet(run_hooks.iter().chain(to.hooks()).cloned().collect());
    let (cx, from, to) = (&cx, &from, &to);
    hooks
        .tell("on_handoff", |hooks| hooks.on_handoff(cx, from, to))
        .await?;
    let Some((filter, history)) = filter else {
        return Ok(None);
    };
    let what = || format!("the filter of the handoff to agent `{}`", to.name());
    let filtered = filter.apply(history).await;
    filtered
        .map(Some)
        .map_err(|source| callback(what(), source))
}

/// What is done with a final output before the run is over.
pub(super) struct BeforeEnd {
    pub(super) cx: RunContext,
    pub(super) agent: Agent,
    pub(super) hooks: HookSet,
    pub(super) guardrails: Vec<OutputGuardrail>,
    pub(super) output: Arc<str>,
}

impl BeforeEnd {
    pub(super) fn is_needed(&self) -> bool {
        !self.hooks.is_empty() || !self.guardrails.is_empty()
    }

    /// Tells the hooks and asks the guardrails, all at once; the first that trips is the last in the list.
    pub(super) async fn check(self) -> Result<Vec<GuardrailResult>, RunFailure> {
        let (cx, agent, output) = (&self.cx, &self.agent, &*self.output);
        self.hooks
            .tell("on_agent_end", |hooks| {
                hooks.on_agent_end(cx, agent, output)
            })
            .await?;
        let mut asked: FuturesUnordered<_> = self
            .guardrails
            .iter()
            .map(|guardrail| {
                let subject = GuardrailOutput {
                    cx: cx.clone(),
                    agent: agent.shared_name(),
                    output: Arc::clone(&self.output),
                };
                let verdict = guardrail.check(subject);
                judge(guardrail.name(), GuardrailStage::Output, agent, verdict)
            })
            .collect();
        let mut results = Vec::new();
        while let Some(result) = asked.next().await {
            let result = result?;
            let is_tripped = result.is_tripped;
            results.push(result);
            if is_tripped {
                break;
            }
        }
        Ok(results)
    }
}

/// Waits for a verdict.
fn judge(
    name: &Arc<str>,
    stage: GuardrailStage,
    agent: &Agent,
    verdict: BoxFuture<'static, Result<Verdict, BoxError>>,
) -> BoxFuture<'static, Result<GuardrailResult, RunFailure>> {
    let (name, agent) = (Arc::clone(name), agent.shared_name());
    Box::pin(verdict.map(move |verdict| match verdict {
        Ok(verdict) => Ok(GuardrailResult::new(&name, stage, &agent, verdict)),
        Err(source) => Err(callback(format!("the guardrail `{name}`"), source)),
    }))
}

/// The input guardrails of a run that have not given their verdict.
#[derive(Default)]
pub(super) struct InputChecks {
    asked: FuturesUnordered<BoxFuture<'static, (bool, Result<GuardrailResult, RunFailure>)>>,
    /// How many of them let nothing out before their verdict.
    n_holding: usize,
}

impl InputChecks {
    /// Asks the guardrails that are asked at one of these times.
    pub(super) fn ask(
        &mut self,
        guardrails: &[InputGuardrail],
        is_asked: impl Fn(GuardrailTiming) -> bool,
        (cx, agent): (&RunContext, &Agent),
        (items, new): (&History, &Arc<[Item]>),
    ) {
        for guardrail in guardrails
            .iter()
            .filter(|guardrail| is_asked(guardrail.when()))
        {
            let subject = GuardrailInput {
                cx: cx.clone(),
                agent: agent.shared_name(),
                items: items.clone(),
                n_earlier: items.len().saturating_sub(new.len()),
                new: Arc::clone(new),
            };
            let verdict = guardrail.check(subject);
            let result = judge(guardrail.name(), GuardrailStage::Input, agent, verdict);
            let holds = guardrail.when() != GuardrailTiming::Concurrent;
            self.n_holding += usize::from(holds);
            self.asked
                .push(Box::pin(result.map(move |result| (holds, result))));
        }
    }

    /// Whether all have given their verdict.
    pub(super) fn is_done(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether nothing may go out yet.
    pub(super) const fn is_holding(&self) -> bool {
        self.n_holding > 0
    }

    /// Drops those that have not given their verdict.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Gives the next verdict; pending while all think, and when there are none.
    pub(super) fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<GuardrailResult, RunFailure>> {
        if self.asked.is_empty() {
            return std::task::Poll::Pending;
        }
        self.asked.poll_next_unpin(cx).map(|answer| match answer {
            Some((holds, result)) => {
                // What was held back stays so after a verdict that ends the run.
                let passes = result.as_ref().is_ok_and(|result| !result.is_tripped);
                self.n_holding -= usize::from(holds && passes);
                result
            }
            // Only an empty set ends, which was seen before.
            None => Err(callback(
                "a guardrail".to_owned(),
                "it gave no verdict".into(),
            )),
        })
    }
}
