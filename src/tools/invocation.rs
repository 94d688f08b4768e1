//! One tool call, whoever makes it: a run, a client of the MCP server, a program.
//!
//! What belongs to a call is decided here and nowhere else, in this order: whether the tool is enabled, whether the arguments fit, the
//! input guardrails, the approval, the time-out, a panic, the size of the output, what a failure means, and the output guardrails, which
//! see every text that a model is given. The code of a tool can be reached in no other way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;

use super::function::panic_message;
use super::handler::{Fault, ReadCall};
use super::{
    FunctionTool, ToolContext, ToolError, ToolFailure, ToolName, ToolOffer, ToolOutput, ToolVerdict,
};
use crate::error_chain::error_chain;
use crate::future::{BoxError, BoxFuture};
use crate::guardrail::{GuardrailResult, GuardrailStage, Verdict};

/// What a model is told of a failure whose details are kept from it; the Python SDK's words.
const FAILURE_TEXT: &str = "An error occurred while running the tool. Please try again.";

/// What a model is told of a call that was not approved, unless whoever refused says more; the Python SDK's words.
pub(crate) const NOT_APPROVED: &str = "Tool execution was not approved.";

/// What a tool call ended with.
///
/// ```
/// use openai_agents::tools::{ToolCallResult, ToolName, ToolOptions};
/// use openai_agents::{FunctionTool, RunContext, ToolContext};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct AddArguments {
///     a: i64,
///     b: i64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let add = FunctionTool::new("add", "Adds two numbers.", async |_cx, numbers: AddArguments| {
///     numbers.a.checked_add(numbers.b).ok_or("too large")
/// })?;
/// let arguments = r#"{"a": 1, "b": "2"}"#;
/// let cx = ToolContext::new(RunContext::default(), "Guide", add.name().clone(), "call_1", arguments);
/// let ToolCallResult::Refused { message, .. } = add.invoke(cx).await else {
///     return Err("the arguments do not fit".into());
/// };
/// assert_eq!(message, "bad arguments for tool `add`: field `b`: expected an integer, found the string \"2\"");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ToolCallResult {
    /// The tool answered.
    Output {
        /// What it gave.
        output: ToolOutput,
        /// The verdicts of its guardrails.
        guardrails: Vec<GuardrailResult>,
    },
    /// The model is told something in place of an output.
    ///
    /// It is told of a failure, the words of a guardrail, or that the call was not approved.
    Refused {
        /// What the model is told.
        message: String,
        /// Why there is no output; none where a guardrail chose the words.
        failure: Option<ToolError>,
        /// The verdicts of the tool's guardrails.
        guardrails: Vec<GuardrailResult>,
    },
    /// The call needs an approval that nobody has given; the tool was not called.
    ApprovalRequired {
        /// The tool.
        tool: ToolName,
        /// The verdicts of the input guardrails, which have let the call pass.
        guardrails: Vec<GuardrailResult>,
    },
    /// The run of an agent inside the call waits for decisions.
    ///
    /// Whoever made the call has its state.
    Paused {
        /// The tool.
        tool: ToolName,
        /// The verdicts of the input guardrails.
        guardrails: Vec<GuardrailResult>,
    },
    /// The call began before a crash, and nobody knows whether it took place.
    InDoubt {
        /// The tool.
        tool: ToolName,
    },
    /// The run ends, or whatever else made the call.
    Fatal(ToolError),
}

/// What was decided about a call before it is made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub(crate) enum Approval {
    /// Nobody has decided, and someone must: the call ends with [`ToolCallResult::ApprovalRequired`] where it would be made.
    Required,
    /// The call may be made.
    Given,
    /// The call may be made, and its input guardrails have let it pass before the decision.
    GivenAfter(Vec<GuardrailResult>),
    /// The run inside the call goes on; the call itself began before.
    GoesOn(Vec<GuardrailResult>),
}

/// A call of a tool that was found, before it is made.
pub(crate) struct ToolCall {
    tool: FunctionTool,
    cx: ToolContext,
}

/// Hears of the begin and the end of a call; an error ends what made the call.
pub(crate) trait CallObserver: Send + Sync {
    fn started(&self, cx: &ToolContext) -> impl Future<Output = Result<(), ToolError>> + Send;

    fn ended(
        &self,
        cx: &ToolContext,
        output: &ToolOutput,
    ) -> impl Future<Output = Result<(), ToolError>> + Send;
}

/// Nobody hears of a call.
pub(crate) struct Unobserved;

/// Why a call has no output.
enum Stop {
    /// An input guardrail answers in its place.
    Rejected(String),
    Failed(ToolError),
    ApprovalRequired,
    Paused,
    Fatal(ToolError),
}

