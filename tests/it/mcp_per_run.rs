//! What the calls of an MCP server's tools take from the run that makes them, and a server that is connected again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use openai_agents::error::error_chain;
use openai_agents::future::BoxError;
use openai_agents::mcp::{
    McpClient, McpClientBuilder, McpError, McpProtocol, McpState, StreamableHttp,
};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolGuardrail, ToolVerdict};
use openai_agents::{Agent, ErrorKind, Item, Runner, Secret};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::support::offered;

/// Who a run is for.
struct User {
    token: &'static str,
    tenant: &'static str,
    is_admin: bool,
}

const ANN: User = User {
    token: "tk-ann-0123456789",
    tenant: "north",
    is_admin: true,
};
const BOB: User = User {
    token: "tk-bob-9876543210",
    tenant: "south",
    is_admin: false,
};

/// A request as it came: the method, the token, the body.
type Received = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A server with two tools, which answers a call with the token that it came with; gives its address and what it received.
async fn serve() -> (String, Received) {
    let received = Received::default();
    let router = Router::new().route("/mcp", post(mcp));
    let router = router.with_state(Arc::clone(&received));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

async fn mcp(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let token = headers.get("authorization").map(|it| it.to_str().unwrap());
    let token = token.unwrap_or_default().to_owned();
    let method = request["method"].as_str().unwrap().to_owned();
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
    let result = match &*method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        }),
        "tools/list" => json!({"tools": [tool("read"), tool("delete")]}),
        "tools/call" => {
            json!({"content": [{"type": "text", "text": format!("came with {token}")}]})
        }
        _ => Value::Null,
    };
    let id = request["id"].clone();
    received.lock().unwrap().push((method, token, request));
    if result.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    let kind = [("content-type", "application/json")];
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    (kind, answer.to_string()).into_response()
}

fn builder(url: &str) -> McpClientBuilder {
    let transport = StreamableHttp::new(url).bearer_token("tk-of-all-runs-1234");
    McpClient::builder("echo", transport).protocol(McpProtocol::Handshake)
}

async fn agent(builder: McpClientBuilder) -> Agent {
    let client = builder.build().unwrap();
    client.connect().await.unwrap();
    Agent::builder("A").tool_source(client).build().unwrap()
}

fn calling(tool: &str) -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::tool_call(tool, json!({})),
        ScriptedTurn::text("done"),
    ])
}

/// What the model was given in the second turn.
fn told(model: &ScriptedModel) -> String {
    let requests = model.requests();
    requests[1].items.iter().map(Item::to_json).collect()
}

#[tokio::test]
async fn call_carries_headers_and_meta_of_its_run_and_no_other_request_does() {
    let (url, received) = serve().await;
    let builder = builder(&url)
        .call_headers(|cx| async move {
            let token = cx.run().state::<User>()?.token;
            let value = Secret::new(format!("Bearer {token}"));
            Ok::<_, BoxError>(vec![("authorization".to_owned(), value)])
        })
        .call_meta(|cx| async move {
            let tenant = cx.run().state::<User>()?.tenant;
            let meta = json!({"example/tenant": tenant, "example/call": cx.call_id()});
            Ok::<_, BoxError>(meta.as_object().cloned().unwrap_or_default())
        });
    let agent = agent(builder).await;
    for user in [ANN, BOB] {
        let (token, model) = (user.token, calling("read"));
        let runner = Runner::new(model.clone()).state(user);
        runner.run(&agent, "go").await.unwrap();
        // What the server repeats reaches the model without the token.
        let told = told(&model);
        assert!(told.contains("came with Bearer [redacted]"), "{told}");
        assert!(!told.contains(token), "{told}");
    }
    let received = received.lock().unwrap();
    let tokens: Vec<_> = received
        .iter()
        .map(|(method, token, _)| (&**method, &**token))
        .collect();
    assert_eq!(
        tokens,
        [
            ("initialize", "Bearer tk-of-all-runs-1234"),
            ("notifications/initialized", "Bearer tk-of-all-runs-1234"),
            ("tools/list", "Bearer tk-of-all-runs-1234"),
            ("tools/call", "Bearer tk-ann-0123456789"),
            ("tools/call", "Bearer tk-bob-9876543210"),
        ]
    );
    let meta = received
        .iter()
        .filter(|(method, ..)| method == "tools/call");
    let meta = meta.map(|(_, _, body)| {
        let mut meta = body["params"]["_meta"].clone();
        // The protocol's own.
        meta.as_object_mut().unwrap().remove("progressToken");
        meta
    });
    assert_eq!(
        meta.collect::<Vec<_>>(),
        ["north", "south"]
            .map(|tenant| json!({"example/tenant": tenant, "example/call": "call_read"}))
    );
}

