//! Makes guardrails of the library from those of a file.

use std::sync::Arc;

use super::{GuardrailCheck, GuardrailConfig};
use crate::agent::runner::ask_judge;
use crate::future::BoxError;
use crate::guardrail::{
    GuardrailInput, GuardrailOutput, GuardrailTiming, InputGuardrail, OutputGuardrail, Verdict,
};
use crate::item::Item;
use crate::{Agent, Limits, RunContext, Runner};

/// What a guardrail of a file checks.
#[derive(Clone)]
pub(super) enum BuiltinCheck {
    MaxChars(u64),
    /// Forbidden texts, in lower case.
    Deny(Arc<[String]>),
    /// An agent whose output is a verdict.
    Agent(Arc<AgentGuardrail>),
}

/// An agent that judges, with the runner that asks it.
pub(super) struct AgentGuardrail {
    pub(super) agent: Agent,
    pub(super) runner: Runner,
    pub(super) limits: Limits,
}

impl BuiltinCheck {
    /// Makes a check that needs no agent; `None` for one that does.
    pub(super) fn without_agent(check: &GuardrailCheck) -> Option<Self> {
        match check {
            GuardrailCheck::MaxChars(limit) => Some(Self::MaxChars(*limit)),
            GuardrailCheck::Deny(words) => Some(Self::Deny(
                words.iter().map(|word| word.to_lowercase()).collect(),
            )),
            GuardrailCheck::Agent(_) | GuardrailCheck::Named(_) => None,
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
        match self {
            Self::Agent(judge) => judge.ask(&input.cx, input.new_items().to_vec()).await,
            Self::MaxChars(_) | Self::Deny(_) => Ok(self.judge_text(&input.text())),
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

    /// Checks a text. An agent is never asked here.
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
                // The verdict does not name the word: it may reach the user, who could work out the list word by word.
                if words.iter().any(|word| text.contains(word.as_str())) {
                    return Verdict::trip("a text that is denied");
                }
            }
            Self::Agent(_) => {}
        }
        Verdict::pass()
    }
}

impl AgentGuardrail {
    async fn ask(&self, cx: &RunContext, items: Vec<Item>) -> Result<Verdict, BoxError> {
        let runner = self.runner.clone().limits(self.limits);
        ask_judge(&runner, &self.agent, cx, items).await
    }
}