impl ToolCall {
    pub(crate) fn new(tool: &FunctionTool, cx: ToolContext) -> Self {
        Self {
            tool: tool.clone(),
            cx,
        }
    }

    /// Whether the call waits for an approval, unless there is one.
    pub(crate) async fn needs_approval(&self) -> Result<bool, ToolError> {
        let Some(condition) = self.tool.approval() else {
            return Ok(false);
        };
        let answer = AssertUnwindSafe(condition(self.cx.clone())).catch_unwind();
        let answer = answer
            .await
            .unwrap_or_else(|payload| Err(panic_message(&*payload).into()));
        answer.map_err(|source| self.callback_failed("the approval condition".to_owned(), source))
    }

    /// Makes the call once, or says why it is not made.
    ///
    /// What was observed or asked in an earlier part of the call, by `approval`, is not repeated.
    pub(crate) async fn make(
        self,
        approval: Approval,
        observer: impl CallObserver,
    ) -> ToolCallResult {
        // The two are filled by the attempt and read after it, however it ended: verdicts are
        // listed for failed calls too, and whoever heard of the begin hears of the end.
        let (mut guardrails, mut is_observed) = (Vec::new(), false);
        let attempted = self
            .attempt(approval, &observer, (&mut guardrails, &mut is_observed))
            .await;
        let (output, failure) = match attempted {
            Ok(output) => (Ok(output), None),
            Err(Stop::Rejected(message)) => (Err(message), None),
            Err(Stop::Failed(error)) => match self.told(error) {
                Ok((message, error)) => (Err(message), Some(error)),
                Err(error) => return ToolCallResult::Fatal(error),
            },
            Err(Stop::ApprovalRequired) => {
                let tool = self.tool.name().clone();
                return ToolCallResult::ApprovalRequired { tool, guardrails };
            }
            Err(Stop::Paused) => {
                let tool = self.tool.name().clone();
                return ToolCallResult::Paused { tool, guardrails };
            }
            Err(Stop::Fatal(error)) => return ToolCallResult::Fatal(error),
        };
        let hears = is_observed.then_some(observer);
        self.end((output, failure), guardrails, hears).await
    }

    /// Answers the call without making it: the model is told this.
    pub(crate) async fn refuse(
        self,
        message: String,
        failure: ToolError,
        guardrails: Vec<GuardrailResult>,
    ) -> ToolCallResult {
        // Who refused may have said why; otherwise the run may have words of its own.
        let is_usual = message == NOT_APPROVED;
        let words = self.cx.failure_text(&failure).filter(|_| is_usual);
        let told = (Err(words.unwrap_or(message)), Some(failure));
        self.end(told, guardrails, None::<Unobserved>).await
    }

    /// Has the output guardrails look at what the model is to be given, and tells whoever heard of the begin of the call.
    async fn end(
        &self,
        (output, failure): (Result<ToolOutput, String>, Option<ToolError>),
        mut guardrails: Vec<GuardrailResult>,
        observer: Option<impl CallObserver>,
    ) -> ToolCallResult {
        let judged = self.guard_output(output.as_ref(), failure.as_ref(), &mut guardrails);
        let output = match judged.await {
            Ok(None) => output,
            Ok(Some(message)) => Err(message),
            Err(error) => return ToolCallResult::Fatal(error),
        };
        if let Some(observer) = observer {
            let ended = match &output {
                Ok(output) => observer.ended(&self.cx, output).await,
                Err(message) => observer.ended(&self.cx, &message.as_str().into()).await,
            };
            if let Err(error) = ended {
                return ToolCallResult::Fatal(error);
            }
        }
        match output {
            Ok(output) => ToolCallResult::Output { output, guardrails },
            Err(message) => ToolCallResult::Refused {
                message,
                failure,
                guardrails,
            },
        }
    }