#[tokio::test]
async fn call_whose_headers_cannot_be_had_or_sent_is_not_sent() {
    for (name, value, expected) in [
        (
            "",
            "",
            "the headers of a call cannot be had: nobody is signed in",
        ),
        (
            "mcp-session-id",
            "x",
            "the headers of a call cannot be had: `mcp-session-id` is a header of the protocol",
        ),
        (
            "x-user",
            "a\nb",
            "the headers of a call cannot be had: the value of `x-user` cannot be sent as a header",
        ),
    ] {
        let (url, received) = serve().await;
        let builder = builder(&url).call_headers(move |_| async move {
            match name {
                "" => Err("nobody is signed in"),
                name => Ok(vec![(name.to_owned(), Secret::new(value))]),
            }
        });
        let (agent, model) = (agent(builder).await, calling("read"));
        Runner::new(model.clone()).run(&agent, "go").await.unwrap();
        let told = told(&model);
        assert!(told.contains(expected), "{told}");
        let received = received.lock().unwrap();
        assert!(received.iter().all(|(method, ..)| method != "tools/call"));
    }
}

#[tokio::test]
async fn tools_are_offered_asked_about_and_guarded_by_their_run() {
    let (url, _) = serve().await;
    let no_tokens = ToolGuardrail::new("no tokens", |_| async { ToolVerdict::reject("withheld") });
    let builder = builder(&url).map_tools(move |name, tool| {
        let tool = tool.output_guardrail(no_tokens.clone());
        if name != "delete" {
            return tool;
        }
        let tool = tool.enabled_when(|offer| async move {
            let user = offer.cx.state::<User>()?;
            Ok::<_, BoxError>(user.is_admin)
        });
        tool.needs_approval_when(|cx| async move { !cx.arguments().contains("dry") })
    });
    let agent = agent(builder).await;
    for (user, expected) in [(ANN, &["read", "delete"][..]), (BOB, &["read"])] {
        let model = calling("read");
        let runner = Runner::new(model.clone()).state(user);
        runner.run(&agent, "go").await.unwrap();
        assert_eq!(offered(&model.requests()[0]), expected);
        let told = told(&model);
        assert!(
            told.contains("withheld") && !told.contains("came with"),
            "{told}"
        );
    }
    let run = |arguments: Value| {
        let call = ScriptedTurn::tool_call("delete", arguments);
        let model = ScriptedModel::new([call, ScriptedTurn::text("done")]);
        Runner::new(model).state(ANN).run(&agent, "go")
    };
    let error = run(json!({"n": 1})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApprovalRequired);
    assert_eq!(
        run(json!({"dry": true})).await.unwrap().final_output(),
        "done"
    );
}

/// A server that knows its latest session only.
async fn serve_sessions() -> (String, Arc<Mutex<u32>>) {
    let latest = Arc::new(Mutex::new(0));
    let answer = |State(latest): State<Arc<Mutex<u32>>>, headers: HeaderMap, body: Bytes| async move {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let mut latest = latest.lock().unwrap();
        let result = match request["method"].as_str().unwrap() {
            "initialize" => {
                *latest += 1;
                json!({
                    "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "forgetful", "version": "1"},
                })
            }
            _ if headers["mcp-session-id"] != latest.to_string() => {
                return StatusCode::NOT_FOUND.into_response();
            }
            "tools/call" => json!({"content": []}),
            _ => return StatusCode::ACCEPTED.into_response(),
        };
        let kind = ("content-type", "application/json".to_owned());
        let session = ("mcp-session-id", latest.to_string());
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        ([kind, session], answer.to_string()).into_response()
    };
    let router = Router::new().route("/mcp", post(answer));
    let router = router.with_state(Arc::clone(&latest));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, latest)
}

