//! Agents and tools as an MCP server: what clients can do, and what nobody can.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::mcp::{
    ElicitationAnswer, ElicitationRequest, McpClient, McpClientBuilder, McpContent, McpError,
    McpMessage, McpPrompt, McpPromptMessages, McpProtocol, McpResource, McpResourceContent,
    McpRoot, McpState, StreamableHttp,
};
use openai_agents::server::mcp::{self, McpBuildError, McpCall};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::usage::Price;
use openai_agents::{Agent, FunctionTool, Runner, ToolContext, Usage};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support;

pub(crate) const ERAS: [McpProtocol; 2] = [McpProtocol::Handshake, McpProtocol::Stateless];

/// A server that can say nothing but what it is given.
fn silent() -> mcp::McpServerBuilder {
    mcp::McpServer::builder(Runner::new(ScriptedModel::new([])))
}

/// Serves on a port of this machine until the runtime ends.
pub(crate) async fn serve(builder: mcp::McpServerBuilder) -> SocketAddr {
    let router = builder.build().unwrap().router();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) fn client(address: SocketAddr, protocol: McpProtocol) -> McpClientBuilder {
    let transport = StreamableHttp::new(format!("http://{address}/mcp"));
    McpClient::builder("ours", transport).protocol(protocol)
}

pub(crate) async fn connect(builder: McpClientBuilder) -> McpClient {
    let client = builder.build().unwrap();
    client.connect().await.unwrap();
    client
}

async fn text(client: &McpClient, tool: &str, arguments: Map<String, Value>) -> String {
    let result = client.call_tool(tool, arguments).await.unwrap();
    let texts: Vec<_> = result
        .content
        .iter()
        .filter_map(McpContent::as_text)
        .collect();
    texts.join("\n")
}

pub(crate) fn input(text: &str) -> Map<String, Value> {
    Map::from_iter([("input".to_owned(), json!(text))])
}

#[tokio::test]
async fn tools_of_a_server_are_tools_of_an_agent_elsewhere() {
    let address = serve(silent().tool(support::instant("weather", "sunny"))).await;
    for protocol in ERAS {
        let client = connect(client(address, protocol)).await;
        let tools = client.function_tools().await.unwrap();
        assert!(Arc::ptr_eq(&tools, &client.function_tools().await.unwrap()));
        let agent = Agent::builder("Guide")
            .tool(tools[0].clone())
            .build()
            .unwrap();
        let turns = [
            ScriptedTurn::tool_call("weather", json!({})),
            ScriptedTurn::text("Sunny."),
        ];
        let result = Runner::new(ScriptedModel::new(turns))
            .run(&agent, "Weather?")
            .await
            .unwrap();
        let told = serde_json::to_string(&result.to_input_list()).unwrap();
        assert!(told.contains("sunny"), "{told}");
        client.close().await;
        assert!(matches!(client.state(), McpState::Closed));
    }
}

#[tokio::test]
async fn an_agent_is_a_tool_that_tells_its_progress() {
    for protocol in ERAS {
        let turns = [
            ScriptedTurn::tool_call("weather", json!({})),
            ScriptedTurn::text("It is sunny.")
                .with_usage(Usage::of_request(100, 10, 110).with_cached_tokens(50)),
        ];
        let price = Price::new("1".parse().unwrap(), "2".parse().unwrap());
        let prices = [("scripted", price)].into_iter().collect();
        let agent = Agent::builder("Weather Guide")
            .instructions("Be brief.")
            .tool(support::instant("weather", "sunny"))
            .build()
            .unwrap();
        let runner = Runner::new(ScriptedModel::new(turns)).prices(prices);
        let address = serve(mcp::McpServer::builder(runner).agent(agent)).await;
        let progress: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&progress);
        let builder = client(address, protocol).on_progress(move |progress| {
            heard.lock().unwrap().extend(progress.message);
        });
        let client = connect(builder).await;
        let result = client
            .call_tool("ask_weather_guide", input("Weather?"))
            .await
            .unwrap();
        assert_eq!(result.content, [McpContent::text("It is sunny.")]);
        let structured = result.structured_content.unwrap();
        assert_eq!(structured["final_output"], "It is sunny.");
        assert_eq!(structured["agent"], "Weather Guide");
        assert_eq!(structured["turns"], 2);
        // Of the first request nobody knows what it used.
        let usage = json!({
            "requests": 2, "requests_without_usage": 1, "priced_requests": 1, "cost": "0.00012",
            "input_tokens": 100, "output_tokens": 10, "total_tokens": 110,
            "cached_tokens": 50, "cache_write_tokens": 0, "reasoning_tokens": 0,
        });
        assert_eq!(structured["usage"], usage);
        let expect = [
            "Weather Guide: turn 1",
            "calls weather",
            "weather is done",
            "Weather Guide: turn 2",
            "It ",
            "is ",
            "sunny.",
        ];
        assert_eq!(*progress.lock().unwrap(), expect);

        let prompt = client
            .prompt("Weather Guide", input("Hello."))
            .await
            .unwrap();
        let messages = [McpMessage::user("Be brief."), McpMessage::user("Hello.")];
        assert_eq!(prompt.messages, messages);
    }
}

