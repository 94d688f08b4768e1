//! What a model says, as events of the run.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RunEvent;
use super::state::MachineState;
use crate::agent::{Agent, Target};
use crate::error::RunError;
use crate::item::{CallItem, FunctionCall};
use crate::model::{ModelEvent, ResponseAccumulator};

/// Adds what an event of the model is shown as, and folds it into the response.
pub(super) fn to_run_events(
    event: ModelEvent,
    response: &mut ResponseAccumulator,
    state: &MachineState,
    events: &mut VecDeque<Result<RunEvent, RunError>>,
) {
    let shown = match event {
        ModelEvent::TextDelta { delta } => RunEvent::TextDelta { delta },
        ModelEvent::RefusalDelta { delta } => RunEvent::RefusalDelta { delta },
        ModelEvent::ReasoningDelta { delta } => RunEvent::ReasoningDelta { delta },
        ModelEvent::ToolCallStarted {
            index,
            call_id,
            name,
        } => {
            response.push(ModelEvent::tool_call_started(index, &*call_id, &*name));
            RunEvent::ToolCallStarted {
                index,
                call_id,
                name,
            }
        }
        ModelEvent::ToolCallDelta { index, delta } => RunEvent::ToolCallDelta {
            index,
            call_id: response.call_id(index).unwrap_or_default().to_owned(),
            delta,
        },
        ModelEvent::Other { name, json } => RunEvent::ModelEvent { name, json },
        ModelEvent::ItemDone { item } => {
            response.push(ModelEvent::ItemDone { item: item.clone() });
            events.push_back(Ok(RunEvent::ItemDone { item: item.clone() }));
            match CallItem::new(&item) {
                // The tools that the Responses API defines can be the provider's, too.
                Some(call) if call.built_in().is_none() || state.tool_for(&call).is_some() => {
                    called(&call, &state.agent)
                }
                _ => return,
            }
        }
        ModelEvent::ResponseDone(meta) => {
            let shown = (*meta).clone();
            response.push(ModelEvent::ResponseDone(meta));
            RunEvent::ResponseDone { meta: shown }
        }
    };
    events.push_back(Ok(shown));
}

/// What a call of the model is shown as.
fn called(call: &FunctionCall, agent: &Agent) -> RunEvent {
    let handoffs = agent.bound_handoffs();
    let handoff = handoffs
        .iter()
        .find(|handoff| handoff.tool_name().as_str() == call.name);
    match handoff.map(|handoff| &handoff.target) {
        Some(Target::Agent(agent)) => RunEvent::HandoffRequested {
            call_id: call.call_id.clone(),
            to: agent.shared_name(),
        },
        Some(Target::Name(name)) => RunEvent::HandoffRequested {
            call_id: call.call_id.clone(),
            to: Arc::clone(name),
        },
        None => RunEvent::ToolCalled {
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        },
    }
}
