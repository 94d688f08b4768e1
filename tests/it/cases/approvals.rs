//! Cases 61 and 64 to 66: runs that pause, and go on from their state.

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, RunError, RunEvent, RunState, Runner};

use crate::support::{Gauge, call, instant, output, play, tool_with};

/// A tool that must be approved, and counts how often it was called.
fn danger(count: &Gauge) -> FunctionTool {
    let count = count.clone();
    // Open to any field, so that the arguments are told apart by their bytes.
    let options = ToolOptions::default().strict(false);
    let made = tool_with("danger", options, move |_| {
        count.enter();
        async { Ok("did it".to_owned()) }
    });
    made.needs_approval()
}

fn agent(count: &Gauge) -> Agent {
    Agent::builder("A")
        .tool(danger(count))
        .tool(instant("free", "freely"))
        .build()
        .unwrap()
}

fn dangers(ids: &[&str]) -> ScriptedTurn {
    ScriptedTurn::items(
        ids.iter()
            .map(|id| call(id, "danger", "{}"))
            .collect::<Vec<_>>(),
    )
}

/// Through JSON, as into another process.
fn moved(state: &RunState) -> RunState {
    RunState::from_json(&state.to_json().unwrap()).unwrap()
}

fn ids(error: &RunError) -> Vec<String> {
    error
        .interruptions()
        .into_iter()
        .map(|call| call.id)
        .collect()
}

#[tokio::test]
async fn case_61_a_run_pauses_for_a_call_when_the_free_ones_have_run() {
    let count = Gauge::default();
    let model = ScriptedModel::new([ScriptedTurn::items([
        call("c1", "danger", r#"{ "a": 1 }"#),
        call("c2", "free", "{}"),
    ])]);
    let (events, result) = play(Runner::new(model).run(&agent(&count), "go")).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApprovalRequired);
    let [waiting] = &error.interruptions()[..] else {
        panic!("{error:?}");
    };
    assert_eq!((&*waiting.tool, &*waiting.call_id), ("danger", "c1"));
    assert_eq!(
        (&*waiting.agent, &*waiting.arguments),
        ("A", r#"{ "a": 1 }"#)
    );
    let outputs = events.iter().filter_map(|event| match event {
        RunEvent::ToolOutputDone { call_id, .. } => Some(call_id.as_str()),
        _ => None,
    });
    assert_eq!(outputs.collect::<Vec<_>>(), ["c2"]);
    assert!(matches!(
        events.last(),
        Some(RunEvent::ApprovalRequired { interruption }) if interruption == waiting
    ));
    assert_eq!(count.peak(), 0);
}

#[tokio::test]
async fn case_64_a_state_that_was_json_leads_to_the_same_request() {
    let run = async |through_json: bool| {
        let count = Gauge::default();
        let model = ScriptedModel::new([
            ScriptedTurn::items([
                Item::assistant("Both."),
                call("c1", "danger", r#"{"n": 1.50}"#),
                call("c2", "free", ""),
            ]),
            ScriptedTurn::text("done"),
        ]);
        let (runner, agent) = (Runner::new(model.clone()), agent(&count));
        let mut state = runner
            .run(&agent, "go")
            .await
            .unwrap_err()
            .into_state()
            .unwrap();
        state.approve("c1").unwrap();
        let state = if through_json { moved(&state) } else { state };
        runner.resume(&agent, state).await.unwrap();
        let request = model.requests().pop().unwrap();
        request
            .items
            .iter()
            .map(|item| item.to_json().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(true).await, run(false).await);
}

#[tokio::test]
async fn case_65_after_a_standing_approval_no_call_of_the_tool_pauses() {
    let count = Gauge::default();
    let model = ScriptedModel::new([
        dangers(&["c1", "c2"]),
        dangers(&["c3"]),
        ScriptedTurn::text("done"),
    ]);
    let (runner, agent) = (Runner::new(model), agent(&count));
    let error = runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(ids(&error), ["c1", "c2"]);
    let mut state = error.into_state().unwrap();
    // It holds for the other call that waits, too.
    state.approve_always("c1").unwrap();
    let result = runner.resume(&agent, moved(&state)).await.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(result.items()[5], output("c3", "did it"));
    assert_eq!(count.peak(), 3);
}

#[tokio::test]
async fn case_66_a_decision_about_one_call_wins_over_a_standing_one() {
    let count = Gauge::default();
    let model = ScriptedModel::new([dangers(&["c1", "c2", "c3"]), ScriptedTurn::text("done")]);
    let (runner, agent) = (Runner::new(model), agent(&count));
    let mut state = runner
        .run(&agent, "go")
        .await
        .unwrap_err()
        .into_state()
        .unwrap();
    state.approve_always("c1").unwrap();
    state.reject_with("c2", "not this one").unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    assert_eq!(
        result.items()[3..6],
        [
            output("c1", "did it"),
            output("c2", "not this one"),
            output("c3", "did it"),
        ]
    );
}
