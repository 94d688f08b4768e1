//! What a run wants done next.

use crate::agent::ToolResult;
use crate::item::{FunctionCall, Item};
use crate::journal::ToolOutcome;
use crate::model::ModelRequest;
use crate::tools::FunctionTool;

/// The next thing to do for a run.
pub(super) enum Step {
    /// Call the model and give its response to [`Run::accept_response`](super::run::Run::accept_response).
    CallModel(ModelRequest),
    /// Do all of these and give the outcomes to [`Run::accept_outcomes`](super::run::Run::accept_outcomes).
    RunTools(Vec<PlannedCall>),
    /// Nothing is left to do.
    Finish(String),
}

/// A tool call and what is to become of it.
pub(super) struct PlannedCall {
    pub(super) call: FunctionCall,
    pub(super) action: CallAction,
}

/// What is to become of a tool call.
pub(super) enum CallAction {
    /// The tool is called.
    Invoke(FunctionTool),
    /// The model is answered without a call.
    Answer(ToolOutcome),
}

/// A model response, understood.
pub(super) enum Resolution {
    /// The response is not the end: tools are to be called, a question of the provider is answered, or its own tools did something.
    Work {
        calls: Vec<PlannedCall>,
        /// Items that answer the provider.
        answers: Vec<Item>,
    },
    /// The response is the answer.
    Final(String),
}

/// A tool call that is over.
pub(super) struct FinishedCall {
    pub(super) call: FunctionCall,
    pub(super) outcome: ToolOutcome,
}

impl FinishedCall {
    /// What the tool-use behaviour is shown.
    pub(super) fn result(&self) -> ToolResult {
        ToolResult {
            name: self.call.name.clone(),
            call_id: self.call.call_id.clone(),
            output: self.outcome.output.text(),
            failure: self.outcome.failure.clone(),
        }
    }
}
