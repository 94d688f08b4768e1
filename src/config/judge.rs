//! Guardrails of a file as those of the library: what is written down becomes a check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{GuardrailCheck, GuardrailConfig};
use crate::future::BoxError;
use crate::guardrail::{
    GuardrailInput, GuardrailOutput, GuardrailTiming, InputGuardrail, OutputGuardrail, Verdict,
};
use crate::item::{Item, ItemKind};
use crate::{Agent, Limits, RunContext, Runner};

/// Looks at texts.
#[derive(Clone)]
pub(super) enum Check {
    MaxChars(u64),
    /// In lower case.
    Deny(Arc<[String]>),
    /// An agent whose output is a [`Judgement`].
    Agent(Arc<Judge>),
}

/// An agent that judges, and where it is asked.
pub(super) struct Judge {
    pub(super) agent: Agent,
    pub(super) runner: Runner,
    pub(super) limits: Limits,
}

/// What an agent that judges answers.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Judgement {
    /// Whether the text must be stopped.
    tripwire: bool,
    /// Why, in one sentence.
    reason: String,
}

impl Check {
    /// Makes the check of a guardrail that needs no agent.
    pub(super) fn without_agent(check: &GuardrailCheck) -> Option<Self> {
        match check {
            GuardrailCheck::MaxChars(limit) => Some(Self::MaxChars(*limit)),
            GuardrailCheck::Deny(words) => Some(Self::Deny(
                words.iter().map(|word| word.to_lowercase()).collect(),
            )),
            GuardrailCheck::Agent(_) => None,
        }
    }

    pub(super) fn of_inputs(self, config: &GuardrailConfig) -> InputGuardrail {
        let check = move |input: GuardrailInput| {
            let check = self.clone();
            async move { check.judge_input(input).await }
        };
        InputGuardrail::new(config.name.as_str(), check).timing(config.timing)
    }

    pub(super) fn of_outputs(self, config: &GuardrailConfig) -> OutputGuardrail {
        let check = move |output: GuardrailOutput| {
            let check = self.clone();
            async move { check.judge_output(output).await }
        };
        let guardrail = OutputGuardrail::new(config.name.as_str(), check);
        match config.timing {
            GuardrailTiming::Concurrent => guardrail,
            GuardrailTiming::Hold | GuardrailTiming::Blocking => guardrail.hold(),
        }
    }

    async fn judge_input(&self, input: GuardrailInput) -> Result<Verdict, BoxError> {
        let items = input.items.get(input.n_earlier..).unwrap_or_default();
        match self {
            Self::Agent(judge) => judge.ask(&input.cx, items.to_vec()).await,
            Self::MaxChars(_) | Self::Deny(_) => {
                let texts: Vec<String> = items.iter().filter_map(text).collect();
                Ok(self.judge_text(&texts.join("\n")))
            }
        }
    }

    async fn judge_output(&self, output: GuardrailOutput) -> Result<Verdict, BoxError> {
        match self {
            Self::Agent(judge) => {
                let said = vec![Item::user(&*output.output)];
                judge.ask(&output.cx, said).await
            }
            Self::MaxChars(_) | Self::Deny(_) => Ok(self.judge_text(&output.output)),
        }
    }

    /// An agent judges by its own words, never here.
    fn judge_text(&self, text: &str) -> Verdict {
        match self {
            Self::MaxChars(limit) => {
                let n_chars = text.chars().count() as u64;
                if n_chars > *limit {
                    return Verdict::trip(format!("{n_chars} characters of {limit} allowed"));
                }
            }
            Self::Deny(words) => {
                let text = text.to_lowercase();
                // Which word it was is not said: a verdict may reach whoever must not learn the list.
                if words.iter().any(|word| text.contains(word.as_str())) {
                    return Verdict::trip("a text that is denied");
                }
            }
            Self::Agent(_) => {}
        }
        Verdict::pass()
    }
}

impl Judge {
    /// Runs the agent inside the run that it guards, whose limits hold for it too.
    async fn ask(&self, cx: &RunContext, items: Vec<Item>) -> Result<Verdict, BoxError> {
        let run = self.runner.run(&self.agent, items).limits(self.limits);
        let result = run.within(cx).await?;
        let Judgement { tripwire, reason } = result.output()?;
        Ok(if tripwire {
            Verdict::trip(reason)
        } else {
            Verdict::pass()
        })
    }
}

/// What an item says; calls and their outputs say nothing here.
fn text(item: &Item) -> Option<String> {
    match item.kind() {
        ItemKind::Message(message) => Some(message.text("\n")),
        ItemKind::FunctionCall(_)
        | ItemKind::FunctionCallOutput(_)
        | ItemKind::Reasoning(_)
        | ItemKind::Unknown { .. } => None,
    }
}
