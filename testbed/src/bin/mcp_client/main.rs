//! An MCP client that does what the protocol's conformance suite wants to see: it connects, lists the tools and calls them.
//!
//! ```text
//! mcp_client <url>
//! ```
//!
//! The suite says in its variables which version of the protocol to speak (`MCP_CONFORMANCE_PROTOCOL_VERSION`), which scenario it
//! plays (`MCP_CONFORMANCE_SCENARIO`) and what else the scenario needs (`MCP_CONFORMANCE_CONTEXT`).

mod browser;

use std::env;
use std::error::Error as _;

use openai_agents::FunctionTool;
use openai_agents::future::BoxError;
use openai_agents::mcp::{
    ElicitationAnswer, McpClient, McpClientBuilder, McpProtocol, McpRefusal, OAuth, SamplingAnswer,
    StreamableHttp,
};
use serde_json::{Map, Value, json};

/// What the suite's authorization servers know the client by.
const REDIRECT_URI: &str = "http://localhost:3000/callback";
const METADATA_URL: &str = "https://conformance-test.local/client-metadata.json";

/// What a scenario needs beside an address.
#[derive(Debug, Default, serde::Deserialize)]
struct Context {
    #[serde(default, alias = "toolCalls")]
    tool_calls: Vec<ToolCall>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let url = env::args().next_back().ok_or("no address")?;
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let context: Context = match env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(context) => serde_json::from_str(&context)?,
        Err(_) => Context::default(),
    };
    let mut transport = StreamableHttp::new(url);
    if scenario.starts_with("auth/") {
        transport = transport.oauth(oauth(&context));
    }
    let server = answering(McpClient::builder("suite", transport))
        .protocol(protocol())
        .build()?;
    server.connect().await?;
    let tools = server.function_tools().await?;
    if context.tool_calls.is_empty() {
        for tool in tools.iter() {
            call(&server, tool.name(), arguments(tool, &tools)).await;
        }
    }
    for tool_call in context.tool_calls {
        call(&server, &tool_call.name, tool_call.arguments).await;
    }
    server.close().await;
    Ok(())
}

fn protocol() -> McpProtocol {
    match env::var("MCP_CONFORMANCE_PROTOCOL_VERSION") {
        Ok(version) if version.as_str() >= "2026" => McpProtocol::Stateless,
        // Suites that do not say which are older than the versions without a handshake.
        _ => McpProtocol::Handshake,
    }
}

fn oauth(context: &Context) -> OAuth {
    let visit = |url: String| async move {
        let arrived = browser::visit(&url).await;
        arrived.map_err(|error| McpRefusal::new(error.to_string()))
    };
    let oauth = OAuth::new(REDIRECT_URI, visit)
        .client_name("conformance-client")
        .metadata_url(METADATA_URL);
    match &context.client_id {
        Some(id) => oauth.client(id, context.client_secret.as_deref().map(Into::into)),
        None => oauth,
    }
}

/// Answers what the suite's servers ask: a form with what it proposes, a model with a text.
fn answering(builder: McpClientBuilder) -> McpClientBuilder {
    builder
        .on_elicitation(|request| async move { Ok(ElicitationAnswer::accept(request.defaults())) })
        .on_sampling(|_request| async move { Ok(SamplingAnswer::new("none", "An answer.")) })
}

/// What matters is that the server is called; what it answers is for the suite to judge.
#[expect(clippy::print_stderr, reason = "the suite shows what the client says")]
async fn call(server: &McpClient, tool: &str, arguments: Map<String, Value>) {
    if let Err(error) = server.call_tool(tool, arguments).await {
        eprintln!("{tool}: {error}: {:?}", error.source());
    }
}

/// Makes up the arguments that a tool requires; a parameter `schema` is given the schema of the first tool.
fn arguments(tool: &FunctionTool, tools: &[FunctionTool]) -> Map<String, Value> {
    let schema = &tool.spec().parameters;
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| {
        let mut required = required.into_iter().flatten();
        required.any(|it| it == name)
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut arguments = Map::new();
    for (name, property) in properties.into_iter().flatten() {
        if name == "schema" {
            let first = tools.first().map(|tool| tool.spec().parameters.clone());
            arguments.insert(name.clone(), first.into());
        } else if is_required(name) {
            let value = match property.get("type").and_then(Value::as_str) {
                Some("number" | "integer") => json!(1),
                Some("boolean") => json!(true),
                Some("array") => json!([]),
                Some("object") => json!({}),
                _ => json!("test"),
            };
            arguments.insert(name.clone(), value);
        }
    }
    arguments
}
