//! Events as JSON: what programs read of a run, by `--json` and `/events`.
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, RunEvent, Runner, Usage};
use serde_json::{Value, json};

use crate::support::{call, instant};

fn owned(text: &str) -> String {
    text.to_owned()
}

fn nested(call_id: &str, agent: &str, event: RunEvent) -> RunEvent {
    RunEvent::Nested {
        call_id: owned(call_id),
        agent: agent.into(),
        event: Box::new(event),
    }
}

#[track_caller]
fn check(event: &RunEvent, expect: Value) {
    assert_eq!(event.to_json(), Some(expect));
}

#[test]
fn delta_event_names_its_item() {
    let (delta, call_id, name) = (owned("Par"), owned("c1"), owned("look"));
    for (event, expect) in [
        (
            RunEvent::TextDelta {
                delta: delta.clone(),
            },
            json!({"type": "text_delta", "delta": "Par"}),
        ),
        (
            RunEvent::RefusalDelta {
                delta: delta.clone(),
            },
            json!({"type": "refusal_delta", "delta": "Par"}),
        ),
        (
            RunEvent::ReasoningDelta {
                delta: delta.clone(),
            },
            json!({"type": "reasoning_delta", "delta": "Par"}),
        ),
        (
            RunEvent::ToolCallStarted {
                index: 1,
                call_id: call_id.clone(),
                name,
            },
            json!({"type": "tool_call_started", "index": 1, "call_id": "c1", "name": "look"}),
        ),
        (
            RunEvent::ToolCallDelta {
                index: 1,
                call_id,
                delta,
            },
            json!({"type": "tool_call_delta", "index": 1, "call_id": "c1", "delta": "Par"}),
        ),
    ] {
        check(&event, expect);
    }
}

#[test]
fn event_json_has_its_type() {
    let event = |json: &str| RunEvent::ModelEvent {
        name: owned("x"),
        json: owned(json),
    };
    check(
        &event(r#"{"a":1}"#),
        json!({"type": "model_event", "name": "x", "event": {"a": 1}}),
    );
    check(
        &event("no JSON"),
        json!({"type": "model_event", "name": "x", "event": null}),
    );
    check(
        &RunEvent::HandoffRequested {
            call_id: owned("c"),
            to: "Other".into(),
        },
        json!({"type": "handoff_requested", "call_id": "c", "to": "Other"}),
    );
    check(
        &RunEvent::HandoffOccurred {
            from: "Guide".into(),
            to: "Other".into(),
        },
        json!({"type": "handoff_occurred", "from": "Guide", "to": "Other"}),
    );
    check(
        &RunEvent::ToolProgress {
            call_id: owned("c"),
            name: owned("look"),
            message: json!({"done": 2}),
        },
        json!({"type": "tool_progress", "call_id": "c", "name": "look", "message": {"done": 2}}),
    );
    check(
        &RunEvent::ToolOutputDone {
            call_id: owned("c"),
            name: owned("look"),
            output: owned("error: dark"),
            failure: Some(owned("dark")),
        },
        json!({
            "type": "tool_output", "call_id": "c", "name": "look", "output": "error: dark", "failure": "dark",
        }),
    );
    check(
        &nested("o", "Inner", nested("i", "Innermost", event("{}"))),
        json!({
            "type": "nested", "path": ["o", "i"], "agent": "Innermost",
            "event": {"type": "model_event", "name": "x", "event": {}},
        }),
    );
}

#[tokio::test]
async fn a_run_with_an_agent_as_tool_is_told_whole() {
    let inner = Agent::builder("Inner").build().unwrap();
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("Asks."))
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("o1", "inner", r#"{"input":"x"}"#)])
            .with_usage(Usage::of_request(10, 5, 15)),
        ScriptedTurn::text("deep"),
        ScriptedTurn::text("done"),
    ]));
    let mut stream = runner.run(&outer, "go").stream();
    let mut lines = Vec::new();
    while let Some(event) = stream.next().await {
        lines.extend(event.unwrap().to_json());
    }
    let usage = |requests: u64, unreported: u64, [input, output, total]: [u64; 3]| {
        json!({
            "requests": requests, "requests_without_usage": unreported, "input_tokens": input,
            "output_tokens": output, "total_tokens": total, "cached_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0,
        })
    };
    let item: Value =
        serde_json::from_str(call("o1", "inner", r#"{"input":"x"}"#).to_json()).unwrap();
    let find = |kind: &str| {
        let line = lines.iter().find(|line| line["type"] == kind);
        line.unwrap_or_else(|| panic!("{lines:?}"))
    };
    assert_eq!(
        lines[0],
        json!({"type": "turn_started", "turn": 1, "agent": "Outer"})
    );
    assert_eq!(
        *find("item_done"),
        json!({"type": "item_done", "item": item})
    );
    assert_eq!(
        *find("tool_called"),
        json!({"type": "tool_called", "call_id": "o1", "name": "inner", "arguments": r#"{"input":"x"}"#})
    );
    assert_eq!(
        *find("response_done"),
        json!({
            "type": "response_done", "response_id": null, "request_id": null, "model": null,
            "finish_reason": null, "usage": usage(1, 0, [10, 5, 15]), "deviations": [],
        })
    );
    assert_eq!(
        *find("nested"),
        json!({
            "type": "nested", "path": ["o1"], "agent": "Inner",
            "event": {"type": "turn_started", "turn": 1, "agent": "Inner"},
        })
    );
    assert_eq!(
        *lines.last().unwrap(),
        json!({
            "type": "result", "ok": true, "final_output": "done", "agent": "Outer", "turns": 2,
            "usage": usage(3, 2, [10, 5, 15]), "deviations": [],
        })
    );
}

#[tokio::test]
async fn a_call_that_waits_far_inside_is_told_once_by_its_whole_id() {
    let inner = Agent::builder("Inner")
        .tool(instant("look", "wet").needs_approval())
        .build()
        .unwrap();
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("Asks."))
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("o1", "inner", r#"{"input":"x"}"#)]),
        ScriptedTurn::items([call("i1", "look", "{}")]),
    ]));
    let mut stream = runner.run(&outer, "go").stream();
    let mut lines = Vec::new();
    while let Some(Ok(event)) = stream.next().await {
        lines.extend(event.to_json());
    }
    let inside = |line: &&Value| {
        let event = if line["type"] == "nested" {
            &line["event"]
        } else {
            line
        };
        event["type"] == "approval_required"
    };
    let waiting: Vec<&Value> = lines.iter().filter(inside).collect();
    assert_eq!(
        waiting,
        [&json!({
            "type": "approval_required",
            "interruption": {
                "id": "o1/i1", "agent": "Inner", "tool": "look", "call_id": "i1", "arguments": "{}",
                "path": ["o1"], "may_have_run": false,
            },
        })]
    );
}
