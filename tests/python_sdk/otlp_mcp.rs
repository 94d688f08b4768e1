//! Traces that pass from program to program over MCP, as a collector sees them: our client and our server, each with the official ones of Python.

use std::env;
use std::path::Path;
use std::time::Duration;

use openai_agents::mcp::{McpClient, Stdio, StreamableHttp};
use openai_agents::server::mcp::McpServer;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::trace::Tracer;
use openai_agents::{Agent, Runner};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::otlp::{Collector, script, tool, trees};

/// The span of the foreign program.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Serves the agent `Guide`, whose tool is `look`, and the tool `measure`, until the runtime ends.
async fn serve(tracer: &Tracer) -> String {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("Sunny."),
    ]);
    let runner = Runner::new(model).tracer(tracer);
    let guide = Agent::builder("Guide").tool(tool("look")).build().unwrap();
    let server = McpServer::builder(runner)
        .agent(guide)
        .tool(tool("measure"))
        .build()
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/mcp")
}

/// What the server does when it is asked for the agent, then for the tool; both stand below what asks.
fn served(depth: usize) -> [Vec<String>; 2] {
    let asked = [
        "run Guide @helper",
        "  invoke_agent Guide @helper",
        "    turn 1 @helper",
        "      chat scripted @helper",
        "      execute_tool look @helper",
        "    turn 2 @helper",
        "      chat scripted @helper",
    ];
    let measured = ["execute_tool measure @helper"];
    let indented = |lines: &[&str]| {
        let lines = lines.iter();
        let lines = lines.map(|line| format!("{}{line}", "  ".repeat(depth)));
        lines.collect()
    };
    [indented(&asked), indented(&measured)]
}

#[tokio::test]
async fn calls_of_our_client_and_what_our_server_did_are_one_tree() {
    let collector = Collector::start();
    let (here, there) = (collector.tracer("desk"), collector.tracer("helper"));
    let transport = StreamableHttp::new(serve(&there).await);
    let client = McpClient::builder("helper", transport).build().unwrap();
    client.connect().await.unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("ask_guide", json!({"input": "How is it?"})),
        ScriptedTurn::tool_call("measure", json!({})),
        ScriptedTurn::text("It is sunny."),
    ]);
    let main = Agent::builder("Main").tool_source(client.clone());
    let runner = Runner::new(model).tracer(&here);
    runner.run(&main.build().unwrap(), "Go.").await.unwrap();
    client.close().await;
    for tracer in [here, there] {
        assert!(tracer.flush(Duration::from_secs(60)).await);
        assert_eq!(tracer.n_lost(), 0);
    }

    let received = collector.received().await;
    let [asked, measured] = served(4);
    let expected = [
        vec!["run Main", "  invoke_agent Main", "    list tools"],
        vec!["      tools/list helper", "    turn 1"],
        vec!["      chat scripted", "      execute_tool ask_guide"],
        asked.iter().map(String::as_str).collect(),
        vec!["    list tools", "      tools/list helper", "    turn 2"],
        vec!["      chat scripted", "      execute_tool measure"],
        measured.iter().map(String::as_str).collect(),
        vec!["    list tools", "      tools/list helper", "    turn 3"],
        vec!["      chat scripted"],
    ];
    assert_eq!(trees(&received), [expected.concat()]);
    let of = |name: &str, service: &str| {
        let mut spans = received["spans"].as_array().unwrap().iter();
        let found = spans.find(|span| span["name"] == name && span["service"] == service);
        found.unwrap()["attributes"].clone()
    };
    let client_side = of("execute_tool measure", "desk");
    let server_side = of("execute_tool measure", "helper");
    for attributes in [&client_side, &server_side] {
        assert_eq!(attributes["mcp.method.name"], "tools/call");
        assert_eq!(attributes["gen_ai.tool.name"], "measure");
        assert_eq!(attributes["network.transport"], "tcp");
    }
    assert!(
        server_side["jsonrpc.request.id"].is_string(),
        "{server_side}"
    );
    assert!(
        server_side["mcp.protocol.version"].is_string(),
        "{server_side}"
    );
}

#[tokio::test]
async fn trace_of_a_foreign_client_goes_on_in_our_server() {
    let collector = Collector::start();
    let there = collector.tracer("helper");
    let url = serve(&there).await;
    let mut command = script("otlp_mcp.py");
    command.args(["call", &format!("00-{TRACE}-{SPAN}-01"), &url]);
    command.args(["ask_guide", "measure"]);
    let called = tokio::task::spawn_blocking(move || command.status());
    assert!(called.await.unwrap().unwrap().success());
    assert!(there.flush(Duration::from_secs(60)).await);

    let received = collector.received().await;
    assert_eq!(trees(&received), served(0));
    for span in received["spans"].as_array().unwrap() {
        assert_eq!(span["trace_id"], TRACE);
        let name = span["name"].as_str().unwrap();
        let is_first = ["run Guide", "execute_tool measure"].contains(&name);
        assert_eq!(span["parent_id"] == SPAN, is_first, "{span}");
    }
}

#[tokio::test]
async fn foreign_server_is_told_of_the_span_of_the_call() {
    let collector = Collector::start();
    let here = collector.tracer("desk");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/python-sdk.d");
    let program = scripts.join("otlp_mcp.py");
    let transport = Stdio::new(env::var("PYTHON_SDK").unwrap());
    let transport = transport.args([program.to_str().unwrap(), "serve"]);
    let client = McpClient::builder("foreign", transport).build().unwrap();
    client.connect().await.unwrap();
    let main = Agent::builder("Main").tool_source(client.clone());
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("where", json!({})),
        ScriptedTurn::text("There."),
    ]);
    let runner = Runner::new(model).tracer(&here);
    let result = runner.run(&main.build().unwrap(), "Go.").await.unwrap();
    client.close().await;
    assert!(here.flush(Duration::from_secs(60)).await);

    let received = collector.received().await;
    let mut spans = received["spans"].as_array().unwrap().iter();
    let call = spans.find(|span| span["name"] == "execute_tool where");
    let id = |name: &str| call.unwrap()[name].as_str().unwrap().to_owned();
    let told = format!("00-{}-{}-01", id("trace_id"), id("span_id"));
    let said: Value = serde_json::to_value(result.to_input_list()).unwrap();
    assert!(said.to_string().contains(&told), "{told} is not in {said}");
}
