//! The agents, tools and runner of a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openai_agents::agent::runner::{Recovery, UnknownTool};
use openai_agents::agent::{AgentBuilder, HandoffFilter, OutputMode, OutputType, ToolUseBehavior};
use openai_agents::guardrail::GuardrailTiming;
use openai_agents::model::{OpenAiChat, OpenAiResponses, Retry, RetryAfter, RetryPolicy};
use openai_agents::session::SessionSettings;
use openai_agents::testing::FakeServer;
use openai_agents::tools::{ToolFailure, ToolGuardrail, ToolOptions, ToolVerdict};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Handoff, InputGuardrail, Limits, Model, OutputGuardrail,
    Runner, ToolOutput, Verdict,
};
use serde_json::{Map, Value};

use crate::BoxedFailure;
use crate::hooks::HookLog;
use crate::scenario::{
    AgentEntry, AgentToolEntry, File, GuardrailEntry, HandoffEntry, RunConfig, Scenario, ToolEntry,
};
use crate::settings::settings;

pub(crate) type Agents = BTreeMap<String, Agent>;

/// Makes the agents, those that others call as tools before these.
pub(crate) fn agents(
    file: &File,
    scenario: &Scenario,
    server: &FakeServer,
) -> Result<Agents, BoxedFailure> {
    let mut made = Agents::new();
    let parts = Parts {
        file,
        scenario,
        server,
    };
    for key in scenario.agents.keys() {
        make(&parts, key, &mut made)?;
    }
    Ok(made)
}

/// What agents are made of.
struct Parts<'a> {
    file: &'a File,
    scenario: &'a Scenario,
    server: &'a FakeServer,
}

fn make(parts: &Parts<'_>, key: &str, made: &mut Agents) -> Result<(), BoxedFailure> {
    if made.contains_key(key) {
        return Ok(());
    }
    let Parts {
        file,
        scenario,
        server,
    } = parts;
    let entry = entry(scenario, key)?;
    let mut agent = Agent::builder(&entry.name);
    if let Some(instructions) = &entry.instructions {
        agent = agent.instructions(instructions);
    }
    if let Some(name) = &entry.model {
        agent = agent.shared_model(model(scenario, server, name)?);
    }
    for name in &entry.tools {
        let declared = file.tools.get(name);
        let declared = declared.ok_or_else(|| format!("there is no tool {name}"))?;
        let declared = serde_json::from_value(declared.clone());
        let declared = declared.map_err(|error| format!("the tool {name}: {error}"))?;
        agent = agent.tool(tool(name, &declared)?);
    }
    for inner in &entry.as_tools {
        make(parts, &inner.agent, made)?;
        let callee = made.get(&inner.agent).ok_or("an agent that calls itself")?;
        agent = agent.tool(agent_tool(callee, inner)?);
    }
    for declared in &entry.handoffs {
        // By name, so that agents can hand off to each other.
        let target = &self::entry(scenario, declared.agent())?.name;
        agent = agent.handoff(handoff(declared, target)?);
    }
    if let Some(description) = &entry.handoff_description {
        agent = agent.handoff_description(description);
    }
    match (&entry.output_schema, entry.output_strict) {
        (None, _) => {}
        (Some(schema), Some(false)) => {
            let output = OutputType::of_schema_non_strict(schema.clone(), OutputMode::Native);
            agent = agent.output_type(output?);
        }
        (Some(schema), _) => agent = agent.output_schema(schema.clone()),
    }
    if entry.reset_tool_choice == Some(false) {
        agent = agent.keep_tool_choice();
    }
    agent = guarded(agent, entry)
        .model_settings(settings(&entry.model_settings)?)
        .tool_use_behavior(tool_use(entry.tool_use_behavior.as_ref())?);
    made.insert(key.to_owned(), agent.build()?);
    Ok(())
}

fn entry<'a>(scenario: &'a Scenario, key: &str) -> Result<&'a AgentEntry, BoxedFailure> {
    let entry = scenario.agents.get(key);
    Ok(entry.ok_or_else(|| format!("no agent {key}"))?)
}

