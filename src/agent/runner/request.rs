//! A run about to start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::options::RunOptions;
use super::{RunResult, RunStream};
use crate::agent::Agent;
use crate::agent::run_state::{HistoryOwner, RunId, RunState};
use crate::context::RunContext;
use crate::error::{RunError, SetupError};
use crate::future::BoxFuture;
use crate::item::{Item, Message};
use crate::limits::Limits;
use crate::model::{Delivery, Model, ModelSettings};
use crate::session::IntoSession;

/// A run about to start: await it for its result, or [`stream`](Self::stream) its events.
///
/// ```
/// use std::time::Duration;
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let agent = Agent::builder("Guide").build()?;
/// let request = runner.run(&agent, "The river of Paris?").max_turns(3).timeout(Duration::from_secs(60));
/// assert_eq!(request.await?.final_output(), "The Seine.");
/// # Ok(())
/// # }
/// ```
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct RunRequest {
    pub(super) agent: Agent,
    pub(super) beginning: RunStart,
    /// The model of agents that have none of their own.
    pub(super) model: Arc<dyn Model>,
    pub(super) options: RunOptions,
    /// How the model answers, if that is not to follow from how the run is watched.
    pub(super) delivery: Option<Delivery>,
    pub(super) scope: RunScope,
}

/// What stays the same in a run; shared by all that belongs to it.
pub(super) struct RunSetup {
    /// The model of agents that have none of their own.
    pub(super) model: Arc<dyn Model>,
    pub(super) options: RunOptions,
    pub(super) delivery: Delivery,
    pub(super) scope: RunScope,
    /// The id of the run, unless it goes on from a state, which has one.
    pub(super) id: RunId,
}

/// From where a run goes on.
pub(super) enum RunStart {
    Input(Vec<Item>),
    State(Box<RunState>),
}

/// Where a run stands among runs.
#[derive(Clone, Default)]
pub(super) struct RunScope {
    /// The run whose tool this one is.
    pub(super) parent: Option<RunContext>,
    /// The calls that lead here from the outermost run.
    pub(super) path: Vec<Arc<str>>,
    /// The agents that were called as tools on the way here, this run's own at last.
    pub(super) agents: Vec<Agent>,
}

impl RunScope {
    /// The calls as events name them, without their turns.
    pub(super) fn call_ids(&self) -> Vec<Arc<str>> {
        let id = |step: &Arc<str>| match step.split_once('/') {
            Some((_, call_id)) => call_id.into(),
            None => Arc::clone(step),
        };
        self.path.iter().map(id).collect()
    }
}

/// The input of a run: a text, a message, or the items of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Input(pub(super) Vec<Item>);

impl RunRequest {
    /// Reads the conversation from a session, and keeps there what the run adds.
    ///
    /// It reads what was said so far, and writes turn by turn.
    ///
    /// A turn is written as a whole when its tools are done, and the input with the first turn. A run that fails leaves its input. If
    /// someone else writes to the session meanwhile, the run ends with the error `session_conflict` and leaves nothing.
    /// [`session`](crate::session#what-a-run-leaves) has a table of all cases.
    ///
    /// ```
    /// use openai_agents::session::{MemorySession, SessionId};
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::{Agent, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = ScriptedModel::new([ScriptedTurn::text("Paris."), ScriptedTurn::text("The Seine.")]);
    /// let (runner, agent) = (Runner::new(model.clone()), Agent::builder("Guide").build()?);
    /// let session = MemorySession::new(SessionId::new("alice")?);
    /// runner.run(&agent, "The capital of France?").session(&session).await?;
    /// runner.run(&agent, "And its river?").session(&session).await?;
    /// assert_eq!(model.requests()[1].items.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(mut self, session: impl IntoSession) -> Self {
        self.options.session = Some(session.into_session());
        self
    }

    /// Bounds the turns; the other limits stay as they are.
    pub fn max_turns(mut self, max_turns: u32) -> Self {
        self.options.limits.max_turns = Some(max_turns);
        self
    }

    /// Bounds the time of the run; the other limits stay as they are.
    pub fn timeout(mut self, max_duration: Duration) -> Self {
        self.options.limits.max_duration = Some(max_duration);
        self
    }

    /// Lets the server keep the conversation, response by response (`previous_response_id`).
    ///
    /// Each request sends only what is new.
    ///
    /// It needs the Responses API and a server that stores responses.
    pub fn chain_responses(mut self) -> Self {
        self.options.history_owner = HistoryOwner::Responses(None);
        self
    }

    /// Continues a response that the server stored, and lets it keep the conversation from there.
    pub fn previous_response_id(mut self, id: impl Into<String>) -> Self {
        self.options.history_owner = HistoryOwner::Responses(Some(id.into()));
        self
    }

