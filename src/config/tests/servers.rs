//! MCP servers in the file.

use super::{load, settings, yaml};
use crate::config::ConfigError;
use crate::mcp::{McpApproval, McpClient};

const SERVERS: &str = "
mcp_servers:
  files:
    command: ./bin/files
    args: [--token, secret]
    env: { KEY: secret }
    cwd: data
    allow_tools: [read]
    block_tools: [write]
    prefix_tools: true
    approval: { read: never }
    connect_timeout_secs: 3
    call_timeout_secs: 4
  web:
    url: https://mcp.example/mcp?key=secret
    headers: { X-Key: secret }
    bearer_token: secret
    approval: always
agents:
  - { name: A, mcp_servers: [files] }
  - { name: B, handoffs: [A] }
";

#[test]
fn servers_are_set_up_and_their_secrets_not_shown() {
    let config = load(yaml(SERVERS));
    config.check().unwrap();
    let names: Vec<&str> = config
        .mcp_servers()
        .servers()
        .iter()
        .map(McpClient::name)
        .collect();
    assert_eq!(names, ["files", "web"]);
    let approval = |name: &str| config.mcp_servers().get(name).unwrap().approval().clone();
    assert_eq!(approval("web"), McpApproval::Always);
    assert!(!approval("files").is_needed("read") && approval("files").is_needed("other"));
    let shown = settings(&config).join("\n");
    assert!(
        !shown.contains("secret") && !format!("{config:?}").contains("secret"),
        "{shown}"
    );
    assert!(
        shown.contains("mcp_servers.web.url = https://mcp.example/mcp?key=.. (./config.yaml:15)"),
        "{shown}"
    );
    assert!(
        shown.contains("mcp_servers.files.env.KEY = (set, 6 characters)"),
        "{shown}"
    );
    let variable = yaml("mcp_servers: {web: {url: 'http://h'}}")
        .variable("OPENAI_AGENTS__MCP_SERVERS__WEB__BEARER_TOKEN", "007");
    assert!(
        settings(&load(variable))
            .iter()
            .any(|line| line.starts_with("mcp_servers.web.bearer_token = (set, 3"))
    );
}

#[test]
fn a_run_may_wait_where_a_server_wants_approval() {
    let config = load(yaml(SERVERS));
    let can_wait = |name: &str| config.can_wait(config.agent_config(name).unwrap());
    assert_eq!(["A", "B", "Assistant"].map(can_wait), [true, true, false]);
}

#[test]
fn wrong_servers_are_errors() {
    const EITHER: &str = "either a program (`command`, with `args`, `env`, `inherit_env`, `cwd`) or an address (`url`, with `headers`, `bearer_token`)";
    const URL: &str =
        "a URL that starts with http:// or https://, with a host and without a user name";
    const APPROVAL: &str = "`never`, `always`, or a map from names of tools to `never` or `always`";
    for (text, key, expected) in [
        ("[secret]", "", "a map from names to MCP servers"),
        ("{s: secret}", ".s", "a map of settings"),
        ("{s: {args: [a]}}", ".s", EITHER),
        ("{s: {command: a, url: 'http://h'}}", ".s", EITHER),
        ("{s: {command: a, bearer_token: secret}}", ".s", EITHER),
        ("{s: {url: 'http://h', env: {A: secret}}}", ".s", EITHER),
        ("{s: {url: 'http://me:secret@h'}}", ".s.url", URL),
        (
            "{s: {command: a, approval: secret}}",
            ".s.approval",
            APPROVAL,
        ),
        (
            "{s: {command: a, env: {A: 1}}}",
            ".s.env.A",
            "a map from names to texts (a number needs quotes to be text)",
        ),
    ] {
        let expected = format!("`mcp_servers{key}` (./config.yaml:1) must be {expected}");
        super::check_error(yaml(&format!("mcp_servers: {text}")), &expected);
    }
    let config = load(yaml(&SERVERS.replace("[files]", "[file]")));
    let error = config.check().unwrap_err();
    assert!(matches!(error, ConfigError::UnknownMcpServer { .. }));
    assert_eq!(
        error.to_string(),
        "agent `A` (./config.yaml:20) names the MCP server `file`, which does not exist; did you mean `files`?",
    );
}
