//! What connects a tool call with its run.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use serde_json::Value;
use tokio::sync::mpsc;

use super::RunEvent;
use super::layer::Layers;
use super::request::{RunScope, RunSetup};
use crate::agent::{Agent, RunState};
use crate::context::RunContext;
use crate::future::BoxFuture;
use crate::item::{CallItem, History};
use crate::tools::{CallLinks, ToolContext, ToolError};

/// What the run gives each of its calls.
pub(super) struct CallScope {
    pub(super) turn: Arc<TurnScope>,
    pub(super) call: CallItem,
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
    pub(super) events: EventSlot,
}

/// The channel by which the calls of a turn show events, made for the first of them: most turns show nothing.
#[derive(Default)]
pub(super) struct EventSlot {
    // The first event makes both ends. The sender stays here for all calls of the turn; the
    // receiver moves to the `ToolPool`, which polls it.
    sender: OnceLock<mpsc::Sender<Box<RunEvent>>>,
    receiver: Mutex<Option<mpsc::Receiver<Box<RunEvent>>>>,
    /// Whoever polls the calls, until they have the receiver: an event can come from another task.
    pool: AtomicWaker,
}

/// How many events of its tools a run takes before it must be read; then the tools wait.
const MAX_WAITING_EVENTS: usize = 64;

impl EventSlot {
    fn sender(&self) -> &mpsc::Sender<Box<RunEvent>> {
        self.sender.get_or_init(|| {
            // Boxed, because the channel has room for many from its beginning.
            let (sender, receiver) = mpsc::channel(MAX_WAITING_EVENTS);
            *self.lock() = Some(receiver);
            // The pool may have been polled before the channel was there. It then waits for nothing
            // of it.
            self.pool.wake();
            sender
        })
    }

    /// Returns the receiver, once there is one.
    pub(super) fn take_receiver(&self, cx: &Context<'_>) -> Option<mpsc::Receiver<Box<RunEvent>>> {
        self.pool.register(cx.waker());
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<mpsc::Receiver<Box<RunEvent>>>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        drop(self.turn.events.sender().send(Box::new(event)).await);
    }

    /// Where the run of an agent inside this call stands.
    pub(super) fn scope_of(&self, agent: &Agent, cx: &RunContext) -> RunScope {
        let RunScope { path, agents, .. } = &self.turn.setup.scope;
        // The turn is part of the step, because servers reuse call ids in later turns. Journals use
        // the path as a key, so it must be the same in each execution.
        let step = format!("{}/{}", self.turn.number, self.call.call_id);
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
            call_id: self.call.call_id.clone(),
            name: self.call.name.clone(),
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
