//! Reads the section `mcp_servers`, whose tools agents can use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::agents::relative_to_origin;
use super::fields::{Fields, Keys, Seen};
use super::loader::without_query_values;
use super::schema::{AgentConfig, Config};
use super::tree::{TreeEntry, TreeNode, Value};
use super::{ConfigError, GuardrailCheck, Origin};
use crate::future::BoxFuture;
use crate::http::HttpClient;
use crate::mcp::{
    McpApproval, McpClient, McpClientBuilder, McpClients, McpError, McpTransport, Stdio,
    StreamableHttp,
};
use crate::secret::RedactorBuilder;
use crate::tools::{FunctionTool, ToolSource, ToolSourceError};

const SERVER: Keys = Keys {
    known: &[
        "command",
        "args",
        "env",
        "inherit_env",
        "cwd",
        "url",
        "headers",
        "bearer_token",
        "allow_tools",
        "block_tools",
        "prefix_tools",
        "defer_tools",
        "approval",
        "connect_timeout_secs",
        "call_timeout_secs",
        "reconnect_after_secs",
    ],
    unsupported: &[],
};

impl Config {
    /// Returns the MCP servers.
    ///
    /// They are connected by [`connect_mcp`](Self::connect_mcp), or when their tools are first
    /// asked for.
    pub const fn mcp_servers(&self) -> &McpClients {
        &self.mcp_servers
    }

    /// Connects the MCP servers that runs of an agent can reach, all at once.
    ///
    /// Connecting before a run shows an error before anything is sent to a model.
    ///
    /// # Errors
    ///
    /// [`McpError`] of the first server in the file that failed. Nothing is retried.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connections and processes that are not ready yet.
    pub async fn connect_mcp(&self, agent: &AgentConfig) -> Result<(), McpError> {
        let agents = self.with_guardrails(agent);
        let connected = join_all(self.servers_of(&agents).map(McpClient::connect)).await;
        connected.into_iter().collect()
    }

    /// Returns the servers that any of the agents names.
    pub(super) fn servers_of<'a>(
        &'a self,
        agents: &[&AgentConfig],
    ) -> impl Iterator<Item = &'a McpClient> {
        self.mcp_servers.servers().iter().filter(|server| {
            let mut names = agents.iter().flat_map(|agent| &agent.mcp_servers);
            names.any(|name| name == server.name())
        })
    }

    /// Returns the agents that a run can reach, guardrails included.
    fn with_guardrails<'a>(&'a self, start: &'a AgentConfig) -> Vec<&'a AgentConfig> {
        let mut found = self.reachable(start);
        let mut n_looked_at = 0;
        while let Some(agent) = found.get(n_looked_at).copied() {
            n_looked_at += 1;
            let guardrails = agent
                .input_guardrails
                .iter()
                .chain(&agent.output_guardrails);
            for guardrail in guardrails {
                let GuardrailCheck::Agent(name) = &guardrail.check else {
                    continue;
                };
                let Ok(judge) = self.agent_config(name) else {
                    continue;
                };
                for next in self.reachable(judge) {
                    if !found.iter().any(|known| known.name == next.name) {
                        found.push(next);
                    }
                }
            }
        }
        found
    }
}

/// Makes every call to a server wait for approval, because the agent has `needs_approval: always`.
pub(super) struct ApprovalRequired {
    server: Box<dyn ToolSource>,
    /// The last list of the server and what was made of it. A source that gives the same list again
    /// (`Arc::ptr_eq`) saves the runner from going through its tools, so ours must be the same as
    /// well.
    given: Mutex<Option<WrappedTools>>,
}

type Tools = Arc<[FunctionTool]>;

struct WrappedTools {
    of: Tools,
    tools: Tools,
}

impl ApprovalRequired {
    pub(super) fn new(server: impl ToolSource + 'static) -> Self {
        Self {
            server: Box::new(server),
            given: Mutex::new(None),
        }
    }

    fn give(&self, of: Tools) -> Tools {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*given
            && Arc::ptr_eq(&known.of, &of)
        {
            return Arc::clone(&known.tools);
        }
        let tools: Tools = of
            .iter()
            .cloned()
            .map(FunctionTool::needs_approval)
            .collect();
        *given = Some(WrappedTools {
            of,
            tools: Arc::clone(&tools),
        });
        tools
    }
}

