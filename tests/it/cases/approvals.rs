//! Cases 61 to 69: runs that pause, and go on from their state.

use openai_agents::agent::StateError;
use openai_agents::item::Message;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunError, RunEvent, RunFailure, RunState, Runner,
};
use serde_json::{Value, json};

use crate::support::{Gauge, assert_well_formed, call, instant, output, play, tool};

/// A tool that must be approved, and counts how often it was called.
fn danger(count: &Gauge) -> FunctionTool {
    let count = count.clone();
    let made = tool("danger", move |_| {
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
    let (events, result) = play(Runner::new(model).stream(&agent(&count), "go")).await;
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

/// The Python SDK lists them as they were made: the approved one last.
#[tokio::test]
async fn case_62_outputs_stand_in_call_order_also_after_an_approval() {
    let count = Gauge::default();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "danger", "{}"), call("c2", "free", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let runner = Runner::new(model.clone());
    let agent = agent(&count);
    let mut state = runner
        .run(&agent, "go")
        .await
        .unwrap_err()
        .into_state()
        .unwrap();
    state.approve("c1").unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    let turn = [
        call("c1", "danger", "{}"),
        call("c2", "free", "{}"),
        output("c1", "did it"),
        output("c2", "freely"),
    ];
    assert_eq!(result.items()[..4], turn);
    assert_eq!(model.requests()[1].items[1..], turn);
    assert_eq!((count.peak(), result.turns()), (1, 2));
}

#[tokio::test]
async fn case_63_a_call_that_was_rejected_is_answered_and_not_made() {
    for (message, told) in [
        (None, "Tool execution was not approved."),
        (Some("Not today."), "Not today."),
    ] {
        let count = Gauge::default();
        let model = ScriptedModel::new([dangers(&["c1"]), ScriptedTurn::text("done")]);
        let (runner, agent) = (Runner::new(model), agent(&count));
        let mut state = runner
            .run(&agent, "go")
            .await
            .unwrap_err()
            .into_state()
            .unwrap();
        match message {
            None => state.reject("c1").unwrap(),
            Some(message) => state.reject_with("c1", message).unwrap(),
        }
        let result = runner.resume(&agent, state).await.unwrap();
        assert_eq!(result.items()[1], output("c1", told));
        assert_eq!(count.peak(), 0);
    }
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

async fn paused() -> (RunState, Value) {
    let runner = Runner::new(ScriptedModel::new([dangers(&["c1"])]));
    let error = runner
        .run(&agent(&Gauge::default()), "go")
        .await
        .unwrap_err();
    let state = error.into_state().unwrap();
    let json = serde_json::from_str(&state.to_json().unwrap()).unwrap();
    (state, json)
}

#[tokio::test]
async fn case_67_a_state_of_an_unknown_version_or_none_is_refused() {
    let (_, written) = paused().await;
    let with = |version: Value| {
        let mut json = written.clone();
        json["version"] = version;
        RunState::from_json(&json.to_string()).unwrap_err()
    };
    let newest = u32::try_from(written["version"].as_u64().unwrap()).unwrap();
    let found = newest + 1;
    assert_eq!(with(json!(found)), StateError::Newer { found, newest });
    for version in [json!(0), json!("1"), Value::Null] {
        assert!(matches!(with(version), StateError::Invalid { .. }));
    }
    let mut without = written;
    without.as_object_mut().unwrap().remove("version");
    let error = RunState::from_json(&without.to_string()).unwrap_err();
    assert!(matches!(error, StateError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn case_68_a_state_needs_the_agents_and_tools_that_it_names() {
    let renamed = Agent::builder("B").tool(danger(&Gauge::default()));
    let without_tool = Agent::builder("A").tool(instant("free", ""));
    for agent in [renamed, without_tool] {
        let (mut state, _) = paused().await;
        state.approve("c1").unwrap();
        let model = ScriptedModel::text("never");
        let error = Runner::new(model.clone())
            .resume(&agent.build().unwrap(), state)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StateInvalid);
        let missing = matches!(
            error.failure(),
            RunFailure::State(StateError::Missing { .. })
        );
        assert!(missing, "{error:?}");
        assert_eq!(model.requests().len(), 0);
    }
}

#[tokio::test]
async fn case_69_a_pause_of_an_agent_that_is_a_tool_pauses_its_caller() {
    let count = Gauge::default();
    let inner = Agent::builder("Inner")
        .tool(danger(&count))
        .build()
        .unwrap();
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("Asks the inner one."))
        .tool(instant("free", "freely"))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([
            call("o1", "inner", r#"{"input":"Do it."}"#),
            call("o2", "free", "{}"),
        ]),
        dangers(&["c1"]),
        ScriptedTurn::text("inner is done"),
        ScriptedTurn::text("all is done"),
    ]);
    let runner = Runner::new(model.clone());
    let error = runner.run(&outer, "go").await.unwrap_err();
    let [waiting] = &error.interruptions()[..] else {
        panic!("{error:?}");
    };
    assert_eq!((&*waiting.agent, &*waiting.id), ("Inner", "o1/c1"));
    assert_eq!(waiting.path, ["o1"]);
    assert_eq!(model.requests().len(), 2);

    let mut state = moved(&error.into_state().unwrap());
    state.approve("o1/c1").unwrap();
    let result = runner.resume(&outer, state).await.unwrap();
    assert_well_formed(result.items());
    assert_eq!(
        result.items()[2..],
        [
            output("o1", "inner is done"),
            output("o2", "freely"),
            Item::assistant("all is done"),
        ]
    );
    assert_eq!(
        (count.peak(), result.turns(), result.usage().requests),
        (1, 2, 4)
    );
    // The inner run went on where it stood, with its own conversation.
    let inner = &model.requests()[2].items;
    let asked = Message::new(openai_agents::item::Role::User, "Do it.");
    assert_eq!(
        inner[..],
        [
            asked.into(),
            call("c1", "danger", "{}"),
            output("c1", "did it")
        ]
    );
}
