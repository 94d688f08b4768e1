//! AG-UI and the UI message stream of the Vercel AI SDK: a run in their words. The npm clients themselves are tried by the stage `openai-clients`.

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool};
use serde_json::{Value, json};

use crate::front::{Answer, Front};
use crate::support::NoArgs;

fn guide() -> Agent {
    let tool = FunctionTool::new("look", "Looks.", async |_cx, _args: NoArgs| {
        Ok::<_, String>("x")
    });
    Agent::builder("Guide")
        .tool(tool.unwrap().needs_approval())
        .build()
        .unwrap()
}

fn said(text: &str) -> Value {
    json!([{"id": "u1", "role": "user", "content": text}])
}

/// The events with the ids that the server makes put in order.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.events()
}

fn types(answer: &Answer) -> Vec<String> {
    let types = events(answer).into_iter();
    types
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn ag_ui_run_with_an_approval_goes_on_by_a_resume() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("Seen."),
    ]);
    let front = Front::with_agent(&model, guide()).await;
    let body = json!({"threadId": "t", "runId": "r1", "messages": said("hi"), "tools": [], "context": [], "state": {}});
    let answer = front.post("/agui/Guide", &body).await;
    assert_eq!(
        types(&answer),
        [
            "RUN_STARTED",
            "STEP_STARTED",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
            "STEP_FINISHED",
            "RUN_FINISHED"
        ]
    );
    let last = events(&answer).pop().unwrap();
    let interrupt = &last["outcome"]["interrupts"][0];
    assert_eq!(last["outcome"]["type"], "interrupt");
    assert_eq!(interrupt["reason"], "tool_approval");
    let resume = json!([{"interruptId": interrupt["id"], "status": "resolved", "payload": {"approved": true}}]);
    let body = json!({"threadId": "t", "runId": "r2", "messages": said("hi"), "resume": resume});
    let answer = front.post("/agui/Guide", &body).await;
    assert_eq!(
        types(&answer),
        [
            "RUN_STARTED",
            "TOOL_CALL_RESULT",
            "STEP_STARTED",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "STEP_FINISHED",
            "RUN_FINISHED"
        ]
    );
    let last = events(&answer).pop().unwrap();
    assert_eq!(
        (&last["outcome"], &last["result"]),
        (&json!({"type": "success"}), &json!("Seen."))
    );
}

#[tokio::test]
async fn ag_ui_refuses_what_would_change_the_agent() {
    let front = Front::of(&ScriptedModel::new([])).await;
    for (name, value) in [
        ("tools", json!([{"name": "x"}])),
        ("context", json!([{"description": "a", "value": "b"}])),
        ("state", json!({"a": 1})),
    ] {
        let mut body = json!({"threadId": "t", "runId": "r", "messages": said("hi")});
        body[name] = value;
        let answer = front.post("/agui/Guide", &body).await;
        assert_eq!(
            answer.code(),
            (400, "unsupported_parameter".to_owned()),
            "{name}"
        );
        assert_eq!(answer.json()["error"]["param"], name);
    }
}

#[tokio::test]
async fn vercel_chat_with_an_approval_goes_on_in_the_same_message() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("Not seen."),
    ]);
    let front = Front::with_agent(&model, guide()).await;
    let user = json!({"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]});
    let body = json!({"id": "c", "messages": [user], "trigger": "submit-message"});
    let answer = front.post("/ui/Guide", &body).await;
    assert_eq!(answer.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    assert_eq!(
        types(&answer),
        [
            "start",
            "start-step",
            "tool-input-start",
            "tool-input-delta",
            "tool-input-available",
            "tool-approval-request",
            "finish-step",
            "finish"
        ]
    );
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
    let request = events(&answer).remove(5);
    let part = json!({
        "type": "dynamic-tool", "toolName": "look", "toolCallId": request["toolCallId"], "state": "approval-responded",
        "input": {}, "approval": {"id": request["approvalId"], "approved": false, "reason": "not now"},
    });
    let assistant =
        json!({"id": "a1", "role": "assistant", "parts": [{"type": "step-start"}, part]});
    let body = json!({"id": "c", "messages": [user, assistant], "trigger": "submit-message"});
    let answer = front.post("/ui/Guide", &body).await;
    assert_eq!(
        events(&answer)[0],
        json!({"type": "start", "messageId": "a1"})
    );
    assert_eq!(
        types(&answer),
        [
            "start",
            "tool-output-denied",
            "start-step",
            "text-start",
            "text-delta",
            "text-delta",
            "text-end",
            "finish-step",
            "finish"
        ]
    );
}

#[tokio::test]
async fn vercel_regeneration_takes_the_last_answer_back() {
    let model = ScriptedModel::new(["One.", "Two.", "Three."].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let user = |id: &str, text: &str| json!({"id": id, "role": "user", "parts": [{"type": "text", "text": text}]});
    let (first, second) = (user("u1", "a"), user("u2", "b"));
    let answer =
        json!({"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "One."}]});
    for (messages, trigger) in [
        (json!([first]), "submit-message"),
        (json!([first, answer, second]), "submit-message"),
        (json!([first, answer, second]), "regenerate-message"),
    ] {
        let body = json!({"id": "c", "messages": messages, "trigger": trigger});
        assert_eq!(front.post("/ui/Guide", &body).await.status, 200);
    }
    let shown = front.get("/sessions/c").await.json();
    let texts: Vec<&Value> = shown["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["content"][0]["text"])
        .collect();
    assert_eq!(texts, ["a", "One.", "b", "Three."]);
}
