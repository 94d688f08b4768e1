//! Guardrails whose verdict an agent gives.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Runner;
use crate::agent::{Agent, AgentError};
use crate::context::RunContext;
use crate::future::BoxError;
use crate::guardrail::{InputGuardrail, OutputGuardrail, Verdict};
use crate::item::Item;

/// What an agent that judges answers.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Judgement {
    /// Whether the text must be stopped.
    tripwire: bool,
    /// Why, in one sentence.
    reason: String,
}

impl InputGuardrail {
    /// Makes a guardrail that asks an agent.
    ///
    /// The agent is given what the run brings, and says whether it must be stopped, and why.
    ///
    /// The agent's instructions say what to look for; its final output is made `{"tripwire": bool, "reason": text}`. It runs on the given
    /// runner inside the run that it guards, whose limits hold for it and which counts what it uses. If it fails, the run ends with the
    /// error `callback_failed`, or the kind of its own error.
    ///
    /// ```
    /// use openai_agents::testing::ScriptedModel;
    /// use openai_agents::{Agent, ErrorKind, InputGuardrail, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let small = Runner::new(ScriptedModel::text(r#"{"tripwire": true, "reason": "homework"}"#));
    /// let judge = Agent::builder("Judge").instructions("Is this homework?").build()?;
    /// let guide = Agent::builder("Guide")
    ///     .input_guardrail(InputGuardrail::agent("no homework", &small, &judge)?)
    ///     .build()?;
    /// let runner = Runner::new(ScriptedModel::text("42"));
    /// let error = runner.run(&guide, "Solve x + 1 = 43.").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AgentBuilder::build`](crate::agent::AgentBuilder::build).
    pub fn agent(
        name: impl Into<std::sync::Arc<str>>,
        runner: &Runner,
        judge: &Agent,
    ) -> Result<Self, AgentError> {
        let (runner, judge) = (runner.clone(), judging(judge)?);
        Ok(Self::new(name, move |input| {
            let (runner, judge) = (runner.clone(), judge.clone());
            async move { ask(&runner, &judge, &input.cx, input.new_items().to_vec()).await }
        }))
    }
}

impl OutputGuardrail {
    /// Makes a guardrail that asks an agent about the final output.
    ///
    /// [`InputGuardrail::agent`] asks one about the input in the same way.
    ///
    /// # Errors
    ///
    /// As [`AgentBuilder::build`](crate::agent::AgentBuilder::build).
    pub fn agent(
        name: impl Into<std::sync::Arc<str>>,
        runner: &Runner,
        judge: &Agent,
    ) -> Result<Self, AgentError> {
        let (runner, judge) = (runner.clone(), judging(judge)?);
        Ok(Self::new(name, move |output| {
            let (runner, judge) = (runner.clone(), judge.clone());
            async move {
                let said = vec![Item::user(&*output.output)];
                ask(&runner, &judge, &output.cx, said).await
            }
        }))
    }
}

/// The agent with a verdict as its output.
fn judging(judge: &Agent) -> Result<Agent, AgentError> {
    judge.to_builder().output::<Judgement>().build()
}

/// Runs the agent inside the run that it guards.
pub(crate) async fn ask(
    runner: &Runner,
    judge: &Agent,
    cx: &RunContext,
    items: Vec<Item>,
) -> Result<Verdict, BoxError> {
    // Within the run that is guarded, so that its limits bound the judge and its usage counts the
    // judge.
    let result = runner.run(judge, items).within(cx).await?;
    let Judgement { tripwire, reason } = result.output()?;
    Ok(if tripwire {
        Verdict::trip(reason)
    } else {
        Verdict::pass()
    })
}
