//! Agents of an MCP server whose calls wait for approval: the client's user decides.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use openai_agents::mcp::{
    ElicitationAnswer, ElicitationAsk, ElicitationRequest, McpClient, McpContent, McpProtocol,
};
use openai_agents::server::mcp;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::{Agent, FunctionTool, Runner, ToolContext};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::mcp_agents::{ask, error_of, within};
use crate::mcp_server::{ERAS, client, connect, input, serve};
use crate::support;

/// A tool that needs approval, and the arguments with which it was called.
fn delete() -> (FunctionTool, Arc<Mutex<Vec<String>>>) {
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let made = Arc::clone(&calls);
    let properties = json!({"path": {"type": "string"}, "n": {"type": "integer"}});
    let schema = json!({"type": "object", "properties": properties});
    let options = ToolOptions::default();
    let call = move |_: ToolContext, arguments: Map<String, Value>| {
        made.lock()
            .unwrap()
            .push(Value::from(arguments).to_string());
        async { Ok::<_, String>("deleted".to_owned()) }
    };
    let tool = FunctionTool::dynamic("delete", "For a test.", schema, options, call);
    (tool.unwrap().needs_approval(), calls)
}

/// A server of an agent with the tool, whose model says this.
fn server(
    turns: impl IntoIterator<Item = ScriptedTurn>,
) -> (
    ScriptedModel,
    mcp::McpServerBuilder,
    Arc<Mutex<Vec<String>>>,
) {
    let (tool, calls) = delete();
    let agent = Agent::builder("Guide").tool(tool).build().unwrap();
    let model = ScriptedModel::new(turns);
    let server = mcp::McpServer::builder(Runner::new(model.clone())).agent(agent);
    (model, server, calls)
}

fn deleting(arguments: &str) -> ScriptedTurn {
    ScriptedTurn::items([support::call("c1", "delete", arguments)])
}

fn accept(content: &Value) -> ElicitationAnswer {
    ElicitationAnswer::accept(content.as_object().unwrap().clone())
}

/// A client whose user answers every question in this way, and the questions.
async fn answering(
    address: SocketAddr,
    protocol: McpProtocol,
    answer: ElicitationAnswer,
) -> (McpClient, Arc<Mutex<Vec<ElicitationRequest>>>) {
    let questions: Arc<Mutex<Vec<ElicitationRequest>>> = Arc::default();
    let asked = Arc::clone(&questions);
    let builder = client(address, protocol).on_elicitation(move |request| {
        asked.lock().unwrap().push(request);
        let answer = answer.clone();
        async move { Ok(answer) }
    });
    (connect(builder).await, questions)
}

/// What the model was told that the tool gave.
fn told(model: &ScriptedModel) -> String {
    let requests = model.requests();
    support::value(requests.last().unwrap().items.last().unwrap())["output"].to_string()
}

