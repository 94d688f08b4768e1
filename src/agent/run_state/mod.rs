//! A run between two steps, saved so that any process can go on with it.

mod arguments;
mod decision;
mod id;
#[cfg(feature = "seal")]
mod seal;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(in crate::agent) use decision::{AskedCall, Decision, ExecutionCertainty, StandingDecision};
pub(in crate::agent) use id::RunId;
#[cfg(feature = "seal")]
pub use seal::StateKey;

use crate::context::Ledger;
use crate::guardrail::GuardrailResult;
use crate::item::{CallItem, Item};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::limits::Limits;
use crate::model::ResponseMeta;
use crate::session::SessionVersion;
use crate::tools::{McpApprovalRequest, NOT_APPROVED, ToolName};

/// The version of the format that is written, and the newest that is read.
///
/// Version 1 did not say about which tool a decision is: its decisions hold for the tool of that name. Version 3 can have added input,
/// version 4 an input that guardrails have not judged, version 5 the id of the run, version 6 the deferred tools that were found, version 7
/// calls that were not begun and an agent that has had no turn.
const VERSION: u32 = 7;
/// The oldest version that is read.
const OLDEST_VERSION: u32 = 1;

/// A saved run, which can be resumed.
///
/// A run that pauses for approval gives its state by [`RunError::into_state`](crate::RunError::into_state), and so does a run whose session
/// could not be written. Any other run gives it by [`RunStream::to_state`](crate::RunStream::to_state). Decide about its
/// [`interruptions`](Self::interruptions), if it has any, and pass it to [`Runner::resume`](crate::Runner::resume). To resume in another
/// process, write it with [`to_json`](Self::to_json) or, better, `to_sealed_json` (feature `seal`). A state holds the whole conversation,
/// but no key and none of the application's state.
///
/// # Resuming once
///
/// Resume a state only once. If the run has a session, the second resume ends with `already_resumed` before anything is done. Without a
/// session the library cannot know of the first, and both make the calls of the state. Then let a store of your own decide: claim the
/// state's [`id`](Self::id) before you resume it. All copies of a state have the same id, whatever was decided in them. So do all states
/// that are taken of a run before it is resumed or ends.
///
/// ```
/// use std::collections::HashSet;
/// use openai_agents::RunState;
///
/// /// In a database: `INSERT INTO resumed (id) VALUES ($1)`, where `id` is the primary key.
/// fn claim(resumed: &mut HashSet<String>, state: &RunState) -> Result<(), String> {
///     let is_first = resumed.insert(state.id());
///     is_first.then_some(()).ok_or_else(|| "somebody has resumed this run".to_owned())
/// }
/// ```
///
/// # Example
///
/// ```
/// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
/// use openai_agents::{Agent, FunctionTool, Runner};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Deletion { path: String }
/// let delete = FunctionTool::new("delete", "Deletes a file.", async |_cx, deletion: Deletion| Ok::<_, String>(deletion.path))?;
/// let agent = Agent::builder("Cleaner").tool(delete.needs_approval()).build()?;
/// let runner = Runner::new(ScriptedModel::new([
///     ScriptedTurn::tool_call("delete", json!({ "path": "/tmp/a" })),
///     ScriptedTurn::text("Done."),
/// ]));
///
/// let mut state = runner.run(&agent, "Delete /tmp/a.").await.unwrap_err().into_state()?;
/// let asked = state.interruptions();
/// assert_eq!(asked[0].arguments, r#"{"path":"/tmp/a"}"#);
/// state.approve(&asked[0].id)?;
/// assert_eq!(runner.resume(&agent, state).await?.final_output(), "Done.");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// The run; states of older versions have none.
    #[serde(default)]
    pub(in crate::agent) run: Option<RunId>,
    /// How often the run was saved, with this time.
    #[serde(default)]
    pub(in crate::agent) n_saved: u32,
    pub(in crate::agent) start: String,
    pub(in crate::agent) agent: String,
    pub(in crate::agent) limits: Limits,
    pub(in crate::agent) ledger: Ledger,
    #[serde(rename = "keeping")]
    pub(in crate::agent) history_owner: HistoryOwner,
    pub(in crate::agent) history: Vec<Item>,
    pub(in crate::agent) view: Option<SavedView>,
    pub(in crate::agent) n_input: usize,
    pub(in crate::agent) n_known: usize,
    pub(in crate::agent) n_before_turn: usize,
    pub(in crate::agent) turn: u32,
    pub(in crate::agent) responses: Vec<ResponseMeta>,
    pub(in crate::agent) used_tools: Vec<String>,
    pub(in crate::agent) guardrails: Vec<GuardrailResult>,
    pub(in crate::agent) standing: Vec<Standing>,
    pub(in crate::agent) n_asked_again: u32,
    pub(in crate::agent) calls: Vec<SavedCall>,
    pub(in crate::agent) questions: Vec<SavedQuestion>,
    pub(in crate::agent) final_output: Option<String>,
    pub(in crate::agent) session: Option<SavedSession>,
    /// Whether guardrails have still to be asked about the input, before anything else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::agent) input_unjudged: bool,
    /// What was added for the next model call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::agent) added_input: Vec<Item>,
    /// The deferred tools that the model has found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::agent) loaded_tools: Vec<ToolName>,
    /// Whether the agent has had no turn yet, so that it is still to be started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::agent) fresh: bool,
}

