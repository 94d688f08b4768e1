//! Reads the sections `agents` and `limits`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::fields::{Fields, Keys, Seen, texts_of};
use super::guardrails::guardrails;
use super::schema::{AgentConfig, AgentToolConfig, ApprovalConfig, LimitsConfig, ToolUseConfig};
use super::sources::Files;
use super::tree::{TreeNode, Value};
use super::{ConfigError, Origin, Setting};
use crate::ModelSettings;
use crate::model::ToolChoice;

const AGENT: Keys = Keys {
    known: &[
        "name",
        "instructions",
        "model",
        "settings",
        "tools",
        #[cfg(all(feature = "skills", unix))]
        "skills",
        "mcp_servers",
        "agents_as_tools",
        "needs_approval",
        "defer_tools",
        "tool_use_behavior",
        "reset_tool_choice",
        "handoffs",
        "handoff_description",
        "output_schema",
        "guardrails",
        "limits",
    ],
    unsupported: &[
        #[cfg(not(all(feature = "skills", unix)))]
        "skills",
    ],
};

const AGENT_TOOL: Keys = Keys {
    known: &["agent", "name", "description"],
    unsupported: &[],
};

const SETTINGS: Keys = Keys {
    known: &[
        "temperature",
        "top_p",
        "max_tokens",
        "tool_choice",
        "parallel_tool_calls",
        "frequency_penalty",
        "presence_penalty",
        "stop",
        "seed",
        "reasoning_effort",
        "extra_body",
    ],
    unsupported: &[],
};

/// The limits of the runs of one agent.
const LIMITS: Keys = Keys {
    known: &[
        "max_turns",
        "max_requests",
        "max_input_tokens",
        "max_output_tokens",
        "max_total_tokens",
        "max_tool_calls",
        "max_cost",
        "max_seconds",
    ],
    unsupported: &[],
};

/// The limits of all runs, and of the answers of all models.
pub(super) const ALL_LIMITS: Keys = Keys {
    known: &[
        "max_turns",
        "max_requests",
        "max_input_tokens",
        "max_output_tokens",
        "max_total_tokens",
        "max_tool_calls",
        "max_cost",
        "max_seconds",
        "max_answer_bytes",
        "max_answers_bytes",
        "max_answer_tool_calls",
        "max_event_bytes",
    ],
    unsupported: &[],
};

pub(super) fn agents(
    root: &mut Fields<'_>,
    files: &Files,
) -> Result<Vec<AgentConfig>, ConfigError> {
    let mut of_file = agent_list(root, files)?;
    let mut agents = Vec::from(built_in());
    agents.retain(|agent| of_file.iter().all(|other| other.name != agent.name));
    agents.append(&mut of_file);
    Ok(agents)
}

/// Reads the agents of a file; no two may share a name.
pub(super) fn agent_list(
    root: &mut Fields<'_>,
    files: &Files,
) -> Result<Vec<AgentConfig>, ConfigError> {
    let nodes = root.nodes("agents", "a list of agents")?;
    let mut of_file: Vec<AgentConfig> = Vec::with_capacity(nodes.len());
    let mut places: HashMap<String, Origin> = HashMap::with_capacity(nodes.len());
    for (path, node) in nodes {
        let agent = agent(&path, node, files, root.settings())?;
        if let Some(first) = places.insert(agent.name.clone(), agent.origin.clone()) {
            return Err(ConfigError::AgentTwice {
                name: agent.name,
                first,
                second: agent.origin,
            });
        }
        of_file.push(agent);
    }
    Ok(of_file)
}

/// The agents that exist unless the file has agents of their names.
fn built_in() -> [AgentConfig; 2] {
    let agent = |name: &str, instructions: &str, tools: &[&str]| AgentConfig {
        instructions: Some(instructions.to_owned()),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        ..AgentConfig::new(name.to_owned(), Origin::BuiltIn)
    };
    let bundled: &[&str] = if cfg!(feature = "bundled-tools") {
        &["calculator", "current_time"]
    } else {
        &[]
    };
    [
        agent(
            "Assistant",
            "You are a helpful assistant. Use your tools where they help, and answer briefly.",
            bundled,
        ),
        agent("EchoAgent", "You are a helpful assistant.", &[]),
    ]
}

