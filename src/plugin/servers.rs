//! Reads `mcp.json`, the MCP servers of a plugin.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::manifest::version_of;
use super::{PluginIssue, PluginManifest};
use crate::http::{Headers, Url};
use crate::tools::workspace::Workspace;

const ROOT: &str = "${PLUGIN_ROOT}";
const DATA: &str = "${PLUGIN_DATA}";

/// Describes an MCP server of a plugin, with placeholders expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginServer {
    /// The name in `mcp.json`.
    pub name: String,
    /// Its transport.
    pub transport: PluginTransport,
}

/// The transport of an MCP server of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginTransport {
    /// A process on this machine.
    Stdio {
        /// The program.
        ///
        /// It is a bare name to search for in `PATH`, or an absolute path below the plugin.
        command: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment, `PLUGIN_ROOT` and `PLUGIN_DATA` included.
        env: BTreeMap<String, String>,
        /// Its working directory.
        cwd: PathBuf,
    },
    /// Streamable HTTP.
    StreamableHttp {
        /// The URL.
        url: String,
        /// Headers for every request.
        headers: Vec<(String, String)>,
    },
}

/// The folder of a plugin, and the folder of its data.
#[derive(Debug, Clone, Copy)]
pub(super) struct PluginFolders<'a> {
    pub(super) package: &'a Workspace,
    pub(super) data: &'a Path,
}

/// Parses `mcp.json`. A problem of one server is added to the issues, and the others are used
/// (7.2.2).
pub(super) fn parse(
    text: &str,
    folders: PluginFolders<'_>,
    issues: &mut Vec<PluginIssue>,
) -> Result<Vec<PluginServer>, String> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| format!("line {} is not JSON", error.line()))?;
    let Value::Object(mut fields) = json else {
        return Err("it is not an object".to_owned());
    };
    match fields.shift_remove("$schema") {
        Some(Value::String(schema)) if schema == PluginManifest::SERVERS_SCHEMA => {}
        Some(Value::String(schema)) => {
            return Err(format!(
                "it is for version {} of Agent Plugins, but plugin.json is for 1.0.0",
                version_of(&schema)
            ));
        }
        _ => return Err("`$schema` must be a text: the identifier of the schema".to_owned()),
    }
    let Some(Value::Object(described)) = fields.shift_remove("mcpServers") else {
        return Err("`mcpServers` must be an object".to_owned());
    };
    if let Some(field) = fields.keys().next() {
        return Err(format!("it has the unknown field `{field}`"));
    }
    let mut servers = Vec::with_capacity(described.len());
    for (name, value) in described {
        match transport(value, folders) {
            Ok(transport) => servers.push(PluginServer { name, transport }),
            Err(Refusal::Invalid(problem)) => issues.push(PluginIssue::Server {
                server: name,
                problem,
            }),
            Err(Refusal::Unsupported(transport)) => issues.push(PluginIssue::Transport {
                server: name,
                transport: transport.to_owned(),
            }),
        }
    }
    Ok(servers)
}

enum Refusal {
    Invalid(String),
    Unsupported(&'static str),
}

impl From<String> for Refusal {
    fn from(problem: String) -> Self {
        Self::Invalid(problem)
    }
}

impl From<&str> for Refusal {
    fn from(problem: &str) -> Self {
        Self::Invalid(problem.to_owned())
    }
}

/// Reads a transport. No other fields are allowed (7.2.1).
fn transport(value: Value, folders: PluginFolders<'_>) -> Result<PluginTransport, Refusal> {
    let Value::Object(mut fields) = value else {
        return Err("it is not an object".into());
    };
    let Some(Value::String(kind)) = fields.shift_remove("type") else {
        return Err("`type` must be a text".into());
    };
    let transport = match kind.as_str() {
        "stdio" => stdio(&mut fields, folders)?,
        "streamable-http" | "sse" => http(&mut fields)?,
        _ => return Err(format!("its `type` is `{kind}`").into()),
    };
    if let Some(field) = fields.keys().next() {
        return Err(format!("it has the unknown field `{field}`").into());
    }
    // Read like streamable HTTP first, so that a wrong entry is called wrong and not unsupported.
    if kind == "sse" {
        return Err(Refusal::Unsupported("sse"));
    }
    Ok(transport)
}

fn stdio(
    fields: &mut Map<String, Value>,
    folders: PluginFolders<'_>,
) -> Result<PluginTransport, Refusal> {
    let root = folders.package.root().display().to_string();
    let data = folders.data.display().to_string();
    let expand = |text: &str| expand(text, &root, &data);
    let args = match fields.shift_remove("args") {
        None => Vec::new(),
        Some(Value::Array(args)) => args
            .iter()
            .map(|arg| arg.as_str().map(expand))
            .collect::<Option<_>>()
            .ok_or("`args` must be a list of texts")?,
        Some(_) => return Err("`args` must be a list of texts".into()),
    };
    let mut env = BTreeMap::new();
    for (name, value) in texts(fields, "env")? {
        if ["PLUGIN_ROOT", "PLUGIN_DATA"].contains(&name.as_str()) {
            return Err(format!("`env` must not have `{name}`").into());
        }
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err("`env` has a name that no variable can have".into());
        }
        env.insert(name, expand(&value));
    }
    // Set last, so that the plugin cannot replace them (9.1).
    env.insert("PLUGIN_ROOT".to_owned(), root.clone());
    env.insert("PLUGIN_DATA".to_owned(), data.clone());
    Ok(PluginTransport::Stdio {
        command: command(fields.shift_remove("command"), folders.package)?,
        args,
        env,
        cwd: working_folder(fields.shift_remove("cwd"), folders)?,
    })
}