/// The session of a saved run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct SavedSession {
    pub(in crate::agent) id: String,
    /// Its version as the run knows it.
    pub(in crate::agent) version: SessionVersion,
    /// How many items of the history it has, or had to begin with.
    pub(in crate::agent) n_saved: usize,
    /// The run's own input, without what the session had.
    pub(in crate::agent) input: Vec<Item>,
    /// Whether the session does not have the input yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::agent) input_waits: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct SavedView {
    pub(in crate::agent) items: Vec<Item>,
    pub(in crate::agent) n_filtered: usize,
}

/// A decision for all calls of a tool by an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::agent) struct Standing {
    pub(in crate::agent) agent: String,
    pub(in crate::agent) tool: String,
    #[serde(flatten)]
    pub(in crate::agent) decision: StandingDecision,
}

/// A call of the turn that the run was saved in. What it is stands in the history, once, so that what is shown is what is executed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct SavedCall {
    /// The call's place in the history.
    pub(in crate::agent) item: usize,
    pub(in crate::agent) status: SavedStatus,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::agent) enum SavedStatus {
    /// Not begun.
    Planned,
    Asked(Box<AskedCall>),
    Paused {
        state: Box<RunState>,
        #[serde(default)]
        guardrails: Vec<GuardrailResult>,
    },
    Done {
        outcome: ToolOutcome,
    },
    Handoff {
        n: usize,
    },
    Output,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct SavedQuestion {
    pub(in crate::agent) item: usize,
    pub(in crate::agent) decision: Option<Decision>,
}

/// A call that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Interruption {
    /// The id for [`RunState::approve`] and [`RunState::reject`].
    pub id: String,
    /// The agent whose model called.
    pub agent: String,
    /// The tool; for a hosted MCP server `server/tool`.
    pub tool: String,
    /// The id of the call; for a hosted MCP server that of the question.
    pub call_id: String,
    /// The arguments, JSON as the model wrote it.
    pub arguments: String,
    /// The ids of the calls of agents as tools that lead to the call.
    ///
    /// The outermost comes first. It is empty in the run itself.
    pub path: Vec<String>,
    /// Whether the call may have taken place: it had begun when the run was interrupted.
    ///
    /// Approving it makes it again.
    pub may_have_run: bool,
    /// What has changed in the tool since someone was asked about this call before.
    ///
    /// For example `description, schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// Says why a saved state cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The text is not a saved state.
    #[error("this is not a saved run state: {detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
    },
    /// A newer version of this library wrote it.
    #[error("the run state has version {found}; this library reads up to version {newest}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        newest: u32,
    },
    /// It is sealed, and no key was given.
    #[error("the run state is sealed, and no key is given")]
    Sealed,
    /// It was changed after sealing, or sealed with another key, or not at all.
    #[error("the run state was changed after it was sealed, or sealed with another key")]
    Tampered,
    /// A key for seals is too short.
    #[error("a key for run states needs at least 16 bytes")]
    WeakKey,
    /// An agent or a tool of the state is not there any more.
    #[error("the run state needs {what}, which is not there")]
    Missing {
        /// What is missing.
        what: String,
    },
    /// No call with this id waits, or several do.
    #[error("{n_found} calls with the id {id:?} wait for a decision")]
    UnknownCall {
        /// The id.
        id: String,
        /// How many have it.
        n_found: usize,
    },
    /// The arguments that a call is to have are no JSON object.
    #[error("the arguments for the call {id:?} are no JSON object: {detail}")]
    Arguments {
        /// The id.
        id: String,
        /// What is wrong with them.
        detail: String,
    },
}

