//! `mcp.json`, and the processes that come of it.

use std::fs;
use std::os::unix::fs::symlink;

use openai_agents::http::HttpClient;
use openai_agents::plugin::PluginTransport;
use openai_agents::tools::ToolSource as _;
use openai_agents::{FunctionTool, RunContext, ToolContext};

use super::{Package, SERVERS_SCHEMA, issues};

/// A server with one tool, which tells where it runs and what it was given.
const SERVER: &str = r#"#!/bin/sh
while read -r request; do
    case $request in
        *'"method":"server/discover"'*) answer='"error":{"code":-32601,"message":"unknown"}' ;;
        *'"method":"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
        *'"method":"tools/list"'*) answer='"result":{"tools":[{"name":"where","inputSchema":{"type":"object"}}]}' ;;
        *'"method":"tools/call"'*)
            touch "$PLUGIN_DATA/written"
            answer='"result":{"content":[{"type":"text","text":"'"$(pwd)|$PLUGIN_ROOT|$PLUGIN_DATA|$#|$1|$2|$SETTING|$CARGO_MANIFEST_DIR"'"}]}' ;;
        *) continue ;;
    esac
    id=${request#*\"id\":}
    id=${id%%[,\}]*}
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$answer"
done
"#;

/// The server named `s` with these fields is skipped for this reason, and the other is used (7.2.2).
#[track_caller]
fn check_skipped(fields: &str, problem: &str) {
    let package = Package::new("").servers(&format!(
        r#"{{"s": {{{fields}}}, "other": {{"type": "stdio", "command": "other"}}}}"#
    ));
    let plugins = package.named();
    assert_eq!(
        issues(&plugins.found()[0]),
        [format!("the MCP server `s` {problem}")],
        "{fields}"
    );
    let names: Vec<&str> = plugins
        .enabled()
        .next()
        .unwrap()
        .servers()
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["other"]);
}

