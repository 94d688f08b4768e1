//! Guardrails: verdicts on the input and output of a run.
//!
//! A guardrail never stops a run itself. It gives a [`Verdict`], and the runner acts on it.
//! Guardrails on calls of one tool are [`ToolGuardrail`](crate::tools::ToolGuardrail)s.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::item::{History, Item, ItemKind};

/// Checks the input of a run, once, before or during its first turn.
///
/// A run asks its own guardrails and those of the agent that it begins with, but not those of agents that it hands off to. A
/// guardrail that trips ends the run with the error `guardrail_tripped`. A session keeps the input, so that the model sees it in
/// later runs, unless the runner [forgets it](crate::agent::runner::TrippedInput).
///
/// ```
/// use openai_agents::Agent;
/// use openai_agents::guardrail::{InputGuardrail, Verdict};
///
/// let no_secrets = InputGuardrail::new("no secrets", async |input| {
///     let is_secret = input.text().contains("password");
///     if is_secret { Verdict::trip("a password") } else { Verdict::pass() }
/// });
/// let agent = Agent::builder("Guide").input_guardrail(no_secrets).build()?;
/// # Ok::<(), openai_agents::agent::AgentError>(())
/// ```
#[derive(Clone)]
pub struct InputGuardrail {
    name: Arc<str>,
    timing: GuardrailTiming,
    check: Arc<CheckFn<GuardrailInput>>,
}

/// Checks the final output of a run, before the run is over.
///
/// A run asks its own guardrails and those of the last agent. A guardrail that trips ends the run with the error
/// `guardrail_tripped`. Streamed text was delivered by then, unless the guardrail [holds](Self::hold) it.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, ErrorKind, OutputGuardrail, Runner, Verdict};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let no_keys = OutputGuardrail::new("no keys", async |output| {
///     if output.output.contains("sk-") { Verdict::trip("a key") } else { Verdict::pass() }
/// });
/// let agent = Agent::builder("Guide").output_guardrail(no_keys.hold()).build()?;
/// let error = Runner::new(ScriptedModel::text("It is sk-1.")).run(&agent, "The key?").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OutputGuardrail {
    name: Arc<str>,
    holds: bool,
    check: Arc<CheckFn<GuardrailOutput>>,
}

type CheckFn<T> = dyn Fn(T) -> BoxFuture<'static, Result<Verdict, BoxError>> + Send + Sync;

/// Says when an input guardrail is asked, and what waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardrailTiming {
    /// Before the model is called.
    Blocking,
    /// While the model answers. No tool runs and nothing is delivered before the verdict.
    #[default]
    Hold,
    /// During the first turn.
    ///
    /// When the verdict comes, tools may have run and text may have been delivered.
    Concurrent,
}

/// The input of an input guardrail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuardrailInput {
    /// The run.
    pub cx: RunContext,
    /// The agent that the run begins with.
    pub agent: Arc<str>,
    /// The whole conversation that the model will see, oldest first.
    ///
    /// It includes earlier items of the session. A guardrail that trips over an old item trips in every later run of the session
    /// as well. Usually check only the new items: [`new_items`](Self::new_items) or [`text`](Self::text).
    pub items: History,
    /// How many of the items come from a session.
    ///
    /// These are not input of this run.
    pub n_earlier: usize,
    /// The new items of this run, wherever they are among all items.
    pub(crate) new: Arc<[Item]>,
}

/// The input of an output guardrail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuardrailOutput {
    /// The run.
    pub cx: RunContext,
    /// The agent that answered.
    pub agent: Arc<str>,
    /// The final output; JSON for an agent with an output type.
    pub output: Arc<str>,
}

/// The verdict of a guardrail.
///
/// ```
/// use openai_agents::Verdict;
///
/// let verdict = |text: &str| match text.len() {
///     0..=1000 => Verdict::pass(),
///     n => Verdict::trip(format!("{n} bytes")),
/// };
/// assert!(matches!(verdict("short"), Verdict::Pass { .. }));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The run continues.
    Pass {
        /// Further information from the guardrail.
        info: Value,
    },
    /// The run ends with the error `guardrail_tripped`.
    Trip {
        /// The reason.
        info: Value,
    },
}

/// The verdict of one guardrail, in results and errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GuardrailResult {
    /// The name of the guardrail.
    pub guardrail: String,
    /// What it checked.
    pub stage: GuardrailStage,
    /// The current agent.
    pub agent: String,
    /// Whether it tripped.
    pub is_tripped: bool,
    /// Further information from the guardrail, such as the reason.
    pub info: Value,
}

