//! Cases 52 and 57 to 60: the order of events and hooks, and ends that someone asked for.

use openai_agents::agent::{HookResult, Hooks};
use openai_agents::model::{Delivery, ModelRequest, ModelResponse};
use openai_agents::testing::{FakeServer, ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, Cancel, ErrorKind, RunContext, RunError, RunEvent, RunStream, Runner, ToolContext,
};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::{agent, call, chat, instant, output, play, streamed};

/// What an event is, in a word and a name.
fn label(event: &RunEvent) -> String {
    match event {
        RunEvent::TurnStarted { agent, .. } => format!("turn of {agent}"),
        RunEvent::TextDelta { delta } => format!("text {delta}"),
        RunEvent::ToolCallStarted { name, .. } => format!("started {name}"),
        RunEvent::ToolCallDelta { delta, .. } => format!("arguments {delta}"),
        RunEvent::ItemDone { .. } => "item".to_owned(),
        RunEvent::ToolCalled { call_id, .. } => format!("called {call_id}"),
        RunEvent::HandoffRequested { call_id, to } => format!("requested {call_id} {to}"),
        RunEvent::ResponseDone { .. } => "response".to_owned(),
        RunEvent::ToolOutputDone {
            call_id, output, ..
        } => format!("output {call_id} {output}"),
        RunEvent::HandoffOccurred { from, to } => format!("handoff {from} {to}"),
        other => format!("{other:?}"),
    }
}

/// The call is told when its arguments are complete; the Python SDK tells it behind the whole response.
#[tokio::test]
async fn case_52_arguments_come_in_the_pieces_in_which_they_were_sent() {
    let piece = |arguments: &str| json!({ "tool_calls": [{ "index": 0, "function": { "arguments": arguments } }] });
    let head = json!({ "tool_calls": [{ "index": 0, "id": "c1", "type": "function", "function": { "name": "t", "arguments": "" } }] });
    let replies = [
        streamed(&[head, piece("{"), piece("}")], "tool_calls"),
        streamed(&[json!({ "content": "done" })], "stop"),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let run = Runner::new(chat(&server))
        .run(&agent([instant("t", "x")]), "go")
        .delivery(Delivery::Stream);
    let (events, result) = play(run).await;
    assert_eq!(result.unwrap().items()[0], call("c1", "t", "{}"));
    assert_eq!(
        events.iter().map(label).collect::<Vec<_>>(),
        [
            "turn of A",
            "started t",
            "arguments {",
            "arguments }",
            "item",
            "called c1",
            "response",
            "output c1 x",
            "turn of A",
            "text done",
            "item",
            "response",
        ]
    );
}

/// Polls until an event for which `is_it` holds.
async fn until(stream: &mut RunStream, is_it: fn(&RunEvent) -> bool) {
    while let Some(event) = stream.next().await {
        if is_it(&event.unwrap()) {
            return;
        }
    }
}

/// What comes until the stream ends.
async fn rest(stream: &mut RunStream) -> (Vec<String>, RunError) {
    let mut labels = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => labels.push(label(&event)),
            Err(error) => {
                assert!(stream.next().await.is_none());
                return (labels, error);
            }
        }
    }
    panic!("the run ended well: {labels:?}");
}

/// The Python SDK ends the stream without a word; here the error `cancelled` says what was done.
#[tokio::test]
async fn case_57_after_a_cancel_nothing_comes_and_nothing_of_the_turn_is_kept() {
    let pieces = ["It ", "rains."].map(|text| json!({ "content": text }));
    let server = FakeServer::start([streamed(&pieces, "stop")])
        .await
        .unwrap();
    let mut stream = Runner::new(chat(&server)).run(&agent([]), "go").stream();
    until(&mut stream, |event| {
        matches!(event, RunEvent::TextDelta { .. })
    })
    .await;
    stream.handle().cancel(Cancel::Now);
    let (labels, error) = rest(&mut stream).await;
    // What had come with the same bytes may still be delivered, but not the end of the answer.
    assert!(
        labels.iter().all(|label| label.starts_with("text")),
        "{labels:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.progress().items, []);
    assert_eq!(error.progress().input.len(), 1);
}

#[tokio::test]
async fn case_58_a_cancel_after_the_turn_lets_its_tools_finish() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("never"),
    ]);
    let mut stream = Runner::new(model.clone())
        .run(&agent([instant("t", "x")]), "go")
        .stream();
    until(&mut stream, |event| {
        matches!(event, RunEvent::ToolCalled { .. })
    })
    .await;
    stream.cancel(Cancel::AfterTurn);
    let (labels, error) = rest(&mut stream).await;
    assert_eq!(labels, ["response", "output c1 x"]);
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(
        error.progress().items,
        [call("c1", "t", "{}"), output("c1", "x")]
    );
    assert_eq!(model.requests().len(), 1);
}

