//! The agents, tools and runner of a scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use openai_agents::agent::runner::Recovery;
use openai_agents::agent::{AgentBuilder, HandoffFilter};
use openai_agents::guardrail::GuardrailTiming;
use openai_agents::model::{
    GptOssResponses, OpenAiChat, Retry, RetryAfter, RetryPolicy, ToolChoice,
};
use openai_agents::testing::FakeServer;
use openai_agents::tools::{ToolFailure, ToolGuardrail, ToolOptions, ToolVerdict};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Handoff, InputGuardrail, Limits, Model, ModelSettings,
    OutputGuardrail, Runner, ToolOutput, ToolUse, UnknownTool, Verdict,
};
use serde_json::{Map, Value};

use crate::Failure;
use crate::hooks::HookLog;
use crate::scenario::{AgentEntry, File, GuardrailEntry, HandoffEntry, Scenario, ToolEntry};

pub(crate) type Agents = BTreeMap<String, Agent>;

/// Makes the agents, those that others call as tools before these.
pub(crate) fn agents(file: &File, scenario: &Scenario) -> Result<Agents, Failure> {
    let mut made = Agents::new();
    for key in scenario.agents.keys() {
        make(file, scenario, key, &mut made)?;
    }
    Ok(made)
}

fn make(file: &File, scenario: &Scenario, key: &str, made: &mut Agents) -> Result<(), Failure> {
    if made.contains_key(key) {
        return Ok(());
    }
    let entry = entry(scenario, key)?;
    let mut agent = Agent::builder(&entry.name).instructions(&entry.instructions);
    for name in &entry.tools {
        let declared = file.tools.get(name).ok_or("no such tool")?;
        agent = agent.tool(tool(name, declared)?);
    }
    for inner in &entry.as_tools {
        make(file, scenario, &inner.agent, made)?;
        let callee = made.get(&inner.agent).ok_or("an agent that calls itself")?;
        agent = agent.tool(callee.as_tool(&inner.description));
    }
    for declared in &entry.handoffs {
        // By name, so that agents can hand off to each other.
        let target = &self::entry(scenario, declared.agent())?.name;
        agent = agent.handoff(handoff(declared, target)?);
    }
    if let Some(description) = &entry.handoff_description {
        agent = agent.handoff_description(description);
    }
    if let Some(schema) = &entry.output_schema {
        agent = agent.output_schema(schema.clone());
    }
    if entry.reset_tool_choice == Some(false) {
        agent = agent.keep_tool_choice();
    }
    agent = guarded(agent, entry)
        .model_settings(settings(&entry.model_settings)?)
        .tool_use(tool_use(entry.tool_use_behavior.as_ref())?);
    made.insert(key.to_owned(), agent.build()?);
    Ok(())
}

fn entry<'a>(scenario: &'a Scenario, key: &str) -> Result<&'a AgentEntry, Failure> {
    let entry = scenario.agents.get(key);
    Ok(entry.ok_or_else(|| format!("no agent {key}"))?)
}

fn handoff(declared: &HandoffEntry, target: &str) -> Result<Handoff, Failure> {
    let mut handoff = Handoff::to_name(target);
    let HandoffEntry::Full(options) = declared else {
        return Ok(handoff);
    };
    match options.filter.as_deref() {
        None => {}
        Some("remove_all_tools") => handoff = handoff.filter(HandoffFilter::remove_tools()),
        Some("nested_history") => handoff = handoff.filter(HandoffFilter::nested_history()),
        Some(other) => return Err(format!("no filter {other}").into()),
    }
    if let Some(is_enabled) = options.is_enabled {
        handoff = handoff.enabled_if(move |_| is_enabled);
    }
    if let Some(name) = &options.tool_name {
        handoff = handoff.tool_name(name);
    }
    Ok(handoff)
}

