//! What MCP clients of `openai-agents serve` have of its agents: conversations, decisions about calls, and what runs did.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::mcp::{
    ElicitationAnswer, McpClient, McpClientBuilder, McpProtocol, McpResourceBody, Stdio,
    StreamableHttp,
};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Map, Value, json};

use crate::serve::{ServedProgram, command};
use crate::support::{Directory, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;
const CONFIG: &str = "agents:
  - name: Careful
    tools: [calculator]
    needs_approval: [calculator]
";

async fn model() -> FakeServer {
    let replies = [
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
        streamed_call("", "calculator", SUM),
        streamed_text("As you ", "say."),
    ];
    FakeServer::start(replies).await.unwrap()
}

async fn read(client: &McpClient, uri: &str) -> Value {
    let contents = client.read_resource(uri).await.unwrap();
    let McpResourceBody::Text(text) = &contents[0].body else {
        panic!("{contents:?}");
    };
    serde_json::from_str(text).unwrap()
}

async fn ask(client: &McpClient) -> Value {
    let arguments = json!({"input": "100 + 250?", "session": "sums/1"});
    let arguments: Map<_, _> = arguments.as_object().unwrap().clone();
    let result = client.call_tool("ask_careful", arguments).await.unwrap();
    result.structured_content.unwrap()
}

/// Asks twice, with a user who approves the first call and no other, and reads what is left of it.
async fn converse(client: McpClientBuilder, model: &FakeServer) {
    let n_asked = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&n_asked);
    let client = client.on_elicitation(move |request| {
        let expect = format!("Careful wants to call calculator with {SUM}");
        assert_eq!(request.message, expect);
        let yes = Map::from_iter([("approve".to_owned(), json!(true))]);
        let answer = match asked.fetch_add(1, Ordering::SeqCst) {
            0 => ElicitationAnswer::accept(yes),
            _ => ElicitationAnswer::Decline,
        };
        async move { Ok(answer) }
    });
    let client = client.build().unwrap();
    client.connect().await.unwrap();
    assert_eq!(ask(&client).await["final_output"], "It is 350.");
    let second = ask(&client).await;
    assert_eq!(second["final_output"], "As you say.");
    assert_eq!(n_asked.load(Ordering::SeqCst), 2);
    let told = String::from_utf8(model.requests()[3].body.to_vec()).unwrap();
    assert!(told.contains("It is 350."), "{told}");
    assert!(
        told.contains("The user declined the call of calculator."),
        "{told}"
    );

    let listed = client.resources().await.unwrap();
    let uris: Vec<_> = listed.iter().map(|it| it.uri.as_str()).collect();
    assert_eq!(uris[0], "session://sums%2F1");
    let trace = format!("trace://{}", second["run"].as_str().unwrap());
    assert_eq!((uris[1], uris.len()), (trace.as_str(), 3));
    let session = read(&client, uris[0]).await;
    assert_eq!(session["items"].as_array().unwrap().len(), 8);
    let trace = read(&client, &trace).await;
    assert_eq!(
        (&trace["status"], &trace["session_id"]),
        (&json!("ok"), &json!("sums/1"))
    );
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_with_a_conversation_and_decides_about_calls_over_http() {
    for (name, protocol) in [
        ("served-http-old", McpProtocol::Handshake),
        ("served-http", McpProtocol::Stateless),
    ] {
        let directory = Directory::new(name).file("config.yaml", CONFIG);
        let model = model().await;
        let served = ServedProgram::start(command(&model, &directory));
        let transport = StreamableHttp::new(format!("http://{}/mcp", served.address));
        let client = McpClient::builder("served", transport).protocol(protocol);
        converse(client, &model).await;

        // What the program keeps, any other command can read.
        let mut shown = directory.program();
        let shown = shown.args(["sessions", "show", "sums/1"]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("As you say."), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_with_a_conversation_and_decides_about_calls_over_stdio() {
    for (name, protocol) in [
        ("served-stdio-old", McpProtocol::Handshake),
        ("served-stdio", McpProtocol::Stateless),
    ] {
        let directory = Directory::new(name).file("config.yaml", CONFIG);
        let model = model().await;
        let program = command(&model, &directory);
        let mut transport = Stdio::new(program.get_program().to_str().unwrap())
            .args(["serve", "--stdio"])
            .current_dir(program.get_current_dir().unwrap());
        for (variable, value) in program.get_envs() {
            let value = value.unwrap().to_str().unwrap();
            transport = transport.env(variable.to_str().unwrap(), value);
        }
        let client = McpClient::builder("served", transport).protocol(protocol);
        converse(client, &model).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_is_found_before_anything_is_served() {
    let directory = Directory::new("served-store");
    let model = FakeServer::start([]).await.unwrap();
    for arguments in [
        &["serve", "--bind", "127.0.0.1:0"][..],
        &["serve", "--stdio"][..],
    ] {
        let mut program = directory.program();
        program
            .args(arguments)
            .env("OPENAI_BASE_URL", format!("{}/v1", model.url()))
            .env("OPENAI_MODEL", "m")
            .env(
                "OPENAI_AGENTS__SESSIONS__URL",
                "sqlite:///nowhere/at/all/sessions.db",
            );
        let output = program.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{told}");
        assert!(told.contains("/nowhere/at/all/sessions.db"), "{told}");
    }
}

/// A tool that an agent asks approval for is no other tool when a client calls it without the agent.
#[tokio::test(flavor = "multi_thread")]
async fn tool_served_by_itself_needs_the_approval_that_an_agent_wants() {
    for needs_approval in ["always", "[calculator]"] {
        let config = format!(
            "agents:
  - {{ name: Careful, tools: [calculator, current_time], needs_approval: {needs_approval} }}
"
        );
        let directory = Directory::new("served-approval").file("config.yaml", &config);
        let model = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
        let served = ServedProgram::start(command(&model, &directory));
        let address = format!("http://{}/mcp", served.address);
        for protocol in [McpProtocol::Handshake, McpProtocol::Stateless] {
            let arguments: Map<String, Value> = serde_json::from_str(SUM).unwrap();
            let connect = || {
                McpClient::builder("it", StreamableHttp::new(address.as_str())).protocol(protocol)
            };
            let silent = connect().build().unwrap();
            silent.connect().await.unwrap();
            let refused = silent.call_tool("calculator", arguments.clone()).await;
            let refused = refused.unwrap();
            let expect = format!(
                "approval_required: mcp: calculator {SUM} (the client cannot ask its user)"
            );
            assert!(refused.is_error, "{refused:?}");
            assert_eq!(refused.content[0].as_text(), Some(&*expect));

            for (answer, is_error, expect) in [
                (ElicitationAnswer::accept(approval(true)), false, "350"),
                (
                    ElicitationAnswer::accept(approval(false)),
                    true,
                    "Tool execution was not approved.",
                ),
                (
                    ElicitationAnswer::Decline,
                    true,
                    "The user declined the call of calculator.",
                ),
            ] {
                let asking = connect().on_elicitation(move |request| {
                    let expect = format!("mcp wants to call calculator with {SUM}");
                    assert_eq!(request.message, expect);
                    let answer = answer.clone();
                    async move { Ok(answer) }
                });
                let asking = asking.build().unwrap();
                asking.connect().await.unwrap();
                let called = asking.call_tool("calculator", arguments.clone()).await;
                let called = called.unwrap();
                assert_eq!(called.content[0].as_text(), Some(expect));
                assert_eq!(called.is_error, is_error);
            }
        }
    }
}

fn approval(is_given: bool) -> Map<String, Value> {
    Map::from_iter([("approve".to_owned(), json!(is_given))])
}