fn handoff(declared: &HandoffEntry, target: &str) -> Result<Handoff, BoxedFailure> {
    let mut handoff = Handoff::to_name(target);
    let HandoffEntry::Full(options) = declared else {
        return Ok(handoff);
    };
    if let Some(name) = &options.filter {
        handoff = handoff.filter(filter(name)?);
    } else if options.nest_handoff_history == Some(true) {
        handoff = handoff.filter(HandoffFilter::nested_history());
    }
    if let Some(description) = &options.tool_description {
        handoff = handoff.description(description);
    }
    if let Some(is_enabled) = options.is_enabled {
        handoff = handoff.enabled_if(move |_| is_enabled);
    }
    if let Some(name) = &options.tool_name {
        handoff = handoff.tool_name(name);
    }
    Ok(handoff)
}

fn filter(name: &str) -> Result<HandoffFilter, BoxedFailure> {
    match name {
        "remove_all_tools" => Ok(HandoffFilter::remove_tools()),
        "nested_history" => Ok(HandoffFilter::nested_history()),
        other => Err(format!("the handoff filter {other} is not known here").into()),
    }
}

fn agent_tool(callee: &Agent, declared: &AgentToolEntry) -> Result<FunctionTool, BoxedFailure> {
    let mut tool = callee.as_tool(&declared.description);
    if let Some(name) = &declared.tool_name {
        tool = tool.name(name);
    }
    let mut tool = tool.build()?;
    if declared.needs_approval {
        tool = tool.needs_approval();
    }
    if let Some(is_enabled) = declared.is_enabled {
        tool = tool.enabled_if(move |_| is_enabled);
    }
    Ok(tool)
}

fn guarded(mut agent: AgentBuilder, entry: &AgentEntry) -> AgentBuilder {
    for declared in &entry.input_guardrails {
        agent = agent.input_guardrail(input_guardrail(declared));
    }
    for declared in &entry.output_guardrails {
        agent = agent.output_guardrail(output_guardrail(declared));
    }
    agent
}

fn input_guardrail(declared: &GuardrailEntry) -> InputGuardrail {
    let verdict = verdict(declared);
    let check = move |_| std::future::ready(Ok::<_, String>(verdict.clone()));
    let timing = if declared.blocking || declared.run_in_parallel == Some(false) {
        GuardrailTiming::Blocking
    } else {
        GuardrailTiming::Hold
    };
    InputGuardrail::new(&*declared.name, check).timing(timing)
}

fn output_guardrail(declared: &GuardrailEntry) -> OutputGuardrail {
    let verdict = verdict(declared);
    let check = move |_| std::future::ready(Ok::<_, String>(verdict.clone()));
    OutputGuardrail::new(&*declared.name, check)
}

fn verdict(declared: &GuardrailEntry) -> Verdict {
    if declared.trips {
        Verdict::trip("tripped")
    } else {
        Verdict::pass()
    }
}

fn tool_use(declared: Option<&Value>) -> Result<ToolUseBehavior, BoxedFailure> {
    match declared {
        None => Ok(ToolUseBehavior::RunAgain),
        Some(Value::String(name)) if name == "run_llm_again" => Ok(ToolUseBehavior::RunAgain),
        Some(Value::String(name)) if name == "stop_on_first_tool" => {
            Ok(ToolUseBehavior::StopOnFirstTool)
        }
        Some(Value::Object(object)) => {
            let names = object.get("stop_at_tool_names").cloned();
            let names = serde_json::from_value(names.unwrap_or_default())?;
            Ok(ToolUseBehavior::StopAtTools(names))
        }
        Some(other) => Err(format!("no tool use {other}").into()),
    }
}