fn main_and_spanish() -> Agent {
    let spanish = Agent::builder("Spanish Agent").build().unwrap();
    Agent::builder("Main")
        .tool(instant("note", "noted"))
        .handoff(&spanish)
        .build()
        .unwrap()
}

#[tokio::test]
async fn case_59_a_handoff_is_requested_and_occurs_and_is_no_tool_call() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([
            call("h1", "transfer_to_spanish_agent", "{}"),
            call("c1", "note", "{}"),
        ]),
        ScriptedTurn::text("hola"),
    ]);
    let (events, _) = play(Runner::new(model).run(&main_and_spanish(), "hi")).await;
    let labels: Vec<_> = events.iter().map(label).collect();
    assert_eq!(
        labels,
        [
            "turn of Main",
            "started transfer_to_spanish_agent",
            "arguments {}",
            "item",
            "requested h1 Spanish Agent",
            "started note",
            "arguments {}",
            "item",
            "called c1",
            "response",
            "output c1 noted",
            "handoff Main Spanish Agent",
            "turn of Spanish Agent",
            "text hola",
            "item",
            "response",
        ]
    );
}

/// Hooks that note what they are told, behind a mark.
#[derive(Clone)]
struct Notes(&'static str, Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: &str) {
        let line = format!("{}{line}", self.0);
        self.1
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

impl Hooks for Notes {
    async fn on_agent_start(&self, _: &RunContext, agent: &Agent) -> HookResult {
        self.note(&format!("agent start {}", agent.name()));
        Ok(())
    }

    async fn on_agent_end(&self, _: &RunContext, agent: &Agent, _: &str) -> HookResult {
        self.note(&format!("agent end {}", agent.name()));
        Ok(())
    }

    async fn on_model_start(&self, _: &RunContext, _: &Agent, _: &ModelRequest) -> HookResult {
        self.note("model start");
        Ok(())
    }

    async fn on_model_end(&self, _: &RunContext, _: &Agent, _: &ModelResponse) -> HookResult {
        self.note("model end");
        Ok(())
    }

    async fn on_tool_start(&self, cx: &ToolContext) -> HookResult {
        self.note(&format!("tool start {}", cx.tool_name()));
        Ok(())
    }

    async fn on_tool_end(&self, _: &ToolContext, output: &str) -> HookResult {
        self.note(&format!("tool end {output}"));
        Ok(())
    }

    async fn on_handoff(&self, _: &RunContext, from: &Agent, to: &Agent) -> HookResult {
        self.note(&format!("handoff {} {}", from.name(), to.name()));
        Ok(())
    }
}

#[tokio::test]
async fn case_60_hooks_are_told_in_this_order() {
    let notes = Arc::default();
    let spanish = Agent::builder("B").hooks(Notes("b: ", Arc::clone(&notes)));
    let main = Agent::builder("A")
        .tool(instant("t", "x"))
        .handoff(spanish.build().unwrap())
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::items([call("h1", "transfer_to_b", "{}")]),
        ScriptedTurn::text("hola"),
    ]);
    Runner::new(model)
        .run(&main, "hi")
        .hooks(Notes("", Arc::clone(&notes)))
        .await
        .unwrap();
    let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        notes[..],
        [
            "agent start A",
            "model start",
            "model end",
            "tool start t",
            "tool end x",
            "model start",
            "model end",
            "handoff A B",
            "b: handoff A B",
            "agent start B",
            "b: agent start B",
            "model start",
            "b: model start",
            "model end",
            "b: model end",
            "agent end B",
            "b: agent end B",
        ]
    );
}