#[tokio::test]
async fn approved_call_is_made_as_shown() {
    for protocol in ERAS {
        let turns = [
            deleting(r#"{"path":"/tmp/a"}"#),
            ScriptedTurn::text("Done."),
        ];
        let (model, server, calls) = server(turns);
        let address = serve(server).await;
        let answer = accept(&json!({"approve": true}));
        let progress: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&progress);
        let builder = client(address, protocol)
            .on_progress(move |progress| heard.lock().unwrap().extend(progress.message))
            .on_elicitation(move |request| {
                let ElicitationAsk::Form { schema } = &request.ask else {
                    panic!("{request:?}");
                };
                assert_eq!(schema["properties"]["approve"]["type"], "boolean");
                let expect = r#"Guide wants to call delete with {"path":"/tmp/a"}"#;
                assert_eq!(request.message, expect);
                let answer = answer.clone();
                async move { Ok(answer) }
            });
        let client = connect(builder).await;
        let result = ask(&client, within("Delete it.", "s")).await;
        assert_eq!(result.content, [McpContent::text("Done.")]);
        assert_eq!(*calls.lock().unwrap(), [r#"{"path":"/tmp/a"}"#]);
        // The run was not begun again.
        assert_eq!(model.requests().len(), 2);
        let expect = [
            "Guide: turn 1",
            "calls delete",
            "waits for approval: delete",
            "delete is done",
            "Guide: turn 2",
            "Done.",
        ];
        assert_eq!(*progress.lock().unwrap(), expect);
    }
}

#[tokio::test]
async fn declined_call_is_not_made_and_the_model_is_told() {
    for protocol in ERAS {
        for (answer, expect) in [
            (
                ElicitationAnswer::Decline,
                "The user declined the call of delete.",
            ),
            (
                ElicitationAnswer::Cancel,
                "The user declined the call of delete.",
            ),
            (
                accept(&json!({"approve": false})),
                "Tool execution was not approved.",
            ),
            (
                accept(&json!({"approve": false, "reason": "Not that one."})),
                "Not that one.",
            ),
        ] {
            let (model, server, calls) =
                server([deleting("{}"), ScriptedTurn::text("As you say.")]);
            let address = serve(server).await;
            let (client, _) = answering(address, protocol, answer).await;
            let result = ask(&client, input("Delete it.")).await;
            assert_eq!(result.content, [McpContent::text("As you say.")]);
            assert!(told(&model).contains(expect), "{}", told(&model));
            assert!(calls.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn every_call_is_asked_about_also_when_its_id_is_used_again() {
    for protocol in ERAS {
        let twice = ScriptedTurn::items([
            support::call("c1", "delete", r#"{"n":1}"#),
            support::call("c2", "delete", r#"{"n":2}"#),
        ]);
        let turns = [twice, deleting(r#"{"n":3}"#), ScriptedTurn::text("Done.")];
        let (model, server, calls) = server(turns);
        let address = serve(server).await;
        let answer = accept(&json!({"approve": true}));
        let (client, questions) = answering(address, protocol, answer).await;
        ask(&client, input("Delete all.")).await;
        let mut asked: Vec<_> = questions
            .lock()
            .unwrap()
            .iter()
            .map(|it| it.message.clone())
            .collect();
        asked.sort();
        for (n, message) in asked.iter().enumerate() {
            assert!(
                message.ends_with(&format!("{{\"n\":{}}}", n + 1)),
                "{asked:?}"
            );
        }
        assert_eq!((asked.len(), calls.lock().unwrap().len()), (3, 3));
        assert_eq!(model.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_told_what_waits() {
    for protocol in ERAS {
        let (_, server, calls) = server([deleting("{\"path\":\"\u{202e}a\"}")]);
        let client = connect(client(serve(server).await, protocol)).await;
        let expect = r#"approval_required: Guide: delete {"path":"\u{202e}a"} (the client cannot ask its user)"#;
        assert_eq!(error_of(&ask(&client, input("Delete it.")).await), expect);
        assert!(calls.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_does_not_decide_is_no_approval() {
    for protocol in ERAS {
        let (_, server, calls) = server([deleting("{}")]);
        let address = serve(server).await;
        let (client, _) = answering(address, protocol, accept(&json!({"approve": "yes"}))).await;
        let called = client.call_tool("ask_guide", input("Delete it.")).await;
        match protocol {
            McpProtocol::Handshake => {
                let result = called.unwrap();
                assert!(
                    error_of(&result).starts_with("approval_required: "),
                    "{result:?}"
                );
            }
            _ => assert!(called.is_err(), "{called:?}"),
        }
        assert!(calls.lock().unwrap().is_empty());
    }
}

/// Calls the agent without a session, and gives the answer of the protocol.
async fn round(address: SocketAddr, more: Map<String, Value>) -> Value {
    let mut params = json!({
        "name": "ask_guide", "arguments": {"input": "Delete it."}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        },
    });
    params.as_object_mut().unwrap().extend(more);
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: ask_guide\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let lines = answer.lines().map(|line| line.trim_start_matches("data: "));
    let mut values = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values
        .rfind(|it| it["id"] == 1)
        .unwrap_or_else(|| panic!("{answer}"))
}

fn answers(asked: &Value, answer: &Value) -> Map<String, Value> {
    let result = &asked["result"];
    let keys = result["inputRequests"].as_object().unwrap().keys();
    let responses: Map<_, _> = keys.map(|key| (key.clone(), answer.clone())).collect();
    Map::from_iter([
        ("requestState".to_owned(), result["requestState"].clone()),
        ("inputResponses".to_owned(), json!(responses)),
    ])
}

#[tokio::test]
async fn the_answers_of_a_client_without_a_session_are_taken_once() {
    let (model, server, calls) = server([deleting("{}"), ScriptedTurn::text("Done.")]);
    let address = serve(server).await;
    let asked = round(address, Map::new()).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");

    // What does not decide leaves the run where it is.
    let unclear = answers(&asked, &json!({"action": "accept", "content": {}}));
    let refused = round(address, unclear).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let still = answers(
        &asked,
        &json!({"action": "accept", "content": {"approve": true}}),
    );
    let done = round(address, still.clone()).await;
    assert_eq!(done["result"]["content"][0]["text"], "Done.", "{done}");

    let again = round(address, still).await;
    let text = again["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("state_invalid: "), "{again}");
    assert_eq!(again["result"]["isError"], true);
    assert_eq!(
        (calls.lock().unwrap().len(), model.requests().len()),
        (1, 2)
    );
}

#[tokio::test]
async fn a_run_that_waits_goes_on_with_the_agent_that_it_began_with() {
    let (model, builder, calls) = server([deleting("{}"), ScriptedTurn::text("Done.")]);
    let server = builder.build().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let asked = round(address, Map::new()).await;

    let (tool, other_calls) = delete();
    let other = Agent::builder("Guide").tool(tool).build().unwrap();
    let runner = Runner::new(ScriptedModel::text("Something else."));
    server.set_agents(runner, [other], []).unwrap();
    let yes = answers(
        &asked,
        &json!({"action": "accept", "content": {"approve": true}}),
    );
    let done = round(address, yes).await;
    assert_eq!(done["result"]["content"][0]["text"], "Done.", "{done}");
    assert_eq!((calls.lock().unwrap().len(), model.n_left()), (1, 0));
    assert!(other_calls.lock().unwrap().is_empty());
}

/// Answers that no question was asked for decide nothing.
#[tokio::test]
async fn approval_without_the_state_of_its_question_is_asked_for() {
    let (model, server, calls) = server([deleting("{}")]);
    let address = serve(server).await;
    let yes = json!({"openai-agents/approval": {"action": "accept", "content": {"approve": true}}});
    let forged = Map::from_iter([("inputResponses".to_owned(), yes)]);
    let asked = round(address, forged).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(
        (calls.lock().unwrap().len(), model.requests().len()),
        (0, 1)
    );
}