impl StateError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Tampered => ErrorKind::StateTampered,
            Self::WeakKey => ErrorKind::Config,
            Self::Invalid { .. }
            | Self::Newer { .. }
            | Self::Sealed
            | Self::Missing { .. }
            | Self::UnknownCall { .. }
            | Self::Arguments { .. } => ErrorKind::StateInvalid,
        }
    }
}

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecisionScope {
    ThisCall,
    /// Also every other call of the tool by the agent, in the run.
    EveryCall,
}

/// Who keeps the conversation between the turns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::agent) enum HistoryOwner {
    /// The run: every request has all of it.
    #[default]
    Run,
    /// The server, response by response, after this one if it is given.
    Responses(Option<String>),
    /// The server, in this stored conversation.
    Conversation(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    version: u32,
    seal: Option<String>,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl RunState {
    /// Writes the state as JSON, which is not protected against changes.
    ///
    /// # Errors
    ///
    /// [`StateError::Invalid`] when it cannot be written, which does not happen for a state that a run gave.
    pub fn to_json(&self) -> Result<String, StateError> {
        self.write(|_| None)
    }

    /// Writes the state as JSON with a seal, so that every change is noticed.
    ///
    /// # Errors
    ///
    /// As [`to_json`](Self::to_json).
    #[cfg(feature = "seal")]
    pub fn to_sealed_json(&self, key: &StateKey) -> Result<String, StateError> {
        self.write(|text| Some(key.seal(VERSION, text)))
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] when it is no state, of a newer version, or sealed.
    pub fn from_json(json: &str) -> Result<Self, StateError> {
        let envelope = Envelope::read(json)?;
        if envelope.seal.is_some() {
            return Err(StateError::Sealed);
        }
        envelope.state()
    }

    /// Reads what [`to_sealed_json`](Self::to_sealed_json) wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] when it is no state, of a newer version, or not as it was sealed with this key.
    #[cfg(feature = "seal")]
    pub fn from_sealed_json(key: &StateKey, json: &str) -> Result<Self, StateError> {
        let envelope = Envelope::read(json)?;
        let seal = envelope.seal.as_deref().unwrap_or_default();
        if !key.is_seal_of(seal, envelope.version, envelope.state.get()) {
            return Err(StateError::Tampered);
        }
        envelope.state()
    }

    fn write(&self, seal: impl Fn(&str) -> Option<String>) -> Result<String, StateError> {
        let state = serde_json::value::to_raw_value(self).map_err(|error| invalid(&error))?;
        let envelope = Envelope {
            version: VERSION,
            seal: seal(state.get()),
            state: &state,
        };
        serde_json::to_string(&envelope).map_err(|error| invalid(&error))
    }

    /// Returns the calls that wait for a decision.
    ///
    /// Those of agents that were called as tools are among them.
    pub fn interruptions(&self) -> Vec<Interruption> {
        let mut found = Vec::new();
        self.collect(&[], &mut found);
        found
    }

    /// Approves a call.
    ///
    /// # Errors
    ///
    /// [`StateError::UnknownCall`] when no call waits under this id, or several do.
    pub fn approve(&mut self, id: &str) -> Result<(), StateError> {
        self.decide(id, &Decision::Approved, DecisionScope::ThisCall)
    }

    /// Approves a call, and the other calls of this tool by this agent.
    ///
    /// The others are all those in the run that have no decision of their own.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn approve_always(&mut self, id: &str) -> Result<(), StateError> {
        self.decide(id, &Decision::Approved, DecisionScope::EveryCall)
    }

    /// Refuses a call; the model is told `Tool execution was not approved.`.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn reject(&mut self, id: &str) -> Result<(), StateError> {
        self.reject_with(id, NOT_APPROVED)
    }

    /// Refuses a call with words for the model.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn reject_with(&mut self, id: &str, message: impl Into<String>) -> Result<(), StateError> {
        let message = message.into();
        self.decide(id, &Decision::Rejected { message }, DecisionScope::ThisCall)
    }

    /// Refuses a call, and the other calls of this tool by this agent.
    ///
    /// The others are all those in the run that have no decision of their own.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn reject_always(
        &mut self,
        id: &str,
        message: impl Into<String>,
    ) -> Result<(), StateError> {
        let message = message.into();
        self.decide(
            id,
            &Decision::Rejected { message },
            DecisionScope::EveryCall,
        )
    }

    /// Adds input for the next model call of the run.
    ///
    /// It stands behind the outputs of the calls that wait.
    ///
    /// Input guardrails are not asked about it: they look at what a run begins with.
    pub fn add_input(&mut self, items: impl IntoIterator<Item = Item>) {
        self.added_input.extend(items);
    }

    /// Returns the id of what can be resumed once.
    ///
    /// All copies of a state have the same one, whatever is decided in them, and so do all states that were taken before the run was
    /// resumed.
    ///
    /// A resumed run gives states with another id. Claim the id before you resume, so that nobody else does: see [resuming
    /// once](#resuming-once).
    pub fn id(&self) -> String {
        self.run_id().state_id(self.n_saved)
    }

    /// A state without an id, of an older version, is named by its conversation.
    pub(in crate::agent) fn run_id(&self) -> RunId {
        self.run.unwrap_or_else(|| {
            let history = self.history.iter().map(Item::to_json);
            let parts: Vec<&str> = [self.agent.as_str()].into_iter().chain(history).collect();
            RunId::of_text(&parts.join("\n"))
        })
    }

    /// Returns the name of the agent that the run began with.
    pub fn start_agent(&self) -> &str {
        &self.start
    }

    /// Returns the id of the run's session.
    ///
    /// The session has to be given again when the run is resumed.
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.id.as_str())
    }

    /// Returns the name of the agent at work.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Counts the turns begun.
    pub const fn turns(&self) -> u32 {
        self.turn
    }

    /// Returns the conversation: the input and what the run added, the waiting calls among it.
    pub fn items(&self) -> &[Item] {
        &self.history
    }

    /// Returns the limits of the run.
    ///
    /// They also hold after it is resumed, unless they are set again.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    fn decide(
        &mut self,
        id: &str,
        decision: &Decision,
        reach: DecisionScope,
    ) -> Result<(), StateError> {
        let n_found = self
            .interruptions()
            .iter()
            .filter(|waiting| waiting.id == id)
            .count();
        // An unknown id, or one that two calls share. A decision must not fall on the wrong call.
        if n_found != 1 {
            let id = id.to_owned();
            return Err(StateError::UnknownCall { id, n_found });
        }
        self.decide_at(id, &[], decision, reach);
        Ok(())
    }

    fn decide_at(&mut self, id: &str, path: &[&str], decision: &Decision, reach: DecisionScope) {
        let Self {
            history,
            calls,
            questions,
            agent,
            standing,
            ..
        } = self;
        for saved in calls {
            let Some(call) = call_at(history, saved.item) else {
                continue;
            };
            match &mut saved.status {
                SavedStatus::Asked(asked) if id_of(path, &call.call_id) == id => {
                    asked.decision = Some(decision.clone());
                    // Kept with the tool as it is now. If its definition changes, somebody is asked
                    // again.
                    if reach == DecisionScope::EveryCall {
                        standing.push(Standing {
                            agent: agent.clone(),
                            tool: call.name.clone(),
                            decision: StandingDecision {
                                decision: decision.clone(),
                                tool: asked.tool.clone(),
                            },
                        });
                    }
                }
                SavedStatus::Paused { state, .. } => {
                    let path = [path, &[call.call_id.as_str()]].concat();
                    state.decide_at(id, &path, decision, reach);
                }
                SavedStatus::Planned
                | SavedStatus::Asked(_)
                | SavedStatus::Done { .. }
                | SavedStatus::Handoff { .. }
                | SavedStatus::Output => {}
            }
        }
        for question in questions {
            if let Some(request) = question_at(history, question.item)
                && id_of(path, &request.id) == id
            {
                question.decision = Some(decision.clone());
            }
        }
    }

    /// Refuses two entries about one call: a decision about one of them would be missing for the other.
    fn check_entries(&self) -> Result<(), StateError> {
        let mut places = HashSet::new();
        let mut ids = HashSet::new();
        for saved in &self.calls {
            let call = call_at(&self.history, saved.item);
            if !places.insert(saved.item)
                || !call.is_none_or(|call| ids.insert(call.call_id.clone()))
            {
                return Err(twice(saved.item));
            }
            if let SavedStatus::Paused { state, .. } = &saved.status {
                state.check_entries()?;
            }
        }
        let mut questions = self.questions.iter().map(|question| question.item);
        questions
            .find(|item| !places.insert(*item))
            .map_or(Ok(()), |item| Err(twice(item)))
    }

    fn collect(&self, path: &[&str], found: &mut Vec<Interruption>) {
        let interruption = |tool: &str, call_id: &str, arguments: &str| Interruption {
            id: id_of(path, call_id),
            agent: self.agent.clone(),
            tool: tool.to_owned(),
            call_id: call_id.to_owned(),
            arguments: arguments.to_owned(),
            path: path.iter().map(|&id| id.to_owned()).collect(),
            may_have_run: false,
            changed: None,
        };
        for saved in &self.calls {
            let Some(call) = call_at(&self.history, saved.item) else {
                continue;
            };
            match &saved.status {
                SavedStatus::Asked(asked) if asked.decision.is_none() => {
                    let mut waits = interruption(&call.name, &call.call_id, &call.arguments);
                    waits.may_have_run = asked.certainty == ExecutionCertainty::MayHaveRun;
                    waits.changed.clone_from(&asked.changed);
                    found.push(waits);
                }
                SavedStatus::Paused { state, .. } => {
                    state.collect(&[path, &[call.call_id.as_str()]].concat(), found);
                }
                SavedStatus::Planned
                | SavedStatus::Asked(_)
                | SavedStatus::Done { .. }
                | SavedStatus::Handoff { .. }
                | SavedStatus::Output => {}
            }
        }
        for question in &self.questions {
            if let Some(request) = question_at(&self.history, question.item)
                && question.decision.is_none()
            {
                let tool = format!("{}/{}", request.server_label, request.name);
                found.push(interruption(&tool, &request.id, &request.arguments));
            }
        }
    }
}