fn tool(name: &str, declared: &ToolEntry) -> Result<FunctionTool, BoxedFailure> {
    let mut options = ToolOptions::default();
    match declared.failure.as_deref() {
        None | Some("default") => {}
        Some("raise") => options = options.failure(ToolFailure::Raise),
        Some(other) => return Err(format!("the failure {other} is not known here").into()),
    }
    match declared.timeout_behavior.as_deref() {
        None | Some("error_as_result") => {}
        Some("raise_exception") => options = options.timeout_failure(ToolFailure::Raise),
        Some(other) => {
            return Err(format!("the time-out behaviour {other} is not known here").into());
        }
    }
    if let Some(seconds) = declared.timeout_seconds {
        options = options.timeout(Duration::try_from_secs_f64(seconds)?);
    }
    if let Some(strict) = declared.strict {
        options = options.strict(strict);
    }
    let (called, gives) = (name.to_owned(), declared.gives.clone());
    let mut tool = FunctionTool::dynamic(
        name,
        &declared.description,
        declared.schema.clone(),
        options,
        move |_, arguments| invoke(called.clone(), gives.clone(), arguments),
    )?;
    if declared.needs_approval {
        tool = tool.needs_approval();
    }
    if let Some(is_enabled) = declared.is_enabled {
        tool = tool.enabled_if(move |_| is_enabled);
    }
    for verdict in declared
        .input_guardrail
        .iter()
        .chain(&declared.input_guardrails)
    {
        tool = tool.input_guardrail(guardrail(verdict)?);
    }
    for verdict in declared
        .output_guardrail
        .iter()
        .chain(&declared.output_guardrails)
    {
        tool = tool.output_guardrail(guardrail(verdict)?);
    }
    Ok(tool)
}

/// A guardrail of `"allow"`, `"raise"` or `{"reject": MESSAGE}`.
fn guardrail(declared: &Value) -> Result<ToolGuardrail, BoxedFailure> {
    let verdict = match (declared.as_str(), declared.get("reject")) {
        (Some("allow"), _) => ToolVerdict::Allow,
        (Some("raise"), _) => ToolVerdict::trip("tripped"),
        (None, Some(Value::String(message))) => ToolVerdict::reject(message),
        _ => return Err(format!("no verdict {declared}").into()),
    };
    let check = move |_| std::future::ready(Ok::<_, String>(verdict.clone()));
    Ok(ToolGuardrail::new("guard", check))
}

/// The tools as `drive_python.py` has them.
async fn invoke(
    name: String,
    gives: Option<Value>,
    arguments: Map<String, Value>,
) -> Result<ToolOutput, String> {
    let city = arguments.get("city").and_then(Value::as_str);
    let city = city.unwrap_or_default();
    match (name.as_str(), gives) {
        (_, Some(Value::String(text))) => Ok(text.into()),
        (_, Some(parts)) => Ok(ToolOutput::from_json(parts)),
        ("get_weather", None) => Ok(format!("Sunny in {city}").into()),
        ("danger", None) => Ok(format!("did {city}").into()),
        ("slow", None) => {
            // As long as in `drive_python.py`, so that a time-out can pass it.
            tokio::time::sleep(Duration::from_millis(150)).await;
            Ok("slow done".to_owned().into())
        }
        _ => Err("boom".to_owned()),
    }
}

/// Makes the runner on a model of the scenario's server.
pub(crate) fn runner<'a>(
    scenario: &Scenario,
    server: &FakeServer,
    agents: impl Iterator<Item = &'a Agent>,
    log: &HookLog,
) -> Result<Runner, BoxedFailure> {
    let mut runner = Runner::shared(model(scenario, server, "m")?);
    for agent in agents {
        runner = runner.register_agent(agent);
    }
    if let Some(name) = &scenario.run_config.model {
        runner = runner.shared_model(model(scenario, server, name)?);
    }
    runner = configured(runner, &scenario.run_config)?;
    runner = runner.limits(scenario.max_turns.map_or(Limits::NONE, Limits::turns));
    if scenario.hooks {
        runner = runner.hooks(log.clone());
    }
    let handlers = scenario.handlers.clone();
    Ok(runner.recover(move |failure, _| {
        let name = match failure.kind() {
            ErrorKind::MaxTurns => "max_turns",
            ErrorKind::Refusal => "model_refusal",
            ErrorKind::InvalidOutput => "invalid_final_output",
            _ => return None,
        };
        handlers.get(name).map(Recovery::with)
    }))
}

