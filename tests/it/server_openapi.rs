//! The description of the routes is true: what is answered is what it says, and nothing else is there.

use std::time::Duration;

use openai_agents::server::{Reloaded, Server, ServerBuilder};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::trace::{TraceFilter, TraceId, TraceStore, Tracer};
use openai_agents::{Agent, FunctionTool, Runner};
use serde_json::{Value, json};

use crate::front::Front;
use crate::support::NoArgs;

/// An agent whose tool waits for approval.
fn guide() -> Agent {
    let tool = FunctionTool::new("look", "Looks.", async |_cx, _args: NoArgs| {
        Ok::<_, String>("x")
    });
    Agent::builder("Guide")
        .tool(tool.unwrap().needs_approval())
        .build()
        .unwrap()
}

/// A server that gives the same agent again when it is to load its agents.
fn reloading(model: &ScriptedModel, agent: Agent) -> ServerBuilder {
    let (again, runner) = (agent.clone(), Runner::new(model.clone()));
    let builder = Server::builder(runner.clone()).agent(agent);
    builder.on_reload(move || {
        let loaded = Reloaded::new(runner.clone(), [again.clone()]).note("all of it");
        async move { Ok::<_, String>(loaded) }
    })
}

#[tokio::test]
async fn answers_match_the_openapi_document() {
    let agent = guide();
    let model = ScriptedModel::new([
        ScriptedTurn::text("a"),
        ScriptedTurn::text("b"),
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("c"),
        ScriptedTurn::text("d"),
        ScriptedTurn::text("e"),
    ]);
    let store = TraceStore::open(":memory:").await.unwrap();
    let trace = stored_trace(&store).await;
    let front = Front::start(reloading(&model, agent).traces(store)).await;
    let document = front.get("/openapi.json").await.json();
    let untried = operations(&document);
    let mut tried = Tried {
        front: &front,
        document,
        untried,
    };
    let mut check = async |method: &str, path: &str, route: &str, body: Value, status: u16| {
        tried.check((method, path, route), &body, status).await
    };
    let none = Value::Null;
    for (method, path, route, status) in reads() {
        check(method, path, route, none.clone(), status).await;
    }
    let chat = json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}]});
    check(
        "POST",
        "/v1/chat/completions",
        "/v1/chat/completions",
        chat,
        200,
    )
    .await;
    let response = json!({"model": "Guide", "input": "hi"});
    let response = check("POST", "/v1/responses", "/v1/responses", response, 200).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    check("GET", &path, "/v1/responses/{id}", none.clone(), 200).await;
    check(
        "POST",
        &format!("{path}/cancel"),
        "/v1/responses/{id}/cancel",
        none.clone(),
        400,
    )
    .await;
    check("DELETE", &path, "/v1/responses/{id}", none.clone(), 200).await;
    for (method, path, route, body) in conversation() {
        check(method, path, route, body, 200).await;
    }
    let run = json!({"agent": "Guide", "input": "hi", "session": "s"});
    check("POST", "/run", "/run", run, 202).await;
    check("GET", "/events/s", "/events/{session}", none.clone(), 200).await;
    let status = check("GET", "/status/s", "/status/{session}", none.clone(), 200).await;
    let approvals =
        json!({"approvals": [{"id": status["interruptions"][0]["id"], "approve": true}]});
    check("POST", "/approve/s", "/approve/{session}", approvals, 200).await;
    front.get("/events/s").await;
    check("GET", "/status/s", "/status/{session}", none.clone(), 200).await;
    check("POST", "/cancel/s", "/cancel/{session}", none.clone(), 409).await;
    for (method, path, route, body, status) in sessions() {
        check(method, path, route, body, status).await;
    }
    tried.check_traces(trace).await;
    assert_eq!(tried.untried, []);
}

