//! What can be set for runs, on a runner for all of its runs and on one run.

use std::fmt;
use std::sync::Arc;

use super::layer::{Layers, RunLayer};
use super::models::NamedModels;
use super::{RunRequest, Runner};
use crate::agent::run_state::HistoryOwner;
use crate::agent::{Agent, AgentModel, DynHooks, HandoffFilter, Hooks, ModelInputFilter};
use crate::context::States;
use crate::error::{RunFailure, RunProgress};
use crate::future::IntoOutcome;
use crate::guardrail::{InputGuardrail, OutputGuardrail};
use crate::item::Item;
use crate::journal::Journal;
use crate::limits::Limits;
use crate::model::{Model, ModelSettings, Providers};
use crate::session::{Session, SessionInput, SessionSettings};
use crate::tools::{ToolContext, ToolError};
use crate::trace::Tracer;
use crate::usage::PriceTable;

/// What can be set for a run.
#[derive(Clone, Default)]
pub(crate) struct RunOptions {
    pub(super) limits: Limits,
    /// Those of the runner, below the agents' own.
    pub(super) runner_settings: Option<Arc<ModelSettings>>,
    /// Those of the run, above all others.
    pub(super) settings: Option<Arc<ModelSettings>>,
    pub(super) states: States,
    pub(super) agents: Vec<Agent>,
    /// The model of all agents, in place of their own.
    pub(super) model: Option<AgentModel>,
    pub(super) named_models: NamedModels,
    pub(super) prices: PriceTable,
    pub(super) unknown_tool: UnknownTool,
    pub(super) tool_failure_text: Option<Arc<ToolFailureText>>,
    pub(super) unknown_tool_text: Option<Arc<UnknownToolText>>,
    pub(super) withheld_output_text: Option<Arc<str>>,
    pub(super) invalid_output: InvalidOutput,
    pub(super) last_turn: LastTurn,
    pub(super) max_tool_concurrency: Option<usize>,
    pub(super) history_owner: HistoryOwner,
    /// The journal. Most runs have none, and make no effects for it to hold.
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) hooks: Vec<Arc<dyn DynHooks>>,
    pub(super) layers: Vec<Arc<dyn RunLayer>>,
    /// The outermost layer, of which there is one.
    pub(super) tracer: Option<Tracer>,
    pub(super) input_guardrails: Vec<InputGuardrail>,
    pub(super) output_guardrails: Vec<OutputGuardrail>,
    pub(super) handoff_filter: Option<HandoffFilter>,
    pub(super) model_input_filter: Option<ModelInputFilter>,
    pub(super) recover: Option<Arc<Recover>>,
    pub(super) session: Option<Arc<dyn Session>>,
    pub(super) session_settings: SessionSettings,
    pub(super) session_input: Option<SessionInput>,
    pub(super) tripped_input: TrippedInput,
    pub(super) reasoning_item_ids: ReasoningItemIds,
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

/// What happens when the final output is not of the agent's output type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidOutput {
    /// The run ends with the error `invalid_output`.
    #[default]
    Fail,
    /// The model is told what is wrong and asked again.
    ///
    /// Each time is a turn, and after `max` times the run fails.
    AskAgain {
        /// The most times in one run.
        max: u32,
    },
}

/// Whether a session keeps an input that an input guardrail tripped over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrippedInput {
    /// It stays, as in the Python SDK.
    ///
    /// The model sees it in later runs of the session. No guardrail is asked about it again, since guardrails look at what is new
    /// ([`GuardrailInput::new_items`](crate::guardrail::GuardrailInput::new_items)).
    #[default]
    Keep,
    /// The session keeps nothing of the run.
    Forget,
}

/// Says whether reasoning items keep the id that the server gave them.
///
/// It holds for later requests, the result and the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReasoningItemIds {
    /// They keep it.
    #[default]
    Keep,
    /// They lose it.
    ///
    /// Some servers look the id up, and refuse one that they do not store.
    Omit,
}

/// Whether the model is offered tools in the last turn that [`Limits::max_turns`] allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastTurn {
    /// It is, as in every other turn.
    ///
    /// If it calls tools, they run, and then the run ends with the error `max_turns`.
    #[default]
    Usual,
    /// It is offered no tools and no handoffs.
    ///
    /// So it answers with what it has.
    WithoutTools,
}

/// What a model is told of a failed call.
pub(super) type ToolFailureText = dyn Fn(&ToolContext, &ToolError) -> Option<String> + Send + Sync;
/// What a model is told of a call of a tool that is not there.
pub(super) type UnknownToolText = dyn Fn(&str, &[&str]) -> String + Send + Sync;

/// Gives a final output in place of a limit, a refusal or an invalid output.
pub(super) type Recover = dyn Fn(&RunFailure, &RunProgress) -> Option<Recovery> + Send + Sync;