/// Sets what the run's configuration says; what has no place here is an error, unless it says what holds anyway.
fn configured(mut runner: Runner, config: &RunConfig) -> Result<Runner, BoxedFailure> {
    if let Some(name) = &config.handoff_input_filter {
        runner = runner.handoff_filter(filter(name)?);
    } else if config.nest_handoff_history {
        runner = runner.handoff_filter(HandoffFilter::nested_history());
    }
    for declared in &config.input_guardrails {
        runner = runner.input_guardrail(input_guardrail(declared));
    }
    for declared in &config.output_guardrails {
        runner = runner.output_guardrail(output_guardrail(declared));
    }
    if let Some(limit) = config.session_settings.limit {
        runner = runner.session_settings(SessionSettings::latest(limit));
    }
    if let Some(n_tools) = config.tool_execution.max_function_tool_concurrency {
        runner = runner.max_tool_concurrency(n_tools);
    }
    match config.tool_not_found_behavior.as_deref() {
        None | Some("raise_error") => {}
        Some("return_error_to_model") => runner = runner.unknown_tool(UnknownTool::TellModel),
        Some(other) => {
            return Err(format!("tool_not_found_behavior {other} is not known here").into());
        }
    }
    match without_place(config) {
        Some(name) => Err(format!("run_config.{name} has nothing here that it could set").into()),
        None => Ok(runner),
    }
}

/// The first setting that asks for something that there is nothing for here.
fn without_place(config: &RunConfig) -> Option<&'static str> {
    let other = |given: &Option<String>, usual: &[&str]| {
        let given = given.as_deref();
        given.is_some_and(|given| !usual.contains(&given))
    };
    let asked = [
        (
            "tool_execution.pre_approval_tool_input_guardrails",
            config.tool_execution.pre_approval_tool_input_guardrails,
        ),
        (
            "reasoning_item_id_policy",
            other(&config.reasoning_item_id_policy, &["preserve"]),
        ),
        // Tools of one name are an error here, so that a scenario with some is not played under either.
        (
            "tool_name_collision_policy",
            other(&config.tool_name_collision_policy, &["warn", "error"]),
        ),
        (
            "output_guardrail_blocked_message",
            config.output_guardrail_blocked_message.is_some(),
        ),
        ("model_provider", config.model_provider.is_some()),
        (
            "handoff_history_mapper",
            config.handoff_history_mapper.is_some(),
        ),
        (
            "session_input_callback",
            config.session_input_callback.is_some(),
        ),
        (
            "call_model_input_filter",
            config.call_model_input_filter.is_some(),
        ),
        (
            "tool_error_formatter",
            config.tool_error_formatter.is_some(),
        ),
        ("sandbox", config.sandbox.is_some()),
    ];
    let mut asked = asked.into_iter().filter(|(_, is_asked)| *is_asked);
    asked.next().map(|(name, _)| name)
}

/// A model of this name on the scenario's server; tries again only as often as the scenario says.
fn model(
    scenario: &Scenario,
    server: &FakeServer,
    name: &str,
) -> Result<Arc<dyn Model>, BoxedFailure> {
    let url = format!("{}/v1", server.url());
    match scenario.api.as_deref() {
        None | Some("chat" | "chat_completions") => {
            let model = OpenAiChat::builder(url, name).api_key("sk-test").build()?;
            Ok(trying(model, scenario))
        }
        Some("responses") => {
            let model = OpenAiResponses::builder(url, name)
                .api_key("sk-test")
                .build()?;
            Ok(trying(model, scenario))
        }
        Some(other) => Err(format!("the api {other} is not known here").into()),
    }
}

fn trying(model: impl Model + 'static, scenario: &Scenario) -> Arc<dyn Model> {
    if scenario.client_max_retries == 0 {
        return Arc::new(model);
    }
    let policy = RetryPolicy::attempts(scenario.client_max_retries + 1)
        .statuses([408, 409, 429, 500, 502, 503, 504])
        .backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1))
        .retry_after(RetryAfter::UpTo(Duration::from_secs(1)));
    Arc::new(Retry::new(model, policy))
}
