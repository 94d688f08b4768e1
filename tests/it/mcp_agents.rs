//! Agents as tools of an MCP server: the conversations that they go on with, and what clients can read of them.

use std::sync::Arc;

use openai_agents::mcp::{McpClient, McpError, McpProtocol, McpResourceBody, McpToolResult};
use openai_agents::server::mcp::{self, McpBuildError};
use openai_agents::session::{
    MemorySession, Session, SessionCause, SessionError, SessionId, SessionTurn,
};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::trace::{ContentRecording, MemorySpans, Span, SpanContent, SpanKind, Tracer};
use openai_agents::{Agent, Item, Runner};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::mcp_server::{ERAS, client, connect, input, serve};
use crate::support;

fn guide() -> Agent {
    Agent::builder("Guide").build().unwrap()
}

/// A server of the guide, whose model says this.
fn saying(texts: &[&str]) -> (ScriptedModel, mcp::McpServerBuilder) {
    let model = ScriptedModel::new(texts.iter().map(|text| ScriptedTurn::text(*text)));
    let server = mcp::McpServer::builder(Runner::new(model.clone())).agent(guide());
    (model, server)
}

pub(crate) fn within(text: &str, session: &str) -> Map<String, Value> {
    let mut arguments = input(text);
    arguments.insert("session".to_owned(), json!(session));
    arguments
}

pub(crate) async fn ask(client: &McpClient, arguments: Map<String, Value>) -> McpToolResult {
    client.call_tool("ask_guide", arguments).await.unwrap()
}

/// The text of a result that says that it is an error.
#[track_caller]
pub(crate) fn error_of(result: &McpToolResult) -> &str {
    assert!(result.is_error, "{result:?}");
    result.content[0].as_text().unwrap()
}

