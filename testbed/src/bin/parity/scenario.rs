//! A scenario as `scenarios.json` declares it.

use std::collections::BTreeMap;

use openai_agents::Item;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) tools: BTreeMap<String, ToolEntry>,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) agents: BTreeMap<String, AgentEntry>,
    pub(crate) start: String,
    pub(crate) input: Value,
    /// The inputs of runs that follow each other, in place of the one.
    pub(crate) inputs: Option<Vec<Value>>,
    /// Whether the runs share a session.
    #[serde(default)]
    pub(crate) session: bool,
    pub(crate) steps: Vec<Value>,
    #[serde(default)]
    pub(crate) stream: bool,
    /// What becomes of the calls that wait when the run pauses.
    pub(crate) approve: Option<Decision>,
    /// How many of them are decided about; all, unless it is given.
    pub(crate) decide_first: Option<usize>,
    pub(crate) reject_message: Option<String>,
    #[serde(default)]
    pub(crate) client_max_retries: u32,
    pub(crate) api: Option<String>,
    #[serde(default)]
    pub(crate) run_config: RunConfig,
    /// Whether the order of the hooks is told.
    #[serde(default)]
    pub(crate) hooks: bool,
    pub(crate) max_turns: Option<u32>,
    /// Final outputs in place of errors, by the Python SDK's name of the error's handler.
    #[serde(default)]
    pub(crate) handlers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunConfig {
    pub(crate) nest_handoff_history: bool,
    pub(crate) tool_not_found_behavior: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    Approve,
    ApproveAlways,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolEntry {
    pub(crate) description: String,
    pub(crate) schema: Value,
    #[serde(default)]
    pub(crate) needs_approval: bool,
    /// The output, for tools that are not written in both drivers.
    pub(crate) gives: Option<Value>,
    pub(crate) is_enabled: Option<bool>,
    /// `raise` ends the run when the tool fails.
    pub(crate) failure: Option<String>,
    pub(crate) input_guardrail: Option<Value>,
    pub(crate) output_guardrail: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentEntry {
    pub(crate) name: String,
    pub(crate) instructions: String,
    #[serde(default)]
    pub(crate) tools: Vec<String>,
    #[serde(default)]
    pub(crate) handoffs: Vec<HandoffEntry>,
    pub(crate) handoff_description: Option<String>,
    #[serde(default)]
    pub(crate) as_tools: Vec<AgentToolEntry>,
    pub(crate) tool_use_behavior: Option<Value>,
    #[serde(default)]
    pub(crate) model_settings: Map<String, Value>,
    pub(crate) output_schema: Option<Value>,
    pub(crate) reset_tool_choice: Option<bool>,
    #[serde(default)]
    pub(crate) input_guardrails: Vec<GuardrailEntry>,
    #[serde(default)]
    pub(crate) output_guardrails: Vec<GuardrailEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum HandoffEntry {
    Plain(String),
    Full(FullHandoff),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullHandoff {
    pub(crate) agent: String,
    pub(crate) filter: Option<String>,
    pub(crate) is_enabled: Option<bool>,
    pub(crate) tool_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentToolEntry {
    pub(crate) agent: String,
    pub(crate) description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardrailEntry {
    pub(crate) name: String,
    pub(crate) trips: bool,
    #[serde(default)]
    pub(crate) blocking: bool,
}

impl HandoffEntry {
    pub(crate) fn agent(&self) -> &str {
        match self {
            Self::Plain(agent) => agent,
            Self::Full(handoff) => &handoff.agent,
        }
    }
}

impl Scenario {
    /// The inputs of all runs, in order.
    pub(crate) fn inputs(&self) -> &[Value] {
        self.inputs
            .as_deref()
            .unwrap_or(std::slice::from_ref(&self.input))
    }
}

/// The input as items.
pub(crate) fn items(input: &Value) -> Result<Vec<Item>, Failure> {
    match input {
        Value::String(text) => Ok(vec![Item::user(text)]),
        items => Ok(serde_json::from_value(items.clone())?),
    }
}