impl ToolSource for ApprovalRequired {
    fn name(&self) -> &str {
        self.server.name()
    }

    fn tools(&self) -> BoxFuture<'_, Result<Tools, ToolSourceError>> {
        Box::pin(async { Ok(self.give(self.server.tools().await?)) })
    }
}

pub(super) fn mcp_servers(
    root: &mut Fields<'_>,
    client: &HttpClient,
) -> Result<McpClients, ConfigError> {
    const KEY: &str = "mcp_servers";
    const EXPECTED: &str = "a map from names to MCP servers";
    let entries = match root.take(KEY) {
        None => Vec::new(),
        Some(TreeNode {
            value: Value::Map(entries),
            ..
        }) => entries,
        Some(TreeNode { origin, .. }) => return Err(root.invalid(KEY, EXPECTED, origin)),
    };
    let mut servers = Vec::with_capacity(entries.len());
    for TreeEntry { key, origin, node } in entries {
        let path = format!("{KEY}.{key}");
        if node.value != Value::Null {
            let described = Described {
                name: &key,
                path: &path,
                origin,
                client,
            };
            servers.push(server(described, node, root.settings())?);
        }
    }
    // Cannot fail: the keys of a map are unique.
    McpClients::new(servers).map_err(|source| unusable(KEY, Origin::Default, source))
}

/// The server that is being read.
struct Described<'a> {
    name: &'a str,
    path: &'a str,
    origin: Origin,
    client: &'a HttpClient,
}

fn server(
    described: Described<'_>,
    node: TreeNode,
    settings: &mut Seen,
) -> Result<McpClient, ConfigError> {
    let Described {
        name,
        path,
        origin,
        client,
    } = described;
    let mut fields = Fields::new(path, node, SERVER, settings)?;
    let transport = match transport(path, &origin, &mut fields)? {
        McpTransport::Http(http) => http.http_client(client.clone()).into(),
        stdio @ McpTransport::Stdio(_) => stdio,
    };
    let mut builder = McpClient::builder(name, transport).approval(approval(&mut fields)?);
    if let Some(names) = fields.texts("allow_tools")? {
        builder = builder.allow_tools(names);
    }
    if let Some(names) = fields.texts("block_tools")? {
        builder = builder.block_tools(names);
    }
    if fields.switch("prefix_tools")? == Some(true) {
        builder = builder.prefix_tools();
    }
    if fields.switch("defer_tools")? == Some(true) {
        builder = builder.defer_tools();
    }
    builder = time_outs(&mut fields, builder)?;
    builder
        .build()
        .map_err(|source| unusable(path, origin, source))
}

fn time_outs(
    fields: &mut Fields<'_>,
    mut builder: McpClientBuilder,
) -> Result<McpClientBuilder, ConfigError> {
    if let Some(seconds) = fields.count("connect_timeout_secs")? {
        builder = builder.connect_timeout(Duration::from_secs(seconds));
    }
    if let Some(seconds) = fields.count("call_timeout_secs")? {
        builder = builder.call_timeout(Duration::from_secs(seconds));
    }
    if let Some(seconds) = fields.count("reconnect_after_secs")? {
        builder = builder.reconnect_after(Duration::from_secs(seconds));
    }
    Ok(builder)
}

/// Reads a program or an address, with the keys of that kind only.
fn transport(
    path: &str,
    origin: &Origin,
    fields: &mut Fields<'_>,
) -> Result<McpTransport, ConfigError> {
    let wrong = |expected| ConfigError::Invalid {
        key: path.to_owned(),
        expected,
        origin: origin.clone(),
    };
    let command = fields.text_and_origin("command")?;
    let url = fields.text_and_origin("url")?;
    let of_program = ["args", "env", "inherit_env", "cwd"].map(|key| fields.has(key));
    let of_address = ["headers", "bearer_token"].map(|key| fields.has(key));
    match (command, url) {
        (Some((command, origin)), None) if !of_address.contains(&true) => {
            Ok(stdio(fields, &command, &origin)?.into())
        }
        (None, Some((url, origin))) if !of_program.contains(&true) => {
            Ok(http(fields, &url, &origin)?.into())
        }
        _ => Err(wrong(
            "either a program (`command`, with `args`, `env`, `inherit_env`, `cwd`) or an address (`url`, with `headers`, `bearer_token`)",
        )),
    }
}

