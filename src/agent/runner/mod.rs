//! Running agents: the doorway.

mod step;
mod state;
mod prepare;
mod resolve;
mod run;
mod execute;
mod result;
mod drive;

use std::fmt;
use std::sync::Arc;

pub use drive::RunStream;
pub use result::{RunEvent, RunResult};

use crate::agent::Agent;
use crate::context::States;
use crate::error::RunError;
use crate::future::BoxFuture;
use crate::item::{Item, Message};
use crate::journal::{Journal, NoJournal};
use crate::limits::Limits;
use crate::model::{Delivery, Model, ModelSettings};

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
pub struct Runner {
    model: Arc<dyn Model>,
    options: RunOptions,
}

/// What can be set for a run.
#[derive(Clone)]
pub(crate) struct RunOptions {
    limits: Limits,
    settings: ModelSettings,
    states: States,
    unknown_tool: UnknownTool,
    max_tool_concurrency: Option<usize>,
    keeping: prepare::Keeping,
    journal: Arc<dyn Journal>,
}

/// What happens when the model calls a tool that does not exist or is disabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownTool {
    /// The run ends with the error `unknown_tool` or `disabled_tool`.
    #[default]
    Fail,
    /// The model is told which tools there are, and goes on.
    TellModel,
}

/// The input of a run: a text, a message, or the items of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Input(Vec<Item>);

/// A run about to start; await it, or [`start`](Self::start) its stream.
#[must_use = "a run does nothing until it is awaited or started"]
pub struct RunRequest {
    agent: Agent,
    input: Vec<Item>,
    model: Arc<dyn Model>,
    options: RunOptions,
    delivery: Delivery,
}

impl Runner {
    /// Makes a runner on a model; agents with a model of their own use that.
    pub fn new(model: impl Model + 'static) -> Self {
        Self::shared(Arc::new(model))
    }

    /// Makes a runner on a model that others share.
    pub fn shared(model: Arc<dyn Model>) -> Self {
        let options = RunOptions {
            limits: Limits::default(),
            settings: ModelSettings::default(),
            states: States::default(),
            unknown_tool: UnknownTool::default(),
            max_tool_concurrency: None,
            keeping: prepare::Keeping::default(),
            journal: Arc::new(NoJournal),
        };
        Self { model, options }
    }

    /// Gives all runs this state, found by its type in tools: `cx.state::<T>()`.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.options.states.insert(state);
        self
    }

    /// Sets the limits of each run.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Runs an agent; the model answers whole.
    ///
    /// # Errors
    ///
    /// Awaiting gives a [`RunError`], which carries what was done before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run, as dropping a [`RunStream`] does.
    pub fn run(&self, agent: &Agent, input: impl Into<Input>) -> RunRequest {
        self.request(agent, input.into(), Delivery::Whole)
    }

    /// Runs an agent; the model answers in pieces.
    pub fn stream(&self, agent: &Agent, input: impl Into<Input>) -> RunRequest {
        self.request(agent, input.into(), Delivery::Stream)
    }

    fn request(&self, agent: &Agent, input: Input, delivery: Delivery) -> RunRequest {
        let model = agent.model().unwrap_or(&self.model);
        RunRequest {
            agent: agent.clone(),
            input: input.0,
            model: Arc::clone(model),
            options: self.options.clone(),
            delivery,
        }
    }
}

impl RunRequest {
    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Lays model settings over the agent's.
    pub fn model_settings(mut self, settings: ModelSettings) -> Self {
        self.options.settings = settings;
        self
    }

    /// Gives the run this state, found by its type in tools: `cx.state::<T>()`.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.options.states.insert(state);
        self
    }

    /// Sets what happens when the model calls a tool that does not exist or is disabled.
    pub fn unknown_tool(mut self, unknown_tool: UnknownTool) -> Self {
        self.options.unknown_tool = unknown_tool;
        self
    }

    /// Bounds how many tools of a turn run at once; otherwise all do.
    pub fn max_tool_concurrency(mut self, max_tool_concurrency: usize) -> Self {
        self.options.max_tool_concurrency = Some(max_tool_concurrency);
        self
    }

    /// Lets the server keep the conversation, response by response (`previous_response_id`): each request has only what is new.
    ///
    /// It needs the Responses API and a server that stores responses.
    pub fn chain_responses(mut self) -> Self {
        self.options.keeping = prepare::Keeping::Responses(None);
        self
    }

    /// Continues a response that the server stored, and lets it keep the conversation from there.
    pub fn previous_response_id(mut self, id: impl Into<String>) -> Self {
        self.options.keeping = prepare::Keeping::Responses(Some(id.into()));
        self
    }

    /// Continues a conversation that the server stores; each request has only what is new.
    pub fn conversation_id(mut self, id: impl Into<String>) -> Self {
        self.options.keeping = prepare::Keeping::Conversation(id.into());
        self
    }

    /// Sends every side effect through a journal.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.options.journal = journal;
        self
    }

    /// Makes the run's stream; nothing happens before it is polled.
    pub fn start(self) -> RunStream {
        RunStream::new(self)
    }
}

impl IntoFuture for RunRequest {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start().finish())
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self(vec![Item::user(text)])
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self(vec![Item::user(text)])
    }
}

impl From<&String> for Input {
    fn from(text: &String) -> Self {
        Self(vec![Item::user(text.as_str())])
    }
}

impl From<Message> for Input {
    fn from(message: Message) -> Self {
        Self(vec![message.into()])
    }
}

impl From<Vec<Item>> for Input {
    fn from(items: Vec<Item>) -> Self {
        Self(items)
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("model", &self.model.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRequest")
            .field("agent", &self.agent.name())
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