#[tokio::test]
async fn a_run_that_fails_says_so_with_its_kind() {
    let agent = Agent::builder("Guide").build().unwrap();
    let address = serve(silent().agent(agent)).await;
    let client = connect(client(address, McpProtocol::Ask)).await;
    let result = client
        .call_tool("ask_guide", input("Hello?"))
        .await
        .unwrap();
    assert!(result.is_error && result.structured_content.is_none());
    let result = client.call_tool("ask_guide", Map::new()).await.unwrap();
    assert_eq!(
        result.content,
        [McpContent::text("the argument `input` must be a text")]
    );
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_call_that_the_client_gives_up_is_dropped() {
    for protocol in ERAS {
        let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, drops) = (Arc::clone(&begun), Arc::clone(&dropped));
        let tool = support::tool("endless", move |_| {
            let (begins, dropped) = (Arc::clone(&begins), Dropped(Arc::clone(&drops)));
            async move {
                begins.notify_one();
                std::future::pending::<()>().await;
                drop(dropped);
                Ok(String::new())
            }
        });
        let agent = Agent::builder("Guide").tool(tool.clone()).build().unwrap();
        let turn = ScriptedTurn::tool_call("endless", json!({}));
        let runner = Runner::new(ScriptedModel::new([turn]));
        let address = serve(mcp::McpServer::builder(runner).agent(agent).tool(tool)).await;
        let client = connect(client(address, protocol)).await;
        for tool in ["endless", "ask_guide"] {
            let arguments = if tool == "endless" {
                Map::new()
            } else {
                input("Go.")
            };
            tokio::select! {
                result = client.call_tool(tool, arguments) => panic!("{result:?}"),
                () = begun.notified() => {}
            }
            dropped.notified().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_lets_go_of_its_clients() {
    for protocol in ERAS {
        let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, drops) = (Arc::clone(&begun), Arc::clone(&dropped));
        let tool = support::tool("endless", move |_| {
            let (begins, dropped) = (Arc::clone(&begins), Dropped(Arc::clone(&drops)));
            async move {
                let _dropped = dropped;
                begins.notify_one();
                std::future::pending().await
            }
        });
        let server = silent().tool(tool).build().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let (stopped, closing) = (Arc::clone(&stop), server.clone());
        let serving = axum::serve(listener, server.router()).with_graceful_shutdown(async move {
            stopped.notified().await;
            closing.close();
        });
        let serving = tokio::spawn(async move { serving.await });
        // A client with a session tries to take up the broken stream again.
        let builder = client(address, protocol).call_timeout(Duration::from_secs(1));
        let client = connect(builder).await;
        let call = client.call_tool("endless", Map::new());
        let stopping = async {
            begun.notified().await;
            stop.notify_one();
            dropped.notified().await;
        };
        let (result, ()) = tokio::join!(call, stopping);
        assert!(result.is_err(), "{result:?}");
        drop(client);
        serving.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_tool_learns_what_the_user_works_on() {
    let tool = support::tool("roots", async |cx: ToolContext| {
        let call: &McpCall = cx.state().map_err(|error| error.to_string())?;
        let roots = call
            .roots("roots")
            .await
            .map_err(|error| error.to_string())?;
        Ok(roots.into_iter().map(|root| root.uri).collect::<String>())
    });
    let address = serve(silent().tool(tool)).await;
    for protocol in ERAS {
        let root = McpRoot::new("file:///srv/project").name("Project");
        let client = connect(client(address, protocol).root(root)).await;
        assert_eq!(
            text(&client, "roots", Map::new()).await,
            "file:///srv/project"
        );
    }
}

/// A tool that counts its calls, and the count.
fn counted() -> (FunctionTool, Arc<AtomicUsize>) {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_calls);
    let tool = support::tool("count", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok("counted".to_owned()) }
    });
    (tool, n_calls)
}

/// Sends a call of `count` without a session, with these header lines, and gives the status.
async fn post(address: SocketAddr, lines: &str) -> u16 {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "count", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let head = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: count\r\n";
    status(address, &format!("{lines}{head}"), &body).await
}

/// Asks for a session, and gives the status.
async fn initialize(address: SocketAddr) -> u16 {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    status(address, "host: localhost\r\n", &body).await
}

async fn status(address: SocketAddr, lines: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\n{lines}content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_before_anything_runs() {
    let (tool, n_calls) = counted();
    let address = serve(silent().tool(tool)).await;
    for foreign in [
        "host: evil.example\r\n",
        "host: localhost.evil.example\r\n",
        "host: 127.0.0.1\r\norigin: http://evil.example\r\n",
        "host: localhost\r\norigin: null\r\n",
        "host: 127.0.0.1\r\norigin: http://localhost:3000\r\n",
        "host: [::1]\r\norigin: https://127.0.0.1\r\n",
        "host: localhost\r\norigin: http://localhost.evil.example\r\n",
        "",
    ] {
        let status = post(address, foreign).await;
        assert!(matches!(status, 400 | 403), "{foreign}: {status}");
    }
    assert_eq!(n_calls.load(Ordering::SeqCst), 0);
    for own in [
        "host: localhost:1\r\n",
        "host: 127.0.0.1:3000\r\norigin: http://127.0.0.1:3000\r\n",
        "host: [::1]\r\norigin: https://[::1]\r\n",
    ] {
        assert_eq!(post(address, own).await, 200, "{own}");
    }
    assert_eq!(n_calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn other_hosts_and_origins_can_be_allowed() {
    let (tool, _) = counted();
    let builder = silent().tool(tool);
    let builder = builder
        .allow_host("agents.example")
        .allow_origin("https://app.example:443");
    let address = serve(builder).await;
    let own = "host: agents.example\r\norigin: https://app.example\r\n";
    assert_eq!(post(address, own).await, 200);
    let other = "host: agents.example\r\norigin: https://app.example:8443\r\n";
    assert_eq!(post(address, other).await, 403);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let address = serve(silent().max_sessions(1)).await;
    let first = connect(client(address, McpProtocol::Handshake)).await;
    let second = client(address, McpProtocol::Handshake).build().unwrap();
    let error = second.connect().await.unwrap_err();
    assert!(matches!(error, McpError::Connect { .. }), "{error:?}");
    assert_eq!(initialize(address).await, 503);
    // Where nothing is kept there is no bound.
    connect(client(address, McpProtocol::Stateless)).await;
    first.close().await;
    second.connect().await.unwrap();
}

/// Asks for a name, and then for a colour.
fn asking() -> FunctionTool {
    let options = ToolOptions::default().failure(ToolFailure::TellModelDetail);
    support::tool_with("greet", options, async |cx: ToolContext| {
        let call: &McpCall = cx.state().map_err(|error| error.to_string())?;
        let mut words = Vec::new();
        for key in ["name", "colour"] {
            let schema = json!({"type": "object", "properties": {key: {"type": "string"}}});
            let question = ElicitationRequest::form(format!("Your {key}?"), schema);
            let answer = call.elicit(key, question).await;
            match answer.map_err(|error| error.to_string())? {
                ElicitationAnswer::Accept {
                    content: Some(values),
                } => {
                    words.push(values[key].as_str().unwrap_or_default().to_owned());
                }
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(words.join(" likes "))
    })
}

#[tokio::test]
async fn a_tool_asks_the_user_of_its_client_in_both_eras() {
    let address = serve(silent().tool(asking())).await;
    for protocol in ERAS {
        let builder = client(address, protocol).on_elicitation(|request| async move {
            let (key, value) = match &*request.message {
                "Your name?" => ("name", "Ada"),
                _ => ("colour", "red"),
            };
            let content = Map::from_iter([(key.to_owned(), json!(value))]);
            Ok(ElicitationAnswer::accept(content))
        });
        let asked = connect(builder).await;
        assert_eq!(text(&asked, "greet", Map::new()).await, "Ada likes red");

        let mute = connect(client(address, protocol)).await;
        let refused = mute.call_tool("greet", Map::new()).await;
        match protocol {
            McpProtocol::Handshake => assert!(refused.unwrap().is_error),
            _ => assert!(matches!(
                refused,
                Err(McpError::Refused { code: -32021, .. })
            )),
        }
    }
}

#[tokio::test]
async fn a_panic_is_the_failure_of_one_request() {
    let prompt = McpPrompt::new("broken");
    let builder = silent()
        .prompt(
            prompt,
            async |_call, _arguments| -> Result<McpPromptMessages, String> {
                panic!("broken");
            },
        )
        .tool(support::tool("broken", async |_| panic!("broken")));
    let address = serve(builder).await;
    let client = connect(client(address, McpProtocol::Ask)).await;
    let error = client.prompt("broken", Map::new()).await.unwrap_err();
    assert!(
        matches!(error, McpError::Refused { code: -32603, .. }),
        "{error:?}"
    );
    let told = text(&client, "broken", Map::new()).await;
    assert_eq!(
        told,
        "An error occurred while running the tool. Please try again."
    );
}

#[tokio::test]
async fn mcp_unknown_name_is_refused() {
    let resource = McpResource::new("a://b", "b");
    let builder = silent().resource(resource, async |_call, request| {
        Ok::<_, String>(vec![McpResourceContent::text(request.uri, "B.")])
    });
    let address = serve(builder).await;
    let client = connect(client(address, McpProtocol::Ask)).await;
    assert_eq!(
        client.read_resource("a://b").await.unwrap(),
        [McpResourceContent::text("a://b", "B.")]
    );
    let refused = |error: McpError| matches!(error, McpError::Refused { .. });
    assert!(refused(client.read_resource("a://c").await.unwrap_err()));
    assert!(refused(
        client.prompt("nothing", Map::new()).await.unwrap_err()
    ));
    assert!(refused(
        client.call_tool("nothing", Map::new()).await.unwrap_err()
    ));
}

#[tokio::test]
async fn a_tool_keeps_its_time_out() {
    let options = ToolOptions::default().timeout(Duration::from_millis(1));
    let tool = support::tool_with("endless", options, async |_| std::future::pending().await);
    let address = serve(silent().tool(tool)).await;
    let client = connect(client(address, McpProtocol::Ask)).await;
    let told = text(&client, "endless", Map::new()).await;
    assert_eq!(told, "Tool 'endless' timed out after 0.001 seconds.");
}

#[test]
fn names_that_clash_are_errors() {
    let agent = |name: &str| Agent::builder(name).build().unwrap();
    let clash = silent().agent(agent("A B")).agent(agent("a_b")).build();
    assert!(
        matches!(clash, Err(McpBuildError::AgentClash { .. })),
        "{clash:?}"
    );
    let tool = support::instant("ask_a", "");
    let clash = silent().tool(tool.clone()).agent(agent("A")).build();
    assert!(
        matches!(clash, Err(McpBuildError::AgentClash { .. })),
        "{clash:?}"
    );
    let clash = silent().tool(tool.clone()).tool(tool).build();
    assert!(
        matches!(clash, Err(McpBuildError::Tool { .. })),
        "{clash:?}"
    );
    let long = silent().agent(agent(&"a".repeat(61))).build();
    assert!(
        matches!(long, Err(McpBuildError::AgentName { .. })),
        "{long:?}"
    );
}