fn guarded(mut agent: AgentBuilder, entry: &AgentEntry) -> AgentBuilder {
    let verdict = |declared: &GuardrailEntry| {
        if declared.trips {
            Verdict::trip("tripped")
        } else {
            Verdict::pass()
        }
    };
    for declared in &entry.input_guardrails {
        let verdict = verdict(declared);
        let check = move |_| std::future::ready(Ok::<_, String>(verdict.clone()));
        let timing = if declared.blocking {
            GuardrailTiming::Blocking
        } else {
            GuardrailTiming::Hold
        };
        agent = agent.input_guardrail(InputGuardrail::new(&*declared.name, check).timing(timing));
    }
    for declared in &entry.output_guardrails {
        let verdict = verdict(declared);
        let check = move |_| std::future::ready(Ok::<_, String>(verdict.clone()));
        agent = agent.output_guardrail(OutputGuardrail::new(&*declared.name, check));
    }
    agent
}

fn settings(declared: &Map<String, Value>) -> Result<ModelSettings, Failure> {
    let mut settings = ModelSettings::default();
    for (key, value) in declared {
        settings = match (key.as_str(), value) {
            ("temperature", Value::Number(number)) => {
                settings.temperature(number.as_f64().unwrap_or_default())
            }
            ("parallel_tool_calls", Value::Bool(value)) => settings.parallel_tool_calls(*value),
            ("tool_choice", Value::String(choice)) => settings.tool_choice(match choice.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                name => ToolChoice::Function(name.to_owned()),
            }),
            _ => return Err(format!("the setting {key} is not known here").into()),
        };
    }
    Ok(settings)
}

fn tool_use(declared: Option<&Value>) -> Result<ToolUse, Failure> {
    match declared {
        None => Ok(ToolUse::RunAgain),
        Some(Value::String(name)) if name == "stop_on_first_tool" => Ok(ToolUse::StopOnFirstTool),
        Some(Value::Object(object)) => {
            let names = object.get("stop_at_tool_names").cloned();
            let names = serde_json::from_value(names.unwrap_or_default())?;
            Ok(ToolUse::StopAtTools(names))
        }
        Some(other) => Err(format!("no tool use {other}").into()),
    }
}

fn tool(name: &str, declared: &ToolEntry) -> Result<FunctionTool, Failure> {
    let failure = match declared.failure.as_deref() {
        Some("raise") => ToolFailure::Raise,
        _ => ToolFailure::TellModel,
    };
    let options = ToolOptions::default().failure(failure);
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
    if let Some(verdict) = &declared.input_guardrail {
        tool = tool.input_guardrail(guardrail(verdict)?);
    }
    if let Some(verdict) = &declared.output_guardrail {
        tool = tool.output_guardrail(guardrail(verdict)?);
    }
    Ok(tool)
}

/// A guardrail of `"allow"`, `"raise"` or `{"reject": MESSAGE}`.
fn guardrail(declared: &Value) -> Result<ToolGuardrail, Failure> {
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
            // Its turn comes after that of the other tools.
            tokio::task::yield_now().await;
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
) -> Result<Runner, Failure> {
    let url = format!("{}/v1", server.url());
    let mut runner = match scenario.api.as_deref() {
        None => on(
            OpenAiChat::builder(url, "m").api_key("sk-test").build()?,
            scenario,
        ),
        Some("responses") => on(
            GptOssResponses::builder(url, "m")
                .api_key("sk-test")
                .build()?,
            scenario,
        ),
        Some(other) => return Err(format!("no api {other}").into()),
    };
    for agent in agents {
        runner = runner.agent(agent);
    }
    if scenario.run_config.nest_handoff_history {
        runner = runner.handoff_filter(HandoffFilter::nested_history());
    }
    if scenario.run_config.tool_not_found_behavior.as_deref() == Some("return_error_to_model") {
        runner = runner.unknown_tool(UnknownTool::TellModel);
    }
    if let Some(max_turns) = scenario.max_turns {
        runner = runner.limits(Limits::turns(max_turns));
    }
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

/// A runner on a model; tries again only as often as the scenario says.
fn on(model: impl Model + 'static, scenario: &Scenario) -> Runner {
    if scenario.client_max_retries == 0 {
        return Runner::new(model);
    }
    let policy = RetryPolicy::attempts(scenario.client_max_retries + 1)
        .statuses([408, 409, 429, 500, 502, 503, 504])
        .backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1))
        .retry_after(RetryAfter::UpTo(Duration::from_secs(1)));
    Runner::new(Retry::new(model, policy))
}
