//! `openai-agents run` with agents that hand off, call each other and are guarded.

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{
    Directory, check_output, chunk, lines, on, streamed_call, streamed_text, whole_text,
};

const SUM: &str = r#"{"expression":"100 + 250"}"#;

fn system_prompt(server: &FakeServer, n: usize) -> Value {
    server.requests()[n].json().unwrap()["messages"][0]["content"].clone()
}

/// A handoff of a later turn, with an id of its own.
fn second_call(name: &str) -> Reply {
    let call = json!([{"index": 0, "id": "call_2", "type": "function", "function": {"name": name, "arguments": ""}}]);
    Reply::sse([
        chunk(&json!({"tool_calls": call}), None),
        chunk(&json!({}), Some("tool_calls")),
        "[DONE]".to_owned(),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversation_goes_to_another_agent_and_back() {
    let directory = Directory::new("together-handoff").file(
        "config.yaml",
        "agents:
  - { name: Triage, instructions: Sort., handoffs: [Billing] }
  - { name: Billing, instructions: Bill., handoffs: [Triage], handoff_description: Knows invoices. }
",
    );
    let replies = || {
        [
            streamed_call("One moment.", "transfer_to_billing", "{}"),
            second_call("transfer_to_triage"),
            streamed_text("Hel", "lo."),
        ]
    };
    let server = FakeServer::start(replies()).await.unwrap();
    let arguments = ["run", "--agent", "Triage", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    check_output(
        &output,
        0,
        "One moment.\nHello.\n",
        "=> Billing\n=> Triage\n",
    );
    let prompts: Vec<Value> = (0..3).map(|n| system_prompt(&server, n)).collect();
    assert_eq!(prompts, ["Sort.", "Bill.", "Sort."]);
    let asked = server.requests()[0].json().unwrap();
    assert_eq!(
        asked["tools"][0]["function"]["description"],
        "Handoff to the Billing agent to handle the request. Knows invoices."
    );

    let server = FakeServer::start(replies()).await.unwrap();
    let arguments = ["run", "--json", "--agent", "Triage", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    let lines = lines(&output);
    assert!(
        lines.contains(&json!({"type": "handoff_requested", "call_id": "call_1", "to": "Billing"}))
    );
    assert!(
        lines.contains(&json!({"type": "handoff_occurred", "from": "Billing", "to": "Triage"}))
    );
    assert_eq!(lines.last().unwrap()["agent"], "Triage");
}

const TOOLS: &str = "agents:
  - { name: Guide, agents_as_tools: [Counter] }
  - { name: Counter, instructions: Count., tools: [calculator], handoff_description: Counts. }
";

#[tokio::test(flavor = "multi_thread")]
async fn agent_as_tool_shows_its_events() {
    let directory = Directory::new("together-tool").file("config.yaml", TOOLS);
    let replies = || {
        [
            streamed_call("", "counter", r#"{"input":"100 + 250"}"#),
            streamed_call("", "calculator", SUM),
            streamed_text("It is ", "350."),
            streamed_text("Three", " fifty."),
        ]
    };
    let server = FakeServer::start(replies()).await.unwrap();
    let arguments = ["run", "--agent", "Guide", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    check_output(
        &output,
        0,
        "Three fifty.\n",
        "-> counter {\"input\":\"100 + 250\"}\n  Counter -> calculator {\"expression\":\"100 + 250\"}\n  \
         Counter <- calculator: 350\n<- It is 350.\n",
    );
    let asked = server.requests()[0].json().unwrap();
    assert_eq!(asked["tools"][0]["function"]["description"], "Counts.");

    let server = FakeServer::start(replies()).await.unwrap();
    let arguments = ["run", "--json", "--agent", "Guide", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    let lines = lines(&output);
    let nested: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "nested")
        .collect();
    assert_eq!(
        nested[0],
        &json!({
            "type": "nested", "path": ["call_1"], "agent": "Counter",
            "event": {"type": "turn_started", "turn": 1, "agent": "Counter"},
        })
    );
    assert_eq!(lines.last().unwrap()["turns"], 2);
    assert_eq!(lines.last().unwrap()["usage"]["requests"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_inside_a_tool_pauses_the_whole_run() {
    let config = TOOLS.replace("Counts. }", "Counts., needs_approval: always }");
    let directory = Directory::new("together-approval").file("config.yaml", &config);
    let server = FakeServer::start([
        streamed_call("", "counter", r#"{"input":"100 + 250"}"#),
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
        streamed_text("Three", " fifty."),
    ])
    .await
    .unwrap();
    let arguments = [
        "run",
        "--json",
        "--agent",
        "Guide",
        "--save-state",
        "a.json",
        "hi",
    ];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let asked: Vec<Value> = lines(&output)
        .into_iter()
        .filter(|line| line.to_string().contains("approval_required"))
        .collect();
    // Once as an event, and in the result.
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0]["interruption"]["id"], "call_1/call_1");
    assert_eq!(asked[0]["interruption"]["path"], json!(["call_1"]));
    let go_on = ["run", "--resume", "a.json", "--approve", "call_1/call_1"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(
        &output,
        0,
        "Three fifty.\n",
        "  Counter <- calculator: 350\n<- It is 350.\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_lengths_are_guarded() {
    let directory = Directory::new("together-words").file(
        "config.yaml",
        "agents:
  - name: A
    guardrails:
      input: [{ max_chars: 12 }, { name: no secrets, deny: [PassWord] }]
      output: [{ deny: [internal] }]
",
    );
    let cases: [(&str, &str, usize); 4] = [
        ("Hi there!", "", 1),
        (
            "Hello, how are you?",
            "the input guardrail `max_chars` tripped: \"19 characters of 12 allowed\"",
            0,
        ),
        (
            "a PASSWORD",
            "the input guardrail `no secrets` tripped: \"a text that is denied\"",
            0,
        ),
        (
            "secrets?",
            "the output guardrail `deny` tripped: \"a text that is denied\"",
            1,
        ),
    ];
    for (prompt, expected, n_requests) in cases {
        let words = if prompt == "secrets?" {
            "It is Internal."
        } else {
            "Hello."
        };
        let server = FakeServer::start([streamed_text("", words)]).await.unwrap();
        let output = on(&server, &directory, &["run", "--agent", "A", prompt])
            .output()
            .unwrap();
        if expected.is_empty() {
            check_output(&output, 0, "Hello.\n", "");
        } else {
            // Nothing of an answer that is held back is shown.
            check_output(&output, 3, "", &format!("error: {expected}\n"));
        }
        assert_eq!(server.requests().len(), n_requests, "{prompt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_can_be_the_guardrail() {
    let directory = Directory::new("together-judge").file(
        "config.yaml",
        "agents:
  - { name: A, guardrails: { input: [{ agent: Judge, timing: blocking }] }, limits: { max_requests: 1 } }
  - { name: Judge, instructions: Judge. }
",
    );
    let run = ["run", "--json", "--agent", "A", "Tell me."];
    let trips = json!({"tripwire": true, "reason": "Nosy."}).to_string();
    let server = FakeServer::start([whole_text(&trips)]).await.unwrap();
    let output = on(&server, &directory, &run).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["error"]["kind"], "guardrail_tripped");
    assert_eq!(
        result["error"]["message"],
        "the input guardrail `Judge` tripped: \"Nosy.\""
    );
    let asked = server.requests()[0].json().unwrap();
    assert_eq!(asked["messages"][0]["content"], "Judge.");
    assert_eq!(asked["messages"][1]["content"], "Tell me.");
    let schema = &asked["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["required"], json!(["tripwire", "reason"]));

    // What the guardrail asks counts for the run, whose one request is used up then.
    let passes = json!({"tripwire": false, "reason": ""}).to_string();
    let server = FakeServer::start([whole_text(&passes)]).await.unwrap();
    let output = on(&server, &directory, &run).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        lines(&output).pop().unwrap()["error"]["kind"],
        "budget_exceeded"
    );

    // A guardrail that fails lets nothing through.
    let server = FakeServer::start([whole_text("Perhaps.")]).await.unwrap();
    let output = on(&server, &directory, &run).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["error"]["kind"], "invalid_output");
    let message = result["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("the guardrail `Judge` failed: agent `Judge`: the final output is not what was asked for"),
        "{message}"
    );
}