/// Reads the command: a bare name, or a path below the plugin. Placeholders are not expanded in it.
fn command(command: Option<Value>, package: &Workspace) -> Result<PathBuf, Refusal> {
    let Some(Value::String(command)) = command else {
        return Err("`command` must be a text".into());
    };
    if command.starts_with("./") {
        let path = package
            .resolve(&command)
            .map_err(|error| format!("`command` is not a path in the plugin: {error}"))?;
        return Ok(path);
    }
    let is_bare = !command.is_empty()
        && !command.contains(['/', '\\', '\0'])
        && !command.contains(char::is_whitespace)
        && command != "."
        && command != "..";
    if is_bare {
        return Ok(PathBuf::from(command));
    }
    Err("`command` must be a bare name, or a path that begins with ./".into())
}

/// Reads `cwd` in its three forms. The folder must be in the plugin or in its data.
fn working_folder(cwd: Option<Value>, folders: PluginFolders<'_>) -> Result<PathBuf, Refusal> {
    let cwd = match cwd {
        None => return Ok(folders.package.root().to_owned()),
        Some(Value::String(cwd)) => cwd,
        Some(_) => return Err("`cwd` must be a text".into()),
    };
    let below = |placeholder: &str| {
        let rest = cwd.strip_prefix(placeholder)?;
        (rest.is_empty() || rest.starts_with('/'))
            .then(|| format!("./{}", rest.trim_start_matches('/')))
    };
    let (root, data) = (
        folders.package.root().display().to_string(),
        folders.data.display().to_string(),
    );
    let of_package = below(ROOT).or_else(|| cwd.starts_with("./").then(|| cwd.clone()));
    if let Some(path) = of_package {
        let path = expand(&path, &root, &data);
        let found = folders.package.resolve(&path);
        let found = found.map_err(|error| format!("`cwd` is not a path in the plugin: {error}"))?;
        return Ok(found);
    }
    let Some(path) = below(DATA) else {
        return Err("`cwd` must begin with ./, ${PLUGIN_ROOT} or ${PLUGIN_DATA}".into());
    };
    let path = expand(&path, &root, &data);
    let leads_out = Path::new(&path)
        .components()
        .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if leads_out {
        return Err("`cwd` leads out of the data of the plugin".into());
    }
    // The data folder may not exist yet. Then no link in it can lead out.
    match Workspace::open(folders.data) {
        Ok(found) => found.resolve_or_absent(&path),
        Err(_) => Ok(folders.data.join(path.trim_start_matches("./"))),
    }
    .map_err(|error| format!("`cwd` is not a path in the data of the plugin: {error}").into())
}

fn http(fields: &mut Map<String, Value>) -> Result<PluginTransport, Refusal> {
    let Some(Value::String(url)) = fields.shift_remove("url") else {
        return Err("`url` must be a text".into());
    };
    // `Url` refuses a user name, a fragment and a relative URL.
    let parsed = Url::parse(&url).map_err(|error| format!("`url` cannot be used: {error}"))?;
    if !parsed.is_https() && !is_loopback(parsed.host_port()) {
        return Err("`url` must begin with https:// unless its host is this machine".into());
    }
    let headers: Vec<(String, String)> = texts(fields, "headers")?.into_iter().collect();
    let mut checked = Headers::new();
    for (n, (name, value)) in headers.iter().enumerate() {
        let is_twice = headers
            .iter()
            .take(n)
            .any(|(other, _)| other.eq_ignore_ascii_case(name));
        if is_twice {
            return Err(format!("the header `{name}` appears twice").into());
        }
        let inserted = checked.insert(name, value);
        inserted.map_err(|_| format!("the header `{name}` cannot be sent"))?;
    }
    Ok(PluginTransport::StreamableHttp { url, headers })
}

fn is_loopback(host_port: &str) -> bool {
    let host = host_port
        .rsplit_once(':')
        .map_or(host_port, |(host, _)| host);
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Reads an object of texts.
fn texts(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = || Refusal::Invalid(format!("`{field}` must be an object of texts"));
    match fields.shift_remove(field) {
        None => Ok(Vec::new()),
        Some(Value::Object(texts)) => texts
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name, value)),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// Expands both placeholders wherever they appear, but not inside the inserted text (9.2).
pub(super) fn expand(text: &str, root: &str, data: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${PLUGIN_") {
        let (before, placeholder) = rest.split_at(at);
        expanded.push_str(before);
        rest = match (
            placeholder.strip_prefix(ROOT),
            placeholder.strip_prefix(DATA),
        ) {
            (Some(after), _) => {
                expanded.push_str(root);
                after
            }
            (None, Some(after)) => {
                expanded.push_str(data);
                after
            }
            (None, None) => {
                // Not one of the two: it stays as it is, and the search goes on behind its `${`.
                let (literal, after) = placeholder.split_at(2);
                expanded.push_str(literal);
                after
            }
        };
    }
    expanded + rest
}