#[tokio::test]
async fn server_over_http_that_forgot_the_session_has_ended_and_is_connected_again_if_asked_for() {
    const LOST: &str = "it does not know the session any more (HTTP 404); connect anew";
    for reconnects in [true, false] {
        let (url, latest) = serve_sessions().await;
        let mut builder = builder(&url);
        if reconnects {
            builder = builder.reconnect_after(Duration::ZERO);
        }
        let server = builder.build().unwrap();
        server.connect().await.unwrap();
        let call = async || server.call_tool("any", Map::new()).await;
        call().await.unwrap();
        *latest.lock().unwrap() += 1;
        let lost = call().await.unwrap_err();
        assert_eq!(
            error_chain(&lost),
            format!("MCP server `echo`: `tools/call` failed: {LOST}")
        );
        assert!(matches!(server.state(), McpState::Failed { .. }));
        let next = call().await;
        if reconnects {
            next.unwrap();
        } else {
            let next = next.unwrap_err();
            assert!(matches!(next, McpError::NotConnected { .. }), "{next}");
            server.connect().await.unwrap();
            call().await.unwrap();
        }
        assert_eq!(*latest.lock().unwrap(), 3);
    }
}

#[cfg(unix)]
mod again {
    use openai_agents::mcp::Stdio;

    use super::*;
    use crate::folder::Folder;
    use crate::mcp_script::script;

    /// A server that dies of one call and answers the others.
    async fn mortal(reconnect_after: Duration) -> McpClient {
        let answer =
            r#"case $request in *'"die"'*) kill -9 $$ ;; esac; reply '"result":{"content":[]}'"#;
        let builder = McpClient::builder("script", script(answer))
            .protocol(McpProtocol::Handshake)
            .reconnect_after(reconnect_after);
        let server = builder.build().unwrap();
        server.connect().await.unwrap();
        server
    }

    async fn call(server: &McpClient, tool: &str) -> Result<(), String> {
        let called = server.call_tool(tool, Map::new()).await;
        called.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn server_that_ended_is_connected_again_when_it_is_needed_and_the_call_is_not_repeated() {
        let server = mortal(Duration::ZERO).await;
        for _ in 0..2 {
            let died = call(&server, "die").await;
            assert_eq!(
                died,
                Err("MCP server `script` ended by signal 9".to_owned())
            );
            assert!(matches!(server.state(), McpState::Failed { .. }));
            assert_eq!(call(&server, "live").await, Ok(()));
        }
        // Closed is not ended.
        server.close().await;
        let closed = server.call_tool("live", Map::new()).await.unwrap_err();
        assert!(matches!(closed, McpError::NotConnected { .. }), "{closed}");
    }

    #[tokio::test]
    async fn server_that_ends_again_and_again_is_connected_once_in_the_time() {
        let server = mortal(Duration::from_secs(3600)).await;
        call(&server, "die").await.unwrap_err();
        assert_eq!(call(&server, "live").await, Ok(()));
        call(&server, "die").await.unwrap_err();
        let expected = "MCP server `script` is not connected: MCP server `script` ended by signal 9; \
            it is tried again 3600s after the last time, when it is needed";
        assert_eq!(call(&server, "live").await, Err(expected.to_owned()));
    }

    #[tokio::test]
    async fn call_that_is_given_up_while_its_server_starts_leaves_a_server_that_can_be_tried() {
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "script", "version": "1"},
        });
        // The first start ends with a call, and the second does not get ready.
        let script = format!(
            r#"[ -e dead ] && exec sleep 1000; touch dead; read hello
            printf '%s\n' '{{"jsonrpc":"2.0","id":0,"result":{hello}}}'; read initialized; read call; kill -9 $$"#
        );
        let folder = Folder::new();
        let stdio = Stdio::new("sh").args(["-c", &script]);
        let server = McpClient::builder("script", stdio.current_dir(folder.path("")))
            .protocol(McpProtocol::Handshake)
            .connect_timeout(Duration::from_secs(60))
            .reconnect_after(Duration::ZERO);
        let server = server.build().unwrap();
        server.connect().await.unwrap();
        call(&server, "die").await.unwrap_err();
        let mut second = Box::pin(call(&server, "live"));
        while !matches!(server.state(), McpState::Starting) {
            tokio::select! {
                biased;
                ended = &mut second => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(second);
        assert!(matches!(server.state(), McpState::Failed { .. }));
    }
}