/// 7.2.1: the variants are closed.
#[test]
fn servers_that_break_a_rule_are_skipped_one_by_one() {
    for (fields, problem) in [
        ("", "`type` must be a text"),
        (r#""command": "x""#, "`type` must be a text"),
        (
            r#""type": "http", "url": "https://a.example""#,
            "its `type` is `http`",
        ),
        (r#""type": "stdio""#, "`command` must be a text"),
        (
            r#""type": "stdio", "command": 1"#,
            "`command` must be a text",
        ),
        (
            r#""type": "stdio", "command": "x", "url": "https://a.example""#,
            "it has the unknown field `url`",
        ),
        (
            r#""type": "stdio", "command": "x", "timeout": 1"#,
            "it has the unknown field `timeout`",
        ),
        (
            r#""type": "stdio", "command": "x", "args": "a""#,
            "`args` must be a list of texts",
        ),
        (
            r#""type": "stdio", "command": "x", "args": [1]"#,
            "`args` must be a list of texts",
        ),
        (
            r#""type": "stdio", "command": "x", "env": []"#,
            "`env` must be an object of texts",
        ),
        (
            r#""type": "stdio", "command": "x", "env": {"A": 1}"#,
            "`env` must be an object of texts",
        ),
        (
            r#""type": "stdio", "command": "x", "env": {"PLUGIN_ROOT": "/"}"#,
            "`env` must not have `PLUGIN_ROOT`",
        ),
        (
            r#""type": "stdio", "command": "x", "env": {"PLUGIN_DATA": "/"}"#,
            "`env` must not have `PLUGIN_DATA`",
        ),
    ] {
        check_skipped(fields, &format!("cannot be used: {problem}"));
    }
}

/// 7.2.1: the same for servers at an address, and their headers.
#[test]
fn servers_over_http_that_break_a_rule_are_skipped_one_by_one() {
    for (fields, problem) in [
        (r#""type": "streamable-http""#, "`url` must be a text"),
        (
            r#""type": "streamable-http", "url": "https://a.example", "command": "x""#,
            "it has the unknown field `command`",
        ),
        (
            r#""type": "streamable-http", "url": "http://a.example""#,
            "`url` must begin with https:// unless its host is this machine",
        ),
        (
            r#""type": "streamable-http", "url": "http://localhost.example""#,
            "`url` must begin with https:// unless its host is this machine",
        ),
        (
            r#""type": "streamable-http", "url": "https://a.example", "headers": {"X-A": "1", "x-a": "2"}"#,
            "the header `x-a` appears twice",
        ),
        (
            r#""type": "streamable-http", "url": "https://a.example", "headers": {"X A": "1"}"#,
            "the header `X A` cannot be sent",
        ),
        (
            r#""type": "streamable-http", "url": "https://a.example", "headers": {"X-A": "1\n2"}"#,
            "the header `X-A` cannot be sent",
        ),
        (
            r#""type": "streamable-http", "url": "https://a.example", "headers": {"X-A": 1}"#,
            "`headers` must be an object of texts",
        ),
    ] {
        check_skipped(fields, &format!("cannot be used: {problem}"));
    }
    check_skipped(
        r#""type": "sse", "url": "https://a.example/sse""#,
        "has the transport `sse`, which is not supported; use stdio or streamable-http",
    );
}

/// 7.2.1: user information, fragments and relative addresses.
#[test]
fn servers_with_an_address_that_cannot_be_used_are_skipped() {
    for url in [
        "https://u:p@a.example",
        "https://a.example/#x",
        "/mcp",
        "a.example",
        "ftp://a.example",
        "https://",
    ] {
        let package = Package::new("").servers(&format!(
            r#"{{"s": {{"type": "streamable-http", "url": "{url}"}}}}"#
        ));
        let plugins = package.named();
        let issues = issues(&plugins.found()[0]);
        assert!(
            issues[0].starts_with("the MCP server `s` cannot be used: `url` cannot be used: "),
            "{url}: {issues:?}"
        );
    }
}

/// 7.2.1, 9.2: http to this machine, and nothing expanded in addresses and headers.
#[test]
fn servers_over_http_are_taken_as_they_are_written() {
    for url in [
        "https://a.example/${PLUGIN_ROOT}",
        "http://localhost:1/mcp",
        "http://127.0.0.9/mcp",
        "http://[::1]:1/mcp",
    ] {
        // A brace has no place in an address.
        let url = url.replace("${PLUGIN_ROOT}", "$PLUGIN_ROOT");
        let package = Package::new("").servers(&format!(
            r#"{{"s": {{"type": "streamable-http", "url": "{url}", "headers": {{"X-A": "${{PLUGIN_ROOT}}"}}}}}}"#
        ));
        let plugins = package.named();
        let plugin = plugins.enabled().next().unwrap();
        assert_eq!(issues(&plugins.found()[0]), [""; 0]);
        assert_eq!(
            plugin.servers()[0].transport,
            PluginTransport::StreamableHttp {
                url,
                headers: vec![("X-A".to_owned(), "${PLUGIN_ROOT}".to_owned())]
            }
        );
    }
}

/// 4.1.4, 7.2.1: `command` and `cwd` stay where they may be.
#[test]
fn servers_whose_paths_lead_out_are_skipped() {
    for command in [
        "",
        "../bin/x",
        "/bin/sh",
        "bin/x",
        "sh -c x",
        "..",
        "${PLUGIN_ROOT}/x",
    ] {
        check_skipped(
            &format!(r#""type": "stdio", "command": "{command}""#),
            "cannot be used: `command` must be a bare name, or a path that begins with ./",
        );
    }
    for (command, problem) in [
        ("./../x", "`./../x` leads out of the workspace"),
        ("./gone", "`./gone` cannot be read"),
    ] {
        check_skipped(
            &format!(r#""type": "stdio", "command": "{command}""#),
            &format!("cannot be used: `command` is not a path in the plugin: {problem}"),
        );
    }
    for (cwd, problem) in [
        (
            "data",
            "`cwd` must begin with ./, ${PLUGIN_ROOT} or ${PLUGIN_DATA}",
        ),
        (
            "/",
            "`cwd` must begin with ./, ${PLUGIN_ROOT} or ${PLUGIN_DATA}",
        ),
        (
            "${PLUGIN_ROOTS}/a",
            "`cwd` must begin with ./, ${PLUGIN_ROOT} or ${PLUGIN_DATA}",
        ),
        (
            "./..",
            "`cwd` is not a path in the plugin: `./..` leads out of the workspace",
        ),
        (
            "${PLUGIN_ROOT}/..",
            "`cwd` is not a path in the plugin: `./..` leads out of the workspace",
        ),
        (
            "${PLUGIN_DATA}/../q",
            "`cwd` leads out of the data of the plugin",
        ),
    ] {
        check_skipped(
            &format!(r#""type": "stdio", "command": "x", "cwd": "{cwd}""#),
            &format!("cannot be used: {problem}"),
        );
    }
}

/// 4.1.3: links out of the folder, for the program and for its folder.
#[test]
fn servers_whose_links_lead_out_are_skipped() {
    let package = Package::new("").servers(
        r#"{"a": {"type": "stdio", "command": "./link"}, "b": {"type": "stdio", "command": "x", "cwd": "./folder"},
            "c": {"type": "stdio", "command": "x", "cwd": "${PLUGIN_DATA}/link"}}"#,
    );
    symlink("/bin/sh", package.path("link")).unwrap();
    symlink("/", package.path("folder")).unwrap();
    fs::create_dir_all(package.data()).unwrap();
    symlink("/", package.data().join("link")).unwrap();
    let plugins = package.named();
    let issues = issues(&plugins.found()[0]);
    assert_eq!(issues.len(), 3, "{issues:?}");
    assert!(
        issues
            .iter()
            .all(|issue| issue.ends_with("leads out of the workspace")),
        "{issues:?}"
    );
}

/// 7.2.2.2, 10.1: what is wrong with the whole file disables all servers and nothing else.
#[test]
fn servers_file_that_is_wrong_disables_servers_only() {
    for (text, problem) in [
        ("{", "line 1 is not JSON"),
        ("[]", "it is not an object"),
        (
            r#"{"mcpServers": {}}"#,
            "`$schema` must be a text: the identifier of the schema",
        ),
        (
            r#"{"$schema": "https://agent-plugins.org/schemas/1.1.0/mcp.schema.json", "mcpServers": {}}"#,
            "it is for version 1.1.0 of Agent Plugins, but plugin.json is for 1.0.0",
        ),
        (
            &format!(r#"{{"$schema": "{SERVERS_SCHEMA}"}}"#),
            "`mcpServers` must be an object",
        ),
        (
            &format!(r#"{{"$schema": "{SERVERS_SCHEMA}", "mcpServers": []}}"#),
            "`mcpServers` must be an object",
        ),
        (
            &format!(r#"{{"$schema": "{SERVERS_SCHEMA}", "mcpServers": {{}}, "x": 1}}"#),
            "it has the unknown field `x`",
        ),
    ] {
        let package = Package::new("").skill("good").file("mcp.json", text);
        let plugins = package.named();
        assert_eq!(
            issues(&plugins.found()[0]),
            [format!("mcp.json cannot be used: {problem}")]
        );
        assert_eq!(plugins.enabled().next().unwrap().skills().len(), 1);
    }
}

async fn tell(tool: &FunctionTool) -> String {
    let cx = ToolContext::new(
        RunContext::default(),
        "A",
        tool.name().clone(),
        "call_1",
        "{}",
    );
    let output = tool.invoke(cx).await.into_output().unwrap();
    output.to_json().as_str().unwrap().to_owned()
}

/// 7.2.1, 9.1, 9.2: where a server runs, what it sees, and what is expanded, on real processes.
#[tokio::test]
async fn servers_run_where_and_with_what_they_are_described() {
    let package = Package::new("").program("bin/server", SERVER).servers(
        r#"{
            "a": {"type": "stdio", "command": "./bin/server"},
            "b": {"type": "stdio", "command": "./bin/server", "cwd": "./bin", "args": ["${PLUGIN_ROOT}/x ${PLUGIN_DATA}", "$HOME ${HOME} ${PLUGIN_"]},
            "c": {"type": "stdio", "command": "./bin/server", "cwd": "${PLUGIN_ROOT}/bin", "env": {"SETTING": "${PLUGIN_DATA}/s", "PATH": "/bin:/usr/bin"}},
            "d": {"type": "stdio", "command": "./bin/server", "cwd": "${PLUGIN_DATA}"}
        }"#,
    );
    let plugins = package.named();
    let plugin = plugins.enabled().next().unwrap();
    assert_eq!(issues(&plugins.found()[0]), [""; 0]);
    let (root, data) = (
        package.root().display().to_string(),
        package.data().display().to_string(),
    );
    let client = HttpClient::builder().build().unwrap();
    let sources = plugin.tool_sources(&client).unwrap();
    let given = format!("{root}|{data}");
    for (source, expected) in sources.iter().zip([
        format!("{root}|{given}|0||||"),
        format!("{root}/bin|{given}|2|{root}/x {data}|$HOME ${{HOME}} ${{PLUGIN_||"),
        format!("{root}/bin|{given}|0|||{data}/s|"),
        format!("{data}|{given}|0||||"),
    ]) {
        let tools = source.tools().await.unwrap();
        assert_eq!(
            tools.len(),
            1,
            "{}: {:?}",
            source.name(),
            source.state().await.err()
        );
        assert_eq!(
            tools[0].name().as_str(),
            format!("mcp_{}__where", source.name().replace('/', "_"))
        );
        assert_eq!(tell(&tools[0]).await, expected, "{}", source.name());
        source.close().await;
    }
    assert!(package.data().join("written").exists());
}

/// 7.2.2.5: a server that does not start gives no tools, and the others go on.
#[tokio::test]
async fn servers_that_do_not_start_leave_the_others() {
    let package = Package::new("").program("bin/server", SERVER).file("bin/text", "not a program").servers(
        r#"{"a": {"type": "stdio", "command": "no-such-program-anywhere"}, "b": {"type": "stdio", "command": "./bin/text"},
            "c": {"type": "stdio", "command": "./bin/server"}}"#,
    );
    let plugins = package.named();
    let client = HttpClient::builder().build().unwrap();
    let sources = plugins
        .enabled()
        .next()
        .unwrap()
        .tool_sources(&client)
        .unwrap();
    let mut counts = Vec::new();
    for source in &sources {
        counts.push(source.tools().await.unwrap().len());
        source.close().await;
    }
    assert_eq!(counts, [0, 0, 1]);
    assert!(sources[0].state().await.is_err());
}

/// What is trusted is what is started: the program, and a script among the arguments.
#[tokio::test]
async fn servers_whose_files_changed_after_the_check_are_not_started() {
    let package = Package::new("").program("bin/server", SERVER).file("script", SERVER).servers(
        r#"{"a": {"type": "stdio", "command": "./bin/server"}, "b": {"type": "stdio", "command": "sh", "args": ["${PLUGIN_ROOT}/script"]}}"#,
    );
    let plugins = package.named();
    let plugin = plugins.enabled().next().unwrap();
    let client = HttpClient::builder().build().unwrap();
    let sources = plugin.tool_sources(&client).unwrap();
    for (source, name) in sources.iter().zip(["bin/server", "script"]) {
        let changed = format!("#!/bin/sh\ntouch ran\n{SERVER}");
        std::fs::write(package.path(name), changed).unwrap();
        let file = package.root().join(name).display().to_string();
        assert_eq!(
            source.state().await.unwrap_err().to_string(),
            format!("{file} has changed since the plugin was loaded; the server was not started")
        );
        assert!(!package.path("ran").exists());
    }
}