/// What is only asked for.
fn reads() -> [(&'static str, &'static str, &'static str, u16); 9] {
    [
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/metrics", "/metrics", 200),
        ("GET", "/openapi.json", "/openapi.json", 200),
        ("GET", "/v1/models", "/v1/models", 200),
        ("GET", "/v1/models/Guide", "/v1/models/{id}", 200),
        ("GET", "/v1/models/x", "/v1/models/{id}", 404),
        // Only a WebSocket is answered otherwise.
        ("GET", "/v1/realtime", "/v1/realtime", 426),
        ("GET", "/agents", "/agents", 200),
        ("POST", "/reload", "/reload", 200),
    ]
}

/// What can be done with sessions, of which there is `s`, and by the streams for user interfaces.
fn sessions() -> [(&'static str, &'static str, &'static str, Value, u16); 7] {
    const ONE: &str = "/sessions/{session}";
    let input = json!({"input": "more"});
    let thread =
        json!({"threadId": "t", "runId": "r", "messages": [{"role": "user", "content": "hi"}]});
    let said = json!({"role": "user", "parts": [{"type": "text", "text": "hi"}]});
    let chat = json!({"id": "c", "messages": [said]});
    [
        ("POST", "/send/s", "/send/{session}", input, 409),
        ("GET", "/sessions", "/sessions", Value::Null, 200),
        ("GET", "/sessions/s", ONE, Value::Null, 200),
        (
            "POST",
            "/sessions/s/fork",
            "/sessions/{session}/fork",
            Value::Null,
            200,
        ),
        ("DELETE", "/sessions/s", ONE, Value::Null, 200),
        ("POST", "/agui/Guide", "/agui/{agent}", thread, 200),
        ("POST", "/ui/Guide", "/ui/{agent}", chat, 200),
    ]
}

/// Puts the trace of a run into a store.
async fn stored_trace(store: &TraceStore) -> TraceId {
    let processor = store.processor().await.unwrap();
    let tracer = Tracer::builder().processor(processor).build();
    let runner = Runner::new(ScriptedModel::text("hi")).tracer(&tracer);
    runner.run(&guide(), "go").await.unwrap();
    assert!(tracer.flush(Duration::from_secs(60)).await);
    let list = store.list(TraceFilter::default()).await.unwrap();
    list.traces[0].id()
}

/// What can be done with a conversation whose id, and those of whose items, are known before.
fn conversation() -> [(&'static str, &'static str, &'static str, Value); 8] {
    const ONE: &str = "/v1/conversations/{id}";
    const ITEMS: &str = "/v1/conversations/{id}/items";
    const ITEM: &str = "/v1/conversations/{id}/items/{item_id}";
    let item = json!({"type": "message", "role": "user", "content": "a"});
    let (path, items) = ("/v1/conversations/x", "/v1/conversations/x/items");
    // An id is made of what the item says.
    let first = "/v1/conversations/x/items/msg_a8b02c7e51f3b771_0";
    [
        (
            "POST",
            "/v1/conversations",
            "/v1/conversations",
            json!({"metadata": {"a": "b"}}),
        ),
        ("POST", items, ITEMS, json!({"items": [item]})),
        ("GET", items, ITEMS, Value::Null),
        ("GET", first, ITEM, Value::Null),
        ("GET", path, ONE, Value::Null),
        ("POST", path, ONE, json!({"metadata": {}})),
        ("DELETE", first, ITEM, Value::Null),
        ("DELETE", path, ONE, Value::Null),
    ]
}

/// What of the document was tried.
struct Tried<'a> {
    front: &'a Front,
    document: Value,
    untried: Vec<(String, String)>,
}

impl Tried<'_> {
    async fn check_traces(&mut self, trace: TraceId) {
        let none = &Value::Null;
        self.check(("GET", "/traces", "/traces"), none, 200).await;
        let path = format!("/traces/{trace}");
        let trace = self.check(("GET", &path, "/traces/{id}"), none, 200).await;
        let span = trace["spans"][0]["span_id"].as_str().unwrap();
        let span = format!("{path}/spans/{span}");
        let route = "/traces/{id}/spans/{span}";
        self.check(("GET", &span, route), none, 200).await;
        self.check(("DELETE", &path, "/traces/{id}"), none, 200)
            .await;
    }

    async fn check(
        &mut self,
        (method, path, route): (&str, &str, &str),
        body: &Value,
        status: u16,
    ) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.front.ask(method, path, &[], &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        self.untried
            .retain(|operation| *operation != (method.to_owned(), route.to_owned()));
        let responses = &self.document["paths"][route][method.to_lowercase()]["responses"];
        let described = responses
            .get(status.to_string())
            .unwrap_or(&responses["default"]);
        let content = answer.header("content-type").unwrap_or_default();
        let content = content.split(';').next().unwrap().to_owned();
        let schema = &described["content"][&content]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path}: {content} is not described"
        );
        if content == "text/event-stream" {
            return Value::Null;
        }
        let value = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body));
        assert_fits(&self.document, schema, &value, route);
        value
    }
}

fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods
            .map(|method| (method.to_uppercase(), path.clone()))
            .collect::<Vec<_>>()
    });
    operations.collect()
}

/// Checks the part of JSON Schema that the document uses.
#[track_caller]
fn assert_fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return assert_fits(
            document,
            &document["components"]["schemas"][name],
            value,
            at,
        );
    }
    let is_of = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::Array(names) => names.iter().any(is_of),
        Value::Null => true,
        name => is_of(name),
    };
    assert!(fits, "{at}: {value} is no {}", schema["type"]);
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant, "{at}");
    }
    if let Some(one_of) = schema["enum"].as_array() {
        assert!(one_of.contains(value), "{at}: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(name.as_str().unwrap()).is_some(),
            "{at}: {name} is missing in {value}"
        );
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => assert_fits(document, schema, inner, &format!("{at}.{name}")),
            None => assert_ne!(schema["additionalProperties"], false, "{at}: {name}"),
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        assert_fits(document, &schema["items"], inner, at);
    }
}
