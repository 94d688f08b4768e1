//! The state of the runs of one session, and their event log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde_json::{Value, json};

use super::log::EventLog;
use super::overrides::AgentOverrides;
use super::{events, preview};
use crate::agent::runner::{RunEvent, RunHandle};
use crate::agent::{RunState, StateError};
use crate::context::Cancel;
use crate::error::RunError;
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::server::error::ApiError;
use crate::server::kept::Keepable;
use crate::session::SessionId;

/// A session with runs.
pub(super) struct Record {
    pub(super) session: SessionId,
    pub(super) log: EventLog,
    latest: Mutex<Latest>,
}

/// The latest run.
#[derive(Default)]
struct Latest {
    run_id: String,
    agent: String,
    overrides: AgentOverrides,
    /// The beginning of what it was asked.
    title: String,
    /// What it was asked, without pictures and files.
    input: Value,
    status: RunStatus,
    handle: Option<RunHandle>,
    paused: Option<PausedRun>,
    /// The JSON of the last event, which is the result; the log shares it.
    result: Option<Bytes>,
}

/// A run that is to begin.
pub(super) struct AskedRun<'a> {
    pub(super) run_id: &'a str,
    pub(super) agent: &'a str,
    pub(super) overrides: &'a AgentOverrides,
    pub(super) input: &'a [Item],
}

/// A run that waits for decisions.
struct PausedRun {
    state: RunState,
    n_bytes: usize,
}