fn stdio(fields: &mut Fields<'_>, command: &str, origin: &Origin) -> Result<Stdio, ConfigError> {
    fields.list("command", command.to_owned(), origin);
    // As in a shell, a bare name is searched for in PATH. Any other path is relative to the file.
    let program = if command.contains(std::path::is_separator) {
        let path = relative_to_origin(origin, command);
        // Made absolute, because the process is started in `cwd`, where a relative path means another program.
        std::path::absolute(&path).unwrap_or(path)
    } else {
        PathBuf::from(command)
    };
    let mut stdio = Stdio::new(program);
    let args_origin = fields.origin_of("args");
    if let Some(arguments) = fields.unlisted_texts("args")? {
        // Only counted, since one may be a token.
        fields.list(
            "args",
            format!("({} arguments)", arguments.len()),
            &args_origin,
        );
        stdio = stdio.args(arguments);
    }
    for (name, value) in fields.secrets("env", RedactorBuilder::variable)? {
        stdio = stdio.env(name, value);
    }
    for name in fields.texts("inherit_env")?.unwrap_or_default() {
        stdio = stdio.inherit(name);
    }
    if let Some((directory, origin)) = fields.text_and_origin("cwd")? {
        stdio = stdio.current_dir(relative_to_origin(&origin, &directory));
        fields.list("cwd", directory, &origin);
    }
    Ok(stdio)
}

fn http(
    fields: &mut Fields<'_>,
    url: &str,
    origin: &Origin,
) -> Result<StreamableHttp, ConfigError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
        let expected =
            "a URL that starts with http:// or https://, with a host and without a user name";
        return Err(fields.invalid("url", expected, origin.clone()));
    }
    fields.settings().keep_secret(|secrets| secrets.url(url));
    fields.list("url", without_query_values(url), origin);
    let mut http = StreamableHttp::new(url);
    for (name, value) in fields.secrets("headers", |secrets, _, value| secrets.header(value))? {
        http = http.header(name, value);
    }
    if let Some(token) = fields.secret("bearer_token")? {
        http = http.bearer_token(token);
    }
    Ok(http)
}

/// Reads `never`, `always`, or a map from tools to either.
fn approval(fields: &mut Fields<'_>) -> Result<McpApproval, ConfigError> {
    const KEY: &str = "approval";
    const EXPECTED: &str = "`never`, `always`, or a map from names of tools to `never` or `always`";
    let Some(TreeNode { value, origin }) = fields.take(KEY) else {
        return Ok(McpApproval::default());
    };
    let is_needed = |value: &Value| match value {
        Value::Text(text) if text == "always" => Some(true),
        Value::Text(text) if text == "never" => Some(false),
        _ => None,
    };
    let (approval, shown) = match (&value, is_needed(&value)) {
        (_, Some(true)) => (Some(McpApproval::Always), "always".to_owned()),
        (_, Some(false)) => (Some(McpApproval::Never), "never".to_owned()),
        (Value::Map(entries), None) => {
            let tools = entries
                .iter()
                .map(|entry| Some((entry.key.clone(), is_needed(&entry.node.value)?)));
            let tools: Option<BTreeMap<String, bool>> = tools.collect();
            (
                tools.map(McpApproval::ByTool),
                format!("by tool ({})", entries.len()),
            )
        }
        _ => (None, String::new()),
    };
    let Some(approval) = approval else {
        return Err(fields.invalid(KEY, EXPECTED, origin));
    };
    fields.list(KEY, shown, &origin);
    Ok(approval)
}

fn unusable(key: &str, origin: Origin, source: McpError) -> ConfigError {
    ConfigError::McpServer {
        key: key.to_owned(),
        origin,
        source: Box::new(source),
    }
}
