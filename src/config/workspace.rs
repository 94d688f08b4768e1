//! Reads the section `workspace`: the folder that tools work in.

use std::collections::BTreeMap;
#[cfg(target_os = "linux")]
use std::time::Duration;

use super::error::ConfigError;
use super::fields::{Fields, Keys};
use super::loader::Loader;
use super::schema::Config;
use super::tree::{TreeNode, Value};
#[cfg(target_os = "linux")]
use crate::tools::workspace::{CommandOptions, Confinement};
use crate::tools::workspace::{Workspace, WorkspaceError};
use crate::tools::{FunctionTool, HostedTool};

const WORKSPACE: Keys = Keys {
    known: &["root", "approval", "commands", "builtin_tools"],
    unsupported: &[],
};

#[cfg(target_os = "linux")]
const COMMANDS: Keys = Keys {
    known: &[
        "timeout_secs",
        "max_output_bytes",
        "max_memory_bytes",
        "max_processes",
        "max_file_bytes",
        "network",
        "confinement",
        "readable",
        "inherit_env",
    ],
    unsupported: &[],
};

/// The tools that need approval unless the file says otherwise: they change files or run programs.
const ASKING: [&str; 4] = ["write_file", "edit_file", "apply_patch", "run_command"];

impl Config {
    /// Returns the workspace, if the file has one. Agents name its tools.
    pub fn workspace(&self) -> Option<&Workspace> {
        Some(&self.workspace.as_ref()?.workspace)
    }

    /// Says whether a tool belongs to the workspace.
    pub fn has_workspace_tool(&self, name: &str) -> bool {
        let mut tools = self.workspace.iter().flat_map(ConfiguredWorkspace::tools);
        tools.any(|tool| tool.name() == name)
    }
}

/// A workspace, and which of its tools need approval.
#[derive(Debug, Clone)]
pub(super) struct ConfiguredWorkspace {
    workspace: Workspace,
    tools: Vec<FunctionTool>,
    approval: WorkspaceApproval,
    /// Hosted tools of the Responses API, each with the workspace tool that performs its calls.
    built_in: Vec<(&'static str, HostedTool)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum WorkspaceApproval {
    Always,
    Never,
    /// What the file says about single tools; the others are as without it.
    ByTool(BTreeMap<String, bool>),
}

impl WorkspaceApproval {
    fn is_needed(&self, tool: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::ByTool(tools) => tools
                .get(tool)
                .copied()
                .unwrap_or_else(|| ASKING.contains(&tool)),
        }
    }
}

impl ConfiguredWorkspace {
    pub(super) fn tools(&self) -> &[FunctionTool] {
        &self.tools
    }

    /// Returns the hosted tools of the Responses API that an agent with these tools offers.
    pub(super) fn built_in_tools(&self, tools: &[String]) -> Vec<HostedTool> {
        let offered = self.built_in.iter();
        let offered = offered.filter(|(name, _)| tools.iter().any(|tool| tool == name));
        offered.map(|(_, tool)| tool.clone()).collect()
    }

    /// Says whether calls of a tool of the workspace need approval.
    pub(super) fn asks(&self, tool: &str) -> bool {
        self.tools.iter().any(|own| own.name() == tool) && self.approval.is_needed(tool)
    }
}

pub(super) fn workspace(
    root: &mut Fields<'_>,
    loader: &Loader,
) -> Result<Option<ConfiguredWorkspace>, ConfigError> {
    const KEY: &str = "workspace";
    let Some(node) = root.take(KEY) else {
        return Ok(None);
    };
    let origin = node.origin.clone();
    let mut fields = Fields::new(KEY, node, WORKSPACE, root.settings())?;
    let Some((text, root_origin)) = fields.text_and_origin("root")? else {
        return Err(fields.invalid("root", "set, to the folder that tools act below", origin));
    };
    let path = loader.path_of(&fields.path_of("root"), &text, &root_origin)?;
    fields.list("root", text, &root_origin);
    let workspace =
        Workspace::open(path).map_err(|source| unusable(&fields, root_origin, source))?;
    let mut tools: Vec<FunctionTool> = workspace.tools().iter().cloned().collect();
    tools.extend(command_tool(&mut fields, &workspace, loader)?);
    let approval = approval(&mut fields, |name| {
        tools.iter().any(|tool| tool.name() == name)
    })?;
    let built_in = built_in(&mut fields)?;
    let tools = tools.into_iter().map(|tool| {
        if approval.is_needed(tool.name()) {
            tool.needs_approval()
        } else {
            // Said explicitly: some of these tools need approval by default.
            tool.needs_approval_if(|_, _| false)
        }
    });
    Ok(Some(ConfiguredWorkspace {
        tools: tools.collect(),
        workspace,
        approval,
        built_in,
    }))
}

/// Reads which workspace tools are offered as hosted tools of the Responses API.
fn built_in(fields: &mut Fields<'_>) -> Result<Vec<(&'static str, HostedTool)>, ConfigError> {
    const KEY: &str = "builtin_tools";
    const EXPECTED: &str = "a list of `shell`, `local_shell` and `apply_patch`";
    let origin = fields.origin_of(KEY);
    let names = fields.texts(KEY)?.unwrap_or_default();
    let tools = names.iter().map(|name| match name.as_str() {
        #[cfg(target_os = "linux")]
        "shell" => {
            let local = serde_json::json!({ "type": "local" });
            Ok((
                "run_command",
                HostedTool::shell().with("environment", local),
            ))
        }
        #[cfg(target_os = "linux")]
        "local_shell" => Ok(("run_command", HostedTool::local_shell())),
        "apply_patch" => Ok(("apply_patch", HostedTool::apply_patch())),
        _ => Err(fields.invalid(KEY, EXPECTED, origin.clone())),
    });
    tools.collect()
}