/// The final output of a run that would have failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The final output; JSON for an agent with an output type.
    pub final_output: String,
    /// Whether it becomes a message of the agent in the conversation.
    pub in_history: bool,
}

impl Recovery {
    /// Ends the run with this output, which becomes a message of the agent.
    pub fn with(final_output: impl Into<String>) -> Self {
        Self {
            final_output: final_output.into(),
            in_history: true,
        }
    }

    /// Leaves the output out of the conversation.
    #[must_use]
    pub const fn not_in_history(mut self) -> Self {
        self.in_history = false;
        self
    }
}

impl RunOptions {
    /// What the run of an agent that is called as a tool takes over. Its limits are its own.
    pub(super) fn inherited(&self, layers: &Layers) -> Self {
        Self {
            layers: layers.inherited(self.layers.len()),
            limits: Limits::default(),
            history_owner: HistoryOwner::default(),
            recover: None,
            last_turn: LastTurn::default(),
            session: None,
            ..self.clone()
        }
    }
}

macro_rules! setters {
    ($($owner:ty),+) => {$(
        impl $owner {
            /// Sets the limits of a run.
            pub fn limits(mut self, limits: Limits) -> Self {
                self.options.limits = limits;
                self
            }

            /// Runs every agent on this model.
            ///
            /// That includes agents with a model of their own, and those that are called as tools.
            pub fn model(self, model: impl Model + 'static) -> Self {
                self.shared_model(Arc::new(model))
            }

            /// Runs every agent on this model, which others share.
            pub fn shared_model(mut self, model: Arc<dyn Model>) -> Self {
                self.options.model = Some(AgentModel::Model(model));
                self
            }

            /// Runs every agent on the model of this name, which the [providers](Self::providers) find.
            pub fn model_name(mut self, name: impl Into<Arc<str>>) -> Self {
                self.options.model = Some(AgentModel::Named(name.into()));
                self
            }

            /// Sets the providers that find models by name, for agents and runs that name theirs.
            ///
            /// Each name is asked for once.
            pub fn providers(mut self, providers: Providers) -> Self {
                self.options.named_models = NamedModels::new(providers);
                self
            }

            /// Sets the prices of models.
            ///
            /// [`Usage::cost`](crate::Usage::cost) then says what was spent, and [`Limits::max_cost`] can bound it.
            pub fn prices(mut self, prices: PriceTable) -> Self {
                self.options.prices = prices;
                self
            }

            /// Gives runs state of the application.
            ///
            /// Tools, guardrails, hooks and instructions find it by its type: `cx.state::<T>()`.
            pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
                self.options.states.insert(state);
                self
            }

            /// Registers an agent, so that a handoff can find it by its name.
            pub fn register_agent(mut self, agent: &Agent) -> Self {
                self.options.agents.push(agent.clone());
                self
            }

            /// Sets what happens when the model calls a tool that is missing or disabled.
            pub fn unknown_tool(mut self, unknown_tool: UnknownTool) -> Self {
                self.options.unknown_tool = unknown_tool;
                self
            }

            /// Sets what happens when the final output is not of the agent's output type.
            pub fn invalid_output(mut self, invalid_output: InvalidOutput) -> Self {
                self.options.invalid_output = invalid_output;
                self
            }

            /// Sets a function that writes what the model is told of a failed tool call.
            ///
            /// It is asked for every tool, after a failure, a time-out, bad arguments or a call that was not approved. `None` leaves the
            /// usual text. A tool with [a text of its own](crate::FunctionTool::failure_text) is not asked about here.
            pub fn tool_failure_text(
                mut self,
                words: impl Fn(&ToolContext, &ToolError) -> Option<String> + Send + Sync + 'static,
            ) -> Self {
                self.options.tool_failure_text = Some(Arc::new(words));
                self
            }

            /// Sets a function that writes what the model is told of a missing tool.
            ///
            /// The function is asked when the model calls a tool that does not exist.
            ///
            /// It is given the name and the tools that exist, and used with [`UnknownTool::TellModel`] only.
            pub fn unknown_tool_text(
                mut self,
                words: impl Fn(&str, &[&str]) -> String + Send + Sync + 'static,
            ) -> Self {
                self.options.unknown_tool_text = Some(Arc::new(words));
                self
            }

            /// Sets the text that replaces a tool's output that an output guardrail tripped over.
            ///
            /// It replaces the output in the conversation.
            pub fn withheld_output_text(mut self, text: impl Into<Arc<str>>) -> Self {
                self.options.withheld_output_text = Some(text.into());
                self
            }

            /// Sets whether the model is offered tools in the last turn that the limits allow.
            pub fn last_turn(mut self, last_turn: LastTurn) -> Self {
                self.options.last_turn = last_turn;
                self
            }

            /// Bounds how many tools of a turn run at once; otherwise all do.
            pub fn max_tool_concurrency(mut self, max_tool_concurrency: usize) -> Self {
                self.options.max_tool_concurrency = Some(max_tool_concurrency);
                self
            }

            /// Sets how much of a session is read.
            pub fn session_settings(mut self, settings: SessionSettings) -> Self {
                self.options.session_settings = settings;
                self
            }

            /// Sets a function that makes the input of a run.
            ///
            /// The function is given the history of the run's session and the new items.
            ///
            /// Without it the new items follow the history, as with `.session_input(async |history, new| [history, new].concat())`.
            ///
            /// Its error ends the run with the error `callback_failed`. [`SessionInput`] says what of it is saved.
            pub fn session_input<F, R>(mut self, merge: F) -> Self
            where
                F: Fn(Vec<Item>, Vec<Item>) -> R + Send + Sync + 'static,
                R: Future<Output: IntoOutcome<Vec<Item>>> + Send + 'static,
            {
                self.options.session_input = Some(Arc::new(move |history, new| {
                    let merged = merge(history, new);
                    Box::pin(async move { merged.await.into_outcome() })
                }));
                self
            }

            /// Sets whether reasoning goes back to the model with the id that it came with.
            pub fn reasoning_item_ids(mut self, ids: ReasoningItemIds) -> Self {
                self.options.reasoning_item_ids = ids;
                self
            }

            /// Sets whether a session keeps an input that an input guardrail tripped over.
            pub fn tripped_input(mut self, tripped_input: TrippedInput) -> Self {
                self.options.tripped_input = tripped_input;
                self
            }

            /// Sends every side effect through a journal.
            pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
                self.options.journal = Some(journal);
                self
            }

            /// Adds hooks, which are told what happens in the run.
            ///
            /// They are also told what happens in the runs of agents that are called as tools.
            pub fn hooks(mut self, hooks: impl Hooks) -> Self {
                self.options.hooks.push(Arc::new(hooks));
                self
            }

            /// Adds a layer around every step of a run, inside the layers that are there.
            pub fn layer(mut self, layer: impl RunLayer + 'static) -> Self {
                self.options.layers.push(Arc::new(layer));
                self
            }

            /// Records runs in a tracer, those of agents that are called as tools included.
            ///
            /// It changes nothing in a run.
            pub fn tracer(mut self, tracer: &Tracer) -> Self {
                self.options.tracer = Some(tracer.clone());
                self
            }

            /// Checks the input, beside the guardrails of the agent.
            pub fn input_guardrail(mut self, guardrail: InputGuardrail) -> Self {
                self.options.input_guardrails.push(guardrail);
                self
            }

            /// Checks the final output, beside the guardrails of the agent.
            pub fn output_guardrail(mut self, guardrail: OutputGuardrail) -> Self {
                self.options.output_guardrails.push(guardrail);
                self
            }

            /// Changes what agents see after a handoff that has no filter of its own.
            pub fn handoff_filter(mut self, filter: HandoffFilter) -> Self {
                self.options.handoff_filter = Some(filter);
                self
            }

            /// Changes what the model is asked, before each call.
            pub fn model_input_filter(mut self, filter: impl Into<ModelInputFilter>) -> Self {
                self.options.model_input_filter = Some(filter.into());
                self
            }

            /// Sets a function that can give a final output where a run would fail.
            ///
            /// The function is asked at a limit, after a refusal, or after an invalid output.
            ///
            /// It is given the failure and what was done before. `None` lets the run fail. Its output must be of the agent's output type,
            /// and the output guardrails check it like any other.
            pub fn recover(
                mut self,
                recover: impl Fn(&RunFailure, &RunProgress) -> Option<Recovery> + Send + Sync + 'static,
            ) -> Self {
                self.options.recover = Some(Arc::new(recover));
                self
            }
        }
    )+};
}

setters!(Runner, RunRequest);

impl Runner {
    /// Sets the model settings that hold where neither the agent nor the run sets them.
    ///
    /// Settings [lie over each other](crate::agent::runner#settings-and-models).
    pub fn model_settings(mut self, settings: ModelSettings) -> Self {
        self.options.runner_settings = Some(Arc::new(settings));
        self
    }
}

impl RunRequest {
    /// Lays model settings over those of the agents and of the runner.
    ///
    /// Settings [lie over each other](crate::agent::runner#settings-and-models).
    pub fn model_settings(mut self, settings: ModelSettings) -> Self {
        self.options.settings = Some(Arc::new(settings));
        self
    }
}

impl RunOptions {
    /// The settings of an agent in a run: the runner's, over them the agent's, over them the run's.
    ///
    /// Most runs have no settings of their own; the agent's are shared then.
    pub(super) fn settings_of(&self, agent: &Agent) -> Arc<ModelSettings> {
        let own = agent.shared_settings();
        let over_runner = match &self.runner_settings {
            Some(below) => Arc::new(below.overlaid_with(own)),
            None => Arc::clone(own),
        };
        match &self.settings {
            Some(above) => Arc::new(over_runner.overlaid_with(above)),
            None => over_runner,
        }
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
