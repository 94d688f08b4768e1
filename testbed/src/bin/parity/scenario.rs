//! A scenario as `scenarios.json` declares it.

use std::collections::BTreeMap;

use openai_agents::Item;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::BoxedFailure;

/// A file of scenarios, each of them read by itself: one that cannot be read keeps no other from being played.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, Value>,
    pub(crate) scenarios: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) agents: BTreeMap<String, AgentEntry>,
    pub(crate) start: String,
    #[serde(default)]
    pub(crate) input: Value,
    /// The inputs of runs that follow each other, in place of the one.
    pub(crate) inputs: Option<Vec<Value>>,
    /// Whether the runs share a session.
    #[serde(default)]
    pub(crate) session: bool,
    /// What the session has before the first run.
    #[serde(default)]
    pub(crate) session_before: Vec<Value>,
    #[serde(default)]
    pub(crate) steps: Vec<Value>,
    #[serde(default)]
    pub(crate) stream: bool,
    /// What becomes of the calls that wait when the run pauses.
    pub(crate) approve: Option<ScenarioDecision>,
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
    /// A number, or null for turns without end.
    #[serde(default = "usual_turns")]
    pub(crate) max_turns: Option<u32>,
    pub(crate) previous_response_id: Option<String>,
    pub(crate) auto_previous_response_id: Option<bool>,
    pub(crate) conversation_id: Option<String>,
    /// What the scenario shows; nothing is done with it.
    #[serde(default, rename = "about")]
    _about: Value,
    /// Final outputs in place of errors, by the Python SDK's name of the error's handler.
    #[serde(default)]
    pub(crate) handlers: BTreeMap<String, String>,
}

/// What `RunConfig` of the Python SDK has, by its names; what there is nothing for here is an error where it would mean something.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunConfig {
    pub(crate) model: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) model_settings: Map<String, Value>,
    pub(crate) handoff_input_filter: Option<String>,
    pub(crate) nest_handoff_history: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) input_guardrails: Vec<GuardrailEntry>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) output_guardrails: Vec<GuardrailEntry>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) session_settings: SessionLimit,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tool_execution: ToolExecution,
    pub(crate) tool_not_found_behavior: Option<String>,
    pub(crate) tool_name_collision_policy: Option<String>,
    pub(crate) reasoning_item_id_policy: Option<String>,
    pub(crate) output_guardrail_blocked_message: Option<Value>,
    pub(crate) model_provider: Option<Value>,
    pub(crate) handoff_history_mapper: Option<Value>,
    pub(crate) session_input_callback: Option<Value>,
    pub(crate) call_model_input_filter: Option<Value>,
    pub(crate) tool_error_formatter: Option<Value>,
    pub(crate) sandbox: Option<Value>,
    /// What concerns tracing, of which there is none here.
    #[serde(rename = "workflow_name")]
    _workflow_name: Value,
    #[serde(rename = "trace_id")]
    _trace_id: Value,
    #[serde(rename = "group_id")]
    _group_id: Value,
    #[serde(rename = "trace_metadata")]
    _trace_metadata: Value,
    #[serde(rename = "tracing")]
    _tracing: Value,
    #[serde(rename = "tracing_disabled")]
    _tracing_disabled: Value,
    #[serde(rename = "trace_include_sensitive_data")]
    _trace_include_sensitive_data: Value,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionLimit {
    pub(crate) limit: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ToolExecution {
    pub(crate) max_function_tool_concurrency: Option<usize>,
    pub(crate) pre_approval_tool_input_guardrails: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScenarioDecision {
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
    /// `raise` ends the run when the tool fails; `default` is what is meant without it.
    pub(crate) failure: Option<String>,
    pub(crate) strict: Option<bool>,
    pub(crate) timeout_seconds: Option<f64>,
    /// `raise_exception` ends the run; `error_as_result` is what is meant without it.
    pub(crate) timeout_behavior: Option<String>,
    pub(crate) input_guardrail: Option<Value>,
    pub(crate) output_guardrail: Option<Value>,
    #[serde(default)]
    pub(crate) input_guardrails: Vec<Value>,
    #[serde(default)]
    pub(crate) output_guardrails: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentEntry {
    pub(crate) name: String,
    pub(crate) instructions: Option<String>,
    /// The name of a model of its own, on the scenario's server.
    pub(crate) model: Option<String>,
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
    /// Whether the schema goes out in its strict form, which is what is meant without it.
    pub(crate) output_strict: Option<bool>,
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
    pub(crate) nest_handoff_history: Option<bool>,
    pub(crate) tool_name: Option<String>,
    pub(crate) tool_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentToolEntry {
    pub(crate) agent: String,
    pub(crate) description: String,
    pub(crate) tool_name: Option<String>,
    pub(crate) is_enabled: Option<bool>,
    #[serde(default)]
    pub(crate) needs_approval: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardrailEntry {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) trips: bool,
    #[serde(default)]
    pub(crate) blocking: bool,
    /// Python's name for what is not blocking.
    pub(crate) run_in_parallel: Option<bool>,
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

/// How many turns `drive_python.py` allows where a scenario says nothing.
#[expect(clippy::unnecessary_wraps, reason = "null is turns without end")]
const fn usual_turns() -> Option<u32> {
    Some(10)
}

/// Takes null as what is not there.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// The input as items.
pub(crate) fn items(input: &Value) -> Result<Vec<Item>, BoxedFailure> {
    match input {
        Value::String(text) => Ok(vec![Item::user(text)]),
        items => serde_json::from_value(items.clone())
            .map_err(|error| format!("an input is neither text nor items: {error}").into()),
    }
}
