//! A stream and a plain run are the same run, whatever the model does.

use std::collections::HashMap;

use openai_agents::item::{ItemKind, Message, Part, Reasoning, Role};
use openai_agents::model::{Delivery, ModelError};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::{
    Agent, ErrorKind, Item, Limits, RunError, RunEvent, RunRequest, RunResult, Runner, Usage,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{agent, assert_well_formed, call, instant, play, tool, tool_with};

/// One turn of a random model.
#[derive(Debug, Clone)]
enum Turn {
    Items(Vec<ScriptStep>),
    Error,
}

#[derive(Debug, Clone)]
enum ScriptStep {
    Text(String),
    Refusal(String),
    Reasoning(String),
    Call { tool: &'static str, id: usize },
}

fn step() -> impl Strategy<Value = ScriptStep> {
    let tools = [
        "instant", "slow", "failing", "failing", "instant", "raising", "unknown",
    ];
    prop_oneof![
        2 => "[a-c ]{0,12}".prop_map(ScriptStep::Text),
        1 => "[a-c ]{1,5}".prop_map(ScriptStep::Reasoning),
        5 => (0..tools.len(), 0..6_usize).prop_map(move |(n, id)| ScriptStep::Call { tool: tools[n], id }),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        12 => vec(step(), 0..5).prop_map(Turn::Items),
        1 => "[a-c]{1,5}".prop_map(|text| Turn::Items(vec![ScriptStep::Refusal(text)])),
        1 => Just(Turn::Error),
    ]
}

impl Turn {
    fn script(&self, n: usize) -> ScriptedTurn {
        let Self::Items(steps) = self else {
            return ScriptedTurn::error(
                ModelError::new(ErrorKind::ApiStatus, "busy").with_status(503),
            );
        };
        // Ids come again in later turns, but not within one.
        let mut seen = HashMap::new();
        let items = steps.iter().map(|step| match step {
            ScriptStep::Text(text) => Item::assistant(text),
            ScriptStep::Reasoning(text) => Reasoning::from_summary(text).into(),
            ScriptStep::Refusal(text) => {
                let part = Part::Refusal {
                    refusal: text.clone(),
                };
                Message::from_parts(Role::Assistant, vec![part]).into()
            }
            ScriptStep::Call { tool, id } => {
                let times = seen.entry(*id).or_insert(0);
                *times += 1;
                call(&format!("c{id}_{times}"), tool, &format!("{{\"n\":{n}}}"))
            }
        });
        ScriptedTurn::items(items.collect::<Vec<_>>()).with_usage(Usage::of_request(5, n as u64, 5))
    }
}

fn model(turns: &[Turn]) -> ScriptedModel {
    ScriptedModel::new(turns.iter().enumerate().map(|(n, turn)| turn.script(n)))
}

fn random_agent() -> Agent {
    let loose = |failure| ToolOptions::default().strict(false).failure(failure);
    let slow = tool_with("slow", loose(ToolFailure::TellModel), |_| async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        Ok("slow".to_owned())
    });
    let error = |_| async { Err("boom".to_owned()) };
    agent([
        tool_with("instant", loose(ToolFailure::TellModel), |_| async {
            Ok("instant".to_owned())
        }),
        slow,
        tool_with("failing", loose(ToolFailure::TellModel), error),
        tool_with("raising", loose(ToolFailure::Raise), error),
    ])
}

/// What must be the same, streamed or not.
#[derive(Debug, PartialEq)]
struct PlayedOutcome {
    ended: Result<String, (ErrorKind, String)>,
    items: Vec<Item>,
    usage: Usage,
    turns: u32,
    responses: usize,
}

impl PlayedOutcome {
    fn of(result: &Result<RunResult, RunError>) -> Self {
        let (ended, progress) = match result {
            Ok(result) => (Ok(result.final_output().to_owned()), result.progress()),
            Err(error) => (Err((error.kind(), error.to_string())), error.progress()),
        };
        Self {
            ended,
            items: progress.items.clone(),
            usage: progress.usage,
            turns: progress.turns,
            responses: progress.responses.len(),
        }
    }
}

/// The deltas of one response, to be compared with its items.
#[derive(Default)]
struct Deltas {
    text: String,
    refusal: String,
    reasoning: String,
    arguments: Vec<(String, String)>,
}

fn check_deltas(deltas: &Deltas, items: &[Item]) {
    let (mut text, mut refusal, mut reasoning) = (String::new(), String::new(), String::new());
    let mut arguments = Vec::new();
    for item in items {
        match item.kind() {
            ItemKind::Message(message) => {
                text.push_str(&message.text(""));
                refusal.push_str(message.refusal().unwrap_or_default());
            }
            ItemKind::Reasoning(item) => reasoning.push_str(&item.text()),
            ItemKind::FunctionCall(call) => {
                arguments.push((call.name.clone(), call.arguments.clone()));
            }
            other => panic!("no item of a model: {other:?}"),
        }
    }
    assert_eq!(deltas.text, text);
    assert_eq!(deltas.refusal, refusal);
    assert_eq!(deltas.reasoning, reasoning);
    assert_eq!(deltas.arguments, arguments);
}

/// Checks the order of the events, and that deltas add up to items.
fn check_events(events: &[RunEvent]) {
    let (mut turns, mut open) = (0, Vec::new());
    let (mut deltas, mut items) = (Deltas::default(), Vec::new());
    let mut in_response = false;
    for event in events {
        assert_eq!(
            in_response,
            !matches!(
                event,
                RunEvent::TurnStarted { .. } | RunEvent::ToolOutputDone { .. }
            ),
            "{event:?} is out of place in {events:#?}"
        );
        match event {
            RunEvent::TurnStarted { turn, agent } => {
                turns += 1;
                assert_eq!((*turn, &**agent), (turns, "A"));
                assert!(open.is_empty(), "calls without output: {open:?}");
                in_response = true;
            }
            RunEvent::TextDelta { delta } => deltas.text.push_str(delta),
            RunEvent::RefusalDelta { delta } => deltas.refusal.push_str(delta),
            RunEvent::ReasoningDelta { delta } => deltas.reasoning.push_str(delta),
            RunEvent::ToolCallStarted { index, name, .. } => {
                assert_eq!(*index, deltas.arguments.len());
                deltas.arguments.push((name.clone(), String::new()));
            }
            RunEvent::ToolCallDelta { index, delta, .. } => {
                deltas.arguments[*index].1.push_str(delta);
            }
            RunEvent::ItemDone { item } => items.push(item.clone()),
            RunEvent::ToolCalled { call_id, .. } => open.push(call_id.clone()),
            RunEvent::ResponseDone { .. } => {
                check_deltas(&std::mem::take(&mut deltas), &std::mem::take(&mut items));
                in_response = false;
            }
            RunEvent::ToolOutputDone { call_id, .. } => {
                let place = open.iter().position(|id| id == call_id);
                open.remove(place.expect("an output has its call before it"));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_stream_is_the_same_run(turns in vec(turn(), 0..6)) {
        let agent = random_agent();
        let limited = |request: RunRequest| request.limits(Limits::turns(5));
        let (events, streamed) =
            in_runtime(play(limited(Runner::new(model(&turns)).run(&agent, "go").delivery(Delivery::Stream))));
        let plain = in_runtime(limited(Runner::new(model(&turns)).run(&agent, "go")).into_future());

        let outcome = PlayedOutcome::of(&plain);
        prop_assert_eq!(&PlayedOutcome::of(&streamed), &outcome);
        check_events(&events);
        assert_well_formed(&outcome.items);
        if let Ok(result) = &plain {
            prop_assert_eq!(&result.to_input_list()[1..], result.items());
        }
    }
}

/// What an event is, and of which call.
fn label(event: &RunEvent) -> String {
    match event {
        RunEvent::TurnStarted { turn, .. } => format!("turn {turn}"),
        RunEvent::TextDelta { delta } => format!("text {delta:?}"),
        RunEvent::ToolCallStarted {
            index,
            call_id,
            name,
        } => format!("call {index} started: {name} ({call_id})"),
        RunEvent::ToolCallDelta {
            index,
            call_id,
            delta,
        } => format!("call {index}: {delta} ({call_id})"),
        RunEvent::ItemDone { .. } => "item".to_owned(),
        RunEvent::ToolCalled { call_id, .. } => format!("called {call_id}"),
        RunEvent::ResponseDone { .. } => "response".to_owned(),
        RunEvent::ToolOutputDone {
            call_id, output, ..
        } => format!("output {call_id} {output}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn the_events_of_a_run_come_in_order() {
    let script = || {
        ScriptedModel::new([
            ScriptedTurn::items([call("c1", "t", "{}"), call("c2", "t", "")]),
            ScriptedTurn::text("It rains."),
        ])
    };
    let agent = agent([instant("t", "x")]);
    let (streamed, _) = play(Runner::new(script()).run(&agent, "go")).await;
    assert_eq!(
        streamed.iter().map(label).collect::<Vec<_>>(),
        [
            "turn 1",
            "call 0 started: t (c1)",
            "call 0: {} (c1)",
            "item",
            "called c1",
            "call 1 started: t (c2)",
            "call 1:  (c2)",
            "item",
            "called c2",
            "response",
            "output c1 x",
            "output c2 x",
            "turn 2",
            "text \"It \"",
            "text \"rains.\"",
            "item",
            "response",
        ]
    );
    let (whole, _) = play(
        Runner::new(script())
            .run(&agent, "go")
            .delivery(Delivery::Whole),
    )
    .await;
    let without_deltas: Vec<_> = streamed
        .iter()
        .map(label)
        .filter(|label| !label.starts_with("text") && !label.starts_with("call "))
        .collect();
    assert_eq!(whole.iter().map(label).collect::<Vec<_>>(), without_deltas);
}

/// The response is told before the error that it leads to.
#[tokio::test]
async fn an_error_is_the_last_item() {
    let refusal = Message::from_parts(
        Role::Assistant,
        vec![Part::Refusal {
            refusal: "no".to_owned(),
        }],
    );
    for (turn, kind) in [
        (
            ScriptedTurn::items([call("c1", "unknown", "{}")]),
            ErrorKind::UnknownTool,
        ),
        (ScriptedTurn::items([refusal.into()]), ErrorKind::Refusal),
        (ScriptedTurn::text(""), ErrorKind::EmptyResponse),
        (
            ScriptedTurn::tool_calls([("t", serde_json::json!({})), ("t", serde_json::json!({}))]),
            ErrorKind::BudgetExceeded,
        ),
    ] {
        let request = Runner::new(ScriptedModel::new([turn]))
            .run(&agent([instant("t", "")]), "go")
            .delivery(Delivery::Stream)
            .limits(Limits::turns(3).tool_calls(1));
        // `play` checks that nothing comes after it.
        let (events, result) = play(request).await;
        assert_eq!(result.unwrap_err().kind(), kind);
        assert_eq!(label(events.last().unwrap()), "response");
    }
}

#[tokio::test]
async fn a_stream_that_is_over_cannot_be_finished() {
    let mut stream = Runner::new(ScriptedModel::text("hi"))
        .run(&agent([]), "hi")
        .stream();
    while stream.next().await.is_some() {}
    let error = stream.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn unpolled_stream_sends_nothing() {
    let model = ScriptedModel::text("hi");
    drop(
        Runner::new(model.clone())
            .run(&agent([tool("t", |_| async { Ok(String::new()) })]), "hi")
            .stream(),
    );
    assert_eq!(model.requests().len(), 0);
}
