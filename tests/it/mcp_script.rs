//! MCP servers that are shell scripts, so that they can do anything wrong.
#![cfg(unix)]

use std::time::Duration;

use openai_agents::mcp::{McpClient, McpError, McpProtocol, Stdio};
use serde_json::{Map, Value, json};

/// How long a server is waited for that never answers.
pub(crate) const SHORT: Duration = Duration::from_millis(500);

/// How long one is waited for that does, on a machine of which others have the most.
const LONG: Duration = Duration::from_secs(60);

/// A script that shakes hands and then answers each request with what `answer` writes; `$id` is the request's.
pub(crate) fn script(answer: &str) -> Stdio {
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "script", "version": "1"},
    });
    let script = format!(
        r#"
        reply() {{ printf '{{"jsonrpc":"2.0","id":%s,%s}}\n' "$id" "$1"; }}
        read hello; id=0; reply '"result":{hello}'
        read initialized
        while read request; do
            case $request in *'"id":'*) ;; *) continue ;; esac
            id=${{request#*\"id\":}}; id=${{id%%[,\}}]*}}
            {answer}
        done"#
    );
    Stdio::new("sh").args(["-c", &script])
}

pub(crate) fn shell(script: &str) -> Stdio {
    Stdio::new("sh").args(["-c", script])
}

pub(crate) fn server(stdio: Stdio) -> McpClient {
    server_within(stdio, LONG)
}

fn server_within(stdio: Stdio, call_timeout: Duration) -> McpClient {
    let builder = McpClient::builder("script", stdio)
        .protocol(McpProtocol::Handshake)
        .connect_timeout(LONG)
        .call_timeout(call_timeout);
    builder.build().unwrap()
}

pub(crate) async fn connected(stdio: Stdio) -> McpClient {
    connected_within(stdio, LONG).await
}

pub(crate) async fn connected_within(stdio: Stdio, call_timeout: Duration) -> McpClient {
    let server = server_within(stdio, call_timeout);
    server.connect().await.unwrap();
    server
}

pub(crate) async fn call(server: &McpClient) -> McpError {
    server.call_tool("anything", Map::new()).await.unwrap_err()
}

/// The script's answer to `tools/list`: these tools, on one page.
pub(crate) fn tools(names: &[&str]) -> String {
    let tool = |name: &&str| json!({"name": name, "inputSchema": {"type": "object"}});
    let tools: Vec<_> = names.iter().map(tool).collect();
    format!(r#"reply '"result":{}'"#, json!({"tools": tools}))
}

/// Answers each method with this result or error, such as `"result":{}`.
pub(crate) fn answers(answers: &[(&str, &str)]) -> Stdio {
    let mut cases = String::new();
    for (method, answer) in answers {
        let case = format!("*'\"{method}\"'*) reply '{answer}' ;;\n");
        cases.push_str(&case);
    }
    script(&format!("case $request in {cases} esac"))
}

/// A result as it stands in an answer.
pub(crate) fn result(result: &Value) -> String {
    format!(r#""result":{result}"#)
}
