//! `/sessions`: what was said, where it can be read, branched and deleted; and what a run may be given beside its input.

use openai_agents::server::Server;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Runner};
use serde_json::{Value, json};

use crate::front::Front;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Path {
    path: String,
}

fn deleting() -> Agent {
    let tool = FunctionTool::new("delete", "Deletes.", async |_cx, args: Path| {
        Ok::<_, String>(format!("deleted {}", args.path))
    });
    Agent::builder("Guide")
        .instructions("Be brief.")
        .tool(tool.unwrap().needs_approval())
        .build()
        .unwrap()
}

async fn run(front: &Front, body: Value) -> Vec<Value> {
    let mut body = body;
    body["agent"] = json!("Guide");
    body["stream"] = json!(true);
    let answer = front.post("/run", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.events()
}

fn texts(session: &Value) -> Vec<String> {
    let items = session["items"].as_array().unwrap().iter();
    items
        .map(|item| item["content"][0]["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn sessions_are_listed_with_titles_and_branched_before_a_message() {
    let model = ScriptedModel::new(["One.", "Two.", "Other."].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    run(&front, json!({"input": "first\nline", "session": "a"})).await;
    run(&front, json!({"input": "second", "session": "a"})).await;
    run(&front, json!({"input": "elsewhere", "session": "b"})).await;
    let list = front.get("/sessions").await.json();
    let run_of = |n: usize| list["sessions"][n]["run"].clone();
    assert_eq!(
        list,
        json!({"sessions": [
            {"session": "b", "title": "elsewhere", "run": run_of(0)},
            {"session": "a", "title": "first", "run": run_of(1)},
        ]})
    );
    assert_eq!(run_of(0)["status"], "completed");
    let shown = front.get("/sessions/a").await.json();
    assert_eq!(texts(&shown), ["first\nline", "One.", "second", "Two."]);
    let before = shown["items"][2]["id"].clone();
    let forked = front
        .post("/sessions/a/fork", &json!({"before": before}))
        .await
        .json();
    assert_eq!(
        (&forked["from"], &forked["n_items"]),
        (&json!("a"), &json!(2))
    );
    let branch = format!("/sessions/{}", forked["session"].as_str().unwrap());
    assert_eq!(
        texts(&front.get(&branch).await.json()),
        ["first\nline", "One."]
    );
    assert_eq!(front.get("/sessions/a").await.json(), shown);
    let answer = shown["items"][1]["id"].clone();
    for (before, code) in [
        (answer, (400, "invalid_value")),
        (json!("msg_x"), (404, "not_found")),
    ] {
        let refused = front
            .post("/sessions/a/fork", &json!({"before": before}))
            .await;
        assert_eq!(refused.code(), (code.0, code.1.to_owned()));
    }
    let deleted = front.ask("DELETE", "/sessions/a", &[], "").await;
    assert_eq!(deleted.json(), json!({"session": "a", "deleted": true}));
    assert_eq!(
        front.get("/sessions/a").await.json(),
        json!({"session": "a", "items": [], "run": null})
    );
}

#[tokio::test]
async fn run_with_overrides_has_them_also_after_an_approval() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("delete", json!({"path": "/a"})),
        ScriptedTurn::text("Done."),
    ]);
    let front = Front::with_agent(&model, deleting()).await;
    let body = json!({"input": "x", "session": "s", "overrides": {"instructions": "Shout.", "tools": ["delete"]}});
    run(&front, body).await;
    let status = front.get("/status/s").await.json();
    let id = status["interruptions"][0]["id"].clone();
    let approvals = json!({"approvals": [{"id": id, "approve": true}]});
    assert_eq!(front.post("/approve/s", &approvals).await.status, 200);
    front.get("/events/s").await;
    let instructions: Vec<_> = model
        .requests()
        .iter()
        .map(|request| request.instructions.as_deref().map(str::to_owned))
        .collect();
    assert_eq!(
        instructions,
        [Some("Shout.".to_owned()), Some("Shout.".to_owned())]
    );
}

#[tokio::test]
async fn overrides_that_name_no_tool_of_the_agent_are_refused() {
    let front = Front::with_agent(&ScriptedModel::new([]), deleting()).await;
    let body = json!({"agent": "Guide", "input": "x", "overrides": {"tools": ["look"]}});
    let answer = front.post("/run", &body).await;
    assert_eq!(answer.code(), (400, "invalid_value".to_owned()));
    assert_eq!(answer.json()["error"]["param"], "overrides.tools");
}

#[tokio::test]
async fn call_approved_with_other_arguments_is_made_and_kept_with_them() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("delete", json!({"path": "/a"})),
        ScriptedTurn::text("Done."),
    ]);
    let front = Front::with_agent(&model, deleting()).await;
    run(&front, json!({"input": "x", "session": "s"})).await;
    let status = front.get("/status/s").await.json();
    let id = &status["interruptions"][0]["id"];
    let wrong = json!({"approvals": [{"id": id, "approve": true, "arguments": "[1]"}]});
    assert_eq!(
        front.post("/approve/s", &wrong).await.code(),
        (400, "invalid_value".to_owned())
    );
    let given = r#"{"path":"/tmp/b"}"#;
    let approvals = json!({"approvals": [{"id": id, "approve": true, "arguments": given}]});
    assert_eq!(front.post("/approve/s", &approvals).await.status, 200);
    let events = front.get("/events/s").await.events();
    let output = events.iter().find(|event| event["type"] == "tool_output");
    assert_eq!(output.unwrap()["output"], "deleted /tmp/b");
    let items = front.get("/sessions/s").await.json();
    assert_eq!(items["items"][1]["arguments"], given);
}

#[tokio::test]
async fn agents_are_described_for_people() {
    let other = Agent::builder("Other")
        .handoff_description("Knows.")
        .model_name("m")
        .build()
        .unwrap();
    let builder = Server::builder(Runner::new(ScriptedModel::new([])));
    let front = Front::start(builder.agent(deleting()).agent(other)).await;
    assert_eq!(
        front.get("/agents").await.json(),
        json!({"agents": [
            {
                "name": "Guide", "description": null, "instructions": "Be brief.", "model": null, "handoffs": [],
                "tools": [{"name": "delete", "description": "Deletes.", "from": null, "error": null}],
            },
            {
                "name": "Other", "description": "Knows.", "instructions": null, "model": "m", "handoffs": [], "tools": [],
            },
        ], "keeps_traces": false, "realtime": []})
    );
}

#[tokio::test]
async fn page_is_served_where_it_is_asked_for_and_needs_no_token() {
    let builder = || {
        let agent = Agent::builder("Guide").build().unwrap();
        Server::builder(Runner::new(ScriptedModel::new([])))
            .agent(agent)
            .token("token-0123456789abcdef")
    };
    let without = Front::start(builder()).await;
    assert_eq!(without.get("/").await.status, 401);
    let front = Front::start(builder().page()).await;
    let page = front.get("/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(front.get("/page/main.js").await.status, 200);
    assert_eq!(front.get("/page/other.js").await.status, 404);
    assert_eq!(front.get("/agents").await.status, 401);
}