    async fn attempt(
        &self,
        approval: Approval,
        observer: &impl CallObserver,
        (guardrails, is_observed): (&mut Vec<GuardrailResult>, &mut bool),
    ) -> Result<ToolOutput, Stop> {
        let offer = ToolOffer::new(self.cx.run().clone(), self.cx.shared_agent());
        // The order of a call: is it offered, are its arguments right, do the input guardrails let
        // it pass, is it approved. Then it is made.
        let is_offered = self.tool.is_offered(&offer).await;
        if !is_offered.map_err(Stop::Fatal)? {
            let tool = self.tool.name().clone();
            return Err(Stop::Fatal(ToolError::Disabled { tool }));
        }
        // Before any guardrail: arguments that do not fit are the model's mistake, and it is told
        // at once. Reading runs the `Deserialize` of the application, which may panic.
        let read = || self.tool.read(self.cx.for_tool(), self.cx.arguments());
        let call = match catch_unwind(AssertUnwindSafe(read)) {
            Ok(read) => read.map_err(|detail| self.bad_arguments(detail))?,
            Err(payload) => return Err(Stop::Failed(self.panicked(&*payload))),
        };
        let is_begun = matches!(approval, Approval::GoesOn(_));
        match approval {
            // Guardrails first, so that nobody is asked about a call that would be refused anyway.
            Approval::Required => {
                self.guard_input(guardrails).await?;
                return Err(Stop::ApprovalRequired);
            }
            Approval::Given => self.guard_input(guardrails).await?,
            Approval::GivenAfter(before) | Approval::GoesOn(before) => *guardrails = before,
        }
        *is_observed = true;
        if !is_begun {
            observer.started(&self.cx).await.map_err(Stop::Fatal)?;
        }
        self.within_limits(call).await
    }

    /// Asks the input guardrails, in order.
    async fn guard_input(&self, verdicts: &mut Vec<GuardrailResult>) -> Result<(), Stop> {
        let stage = GuardrailStage::ToolInput;
        for guardrail in self.tool.input_guardrails() {
            let asked = guardrail.check(self.cx.clone(), None, None);
            let verdict = self.verdict(guardrail.name(), asked).await;
            let verdict = verdict.map_err(Stop::Fatal)?;
            let rejection = self.note((guardrail.name(), stage), verdict, verdicts);
            if let Some(message) = rejection.map_err(Stop::Fatal)? {
                return Err(Stop::Rejected(message));
            }
        }
        Ok(())
    }

    /// Asks the output guardrails, in order; gives what the model is told instead, if one rejects.
    async fn guard_output(
        &self,
        output: Result<&ToolOutput, &String>,
        failure: Option<&ToolError>,
        verdicts: &mut Vec<GuardrailResult>,
    ) -> Result<Option<String>, ToolError> {
        let guardrails = self.tool.output_guardrails();
        if guardrails.is_empty() {
            return Ok(None);
        }
        let stage = GuardrailStage::ToolOutput;
        let output = output.map_or_else(|words| words.as_str().into(), ToolOutput::clone);
        let failure: Option<Arc<str>> = failure.map(|error| error_chain(error).into());
        for guardrail in guardrails {
            let asked = guardrail.check(self.cx.clone(), Some(output.clone()), failure.clone());
            let verdict = self.verdict(guardrail.name(), asked).await?;
            let rejection = self.note((guardrail.name(), stage), verdict, verdicts)?;
            if rejection.is_some() {
                return Ok(rejection);
            }
        }
        Ok(None)
    }

    /// Waits for a verdict; a guardrail that panics has failed.
    async fn verdict(
        &self,
        guardrail: &str,
        asked: BoxFuture<'static, Result<ToolVerdict, BoxError>>,
    ) -> Result<ToolVerdict, ToolError> {
        let verdict = AssertUnwindSafe(asked).catch_unwind().await;
        verdict
            .unwrap_or_else(|payload| Err(panic_message(&*payload).into()))
            .map_err(|source| self.callback_failed(format!("the guardrail `{guardrail}`"), source))
    }

    /// Notes a verdict; gives the words of one that rejects, and an error for one that trips.
    fn note(
        &self,
        (guardrail, stage): (&str, GuardrailStage),
        verdict: ToolVerdict,
        verdicts: &mut Vec<GuardrailResult>,
    ) -> Result<Option<String>, ToolError> {
        let agent = self.cx.agent();
        let (verdict, rejection) = match verdict {
            ToolVerdict::Allow => (Verdict::pass(), None),
            ToolVerdict::Reject { message } => {
                let info = message.as_str().into();
                (Verdict::Pass { info }, Some(message))
            }
            ToolVerdict::Trip { info } => {
                return Err(ToolError::GuardrailTripped {
                    tool: self.tool.name().clone(),
                    guardrail: guardrail.to_owned(),
                    is_output: stage == GuardrailStage::ToolOutput,
                    info,
                });
            }
        };
        verdicts.push(GuardrailResult::new(guardrail, stage, agent, verdict));
        Ok(rejection)
    }