async fn read(client: &McpClient, uri: &str) -> Value {
    let contents = client.read_resource(uri).await.unwrap();
    assert_eq!(contents[0].media_type.as_deref(), Some("application/json"));
    let McpResourceBody::Text(text) = &contents[0].body else {
        panic!("{contents:?}");
    };
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_call_goes_on_with_the_session_that_it_names() {
    for protocol in ERAS {
        let (model, server) = saying(&["Paris.", "The Seine.", "Nothing."]);
        let client = connect(client(serve(server).await, protocol)).await;
        let first = ask(&client, within("The capital of France?", "trip 1/a")).await;
        assert_eq!(first.structured_content.unwrap()["session"], "trip 1/a");
        ask(&client, within("And its river?", "trip 1/a")).await;
        let apart = ask(&client, input("What did I ask?")).await;
        assert_eq!(apart.structured_content.unwrap().get("session"), None);
        let n_items: Vec<_> = model.requests().iter().map(|it| it.items.len()).collect();
        assert_eq!(n_items, [1, 3, 1]);

        let listed = client.resources().await.unwrap();
        let session = listed.iter().find(|it| it.name == "trip 1/a").unwrap();
        assert_eq!(session.uri, "session://trip%201%2Fa");
        for uri in [&*session.uri, "session://trip%201/a"] {
            let read = read(&client, uri).await;
            assert_eq!(read["session"], "trip 1/a");
            let texts = read["items"].as_array().unwrap();
            assert_eq!(texts.len(), 4, "{read}");
            assert!(texts[3].to_string().contains("The Seine."), "{read}");
        }
        let templates = client.resource_templates().await.unwrap();
        assert!(
            templates
                .iter()
                .any(|it| it.uri_template == "session://{+id}")
        );
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_had_is_an_error_and_no_run() {
    let (model, server) = saying(&[]);
    let server = server.sessions(|id| async move {
        Err::<Arc<dyn Session>, _>(SessionError::Unavailable {
            store: id.to_string(),
            source: SessionCause::from("it is down"),
        })
    });
    let client = connect(client(serve(server).await, McpProtocol::Ask)).await;
    for (session, told) in [
        (json!(""), "session: a session id cannot be empty"),
        (json!("a\0b"), "session: the session id has a NUL at byte 1"),
        (json!(7), "the argument `session` must be a text"),
        (
            json!("s"),
            "session: the session store s cannot be reached: it is down",
        ),
    ] {
        let mut arguments = input("hi");
        arguments.insert("session".to_owned(), session);
        assert_eq!(error_of(&ask(&client, arguments).await), told);
    }
    let unread = client.read_resource("session://s").await.unwrap_err();
    assert!(
        matches!(unread, McpError::Refused { code: -32603, .. }),
        "{unread:?}"
    );
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn sessions_are_those_of_the_application() {
    let session = MemorySession::new(SessionId::new("alice").unwrap());
    let (opened, listed) = (session.clone(), session.id().clone());
    let (_, server) = saying(&["Hello."]);
    let server = server
        .sessions(move |id| {
            let is_known = id == *opened.id();
            let session = is_known.then(|| opened.clone());
            let session = session.unwrap_or_else(|| MemorySession::new(id));
            async move { Ok(Arc::new(session) as Arc<dyn Session>) }
        })
        .list_sessions(move || {
            let ids = vec![listed.clone()];
            async move { Ok(ids) }
        });
    let client = connect(client(serve(server).await, McpProtocol::Ask)).await;
    // It is known, and nobody has written to it.
    for uri in ["session://alice", "session://bob", "session://%00"] {
        let missing = client.read_resource(uri).await.unwrap_err();
        assert!(matches!(missing, McpError::Refused { .. }), "{missing:?}");
    }
    ask(&client, within("Hi.", "alice")).await;
    assert_eq!(session.items(None).await.unwrap().items.len(), 2);
    let listed = client.resources().await.unwrap();
    assert!(listed.iter().any(|it| it.uri == "session://alice"));
}

#[tokio::test]
async fn a_session_that_someone_else_went_on_with_is_a_conflict() {
    let session = MemorySession::new(SessionId::new("alice").unwrap());
    let (opened, disturbed) = (session.clone(), session.clone());
    let turns = [
        ScriptedTurn::tool_call("disturb", json!({})),
        ScriptedTurn::text("Done."),
    ];
    let tool = crate::support::tool("disturb", move |_| {
        let session = disturbed.clone();
        async move {
            let turn = SessionTurn::new([Item::user("me too")]);
            session
                .append(turn)
                .await
                .map_err(|error| error.to_string())?;
            Ok(String::new())
        }
    });
    let agent = Agent::builder("Guide").tool(tool).build().unwrap();
    let server = mcp::McpServer::builder(Runner::new(ScriptedModel::new(turns)))
        .agent(agent)
        .sessions(move |_| {
            let session = Arc::new(opened.clone()) as Arc<dyn Session>;
            async move { Ok(session) }
        });
    let client = connect(client(serve(server).await, McpProtocol::Ask)).await;
    let result = ask(&client, within("Go.", "alice")).await;
    let told = error_of(&result);
    assert_eq!(
        told,
        "session_conflict: session `alice` was changed by another run or program in between; nothing of this run is in it"
    );
}

#[test]
fn the_addresses_of_sessions_are_taken() {
    let template = openai_agents::mcp::McpResourceTemplate::new("session://{+id}", "mine");
    let (_, server) = saying(&[]);
    let clash = server
        .resource_template(template, async |_call, _request| Err("nothing"))
        .build();
    assert!(
        matches!(clash, Err(McpBuildError::ResourceClash { .. })),
        "{clash:?}"
    );
}

/// The traces of the runs, the latest first.
async fn traces(client: &McpClient) -> Vec<Value> {
    let listed = client.resources().await.unwrap();
    let mut traces = Vec::new();
    for trace in listed.iter().filter(|it| it.uri.starts_with("trace://")) {
        traces.push(read(client, &trace.uri).await);
    }
    traces
}

#[tokio::test]
async fn trace_resource_has_the_spans_of_the_run() {
    for protocol in ERAS {
        let turns = [
            ScriptedTurn::tool_call("weather", json!({})),
            ScriptedTurn::text("It is sunny."),
        ];
        let agent = Agent::builder("Guide").tool(crate::support::instant("weather", "sunny"));
        let runner = Runner::new(ScriptedModel::new(turns));
        let server = mcp::McpServer::builder(runner).agent(agent.build().unwrap());
        let client = connect(client(serve(server).await, protocol)).await;
        let told = ask(&client, within("Weather?", "s")).await;
        let run = told.structured_content.unwrap()["run"].clone();
        ask(&client, input("And then?")).await;

        let templates = client.resource_templates().await.unwrap();
        assert!(
            templates
                .iter()
                .any(|it| it.uri_template == "trace://{run}")
        );
        let [failed, done] = &traces(&client).await[..] else {
            panic!();
        };
        assert_eq!(failed["status"], "error");
        // The script has no more turns.
        assert_eq!(failed["error"]["kind"], "config", "{failed}");

        assert_eq!((&done["run"], &done["session_id"]), (&run, &json!("s")));
        assert_eq!(
            (&done["status"], &done["n_dropped"]),
            (&json!("ok"), &json!(0))
        );
        let spans = done["spans"].as_array().unwrap();
        let names: Vec<_> = spans
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        let expect = [
            "read session",
            "chat scripted",
            "execute_tool weather",
            "write session",
            "turn 1",
            "chat scripted",
            "write session",
            "turn 2",
            "invoke_agent Guide",
            "run Guide",
        ];
        assert_eq!(names, expect);
        assert_eq!(
            spans[2]["content"],
            json!({"arguments": "{}", "result": "sunny"})
        );
        let said = spans[5]["content"]["output"].as_str().unwrap();
        assert!(said.contains("It is sunny."), "{said}");
        let of_trace = |span: &Value| span["trace_id"] == done["trace_id"];
        assert!(spans.iter().all(of_trace), "{done}");
        let missing = client.read_resource("trace://0").await.unwrap_err();
        assert!(matches!(missing, McpError::Refused { .. }), "{missing:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_while_a_question_waits_ends_its_run() {
    let tool = crate::support::instant("delete", "deleted").needs_approval();
    let agent = Agent::builder("Guide").tool(tool).build().unwrap();
    let model = ScriptedModel::new([ScriptedTurn::tool_call("delete", json!({}))]);
    let server = mcp::McpServer::builder(Runner::new(model)).agent(agent);
    let address = serve(server).await;
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let asking = client(address, McpProtocol::Handshake).on_elicitation(move |_| {
        asks.notify_one();
        std::future::pending()
    });
    let asking = connect(asking).await;
    let reading = connect(client(address, McpProtocol::Handshake)).await;
    let mut call = Box::pin(asking.call_tool("ask_guide", input("Delete it.")));
    tokio::select! {
        result = &mut call => panic!("{result:?}"),
        () = asked.notified() => {}
    }
    assert_eq!(traces(&reading).await[0]["status"], "paused");
    drop(call);
    while traces(&reading).await[0]["status"] != "cancelled" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn call_of_an_agent_elsewhere_is_one_trace_on_both_sides() {
    for protocol in ERAS {
        let (here, there) = (MemorySpans::default(), MemorySpans::default());
        let tracer = |spans: &MemorySpans| Tracer::builder().processor(spans.clone()).build();
        let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer(&there));
        let server = mcp::McpServer::builder(runner).agent(guide());
        let client = connect(client(serve(server).await, protocol)).await;
        let asking = Agent::builder("Asking")
            .tool_source(client)
            .build()
            .unwrap();
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("ask_guide", json!({"input": "The capital of France?"})),
            ScriptedTurn::text("It is Paris."),
        ]);
        let runner = Runner::new(model).tracer(&tracer(&here));
        runner.run(&asking, "go").await.unwrap();

        let here = here.ended();
        let call = here
            .iter()
            .find(|span| span.kind == SpanKind::Function)
            .unwrap();
        assert_eq!(call.name, "execute_tool ask_guide");
        assert_eq!(
            call.attribute("mcp.method.name"),
            Some(&json!("tools/call"))
        );
        assert_eq!(call.attribute("network.transport"), Some(&json!("tcp")));
        // The answer may be here before the end of the run is told there.
        while there.ended().len() < 4 {
            tokio::task::yield_now().await;
        }
        let there = there.ended();
        let run = there
            .iter()
            .find(|span| span.kind == SpanKind::Task)
            .unwrap();
        assert_eq!((run.trace.id, run.parent), (call.trace.id, Some(call.id)));
        assert!(there.iter().all(|span| span.trace.id == call.trace.id));
    }
}

#[tokio::test]
async fn trace_resource_is_the_trace_of_the_tracer_and_withholds_what_that_withholds() {
    let spans = MemorySpans::default();
    let tracer = Tracer::builder().processor(spans.clone());
    let tracer = tracer.content(ContentRecording::Withheld).build();
    let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
    let server = mcp::McpServer::builder(runner).agent(guide());
    let client = connect(client(serve(server).await, McpProtocol::Ask)).await;
    ask(&client, input("The capital of France?")).await;
    let [trace] = &traces(&client).await[..] else {
        panic!();
    };
    let read: Vec<_> = trace["spans"].as_array().unwrap().clone();
    let recorded = spans.ended();
    let recorded = recorded.iter().map(|span| span.to_json().parse::<Value>());
    assert_eq!(read, recorded.map(Result::unwrap).collect::<Vec<_>>());
    assert!(!trace.to_string().contains("Paris"), "{trace}");
}

#[tokio::test]
async fn agent_without_a_tracer_passes_the_span_of_its_client_on_to_its_own_servers() {
    for protocol in ERAS {
        let (here, there) = (MemorySpans::default(), MemorySpans::default());
        let tracer = |spans: &MemorySpans| Tracer::builder().processor(spans.clone()).build();
        let runner = Runner::new(ScriptedModel::new([])).tracer(&tracer(&there));
        let tools = mcp::McpServer::builder(runner).tool(support::instant("look", "seen"));
        let tools = connect(client(serve(tools).await, protocol)).await;
        let between = ScriptedModel::new([
            ScriptedTurn::tool_call("look", json!({})),
            ScriptedTurn::text("Seen."),
        ]);
        let guide = Agent::builder("Guide").tool_source(tools).build().unwrap();
        let server = mcp::McpServer::builder(Runner::new(between)).agent(guide);
        let server = connect(client(serve(server).await, protocol)).await;
        let asking = Agent::builder("Asking").tool_source(server);
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("ask_guide", json!({"input": "Look."})),
            ScriptedTurn::text("It has."),
        ]);
        let runner = Runner::new(model).tracer(&tracer(&here));
        runner.run(&asking.build().unwrap(), "go").await.unwrap();

        let is_call = |span: &&Arc<Span>| span.kind == SpanKind::Function;
        let here = here.ended();
        let asked = here.iter().find(is_call).unwrap();
        let there = there.ended();
        let looked = there.iter().find(is_call).unwrap();
        assert_eq!(looked.parent, Some(asked.id));
        assert_eq!(looked.trace.id, asked.trace.id);
    }
}

#[tokio::test]
async fn tool_that_a_client_calls_over_mcp_is_recorded_with_its_failure() {
    for content in [ContentRecording::Recorded, ContentRecording::Withheld] {
        let spans = MemorySpans::default();
        let tracer = Tracer::builder().processor(spans.clone()).content(content);
        let runner = Runner::new(ScriptedModel::new([])).tracer(&tracer.build());
        let broken = support::tool("broken", async |_| Err("no disk".to_owned()));
        let server = mcp::McpServer::builder(runner)
            .tool(support::instant("look", "seen"))
            .tool(broken);
        let client = connect(client(serve(server).await, McpProtocol::Handshake)).await;
        client.call_tool("look", Map::new()).await.unwrap();
        client.call_tool("broken", Map::new()).await.unwrap();
        client.close().await;
        let ended = spans.ended();
        let is_recorded = content == ContentRecording::Recorded;
        let said = |text: &'static str| is_recorded.then(|| text.to_owned());
        let find = |name: &str| ended.iter().find(|span| span.name == name).unwrap();
        let look = find("execute_tool look");
        let texts =
            ["arguments", "result"].map(|name| look.content(name).map(SpanContent::to_text));
        let result = r#"[{"type":"text","text":"seen"}]"#;
        assert_eq!(texts, [said("{}"), said(result)]);
        assert_eq!((look.is_root, look.parent), (true, None));
        let error = find("execute_tool broken").error.clone().unwrap();
        assert_eq!(error.kind, "tool_error");
        assert_eq!(
            error.message.contains("An error occurred"),
            is_recorded,
            "{error:?}"
        );
    }
}
