//! What came of a run, in the words of `drive_python.py`.

use std::collections::BTreeSet;

use openai_agents::agent::Interruption;
use openai_agents::error::RunProgress;
use openai_agents::guardrail::GuardrailStage;
use openai_agents::item::ItemKind;
use openai_agents::limits::LimitReached;
use openai_agents::tools::ToolError;
use openai_agents::{ErrorKind, Item, RunError, RunEvent, RunFailure, RunResult};
use serde_json::{Map, Value, json};

use crate::scenario::{HandoffEntry, Scenario};

/// The names by which a scenario's models ask for handoffs.
pub(crate) struct HandoffNames(BTreeSet<String>);

impl HandoffNames {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut names = BTreeSet::new();
        for handoff in scenario.agents.values().flat_map(|agent| &agent.handoffs) {
            let own = match handoff {
                HandoffEntry::Full(full) => full.tool_name.clone(),
                HandoffEntry::Plain(_) => None,
            };
            let target = scenario.agents.get(handoff.agent());
            let usual = || {
                let name = target.map(|agent| agent.name.to_lowercase());
                format!("transfer_to_{}", name.unwrap_or_default().replace(' ', "_"))
            };
            names.insert(own.unwrap_or_else(usual));
        }
        Self(names)
    }

    /// What the items are in the Python SDK.
    pub(crate) fn kinds<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Value {
        let mut handoffs = BTreeSet::new();
        let kind = |item: &'a Item| match item.kind() {
            ItemKind::Message(_) => "message_output_item",
            ItemKind::Reasoning(_) => "reasoning_item",
            ItemKind::FunctionCall(call) if self.0.contains(&call.name) => {
                handoffs.insert(&call.call_id);
                "handoff_call_item"
            }
            ItemKind::FunctionCall(_) => "tool_call_item",
            ItemKind::FunctionCallOutput(output) if handoffs.contains(&output.call_id) => {
                "handoff_output_item"
            }
            ItemKind::FunctionCallOutput(_) => "tool_call_output_item",
            other => other.type_name(),
        };
        items.map(kind).collect()
    }
}

pub(crate) fn interruption(waiting: &Interruption) -> Value {
    json!({ "tool_name": waiting.tool, "call_id": waiting.call_id, "arguments": waiting.arguments })
}

pub(crate) fn of_result(result: &RunResult, names: &HandoffNames) -> Map<String, Value> {
    // A typed output is the value in the Python SDK.
    let output = match result.last_agent().output_type() {
        Some(_) => result.output::<Value>().unwrap_or_default(),
        None => result.final_output().into(),
    };
    let mut told = progress(result.progress(), names);
    told.insert("final_output".to_owned(), output);
    let items = result.to_input_list();
    told.insert(
        "input_list".to_owned(),
        items.iter().map(|item| json!(item)).collect(),
    );
    told
}

pub(crate) fn of_error(error: &RunError, names: &HandoffNames) -> Map<String, Value> {
    let told = json!({
        "type": class(error),
        "message": error.to_string(),
        "run_data_new_items": names.kinds(error.progress().items.iter()),
    });
    Map::from_iter([("error".to_owned(), told)])
}

fn progress(progress: &RunProgress, names: &HandoffNames) -> Map<String, Value> {
    let usage = progress.usage;
    let usage = json!({
        "requests": usage.requests, "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens, "total_tokens": usage.total_tokens,
    });
    Map::from_iter([
        ("last_agent".to_owned(), progress.last_agent.name().into()),
        ("new_items".to_owned(), names.kinds(progress.items.iter())),
        ("turns".to_owned(), progress.responses.len().into()),
        ("usage".to_owned(), usage),
    ])
}