/// Says what a guardrail checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GuardrailStage {
    /// The input of a run.
    Input,
    /// The final output.
    Output,
    /// The arguments of a tool call.
    ToolInput,
    /// The output of a tool call.
    ToolOutput,
}

impl GuardrailInput {
    /// Returns the new items of this run, without those of its session.
    pub fn new_items(&self) -> &[Item] {
        &self.new
    }

    /// Returns the text of the new messages of this run, one per line.
    pub fn text(&self) -> String {
        let text = |item: &Item| match item.kind() {
            ItemKind::Message(message) => Some(message.text("\n")),
            _ => None,
        };
        let texts: Vec<String> = self.new_items().iter().filter_map(text).collect();
        texts.join("\n")
    }
}

impl InputGuardrail {
    /// Makes a guardrail from a name and an asynchronous check.
    ///
    /// The check returns a [`Verdict`] or a `Result` of one.
    ///
    /// [`IntoOutcome`] shows a check that captures values. If the check fails, the run ends with the error `callback_failed`.
    pub fn new<F, R>(name: impl Into<Arc<str>>, check: F) -> Self
    where
        F: Fn(GuardrailInput) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<Verdict>> + Send + 'static,
    {
        Self {
            name: name.into(),
            timing: GuardrailTiming::default(),
            check: boxed(check),
        }
    }

    /// Sets when it is asked; [`GuardrailTiming::Hold`] by default.
    #[must_use]
    pub const fn timing(mut self, timing: GuardrailTiming) -> Self {
        self.timing = timing;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) const fn when(&self) -> GuardrailTiming {
        self.timing
    }

    pub(crate) fn check(
        &self,
        input: GuardrailInput,
    ) -> BoxFuture<'static, Result<Verdict, BoxError>> {
        (self.check)(input)
    }
}

impl OutputGuardrail {
    /// Makes a guardrail from a name and an asynchronous check.
    ///
    /// The check returns a [`Verdict`] or a `Result` of one.
    ///
    /// [`IntoOutcome`] shows a check that captures values. If the check fails, the run ends with the error `callback_failed`.
    pub fn new<F, R>(name: impl Into<Arc<str>>, check: F) -> Self
    where
        F: Fn(GuardrailOutput) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<Verdict>> + Send + 'static,
    {
        Self {
            name: name.into(),
            holds: false,
            check: boxed(check),
        }
    }

    /// Delivers no text of the agent before the text has passed.
    ///
    /// Text that proves not to be the final output is delivered as well.
    #[must_use]
    pub const fn hold(mut self) -> Self {
        self.holds = true;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) const fn holds(&self) -> bool {
        self.holds
    }

    pub(crate) fn check(
        &self,
        output: GuardrailOutput,
    ) -> BoxFuture<'static, Result<Verdict, BoxError>> {
        (self.check)(output)
    }
}

fn boxed<T, F, R>(check: F) -> Arc<CheckFn<T>>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    R: Future<Output: IntoOutcome<Verdict>> + Send + 'static,
{
    Arc::new(move |subject| {
        let verdict = check(subject);
        Box::pin(async move { verdict.await.into_outcome() })
    })
}

impl Verdict {
    /// Passes, without further information.
    pub const fn pass() -> Self {
        Self::Pass { info: Value::Null }
    }

    /// Trips, for this reason.
    pub fn trip(info: impl Into<Value>) -> Self {
        Self::Trip { info: info.into() }
    }

    /// Says whether the run must end.
    pub const fn is_trip(&self) -> bool {
        matches!(self, Self::Trip { .. })
    }
}

impl GuardrailResult {
    pub(crate) fn new(
        guardrail: &str,
        stage: GuardrailStage,
        agent: &str,
        verdict: Verdict,
    ) -> Self {
        let is_tripped = verdict.is_trip();
        let (Verdict::Pass { info } | Verdict::Trip { info }) = verdict;
        Self {
            guardrail: guardrail.to_owned(),
            stage,
            agent: agent.to_owned(),
            is_tripped,
            info,
        }
    }
}

impl GuardrailStage {
    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::ToolInput => "tool_input",
            Self::ToolOutput => "tool_output",
        }
    }
}

impl fmt::Debug for InputGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputGuardrail")
            .field("name", &self.name)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OutputGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputGuardrail")
            .field("name", &self.name)
            .field("holds", &self.holds)
            .finish_non_exhaustive()
    }
}
