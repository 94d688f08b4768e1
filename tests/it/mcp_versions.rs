//! What clients of each version of the protocol are sent over HTTP, byte by byte.

use std::net::SocketAddr;

use openai_agents::Runner;
use openai_agents::server::mcp;
use openai_agents::testing::ScriptedModel;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mcp_server::serve;
use crate::support;

/// Sends a request and gives the whole answer.
async fn exchange(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let n_bytes = body.len();
    let request = format!(
        "{head}host: 127.0.0.1\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         content-length: {n_bytes}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The head of a request in a session.
fn head(method: &str, session: &str, version: &str) -> String {
    // Before 2025-06-18 clients did not say it again.
    let version = match version {
        "2024-11-05" | "2025-03-26" => String::new(),
        version => format!("mcp-protocol-version: {version}\r\n"),
    };
    format!("{method} /mcp HTTP/1.1\r\nmcp-session-id: {session}\r\n{version}")
}

fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// Whether an answer has an event whose data is empty.
fn has_empty_event(answer: &str) -> bool {
    answer
        .lines()
        .any(|line| line.trim_end() == "data:" || line.trim_end() == "data")
}

#[tokio::test]
async fn events_without_data_are_for_clients_that_know_them() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let runner = Runner::new(ScriptedModel::new([]));
        let server = mcp::McpServer::builder(runner).tool(support::instant("weather", "sunny"));
        let address = serve(server).await;
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        let hello = exchange(
            address,
            "POST /mcp HTTP/1.1\r\n",
            &request("initialize", &hello),
        )
        .await;
        assert!(
            hello.contains(version) && !has_empty_event(&hello),
            "{hello}"
        );
        let session = hello
            .lines()
            .find_map(|line| line.strip_prefix("mcp-session-id: "));
        let session = session.unwrap();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let post = head("POST", session, version);
        exchange(address, &post, &initialized.to_string()).await;
        let call = request("tools/call", &json!({"name": "weather", "arguments": {}}));
        let called = exchange(address, &post, &call).await;
        assert!(called.contains("sunny"), "{called}");
        assert_eq!(
            has_empty_event(&called),
            version == "2025-11-25",
            "{version}: {called}"
        );
        let ended = exchange(address, &head("DELETE", session, version), "").await;
        assert!(ended.starts_with("HTTP/1.1 200 "), "{ended}");
        let gone = exchange(address, &post, &call).await;
        assert!(gone.starts_with("HTTP/1.1 404 "), "{gone}");
    }
}
