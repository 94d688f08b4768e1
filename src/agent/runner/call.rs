//! What connects a tool call with its run.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

use super::RunEvent;
use super::options::RunOptions;
use super::request::Place;
use crate::agent::RunState;
use crate::future::BoxFuture;
use crate::model::{Delivery, Model};
use crate::tools::CallLinks;

/// What the run gives each of its calls.
pub(super) struct Links {
    /// What a run inside this call takes over.
    pub(super) model: Arc<dyn Model>,
    pub(super) options: Arc<RunOptions>,
    pub(super) delivery: Delivery,
    /// Where a run inside this call stands.
    pub(super) place: Place,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) events: mpsc::Sender<RunEvent>,
    /// The run inside this call, if it paused.
    pub(super) paused: Mutex<Option<Box<RunState>>>,
}

impl Links {
    pub(super) fn take_paused(&self) -> Option<Box<RunState>> {
        self.paused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Shows an event to whoever watches the run; nobody does once the run is over.
    pub(super) async fn show(&self, event: RunEvent) {
        drop(self.events.send(event).await);
    }
}

impl CallLinks for Links {
    fn progress(&self, message: Value) -> BoxFuture<'_, ()> {
        Box::pin(self.show(RunEvent::ToolProgress {
            call_id: self.call_id.clone(),
            name: self.name.clone(),
            message,
        }))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