#[cfg(target_os = "linux")]
fn command_tool(
    parent: &mut Fields<'_>,
    workspace: &Workspace,
    loader: &Loader,
) -> Result<Option<FunctionTool>, ConfigError> {
    const KEY: &str = "commands";
    let node = parent.take(KEY).unwrap_or_else(Fields::nothing);
    let path = parent.path_of(KEY);
    let mut fields = Fields::new(&path, node, COMMANDS, parent.settings())?;
    let mut options = CommandOptions::default();
    if let Some(seconds) = fields.count("timeout_secs")? {
        options = options.timeout(Duration::from_secs(seconds));
    }
    // A limit beyond `usize` cannot be reached, so it bounds nothing.
    let whole = |n| usize::try_from(n).unwrap_or(usize::MAX);
    if let Some(n) = fields.count("max_output_bytes")? {
        options = options.max_output_bytes(whole(n));
    }
    if let Some(n) = fields.count("max_memory_bytes")? {
        options = options.max_memory_bytes(n);
    }
    if let Some(n) = fields.count("max_processes")? {
        options = options.max_processes(whole(n));
    }
    if let Some(n) = fields.count("max_file_bytes")? {
        options = options.max_file_bytes(n);
    }
    if fields.switch("network")? == Some(true) {
        options = options.network();
    }
    if let Some(confinement) = confinement(&mut fields)? {
        options = options.confinement(confinement);
    }
    let readable_origin = fields.origin_of("readable");
    for folder in fields.texts("readable")?.unwrap_or_default() {
        let key = fields.path_of("readable");
        options = options.readable(loader.path_of(&key, &folder, &readable_origin)?);
    }
    for name in fields.texts("inherit_env")?.unwrap_or_default() {
        options = options.inherit(name);
    }
    Ok(Some(workspace.run_command(options)))
}

#[cfg(target_os = "linux")]
fn confinement(fields: &mut Fields<'_>) -> Result<Option<Confinement>, ConfigError> {
    const KEY: &str = "confinement";
    let Some((text, origin)) = fields.text_and_origin(KEY)? else {
        return Ok(None);
    };
    let confinement = match text.as_str() {
        "full" => Confinement::Full,
        "files" => Confinement::Files,
        "none" => Confinement::Off,
        _ => return Err(fields.invalid(KEY, "`full`, `files` or `none`", origin)),
    };
    fields.list(KEY, text, &origin);
    Ok(Some(confinement))
}

/// Refuses the section: commands are confined by Landlock and seccomp, which only Linux has.
#[cfg(not(target_os = "linux"))]
fn command_tool(
    parent: &mut Fields<'_>,
    _: &Workspace,
    _: &Loader,
) -> Result<Option<FunctionTool>, ConfigError> {
    const KEY: &str = "commands";
    let origin = parent.origin_of(KEY);
    match parent.take(KEY) {
        None => Ok(None),
        Some(_) => Err(parent.invalid(KEY, "absent: commands are run on Linux only", origin)),
    }
}

/// Reads `always`, `never`, or a map from tools to either.
fn approval(
    fields: &mut Fields<'_>,
    is_tool: impl Fn(&str) -> bool,
) -> Result<WorkspaceApproval, ConfigError> {
    const KEY: &str = "approval";
    const EXPECTED: &str =
        "`always`, `never`, or a map from names of tools of the workspace to `always` or `never`";
    let Some(TreeNode { value, origin }) = fields.take(KEY) else {
        return Ok(WorkspaceApproval::ByTool(BTreeMap::new()));
    };
    let is_needed = |value: &Value| match value {
        Value::Text(text) if text == "always" => Some(true),
        Value::Text(text) if text == "never" => Some(false),
        _ => None,
    };
    let (approval, shown) = match (&value, is_needed(&value)) {
        (_, Some(true)) => (WorkspaceApproval::Always, "always".to_owned()),
        (_, Some(false)) => (WorkspaceApproval::Never, "never".to_owned()),
        (Value::Map(entries), None) => {
            let mut tools = BTreeMap::new();
            for entry in entries {
                let place = format!("{KEY}.{}", entry.key);
                let is_needed = is_needed(&entry.node.value).filter(|_| is_tool(&entry.key));
                let is_needed = is_needed
                    .ok_or_else(|| fields.invalid(&place, EXPECTED, entry.origin.clone()))?;
                tools.insert(entry.key.clone(), is_needed);
            }
            let words = |(name, is_needed): (&String, &bool)| {
                let word = if *is_needed { "always" } else { "never" };
                format!("{name}: {word}")
            };
            let shown: Vec<String> = tools.iter().map(words).collect();
            (WorkspaceApproval::ByTool(tools), shown.join(", "))
        }
        _ => return Err(fields.invalid(KEY, EXPECTED, origin)),
    };
    fields.list(KEY, shown, &origin);
    Ok(approval)
}

fn unusable(fields: &Fields<'_>, origin: super::Origin, source: WorkspaceError) -> ConfigError {
    ConfigError::Workspace {
        key: fields.path_of("root"),
        origin,
        source: Box::new(source),
    }
}