impl PausedRun {
    fn new(state: RunState) -> Self {
        // It is measured once: only what is written shows how much it holds.
        let n_bytes = state.to_json().map_or(0, |text| text.len());
        Self { state, n_bytes }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum RunStatus {
    /// No run has begun.
    #[default]
    New,
    Running,
    Completed,
    Failed,
    Cancelled,
    ApprovalRequired,
}

impl Record {
    pub(super) fn new(session: SessionId, max_events: usize) -> Self {
        Self {
            session,
            log: EventLog::new(max_events),
            latest: Mutex::default(),
        }
    }

    /// Takes the session for a run, which no other may have meanwhile.
    pub(super) fn reserve(&self, asked: &AskedRun<'_>) -> Result<(), ApiError> {
        // One lock for looking and taking: of two requests for one session, the second sees the
        // first.
        let mut latest = self.latest();
        match latest.status {
            RunStatus::Running => {
                return Err(busy());
            }
            RunStatus::ApprovalRequired => {
                let message =
                    "calls of this session wait for approval; decide about them, or cancel";
                return Err(ApiError::new(409, "approval_required", message));
            }
            RunStatus::New | RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => {}
        }
        *latest = Latest {
            run_id: asked.run_id.to_owned(),
            agent: asked.agent.to_owned(),
            overrides: asked.overrides.clone(),
            // The title of a conversation is what it began with, however many runs follow.
            title: if latest.title.is_empty() {
                preview::title(asked.input)
            } else {
                std::mem::take(&mut latest.title)
            },
            input: preview::of_input(asked.input),
            status: RunStatus::Running,
            ..Latest::default()
        };
        Ok(())
    }

    /// Notes that the run that was reserved could not begin.
    pub(super) fn refused(&self) {
        self.latest().status = RunStatus::New;
    }

    pub(super) fn begun(&self, handle: RunHandle) {
        let mut latest = self.latest();
        latest.handle = Some(handle);
        let begun = json!({
            "type": "run_started", "run_id": latest.run_id, "agent": latest.agent, "input": latest.input,
        });
        // The log has a lock of its own and wakes its readers, which may ask for the record.
        drop(latest);
        self.log.push(&begun);
    }

    /// Takes an event; the last is the end of the run.
    pub(super) fn take(&self, event: Result<RunEvent, RunError>) {
        let (status, result, paused) = match event {
            Ok(RunEvent::RunDone { result }) => (RunStatus::Completed, result.to_json(), None),
            Ok(event) => {
                if let Some(json) = event.to_json() {
                    self.log.push(&json);
                }
                return;
            }
            Err(error) => {
                let result = events::failed(&error);
                match error.kind() {
                    ErrorKind::ApprovalRequired => (
                        RunStatus::ApprovalRequired,
                        result,
                        error.into_state().ok().map(PausedRun::new),
                    ),
                    ErrorKind::Cancelled => (RunStatus::Cancelled, result, None),
                    _ => (RunStatus::Failed, result, None),
                }
            }
        };
        let mut latest = self.latest();
        latest.status = status;
        latest.handle = None;
        latest.paused = paused;
        // While nobody can see the end without it.
        latest.result = Some(self.log.push(&result));
    }

    pub(super) fn is_running(&self) -> bool {
        self.latest().status == RunStatus::Running
    }

    pub(super) fn to_json(&self) -> Value {
        let latest = self.latest();
        let result = latest.result.as_deref();
        // What was written here can be read.
        let result: Value = result.map_or(Value::Null, |json| {
            serde_json::from_slice(json).unwrap_or_default()
        });
        let of_result = |name: &str| result.get(name);
        json!({
            "session": self.session.as_str(),
            "run_id": latest.run_id,
            "agent": of_result("agent").cloned().unwrap_or_else(|| json!(latest.agent)),
            "status": latest.status.as_str(),
            "turns": of_result("turns"),
            "usage": of_result("usage"),
            "final_output": of_result("final_output"),
            "error": of_result("error"),
            "interruptions": latest.paused.as_ref().map(|paused| paused.state.interruptions()).unwrap_or_default(),
            "last_event_id": self.log.last(),
        })
    }

    /// Returns the beginning of what the first run was asked; nothing if none has begun.
    pub(super) fn title(&self) -> String {
        self.latest().title.clone()
    }

    /// Says how the latest run stands, without its result.
    pub(super) fn summary(&self) -> Value {
        let latest = self.latest();
        json!({"run_id": latest.run_id, "agent": latest.agent, "status": latest.status.as_str()})
    }

    /// What of the agent is other in the latest run.
    pub(super) fn overrides(&self) -> AgentOverrides {
        self.latest().overrides.clone()
    }

    /// Gives the run more input, which it takes before its next model call.
    pub(super) fn send(&self, items: Vec<Item>) -> Result<(), ApiError> {
        let latest = self.latest();
        let over = || {
            let message = "no run of this session takes input; begin another";
            ApiError::new(409, "run_over", message)
        };
        let handle = latest.handle.as_ref().ok_or_else(over)?;
        let queued = json!({"type": "input_queued", "input": preview::of_input(&items)});
        handle.send(items).map_err(|_| over())?;
        self.log.push(&queued);
        Ok(())
    }

    /// Ends the run, or gives up one that waits.
    pub(super) fn cancel(&self, when: Cancel) -> Result<(), ApiError> {
        let mut latest = self.latest();
        if let Some(handle) = &latest.handle {
            handle.cancel(when);
            return Ok(());
        }
        if latest.paused.take().is_none() {
            return Err(ApiError::new(
                409,
                "not_running",
                "no run of this session goes on or waits",
            ));
        }
        latest.status = RunStatus::Cancelled;
        self.log.push(&json!({"type": "cancelled"}));
        Ok(())
    }

    /// Ends the run if one goes on; one that waits is left as it is.
    pub(super) fn cancel_running(&self) {
        if let Some(handle) = &self.latest().handle {
            handle.cancel(Cancel::Now);
        }
    }

    /// Decides about waiting calls; gives the state when all are decided about, and the session is then taken for its run.
    pub(super) fn decide(&self, decisions: &[Decision]) -> Result<Option<RunState>, ApiError> {
        let mut latest = self.latest();
        let waiting = latest.paused.as_ref();
        let waiting = waiting.ok_or_else(|| {
            ApiError::new(
                409,
                "nothing_waits",
                "no call of this session waits for approval",
            )
        })?;
        let mut state = waiting.state.clone();
        for decision in decisions {
            let decided = decision.apply(&mut state);
            decided.map_err(|error| ApiError::invalid("approvals", error.to_string()))?;
        }
        for decision in decisions {
            self.log.push(&decision.to_json());
        }
        if !state.interruptions().is_empty() {
            latest.paused = Some(PausedRun::new(state));
            return Ok(None);
        }
        latest.paused = None;
        latest.status = RunStatus::Running;
        latest.result = None;
        Ok(Some(state))
    }

    /// Puts a state back whose run could not begin.
    pub(super) fn put_back(&self, state: RunState) {
        let mut latest = self.latest();
        latest.status = RunStatus::ApprovalRequired;
        latest.paused = Some(PausedRun::new(state));
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keepable for Arc<Record> {
    fn n_bytes(&self) -> usize {
        let paused = self
            .latest()
            .paused
            .as_ref()
            .map_or(0, |paused| paused.n_bytes);
        paused + self.log.n_bytes()
    }

    fn is_busy(&self) -> bool {
        self.is_running()
    }

    fn shrink(&self) {
        self.log.shrink();
    }
}

pub(super) fn busy() -> ApiError {
    ApiError::new(409, "session_busy", "a run of this session goes on")
}

/// What was decided about a call.
#[derive(Debug, Clone)]
pub(in crate::server) struct Decision {
    pub(in crate::server) id: String,
    pub(in crate::server) approve: bool,
    /// What the model is told of a refusal.
    pub(in crate::server) message: Option<String>,
    /// The arguments with which the call is made instead of its own.
    pub(in crate::server) arguments: Option<String>,
}

impl Decision {
    fn apply(&self, state: &mut RunState) -> Result<(), StateError> {
        let id = self.id.as_str();
        if let Some(arguments) = &self.arguments {
            state.set_arguments(id, arguments.as_str())?;
        }
        match (self.approve, &self.message) {
            (true, _) => state.approve(id),
            (false, None) => state.reject(id),
            (false, Some(message)) => state.reject_with(id, message.clone()),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "type": "call_decided", "id": self.id, "approve": self.approve, "message": self.message,
            "arguments": self.arguments,
        })
    }
}

impl RunStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::ApprovalRequired => "approval_required",
        }
    }
}
