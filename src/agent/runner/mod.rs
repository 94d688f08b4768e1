//! Running agents: the doorway.
//!
//! # Settings and models
//!
//! Model settings lie over each other, one by one; the later wins:
//!
//! 1. those of the runner ([`Runner::model_settings`]);
//! 2. the agent's own ([`AgentBuilder::model_settings`](crate::agent::AgentBuilder::model_settings));
//! 3. those of the run ([`RunRequest::model_settings`]), which reach every agent of it, those that are called as tools too.
//!
//! Models are chosen in the same order: the runner's ([`Runner::new`]), the agent's own, and that of the run ([`RunRequest::model`]) for every
//! agent of it. [`Runner::model`] chooses for all runs of a runner what a run does not choose itself.
//!
//! Limits are replaced whole in that order: the runner's, those of the agent that the run begins with, those of the run.
//!
//! Everything else that a runner and a run can set is the run's if it is set there. Lists, such as hooks, guardrails, layers and
//! agents, are added to: the runner's come first.

mod options;
mod models;
mod request;
mod graph;
mod step;
mod run;
mod state;
mod turn;
mod snapshot;
mod tool_sources;
mod tool_search;
mod model_request;
mod resolve;
mod session;
mod session_writes;
mod drive;
mod layer;
mod callbacks;
mod tool_calls;
mod call_scope;
mod agent_tool;
mod agent_guardrail;
mod result;
mod to_json;
mod to_run_events;
mod handle;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "config")]
pub(crate) use agent_guardrail::{Judgement, ask as ask_judge};
pub use agent_tool::AgentTool;
pub use drive::RunStream;
pub use handle::{RunHandle, RunOver};
pub use layer::{RunIdentity, RunLayer, RunStep, StepKind, StepOutcome, StepOutcomes, ToolCallEnd};
pub use options::{InvalidOutput, LastTurn, ReasoningItemIds, Recovery, TrippedInput, UnknownTool};
pub use request::{Input, RunRequest};
pub use result::{RunEvent, RunResult};

use crate::agent::{Agent, RunState};
use crate::model::Model;
#[cfg(feature = "mcp-server")]
use crate::trace::Tracer;
use options::RunOptions;
use request::{RunScope, RunStart};

/// Runs agents on a model; a cheap handle that any number of runs share.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("Paris."));
/// let agent = Agent::builder("Guide").instructions("Answer in one word.").build()?;
/// let result = runner.run(&agent, "What is the capital of France?").await?;
/// assert_eq!(result.final_output(), "Paris.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a runner does nothing until it runs an agent"]
pub struct Runner {
    model: Arc<dyn Model>,
    options: RunOptions,
}

impl Runner {
    /// Makes a runner with this model.
    ///
    /// Agents with a model of their own use that one.
    pub fn new(model: impl Model + 'static) -> Self {
        Self::shared(Arc::new(model))
    }

    /// Makes a runner with a model that others share.
    pub fn shared(model: Arc<dyn Model>) -> Self {
        Self {
            model,
            options: RunOptions::default(),
        }
    }

    /// Begins a run: await it for its result, or [`stream`](RunRequest::stream) its events.
    ///
    /// # Errors
    ///
    /// Awaiting gives a [`RunError`](crate::RunError), which carries what was done before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run, as dropping a [`RunStream`] does.
    pub fn run(&self, agent: &Agent, input: impl Into<Input>) -> RunRequest {
        self.request(agent, RunStart::Input(input.into().0))
    }

    /// Resumes a run from its state, once its [interruptions](RunState::interruptions) are decided about.
    ///
    /// Give the agent that the run began with. The interrupted turn is finished without asking the model again. The limits are those of the
    /// state, unless you set others. Everything else that is not in the state, such as application state, hooks and guardrails, has to be
    /// given again.
    ///
    /// # Errors
    ///
    /// Awaiting gives `state_invalid` when an agent of the state, or the tool of a waiting call, is missing.
    pub fn resume(&self, agent: &Agent, state: RunState) -> RunRequest {
        let limits = state.limits();
        self.request(agent, RunStart::State(Box::new(state)))
            .limits(limits)
    }

    /// What runs are recorded in.
    #[cfg(feature = "mcp-server")]
    pub(crate) fn recorder(&self) -> Option<&Tracer> {
        self.options.tracer.as_ref()
    }

    fn request(&self, agent: &Agent, beginning: RunStart) -> RunRequest {
        let mut options = self.options.clone();
        options.limits = agent.limits().unwrap_or(options.limits);
        RunRequest {
            agent: agent.clone(),
            beginning,
            model: Arc::clone(&self.model),
            options,
            delivery: None,
            scope: RunScope::default(),
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("model", &self.model.name())
            .finish_non_exhaustive()
    }
}
