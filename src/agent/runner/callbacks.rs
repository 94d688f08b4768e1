//! What an application is asked in the steps of a run: computed instructions, filters, guardrails, the callbacks of handoffs.

use std::sync::Arc;

use futures_util::FutureExt;

use super::layer::StepOutcome;
use super::model_request::instructions;
use super::run::Run;
use super::step::{HandoffStep, Holds, InputCheck, PrepareStep};
use crate::agent::{
    Agent, HandoffFilter, HandoffHistory, Instructions, ModelInput, ToolResult, ToolUseFn,
};
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::future::{BoxError, BoxFuture};
use crate::guardrail::{
    GuardrailOutput, GuardrailResult, GuardrailStage, GuardrailTiming, OutputGuardrail, Verdict,
};
use crate::item::Item;
use crate::model::ModelRequest;
use crate::session::SessionInput;
use crate::tools::{FunctionTool, ToolContext, ToolOffer};

fn failed(callback: String, source: BoxError) -> RunFailure {
    RunFailure::CallbackFailed { callback, source }
}

/// Lets the application put together what the session had and the new input.
pub(super) async fn merge_input(
    merge: SessionInput,
    history: Vec<Item>,
    new: Vec<Item>,
) -> StepOutcome {
    match merge(history, new).await {
        Ok(items) => StepOutcome::InputMerged(items),
        Err(source) => StepOutcome::Failed(failed("the session input".to_owned(), source)),
    }
}

/// Lets the application change a request before it is sent.
pub(super) async fn prepare(cx: RunContext, agent: Agent, step: PrepareStep) -> StepOutcome {
    match changed(&cx, &agent, step).await {
        Ok(request) => StepOutcome::RequestPrepared(Box::new(request)),
        Err(failure) => StepOutcome::Failed(failure),
    }
}

async fn changed(
    cx: &RunContext,
    agent: &Agent,
    step: PrepareStep,
) -> Result<ModelRequest, RunFailure> {
    let mut request = step.request;
    // Before the filter, which is to see all that would be sent.
    if let Some(Instructions::Computed(compute)) = &step.instructions {
        let text = compute(cx.clone(), agent.clone()).await;
        let what = || format!("the instructions of agent `{}`", agent.name());
        let text = text.map_err(|source| failed(what(), source))?;
        request.instructions = instructions(agent, Some(&text.into()));
    }
    if let Some(filter) = &step.filter {
        let input = ModelInput {
            cx: cx.clone(),
            agent: agent.clone(),
            turn: request.turn,
            instructions: request.instructions.take(),
            items: std::mem::take(&mut request.items),
        };
        let input = filter.apply(input).await;
        let input = input.map_err(|source| failed("the model input filter".to_owned(), source))?;
        request.instructions = input.instructions;
        request.items = input.items;
    }
    Ok(request)
}

/// Asks the conditions of tools and handoffs, one tool after the other.
pub(super) async fn check_offers(tools: Vec<FunctionTool>, offer: ToolOffer) -> StepOutcome {
    let mut withheld = Vec::new();
    for tool in tools {
        match tool.is_offered(&offer).await {
            Ok(true) => {}
            Ok(false) => withheld.push(tool.name().clone()),
            Err(error) => return StepOutcome::Failed(RunFailure::Tool(error)),
        }
    }
    StepOutcome::OffersChecked(withheld)
}

/// Lets the application decide whether the outputs of tools end the run.
pub(super) async fn decide_tool_use(
    decide: ToolUseFn,
    cx: RunContext,
    results: Vec<ToolResult>,
) -> StepOutcome {
    match decide(cx, results.into()).await {
        Ok(output) => StepOutcome::ToolUseDecided(output),
        Err(source) => StepOutcome::Failed(failed("the tool use behavior".to_owned(), source)),
    }
}

/// Tells the application's callback of a handoff, with what the model wrote for it.
pub(super) fn hand_off(
    cx: &RunContext,
    from: &Agent,
    step: HandoffStep,
) -> BoxFuture<'static, StepOutcome> {
    let HandoffStep { to, call, handoff } = step;
    let call_cx = ToolContext::new(
        cx.clone(),
        from.shared_name(),
        handoff.tool_name().clone(),
        &*call.call_id,
        handoff.arguments(&call),
    );
    Box::pin(async move {
        // A handoff's callback is a tool of its own, so its arguments are checked as those of other
        // tools are. Its output is not used: the transcript has `HandoffStep::output`.
        match handoff.tool.invoke(call_cx).await.into_output() {
            Ok(_) => StepOutcome::Done,
            Err(error) => StepOutcome::Failed(RunFailure::of_handoff(error, &to)),
        }
    })
}

/// Lets the application change what the next agent sees.
pub(super) async fn filter_history(filter: HandoffFilter, history: HandoffHistory) -> StepOutcome {
    let to = Arc::clone(&history.to);
    match filter.apply(history).await {
        Ok(history) => StepOutcome::HistoryFiltered(Box::new(history)),
        Err(source) => {
            let what = format!("the filter of the handoff to agent `{to}`");
            StepOutcome::Failed(failed(what, source))
        }
    }
}

/// Asks a guardrail about the input.
pub(super) fn check_input(
    check: InputCheck,
    agent: &Agent,
) -> BoxFuture<'static, Result<GuardrailResult, RunFailure>> {
    let InputCheck { guardrail, subject } = check;
    let verdict = guardrail.check(subject);
    wait_for(guardrail.name(), GuardrailStage::Input, agent, verdict)
}

/// Asks a guardrail about the final output.
pub(super) fn check_output(
    guardrail: &OutputGuardrail,
    output: &Arc<str>,
    run: &Run,
) -> BoxFuture<'static, Result<GuardrailResult, RunFailure>> {
    let verdict = guardrail.check(GuardrailOutput {
        cx: run.cx().clone(),
        agent: run.agent().shared_name(),
        output: Arc::clone(output),
    });
    wait_for(
        guardrail.name(),
        GuardrailStage::Output,
        run.agent(),
        verdict,
    )
}

fn wait_for(
    name: &Arc<str>,
    stage: GuardrailStage,
    agent: &Agent,
    verdict: BoxFuture<'static, Result<Verdict, BoxError>>,
) -> BoxFuture<'static, Result<GuardrailResult, RunFailure>> {
    let (name, agent) = (Arc::clone(name), agent.shared_name());
    Box::pin(verdict.map(move |verdict| match verdict {
        Ok(verdict) => Ok(GuardrailResult::new(&name, stage, &agent, verdict)),
        Err(source) => Err(failed(format!("the guardrail `{name}`"), source)),
    }))
}

impl InputCheck {
    /// What waits for the verdict.
    pub(super) fn holds(&self) -> Holds {
        match self.guardrail.when() {
            GuardrailTiming::Concurrent => Holds::Nothing,
            GuardrailTiming::Blocking | GuardrailTiming::Hold => Holds::Everything,
        }
    }
}
