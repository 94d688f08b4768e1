//! Runs as a service: they go on without whoever began them.

use std::sync::Arc;

use openai_agents::model::{MemoryLimit, OpenAiChat};
use openai_agents::server::Server;
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Runner, Usage};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::front::{Answer, Front};
use crate::support::{NoArgs, agent, chunk, instant, whole_text};

/// A tool that waits until the test lets it go on.
fn gate(open: &Arc<Semaphore>) -> FunctionTool {
    let open = Arc::clone(open);
    FunctionTool::new("gate", "Waits.", move |_cx, _args: NoArgs| {
        let open = Arc::clone(&open);
        async move {
            open.acquire().await.unwrap().forget();
            Ok::<_, String>("open")
        }
    })
    .unwrap()
}

fn types(answer: &Answer) -> Vec<String> {
    answer
        .events()
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

async fn start(front: &Front, session: &str) -> Value {
    let body = json!({"agent": "Guide", "input": "hi", "session": session});
    let answer = front.post("/run", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_run_goes_on_by_itself_and_its_events_can_be_read_again() {
    let model = ScriptedModel::new(["One two.", "Three."].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let begun = start(&front, "s 1/ü").await;
    assert!(begun["run_id"].as_str().unwrap().starts_with("run_"));
    assert_eq!(
        (&begun["session"], &begun["status"]),
        (&json!("s 1/ü"), &json!("running"))
    );
    let path = "/events/s%201%2F%C3%BC";
    let all = front.get(path).await;
    assert_eq!(
        types(&all),
        [
            "run_started",
            "turn_started",
            "text_delta",
            "text_delta",
            "item_done",
            "response_done",
            "result"
        ]
    );
    let usage = json!({
        "requests": 1, "requests_without_usage": 1, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0,
        "cached_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0,
    });
    assert_eq!(
        all.events()[5..],
        [
            json!({
                "type": "response_done", "response_id": null, "request_id": null, "model": null,
                "finish_reason": null, "usage": null, "deviations": [],
            }),
            json!({
                "type": "result", "ok": true, "final_output": "One two.", "agent": "Guide", "turns": 1,
                "usage": usage, "deviations": [],
            }),
        ]
    );
    let rest = front.ask("GET", path, &["last-event-id: 5"], "").await;
    assert_eq!(types(&rest), ["response_done", "result"]);
    assert!(
        rest.body.starts_with("id: 6\nevent: response_done\ndata: "),
        "{}",
        rest.body
    );
    assert_eq!(
        front
            .ask("GET", path, &["last-event-id: 7"], "")
            .await
            .status,
        204
    );
    let status = front.get("/status/s%201%2F%C3%BC").await.json();
    assert_eq!(
        (&status["status"], &status["last_event_id"]),
        (&json!("completed"), &json!(7))
    );
    // The session has the conversation, and the numbers go on.
    start(&front, "s 1/ü").await;
    let more = front.ask("GET", path, &["last-event-id: 7"], "").await;
    assert!(more.body.starts_with("id: 8\n"), "{}", more.body);
    assert_eq!(model.requests()[1].items.len(), 3);
}

#[tokio::test]
async fn events_that_are_gone_are_an_error() {
    let front = Front::start(
        Server::builder(Runner::new(ScriptedModel::text("a b c d")))
            .agent(Agent::builder("Guide").build().unwrap())
            .max_events(3),
    )
    .await;
    let body = json!({"agent": "Guide", "input": "hi", "session": "s", "stream": true});
    assert_eq!(front.post("/run", &body).await.status, 200);
    for (id, first) in [("0", 7), ("99", 7)] {
        let answer = front
            .ask("GET", "/events/s", &[&format!("last-event-id: {id}")], "")
            .await;
        let events = answer.events();
        assert_eq!(events.len(), 1);
        assert_eq!(
            (&events[0]["code"], &events[0]["first_event_id"]),
            (&json!("events_gone"), &json!(first))
        );
    }
    assert_eq!(types(&front.get("/events/s").await).len(), 3);
    let answer = front
        .ask("GET", "/events/s", &["last-event-id: x"], "")
        .await;
    assert_eq!(answer.code(), (400, "invalid_value".to_owned()));
    assert_eq!(
        front.get("/events/other").await.code(),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        front.get("/status/other").await.code(),
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn a_session_has_one_run_at_a_time_which_can_be_cancelled() {
    let open = Arc::new(Semaphore::new(0));
    let agent = Agent::builder("Guide").tool(gate(&open)).build().unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("gate", json!({})),
        ScriptedTurn::text("Done."),
    ]);
    let front = Front::with_agent(&model, agent).await;
    start(&front, "s").await;
    let body = json!({"agent": "Guide", "input": "hi", "session": "s"});
    assert_eq!(
        front.post("/run", &body).await.code(),
        (409, "session_busy".to_owned())
    );
    assert_eq!(front.get("/status/s").await.json()["status"], "running");
    assert_eq!(front.post("/cancel/s", &json!({})).await.status, 200);
    let result = front.get("/events/s").await.events().pop().unwrap();
    assert_eq!(result["error"]["kind"], "cancelled");
    assert_eq!(front.get("/status/s").await.json()["status"], "cancelled");
    assert_eq!(
        front.ask("POST", "/cancel/s", &[], "").await.code(),
        (409, "not_running".to_owned())
    );
    // The session can be used again, and has no half turn.
    start(&front, "s").await;
    assert_eq!(
        front.get("/events/s").await.events().pop().unwrap()["final_output"],
        "Done."
    );
    assert_eq!(model.requests()[1].items.len(), 2);
}

#[tokio::test]
async fn calls_wait_for_a_decision() {
    let open = Arc::new(Semaphore::new(9));
    let agent = Agent::builder("Guide")
        .tool(gate(&open).needs_approval())
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_calls([("gate", json!({})), ("gate", json!({}))]),
        ScriptedTurn::text("Done."),
        ScriptedTurn::tool_call("gate", json!({})),
    ]);
    let front = Front::with_agent(&model, agent).await;
    start(&front, "s").await;
    let result = front.get("/events/s").await.events().pop().unwrap();
    assert_eq!(result["error"]["kind"], "approval_required");
    let status = front.get("/status/s").await.json();
    assert_eq!(status["status"], "approval_required");
    let calls = status["interruptions"].as_array().unwrap();
    let approve = |id: &Value| json!({"approvals": [{"id": id, "approve": true}]});
    let other = json!({"agent": "Guide", "input": "hi", "session": "s"});
    assert_eq!(
        front.post("/run", &other).await.code(),
        (409, "approval_required".to_owned())
    );
    let wrong = front.post("/approve/s", &approve(&json!("x"))).await;
    assert_eq!(wrong.code(), (400, "invalid_value".to_owned()));
    let one = front
        .post("/approve/s", &approve(&calls[0]["id"]))
        .await
        .json();
    assert_eq!(
        (
            &one["status"],
            one["interruptions"].as_array().unwrap().len()
        ),
        (&json!("approval_required"), 1)
    );
    let reject = json!({"approvals": [{"id": calls[1]["id"], "approve": false, "message": "No."}]});
    front.post("/approve/s", &reject).await.json();
    let last = front
        .ask(
            "GET",
            "/events/s",
            &[&format!("last-event-id: {}", status["last_event_id"])],
            "",
        )
        .await;
    assert_eq!(last.events().pop().unwrap()["final_output"], "Done.");
    let outputs: Vec<String> = model.requests()[1].items[3..]
        .iter()
        .map(|item| item.to_json().to_owned())
        .collect();
    assert!(
        outputs[0].contains("\"open\"") && outputs[1].contains("\"No.\""),
        "{outputs:?}"
    );
    assert_eq!(
        front.post("/approve/s", &reject).await.code(),
        (409, "nothing_waits".to_owned())
    );
    // A run that waits can be given up.
    start(&front, "s").await;
    front.get("/events/s").await;
    assert_eq!(
        front
            .post("/cancel/s", &json!({"when": "now"}))
            .await
            .json()["status"],
        "cancelled"
    );
}

#[tokio::test]
async fn run_route_invalid_request_names_the_field() {
    let front = Front::of(&ScriptedModel::text("ok")).await;
    for (body, code) in [
        (
            json!({"agent": "Nobody", "input": "x"}),
            (404, "model_not_found"),
        ),
        (
            json!({"agent": "Guide"}),
            (400, "missing_required_parameter"),
        ),
        (
            json!({"agent": "Guide", "input": []}),
            (400, "invalid_value"),
        ),
        (
            json!({"agent": "Guide", "input": [{"x": 1}]}),
            (400, "invalid_value"),
        ),
        (
            json!({"agent": "Guide", "input": "x", "session": ""}),
            (400, "invalid_value"),
        ),
        (
            json!({"agent": "Guide", "input": "x", "x": 1}),
            (400, "unsupported_parameter"),
        ),
        (
            json!({"agent": "Guide", "input": "x", "limits": {"x": 1}}),
            (400, "unsupported_parameter"),
        ),
    ] {
        let answer = front.post("/run", &body).await;
        assert_eq!(answer.code(), (code.0, code.1.to_owned()), "{body}");
    }
    let body = json!({"agent": "Guide", "input": "x", "session": "s", "limits": {"max_turns": 0}, "stream": true});
    let result = front.post("/run", &body).await.events().pop().unwrap();
    assert_eq!(result["error"]["kind"], "max_turns");
    assert_eq!(front.get("/status/s").await.json()["status"], "failed");
}

#[tokio::test]
async fn run_whose_answer_is_too_much_beside_others_is_refused_and_they_go_on() {
    let large = "x".repeat(150_000);
    let begun = Reply::sse([chunk(&json!({ "content": large }))]).hang();
    let model = FakeServer::start([begun, whole_text(&large)])
        .await
        .unwrap();
    // Either answer fits, beside its free part; both do not.
    let limit = MemoryLimit::new(100_000);
    let driver = OpenAiChat::builder(model.url(), "m").memory_limit(limit.clone());
    let agent = Agent::builder("Guide").build().unwrap();
    let server = Server::builder(Runner::new(driver.build().unwrap()));
    let front = Front::start(server.agent(agent).memory_limit(limit.clone())).await;
    start(&front, "first").await;
    while limit.n_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let held = limit.n_bytes();
    let body = json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}]});
    let refused = front.post("/v1/chat/completions", &body).await;
    assert_eq!(refused.code(), (503, "limit_exceeded".to_owned()));
    let headers = ["retry-after", "x-should-retry"].map(|name| refused.header(name));
    assert_eq!(headers, [Some("5"), Some("false")]);
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("limits.max_answers_bytes"), "{message}");
    let metrics = front.get("/metrics").await.body;
    assert!(
        metrics.contains(&format!("openai_agents_answers_bytes {held}\n")),
        "{metrics}"
    );
    assert_eq!(front.get("/status/first").await.json()["status"], "running");
    front.post("/cancel/first", &json!({})).await;
    while limit.n_bytes() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn metrics_have_the_names_of_the_conventions_for_generative_ai() {
    let usage = Usage::of_request(7, 2, 9);
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("add", json!({})).with_usage(usage),
        ScriptedTurn::text("3").with_usage(usage),
    ]);
    let agent = agent([instant("add", "3")]);
    let front = Front::with_agent(&model, agent).await;
    let run = json!({"agent": "A", "input": "1 + 2?", "stream": true});
    assert_eq!(front.post("/run", &run).await.status, 200);
    let metrics = front.get("/metrics").await.body;
    let model = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="scripted""#;
    for line in [
        "# TYPE gen_ai_client_inference_duration_seconds histogram".to_owned(),
        format!("gen_ai_client_inference_duration_seconds_count{{{model}}} 2"),
        format!("gen_ai_client_inference_duration_seconds_bucket{{{model},le=\"+Inf\"}} 2"),
        r#"gen_ai_execute_tool_duration_seconds_count{gen_ai_tool_name="add"} 1"#.to_owned(),
        "# TYPE gen_ai_client_inference_usage_input_tokens_total counter".to_owned(),
        format!("gen_ai_client_inference_usage_input_tokens_total{{{model}}} 14"),
        format!("gen_ai_client_inference_usage_output_tokens_total{{{model}}} 4"),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}
