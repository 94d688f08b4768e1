//! What connects a tool call with its run.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

use super::RunEvent;
use super::layer::Layers;
use super::request::{RunScope, RunSetup};
use crate::agent::{Agent, RunState};
use crate::context::RunContext;
use crate::future::BoxFuture;
use crate::item::History;
use crate::tools::{CallLinks, ToolContext, ToolError};

/// What the run gives each of its calls.
pub(super) struct CallScope {
    pub(super) turn: Arc<TurnScope>,
    pub(super) call_id: String,
    pub(super) name: String,
    /// The run inside this call, if it paused: before the call it is to go on, after the call it waits.
    pub(super) paused: Mutex<Option<Box<RunState>>>,
}

/// What the calls of a turn share.
pub(super) struct TurnScope {
    pub(super) number: u32,
    pub(super) setup: Arc<RunSetup>,
    /// The conversation as the model saw it, with the calls; let go of before it grows, which would copy it.
    pub(super) history: History,
    pub(super) layers: Layers,
    /// Boxed, because the channel has room for many from its beginning.
    pub(super) events: mpsc::Sender<Box<RunEvent>>,
}

impl CallScope {
    pub(super) fn take_paused(&self) -> Option<Box<RunState>> {
        self.paused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Keeps the run inside this call, which paused, for whoever made the call.
    pub(super) fn pause(&self, state: Box<RunState>) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(state);
    }

    /// Shows an event to whoever watches the run; nobody does once the run is over.
    pub(super) async fn show(&self, event: RunEvent) {
        drop(self.turn.events.send(Box::new(event)).await);
    }

    /// Where the run of an agent inside this call stands.
    pub(super) fn scope_of(&self, agent: &Agent, cx: &RunContext) -> RunScope {
        let RunScope { path, agents, .. } = &self.turn.setup.scope;
        let step = format!("{}/{}", self.turn.number, self.call_id);
        RunScope {
            parent: Some(cx.clone()),
            path: path.iter().cloned().chain([step.into()]).collect(),
            agents: agents.iter().cloned().chain([agent.clone()]).collect(),
        }
    }
}

impl CallLinks for CallScope {
    fn progress(&self, message: Value) -> BoxFuture<'_, ()> {
        Box::pin(self.show(RunEvent::ToolProgress {
            call_id: self.call_id.clone(),
            name: self.name.clone(),
            message,
        }))
    }

    fn items(&self) -> &History {
        &self.turn.history
    }

    fn failure_text(&self, cx: &ToolContext, error: &ToolError) -> Option<String> {
        let words = self.turn.setup.options.tool_failure_text.as_ref()?;
        words(cx, error)
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