    /// Runs the code of the tool.
    async fn within_limits(&self, call: ReadCall) -> Result<ToolOutput, Stop> {
        let (options, tool) = (self.tool.options(), || self.tool.name().clone());
        // Nothing of the tool is used again by this call after a panic, so no broken state can be seen.
        let begun = AssertUnwindSafe(call).catch_unwind();
        let ended = match options.timeout {
            None => begun.await,
            Some(after) => match tokio::time::timeout(after, begun).await {
                Ok(ended) => ended,
                Err(_) => {
                    return Err(Stop::Failed(ToolError::TimedOut {
                        tool: tool(),
                        after,
                    }));
                }
            },
        };
        let output = match ended {
            Ok(Ok(output)) => output,
            Ok(Err(fault)) => return Err(self.stop(fault)),
            Err(payload) => return Err(Stop::Failed(self.panicked(&*payload))),
        };
        self.check_size(output.n_bytes()).map_err(Stop::Failed)?;
        Ok(output)
    }

    fn check_size(&self, n_bytes: usize) -> Result<(), ToolError> {
        let max_bytes = self.tool.options().max_output_bytes;
        if n_bytes > max_bytes {
            let tool = self.tool.name().clone();
            return Err(ToolError::OutputTooLarge {
                tool,
                n_bytes,
                max_bytes,
            });
        }
        Ok(())
    }

    fn stop(&self, fault: Fault) -> Stop {
        let tool = self.tool.name().clone();
        match fault {
            Fault::Paused => Stop::Paused,
            Fault::MissingState(missing) => Stop::Fatal(ToolError::MissingState { tool, missing }),
            Fault::Fatal(source) => Stop::Fatal(ToolError::Failed { tool, source }),
            Fault::Failed(source) => match self.cx.missing_state(&*source) {
                Some(missing) => Stop::Fatal(ToolError::MissingState { tool, missing }),
                None => Stop::Failed(ToolError::Failed { tool, source }),
            },
        }
    }

    /// What the model is told of a failure, and the failure, unless it ends the run.
    fn told(&self, error: ToolError) -> Result<(String, ToolError), ToolError> {
        let options = self.tool.options();
        // A time-out has a policy of its own, because a call that was cut off may have had its
        // effect.
        let policy = match &error {
            ToolError::TimedOut { .. } => options.timeout_failure,
            _ => options.failure,
        };
        let text = match (policy, &error) {
            (ToolFailure::Raise, _) => return Err(error),
            // What is wrong with its own arguments is no secret to a model, and it cannot correct what it is not told.
            (_, ToolError::BadArguments { .. }) | (ToolFailure::TellModelDetail, _) => {
                error_chain(&error)
            }
            (_, ToolError::TimedOut { tool, after }) => {
                let seconds = after.as_secs_f64();
                format!("Tool '{tool}' timed out after {seconds} seconds.")
            }
            _ => FAILURE_TEXT.to_owned(),
        };
        let text = match self.tool.words_of_failure() {
            Some(words) => words(&self.cx, &error),
            None => self.cx.failure_text(&error).unwrap_or(text),
        };
        tracing::debug!(target: "openai_agents::tools", tool = %self.tool.name(), error = %error_chain(&error), "tool failed");
        match self.check_size(text.len()) {
            Ok(()) => Ok((text, error)),
            // Other people's words about a failure are held to the size of an output, too.
            Err(too_large) => Ok((FAILURE_TEXT.to_owned(), too_large)),
        }
    }

    fn bad_arguments(&self, detail: String) -> Stop {
        let tool = self.tool.name().clone();
        Stop::Failed(ToolError::BadArguments { tool, detail })
    }

    fn panicked(&self, payload: &(dyn std::any::Any + Send)) -> ToolError {
        ToolError::Panicked {
            tool: self.tool.name().clone(),
            message: panic_message(payload),
        }
    }

    fn callback_failed(&self, callback: String, source: BoxError) -> ToolError {
        ToolError::CallbackFailed {
            tool: self.tool.name().clone(),
            callback,
            source,
        }
    }
}

impl ToolCallResult {
    /// Returns the output, or the reason why there is none.
    ///
    /// The words of a guardrail are an output.
    ///
    /// # Errors
    ///
    /// The failure that the model would be told of, or that would end the run.
    pub fn into_output(self) -> Result<ToolOutput, ToolError> {
        match self {
            Self::Output { output, .. } => Ok(output),
            Self::Refused {
                message, failure, ..
            } => failure.map_or(Ok(message.into()), Err),
            Self::Fatal(error) => Err(error),
            Self::ApprovalRequired { tool, .. } | Self::Paused { tool, .. } => {
                Err(ToolError::ApprovalRequired { tool })
            }
            Self::InDoubt { tool } => Err(ToolError::InDoubt { tool }),
        }
    }
}

impl CallObserver for Unobserved {
    async fn started(&self, _: &ToolContext) -> Result<(), ToolError> {
        Ok(())
    }

    async fn ended(&self, _: &ToolContext, _: &ToolOutput) -> Result<(), ToolError> {
        Ok(())
    }
}
