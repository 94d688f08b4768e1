//! What a run gives: events while it goes on, a result at its end.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::agent::{Agent, Interruption, OutputError, read_output};
use crate::error::RunProgress;
use crate::guardrail::GuardrailResult;
use crate::item::Item;
use crate::model::{Deviation, ResponseMeta};
use crate::usage::Usage;

/// One event of a run.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, RunEvent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let mut run = runner.run(&Agent::builder("Guide").build()?, "The river of Paris?").stream();
/// while let Some(event) = run.next().await {
///     match event? {
///         RunEvent::TextDelta { delta } => print!("{delta}"),
///         RunEvent::ToolCalled { name, arguments, .. } => eprintln!("-> {name} {arguments}"),
///         RunEvent::RunDone { result } => assert_eq!(result.turns(), 1),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RunEvent {
    /// A turn begins: the model is about to be called.
    TurnStarted {
        /// The turn, from 1.
        turn: u32,
        /// The agent whose turn it is.
        agent: Arc<str>,
    },
    /// More of the answer's text.
    TextDelta {
        /// The new piece.
        delta: String,
    },
    /// More of a refusal.
    RefusalDelta {
        /// The new piece.
        delta: String,
    },
    /// More of the reasoning.
    ReasoningDelta {
        /// The new piece.
        delta: String,
    },
    /// The model begins a tool call.
    ToolCallStarted {
        /// The place of the call in this response, from 0.
        ///
        /// The order is that in which the calls begin.
        index: usize,
        /// The call's id.
        call_id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a tool call's arguments.
    ToolCallDelta {
        /// The place of the call in this response, from 0.
        ///
        /// The order is that in which the calls begin.
        index: usize,
        /// The call's id.
        call_id: String,
        /// The new piece of JSON.
        delta: String,
    },
    /// Another event of the server, such as the progress of a hosted tool.
    ModelEvent {
        /// Its type.
        name: String,
        /// Its JSON, verbatim.
        json: String,
    },
    /// An item of the model is complete.
    ItemDone {
        /// The item.
        item: Item,
    },
    /// The model has written a whole tool call.
    ///
    /// The tool runs once the response is complete.
    ToolCalled {
        /// The call's id.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The arguments, JSON as the model wrote it.
        arguments: String,
    },
    /// The model asks for a handoff.
    ///
    /// It happens when the tools of the turn are done.
    HandoffRequested {
        /// The call's id.
        call_id: String,
        /// The agent that would be next.
        to: Arc<str>,
    },
    /// The model's response is complete.
    ResponseDone {
        /// What is known beside its items.
        meta: ResponseMeta,
    },
    /// A tool reports its progress.
    ToolProgress {
        /// The call's id.
        call_id: String,
        /// The tool's name.
        name: String,
        /// What the tool reports.
        message: Value,
    },
    /// Something happened in the run of an agent that was called as a tool.
    Nested {
        /// The id of the call.
        call_id: String,
        /// The agent that was called.
        agent: Arc<str>,
        /// The event. It is nested itself if it comes from a run further inside.
        event: Box<Self>,
    },
    /// A call waits for a decision.
    ///
    /// The run pauses once nothing else of the turn is left to do.
    ApprovalRequired {
        /// The call.
        interruption: Interruption,
    },
    /// The conversation went to another agent.
    HandoffOccurred {
        /// The agent that had it.
        from: Arc<str>,
        /// The agent that has it.
        to: Arc<str>,
    },
    /// A guardrail gave its verdict. If it tripped, the run ends.
    GuardrailDone {
        /// The verdict.
        result: GuardrailResult,
    },
    /// A tool gave its output; other tools of the turn may still run.
    ToolOutputDone {
        /// The call's id.
        call_id: String,
        /// The tool's name.
        name: String,
        /// What the model is told, as text.
        output: String,
        /// What went wrong, if the tool failed.
        ///
        /// The output is then what the model is told of it.
        failure: Option<String>,
    },
    /// The run is over; nothing comes after this.
    RunDone {
        /// The result.
        result: Box<RunResult>,
    },
}

impl RunEvent {
    /// Whether it can come before the model's answer begins. A verdict can: a guardrail that trips ends the run without an answer.
    pub(crate) const fn is_before_answer(&self) -> bool {
        matches!(self, Self::TurnStarted { .. } | Self::GuardrailDone { .. })
    }

    /// Returns the innermost event, and the calls that lead to it.
    ///
    /// Of the calls of agents as tools it gives the ids, the outermost first.
    pub fn unnested(&self) -> (Vec<&str>, &Self) {
        let mut path = Vec::new();
        let mut event = self;
        while let Self::Nested {
            call_id,
            event: inner,
            ..
        } = event
        {
            path.push(call_id.as_str());
            event = inner;
        }
        (path, event)
    }
}

/// A run that came to its end.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let result = runner.run(&Agent::builder("Guide").build()?, "The river of Paris?").await?;
/// assert_eq!(result.final_output(), "The Seine.");
/// assert_eq!(result.last_agent().name(), "Guide");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunResult {
    pub(super) final_output: String,
    pub(super) progress: RunProgress,
}

impl RunResult {
    /// Returns the final output.
    pub fn final_output(&self) -> &str {
        &self.final_output
    }

    /// Reads the final output as the type that the agent was built with.
    ///
    /// # Errors
    ///
    /// [`OutputError`] when the text is not JSON of this type. For the agent's own [output type](crate::agent::AgentBuilder::output) that
    /// happens only if a tool's output ended the run.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        read_output(self.last_agent().output_type(), &self.final_output)
    }

    /// Takes the final output out of the result.
    pub fn into_final_output(self) -> String {
        self.final_output
    }

    /// Returns the items that the run added, in order.
    pub fn items(&self) -> &[Item] {
        &self.progress.items
    }

    /// Returns the input and the new items, as the input of a next run.
    pub fn to_input_list(&self) -> Vec<Item> {
        self.progress
            .input
            .iter()
            .chain(&self.progress.items)
            .cloned()
            .collect()
    }

    /// Returns what the model calls cost.
    pub fn usage(&self) -> Usage {
        self.progress.usage
    }

    /// Counts the turns. Each is one model call.
    pub fn turns(&self) -> u32 {
        self.progress.turns
    }

    /// Returns the agent that answered.
    pub fn last_agent(&self) -> &Agent {
        &self.progress.last_agent
    }

    /// Returns the metadata of each model response, such as its id and its usage.
    pub fn responses(&self) -> &[ResponseMeta] {
        &self.progress.responses
    }

    /// Returns the id of the last response.
    ///
    /// A server that stores responses knows the response by it.
    pub fn last_response_id(&self) -> Option<&str> {
        self.progress.responses.last()?.response_id.as_deref()
    }

    /// Returns the verdicts of all guardrails that were asked, in the order they came.
    pub fn guardrails(&self) -> &[GuardrailResult] {
        &self.progress.guardrails
    }

    /// Returns the deviations from the protocol that were tolerated.
    pub fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.progress.deviations()
    }

    /// Returns all that was done.
    pub fn progress(&self) -> &RunProgress {
        &self.progress
    }
}
