//! Input for a run that runs, or waits.
use openai_agents::agent::runner::RunOver;
use openai_agents::model::Delivery;
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Item, RunEvent, RunState, Runner};
use serde_json::json;

use crate::support::{agent, call, instant, output};

#[tokio::test]
async fn sent_input_is_taken_before_the_next_model_call_and_saved() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let request = Runner::new(model.clone()).run(&agent([instant("t", "ok")]), "go");
    let mut stream = request.session(&session).delivery(Delivery::Whole).stream();
    let handle = stream.handle();
    while let Some(event) = stream.next().await {
        if let RunEvent::ToolOutputDone { .. } = event.unwrap() {
            handle.send("and this").unwrap();
        }
    }
    let conversation = [
        Item::user("go"),
        call("c1", "t", "{}"),
        output("c1", "ok"),
        Item::user("and this"),
    ];
    assert_eq!(*model.requests()[1].items, conversation);
    let saved = session.items(None).await.unwrap().items;
    assert_eq!(
        saved,
        [&conversation[..], &[Item::assistant("done")]].concat()
    );
}

#[tokio::test]
async fn input_sent_during_the_final_answer_is_answered_in_a_further_turn() {
    let model = ScriptedModel::new([ScriptedTurn::text("one"), ScriptedTurn::text("two")]);
    let mut stream = Runner::new(model.clone())
        .run(&agent([]), "go")
        .delivery(Delivery::Whole)
        .stream();
    let handle = stream.handle();
    let mut result = None;
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            RunEvent::TurnStarted { turn: 1, .. } => handle.send("more").unwrap(),
            RunEvent::RunDone { result: done } => result = Some(done),
            _ => {}
        }
    }
    let result = result.unwrap();
    assert_eq!((result.final_output(), result.turns()), ("two", 2));
    assert_eq!(
        result.items(),
        [
            Item::assistant("one"),
            Item::user("more"),
            Item::assistant("two"),
        ]
    );
}

#[tokio::test]
async fn input_sent_to_a_run_that_is_over_is_given_back() {
    let stream = Runner::new(ScriptedModel::text("done"))
        .run(&agent([]), "go")
        .delivery(Delivery::Whole)
        .stream();
    let handle = stream.handle();
    stream.finish().await.unwrap();
    let RunOver { input, .. } = handle.send("late").unwrap_err();
    assert_eq!(input, [Item::user("late")]);
}

#[tokio::test]
async fn input_added_to_a_paused_run_comes_behind_the_outputs_of_its_calls() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let runner = Runner::new(model.clone());
    let agent = agent([instant("t", "ok").needs_approval()]);
    let error = runner.run(&agent, "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    state.add_input([Item::user("and this")]);
    let mut state = RunState::from_json(&state.to_json().unwrap()).unwrap();
    state.approve("c1").unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    assert_eq!(result.final_output(), "done");
    let conversation = [
        Item::user("go"),
        call("c1", "t", "{}"),
        output("c1", "ok"),
        Item::user("and this"),
    ];
    assert_eq!(*model.requests()[1].items, conversation);
}

#[tokio::test]
async fn input_added_to_a_paused_run_stays_with_it_while_it_pauses_again() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("t", json!({})),
        ScriptedTurn::text("done"),
    ]);
    let runner = Runner::new(model.clone());
    let agent = agent([instant("t", "ok").needs_approval()]);
    let error = runner.run(&agent, "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    state.add_input([Item::user("and this")]);
    let error = runner.resume(&agent, state).await.unwrap_err();
    let mut state = error.into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    state.approve(&id).unwrap();
    runner.resume(&agent, state).await.unwrap();
    assert_eq!(model.requests()[1].items[3], Item::user("and this"));
}
