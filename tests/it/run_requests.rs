//! How a run is begun and watched.

use openai_agents::agent::runner::{Input, ReasoningItemIds};
use openai_agents::guardrail::{InputGuardrail, Verdict};
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, Item, RunEvent, Runner};
use serde_json::json;

use crate::support::{call, instant};

fn agent() -> Agent {
    Agent::builder("A").build().unwrap()
}

#[tokio::test]
async fn stream_gives_the_events_of_an_answer_in_pieces() {
    let runner = Runner::new(ScriptedModel::text("one two"));
    let mut stream = runner.run(&agent(), "go").max_turns(1).stream();
    let mut deltas = Vec::new();
    while let Some(event) = stream.next().await {
        if let RunEvent::TextDelta { delta } = event.unwrap() {
            deltas.push(delta);
        }
    }
    assert_eq!(deltas, ["one ", "two"]);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn begun_waits_for_the_first_answer_and_keeps_the_events() {
    let runner = Runner::new(ScriptedModel::text("one two"));
    let mut stream = runner.run(&agent(), "go").stream();
    stream.begun().await.unwrap();
    stream.begun().await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(
        matches!(first, RunEvent::TurnStarted { turn: 1, .. }),
        "{first:?}"
    );
    assert_eq!(stream.finish().await.unwrap().final_output(), "one two");
}

#[tokio::test]
async fn begun_of_a_run_that_fails_first_gives_its_error_and_http_status() {
    let missing = Runner::new(ScriptedModel::new([]));
    let mut stream = missing.run(&agent(), "go").stream();
    let error = stream.begun().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.kind().http_status()),
        (ErrorKind::Config, 500)
    );
    // What came before is there; the error is not given again.
    let left = stream.next().await.unwrap().unwrap();
    assert!(matches!(left, RunEvent::TurnStarted { .. }), "{left:?}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn begun_of_a_run_whose_guardrail_trips_gives_its_error_behind_the_verdict() {
    let passes = InputGuardrail::new("passes", async |_| Verdict::pass());
    let trips = InputGuardrail::new("trips", async |_| Verdict::trip("no"));
    let agent = Agent::builder("A")
        .input_guardrail(passes)
        .input_guardrail(trips);
    let runner = Runner::new(ScriptedModel::text("hi"));
    let mut stream = runner.run(&agent.build().unwrap(), "go").stream();
    let error = stream.begun().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    let mut verdicts = Vec::new();
    while let Some(event) = stream.next().await {
        if let RunEvent::GuardrailDone { result } = event.unwrap() {
            verdicts.push(result.is_tripped);
        }
    }
    assert_eq!(verdicts, [false, true]);
}

#[test]
fn run_blocking_waits_without_an_asynchronous_program() {
    let runner = Runner::new(ScriptedModel::text("hi"));
    let result = runner.run(&agent(), "go").run_blocking().unwrap();
    assert_eq!(result.final_output(), "hi");
}

#[tokio::test]
async fn run_blocking_inside_of_an_asynchronous_program_is_an_error() {
    let model = ScriptedModel::text("hi");
    let error = Runner::new(model.clone())
        .run(&agent(), "go")
        .run_blocking()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn agent_tool_is_configured_told_and_read_by_the_application() {
    let memory = MemorySession::new(SessionId::new("inner").unwrap());
    let inner = Agent::builder("Inner").build().unwrap();
    let kept = memory.clone();
    let tool = inner
        .as_tool("asks")
        .configure(move |run, call| {
            assert_eq!(call.tool_name().as_str(), "inner");
            run.session(&kept)
        })
        .input_from(async |cx, arguments| {
            Input::from(format!("{} asks: {}", cx.agent(), arguments["input"]))
        })
        .output_from(async |result| match result.final_output() {
            "no" => Err("it does not know".to_owned()),
            output => Ok(output.to_uppercase()),
        });
    let outer = Agent::builder("Outer").tool(tool).build().unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("inner", json!({ "input": "a" })),
        ScriptedTurn::text("yes"),
        ScriptedTurn::tool_call("inner", json!({ "input": "b" })),
        ScriptedTurn::text("no"),
        ScriptedTurn::text("done"),
    ]);
    let runner = Runner::new(model.clone());
    runner.run(&outer, "go").await.unwrap();
    let requests = model.requests();
    let last = |n: usize| requests[n].items.last().unwrap().to_json().to_owned();
    assert!(last(1).contains("Outer asks: \\\"a\\\""), "{}", last(1));
    assert!(last(2).contains("\"YES\""), "{}", last(2));
    // The second call goes on with what the session has.
    assert_eq!(requests[3].items.len(), 3);
    assert!(last(4).contains("An error occurred"), "{}", last(4));
    assert_eq!(memory.items(None).await.unwrap().items.len(), 4);
}

#[tokio::test]
async fn tool_sees_the_conversation_that_it_was_called_in() {
    let tool = crate::support::tool("look", |cx: openai_agents::ToolContext| async move {
        let items: Vec<&str> = cx
            .items()
            .iter()
            .map(openai_agents::Item::to_json)
            .collect();
        Ok(format!(
            "{} items, the last: {}",
            items.len(),
            items.last().unwrap_or(&"none")
        ))
    });
    let agent = Agent::builder("A")
        .tools([tool, instant("other", "x")])
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("done"),
    ]);
    Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    let told = model.requests()[1]
        .items
        .last()
        .unwrap()
        .to_json()
        .to_owned();
    assert!(told.contains("2 items, the last: "), "{told}");
    assert!(told.contains("function_call"), "{told}");
}

#[tokio::test]
async fn reasoning_item_ids_omitted_reach_neither_model_nor_session() {
    let thought = |id: &str| {
        let json =
            format!(r#"{{"type":"reasoning","id":{id},"summary":[],"encrypted_content":"x"}}"#);
        Item::from_json(&json).unwrap()
    };
    let without = Item::from_json(r#"{"type":"reasoning","summary":[],"encrypted_content":"x"}"#);
    for (ids, expected) in [
        (ReasoningItemIds::Keep, thought("\"rs_1\"")),
        (ReasoningItemIds::Omit, without.unwrap()),
    ] {
        let model = ScriptedModel::new([
            ScriptedTurn::items([thought("\"rs_1\""), call("c1", "look", "{}")]),
            ScriptedTurn::text("done"),
        ]);
        let agent = Agent::builder("A").tool(instant("look", "wet"));
        let agent = agent.build().unwrap();
        let session = MemorySession::new(SessionId::new("s").unwrap());
        let runner = Runner::new(model.clone());
        let run = runner.run(&agent, "go").session(&session);
        let result = run.reasoning_item_ids(ids).await.unwrap();
        assert_eq!(model.requests()[1].items[1], expected);
        assert_eq!(result.to_input_list()[1], expected);
        assert_eq!(session.items(None).await.unwrap().items[1], expected);
    }
}