    /// Continues a conversation that the server stores. Each request sends only what is new.
    pub fn conversation_id(mut self, id: impl Into<String>) -> Self {
        self.options.history_owner = HistoryOwner::Conversation(id.into());
        self
    }

    /// Sets whether the model answers in pieces or whole.
    ///
    /// By default it answers in pieces if the run is [streamed](Self::stream), and whole if the run is awaited. Whole answers suit a
    /// watcher who wants tool calls but no deltas. Pieces suit a server that cannot answer whole, or a gateway that closes a silent
    /// connection.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// Makes the run part of another.
    ///
    /// The other's limits hold for it, and its usage counts there.
    ///
    /// Use it for runs that a guardrail, a hook or a tool starts. The run of an agent that is [a tool](crate::Agent::as_tool) is part of
    /// its caller already.
    pub fn within(mut self, cx: &RunContext) -> Self {
        self.scope.parent = Some(cx.clone());
        self
    }

    /// Lays model settings over those of the run, one by one; [`model_settings`](Self::model_settings) replaces them all.
    pub fn more_settings(mut self, over: &ModelSettings) -> Self {
        let own = self.options.settings.as_deref();
        let settings = own.map_or_else(|| over.clone(), |own| own.overlaid_with(over));
        self.options.settings = Some(Arc::new(settings));
        self
    }

    /// Adds limits to those of the run: of each two the lower holds.
    ///
    /// [`limits`](Self::limits) replaces them all.
    pub fn more_limits(mut self, other: Limits) -> Self {
        self.options.limits = self.options.limits.tightened_by(other);
        self
    }

    /// Begins the run: what stays the same in it goes its own way from here on.
    fn begin(self) -> RunStream {
        // Who begins a run has said by then how it is watched.
        // `stream` has set `Stream` before it comes here, so only an awaited run gets the default.
        let delivery = self.delivery.unwrap_or(Delivery::Whole);
        // What a journal knows by a name is the same run in each of its executions.
        let journal = self.options.journal.as_ref();
        let id = match journal.and_then(|journal| journal.run_name()) {
            Some(name) => {
                RunId::of_text(&[&[name.into()][..], &self.scope.path].concat().join("/"))
            }
            None => RunId::random(),
        };
        let setup = RunSetup {
            id,
            model: self.model,
            options: self.options,
            delivery,
            scope: self.scope,
        };
        RunStream::new(&self.agent, self.beginning, setup)
    }

    /// Returns the events of the run as they happen, the model's text in pieces.
    ///
    /// Nothing happens before the stream is polled.
    ///
    /// ```
    /// use openai_agents::testing::ScriptedModel;
    /// use openai_agents::{Agent, Error, RunEvent, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let runner = Runner::new(ScriptedModel::text("Hello there."));
    /// let agent = Agent::builder("Guide").build()?;
    /// let mut stream = runner.run(&agent, "Hello").max_turns(3).stream();
    /// let mut text = String::new();
    /// while let Some(event) = stream.next().await {
    ///     if let RunEvent::TextDelta { delta } = event? {
    ///         text.push_str(&delta);
    ///     }
    /// }
    /// assert_eq!(text, "Hello there.");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self) -> RunStream {
        let delivery = self.delivery.unwrap_or(Delivery::Stream);
        self.delivery(delivery).begin()
    }

    /// Runs on this thread and waits, for programs that are not asynchronous.
    ///
    /// # Errors
    ///
    /// The run's error. Also the error `config` inside of an asynchronous program, whose threads must not block, and where no runtime can
    /// be made.
    ///
    /// ```
    /// use openai_agents::testing::ScriptedModel;
    /// use openai_agents::{Agent, Error, Runner};
    ///
    /// fn main() -> Result<(), Error> {
    ///     let agent = Agent::builder("Guide").build()?;
    ///     let runner = Runner::new(ScriptedModel::text("Paris."));
    ///     assert_eq!(runner.run(&agent, "The capital of France?").run_blocking()?.final_output(), "Paris.");
    ///     Ok(())
    /// }
    /// ```
    pub fn run_blocking(self) -> Result<RunResult, RunError> {
        let mut stream = self.begin();
        // `block_on` inside of a runtime panics, so it is not tried.
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(stream.setup_error(SetupError::InsideRuntime));
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        match runtime.enable_all().build() {
            Ok(runtime) => runtime.block_on(stream.finish()),
            Err(error) => {
                let detail = error.to_string();
                Err(stream.setup_error(SetupError::NoRuntime { detail }))
            }
        }
    }
}

impl IntoFuture for RunRequest {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin().finish())
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

impl fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRequest")
            .field("agent", &self.agent.name())
            .finish_non_exhaustive()
    }
}