impl Envelope<'_> {
    fn read(json: &str) -> Result<Envelope<'_>, StateError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }

        // The version first, by itself. A newer state has fields that are refused below, and the
        // reason must not be an unknown field.
        let Version { version: found } =
            serde_json::from_str(json).map_err(|error| invalid(&error))?;
        if found > VERSION {
            let newest = VERSION;
            return Err(StateError::Newer { found, newest });
        }
        if found < OLDEST_VERSION {
            let detail = format!("there is no version {found}");
            return Err(StateError::Invalid { detail });
        }
        serde_json::from_str(json).map_err(|error| invalid(&error))
    }

    fn state(&self) -> Result<RunState, StateError> {
        let state: RunState =
            serde_json::from_str(self.state.get()).map_err(|error| invalid(&error))?;
        state.check_entries()?;
        Ok(state)
    }
}

fn invalid(error: &serde_json::Error) -> StateError {
    StateError::Invalid {
        detail: error.to_string(),
    }
}

fn twice(item: usize) -> StateError {
    StateError::Invalid {
        detail: format!("two entries are about the call in item {item}"),
    }
}

fn id_of(path: &[&str], call_id: &str) -> String {
    [path, &[call_id]].concat().join("/")
}

pub(in crate::agent) fn call_at(history: &[Item], n: usize) -> Option<CallItem> {
    CallItem::new(history.get(n)?)
}

pub(in crate::agent) fn question_at(history: &[Item], n: usize) -> Option<McpApprovalRequest> {
    McpApprovalRequest::from_item(history.get(n)?.to_json())
}