pub(super) fn limits(parent: &mut Fields<'_>, keys: Keys) -> Result<LimitsConfig, ConfigError> {
    let Some(node) = parent.take("limits") else {
        return Ok(LimitsConfig::default());
    };
    let path = parent.path_of("limits");
    let mut fields = Fields::new(&path, node, keys, parent.settings())?;
    Ok(LimitsConfig {
        // No run reaches 2^32 turns.
        max_turns: fields
            .count("max_turns")?
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
        max_requests: fields.count("max_requests")?,
        max_input_tokens: fields.count("max_input_tokens")?,
        max_output_tokens: fields.count("max_output_tokens")?,
        max_total_tokens: fields.count("max_total_tokens")?,
        max_tool_calls: fields.count("max_tool_calls")?,
        max_cost: fields.amount("max_cost", "an amount of money, a number such as 0.50")?,
        max_seconds: fields.count("max_seconds")?,
        max_answer_bytes: fields.count("max_answer_bytes")?,
        max_answers_bytes: fields.count("max_answers_bytes")?,
        max_answer_tool_calls: fields.count("max_answer_tool_calls")?,
        max_event_bytes: fields.count("max_event_bytes")?,
    })
}

fn agent(
    path: &str,
    node: TreeNode,
    files: &Files,
    settings: &mut Seen,
) -> Result<AgentConfig, ConfigError> {
    let origin = node.origin.clone();
    let mut fields = Fields::new(path, node, AGENT, settings)?;
    let Some(name) = fields.text("name")? else {
        return Err(fields.invalid("name", "set: every agent has a name", origin));
    };
    let (input_guardrails, output_guardrails) = guardrails(&mut fields)?;
    Ok(AgentConfig {
        instructions: instructions(&mut fields, files)?,
        model: fields.text("model")?,
        settings: model_settings(&mut fields)?,
        tools: fields.texts("tools")?.unwrap_or_default(),
        skills: fields.texts("skills")?.unwrap_or_default(),
        mcp_servers: fields.texts("mcp_servers")?.unwrap_or_default(),
        agents_as_tools: agents_as_tools(&mut fields)?,
        needs_approval: needs_approval(&mut fields)?,
        tool_use: tool_use(&mut fields)?,
        defer_tools: fields.switch("defer_tools")?.unwrap_or_default(),
        reset_tool_choice: fields.switch("reset_tool_choice")?.unwrap_or(true),
        handoffs: fields.texts("handoffs")?.unwrap_or_default(),
        handoff_description: fields.text("handoff_description")?,
        output_schema: fields.json("output_schema")?,
        input_guardrails,
        output_guardrails,
        limits: limits(&mut fields, LIMITS)?,
        ..AgentConfig::new(name, origin)
    })
}

impl AgentConfig {
    /// An agent with its name only.
    fn new(name: String, origin: Origin) -> Self {
        Self {
            name,
            instructions: None,
            model: None,
            settings: ModelSettings::default(),
            tools: Vec::new(),
            skills: Vec::new(),
            mcp_servers: Vec::new(),
            agents_as_tools: Vec::new(),
            needs_approval: ApprovalConfig::default(),
            tool_use: ToolUseConfig::default(),
            defer_tools: false,
            reset_tool_choice: true,
            handoffs: Vec::new(),
            handoff_description: None,
            output_schema: None,
            input_guardrails: Vec::new(),
            output_guardrails: Vec::new(),
            limits: LimitsConfig::default(),
            origin,
        }
    }
}

/// Reads names of agents, or maps with the key `agent`.
fn agents_as_tools(parent: &mut Fields<'_>) -> Result<Vec<AgentToolConfig>, ConfigError> {
    const EXPECTED: &str = "a list of names of agents, or of maps with `agent`";
    let nodes = parent.nodes("agents_as_tools", EXPECTED)?;
    let mut tools = Vec::with_capacity(nodes.len());
    for (path, node) in nodes {
        let node = match node.value {
            Value::Text(agent) if !agent.trim().is_empty() => {
                parent.settings().push(Setting {
                    key: path,
                    value: agent.clone(),
                    origin: node.origin,
                });
                tools.push(AgentToolConfig {
                    agent,
                    name: None,
                    description: None,
                });
                continue;
            }
            _ => node,
        };
        let origin = node.origin.clone();
        let mut fields = Fields::new(&path, node, AGENT_TOOL, parent.settings())?;
        let Some(agent) = fields.text("agent")? else {
            return Err(fields.invalid("agent", "set, to the name of an agent", origin));
        };
        tools.push(AgentToolConfig {
            agent,
            name: fields.text("name")?,
            description: fields.text("description")?,
        });
    }
    Ok(tools)
}