/// What the error is called in the Python SDK.
fn class(error: &RunError) -> String {
    let class = match error.failure() {
        RunFailure::Limit(LimitReached::Turns { .. }) => "MaxTurnsExceeded",
        RunFailure::Refusal { .. } => "ModelRefusalError",
        RunFailure::GuardrailTripped { result } => match result.stage {
            GuardrailStage::Input => "InputGuardrailTripwireTriggered",
            _ => "OutputGuardrailTripwireTriggered",
        },
        RunFailure::Tool(ToolError::GuardrailTripped { is_output, .. }) => match is_output {
            false => "ToolInputGuardrailTripwireTriggered",
            true => "ToolOutputGuardrailTripwireTriggered",
        },
        RunFailure::Tool(ToolError::TimedOut { .. }) => "ToolTimeoutError",
        RunFailure::Tool(_) | RunFailure::Setup(_) | RunFailure::State(_) => "UserError",
        RunFailure::UnknownTool { .. }
        | RunFailure::DisabledTool { .. }
        | RunFailure::HandoffArguments { .. }
        | RunFailure::InvalidOutput { .. }
        | RunFailure::EmptyResponse => "ModelBehaviorError",
        RunFailure::Model(model) => match (model.kind(), model.status()) {
            (ErrorKind::ContentFilter, _) => "ModelRefusalError",
            (ErrorKind::ApiStatus, Some(400)) => "BadRequestError",
            (ErrorKind::ApiStatus, Some(429)) => "RateLimitError",
            (ErrorKind::ApiStatus, _) => "APIStatusError",
            _ => "ModelBehaviorError",
        },
        _ => return error.kind().to_string(),
    };
    class.to_owned()
}

/// The events, each as the one of the Python SDK that says the same; what neither place nor number has is null.
pub(crate) fn events(events: &[RunEvent], names: &HandoffNames) -> Value {
    let mut told = Vec::new();
    let mut agent = None;
    let raw = |name: &str, delta: Option<&str>| json!(["raw", name, null, null, delta]);
    let item = |name: &str, kind: &str| json!(["item", name, kind]);
    for event in events {
        match event {
            RunEvent::TurnStarted { agent: now, .. } => {
                if agent != Some(now) {
                    told.push(json!(["agent", &**now]));
                    agent = Some(now);
                }
                told.push(raw("response.created", None));
            }
            RunEvent::TextDelta { delta } => {
                told.push(raw("response.output_text.delta", Some(delta)));
            }
            RunEvent::RefusalDelta { delta } => {
                told.push(raw("response.refusal.delta", Some(delta)));
            }
            RunEvent::ReasoningDelta { delta } => {
                told.push(raw("response.reasoning_summary_text.delta", Some(delta)));
            }
            RunEvent::ToolCallStarted { .. } => {
                told.push(raw("response.output_item.added", None));
            }
            RunEvent::ToolCallDelta { delta, .. } => {
                told.push(raw("response.function_call_arguments.delta", Some(delta)));
            }
            RunEvent::ItemDone { item: done } => {
                told.push(raw("response.output_item.done", None));
                match done.kind() {
                    ItemKind::Message(_) => {
                        told.push(item("message_output_created", "message_output_item"));
                    }
                    ItemKind::Reasoning(_) => {
                        told.push(item("reasoning_item_created", "reasoning_item"));
                    }
                    _ => {}
                }
            }
            RunEvent::ToolCalled { .. } => told.push(item("tool_called", "tool_call_item")),
            RunEvent::HandoffRequested { .. } => {
                told.push(item("handoff_requested", "handoff_call_item"));
            }
            RunEvent::ResponseDone { .. } => told.push(raw("response.completed", None)),
            RunEvent::ToolOutputDone { name, .. } if names.0.contains(name) => {
                told.push(item("tool_output", "handoff_output_item"));
            }
            RunEvent::ToolOutputDone { .. } => {
                told.push(item("tool_output", "tool_call_output_item"));
            }
            RunEvent::HandoffOccurred { .. } => {
                told.push(item("handoff_occured", "handoff_output_item"));
            }
            other => told.push(json!(["other", format!("{other:?}")])),
        }
    }
    told.into()
}