/// Reads `always`, or a list of tools.
fn needs_approval(fields: &mut Fields<'_>) -> Result<ApprovalConfig, ConfigError> {
    const KEY: &str = "needs_approval";
    let Some(TreeNode { value, origin }) = fields.take(KEY) else {
        return Ok(ApprovalConfig::default());
    };
    if matches!(&value, Value::Text(text) if text == "always") {
        fields.list(KEY, "always".to_owned(), &origin);
        return Ok(ApprovalConfig::Always);
    }
    let Some(names) = texts_of(value) else {
        return Err(fields.invalid(KEY, "`always`, or a list of names of tools", origin));
    };
    fields.list(KEY, names.join(", "), &origin);
    Ok(ApprovalConfig::Tools(names))
}

/// Marks `instructions` that name a prompt of a plugin.
pub(super) const PROMPT_PREFIX: &str = "prompt:";

/// Returns the name of the prompt that `instructions` refer to, if they do.
pub(super) fn prompt_name(instructions: &str) -> Option<&str> {
    instructions.strip_prefix(PROMPT_PREFIX).map(str::trim)
}

fn instructions(fields: &mut Fields<'_>, files: &Files) -> Result<Option<String>, ConfigError> {
    let Some((text, origin)) = fields.text_and_origin("instructions")? else {
        return Ok(None);
    };
    let Some(named) = text.strip_prefix("file:") else {
        // A prompt is long, and may be what its owner does not want in a terminal or a report.
        let shown = format!("({} characters)", text.chars().count());
        fields.list("instructions", shown, &origin);
        return Ok(Some(text));
    };
    let path = relative_to_origin(&origin, named.trim());
    let read = files.read(&path).map_err(|source| ConfigError::ReadNamed {
        key: fields.path_of("instructions"),
        origin: origin.clone(),
        path,
        source,
    })?;
    let shown = format!("{text} ({} characters)", read.chars().count());
    fields.list("instructions", shown, &origin);
    Ok(Some(read))
}

/// Resolves a path: relative to the file that it is written in, or to the working directory if it
/// comes from elsewhere.
///
/// `./project` in `./config.yaml` stays `./project`: `././project` in a message looks like a
/// mistake.
pub(super) fn relative_to_origin(origin: &Origin, path: &str) -> PathBuf {
    let folder = match origin {
        Origin::File { path: file, .. } => file.parent().unwrap_or(Path::new("")),
        _ => return PathBuf::from(path),
    };
    folder.join(path.strip_prefix("./").unwrap_or(path))
}

fn model_settings(parent: &mut Fields<'_>) -> Result<ModelSettings, ConfigError> {
    let Some(node) = parent.take("settings") else {
        return Ok(ModelSettings::default());
    };
    let path = parent.path_of("settings");
    let mut fields = Fields::new(&path, node, SETTINGS, parent.settings())?;
    Ok(ModelSettings {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        max_tokens: fields.count("max_tokens")?,
        tool_choice: fields.text("tool_choice")?.map(tool_choice),
        parallel_tool_calls: fields.switch("parallel_tool_calls")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        stop: fields.texts("stop")?,
        seed: fields.whole("seed")?,
        reasoning_effort: fields.text("reasoning_effort")?,
        extra_body: fields.json("extra_body")?.unwrap_or_default(),
        ..ModelSettings::default()
    })
}

fn tool_choice(text: String) -> ToolChoice {
    match text.as_str() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        _ => ToolChoice::Function(text),
    }
}

/// Reads `run_llm_again`, `stop_on_first_tool`, or a map with the key `stop_at_tools`, the names of
/// the Python SDK.
fn tool_use(fields: &mut Fields<'_>) -> Result<ToolUseConfig, ConfigError> {
    const KEY: &str = "tool_use_behavior";
    let Some(TreeNode { value, origin }) = fields.take(KEY) else {
        return Ok(ToolUseConfig::default());
    };
    let (tool_use, shown) = match value {
        Value::Text(text) if text == "run_llm_again" => (Some(ToolUseConfig::RunAgain), text),
        Value::Text(text) if text == "stop_on_first_tool" => {
            (Some(ToolUseConfig::StopOnFirst), text)
        }
        Value::Map(mut entries) if entries.len() == 1 => {
            let names = entries
                .pop()
                .filter(|entry| entry.key == "stop_at_tools")
                .and_then(|entry| texts_of(entry.node.value));
            let shown = names.as_deref().unwrap_or_default().join(", ");
            let shown = format!("stop_at_tools: {shown}");
            (names.map(ToolUseConfig::StopAt), shown)
        }
        _ => (None, String::new()),
    };
    let Some(tool_use) = tool_use else {
        return Err(fields.invalid(
            KEY,
            "run_llm_again, stop_on_first_tool, or a map with a list `stop_at_tools`",
            origin,
        ));
    };
    fields.list(KEY, shown, &origin);
    Ok(tool_use)
}
