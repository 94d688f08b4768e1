//! Runs that pause for approval, saved, decided about, and resumed; and saved states that someone changed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use openai_agents::agent::{StateError, StateKey};
use openai_agents::model::Delivery;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunError, RunEvent, RunState, Runner, Secret,
};
use serde_json::{Value, json};

use crate::support::{assert_well_formed, call, instant, output, play, tool};

/// A tool that needs approval and keeps the arguments with which it was called.
fn guarded(name: &str) -> (FunctionTool, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let tool = FunctionTool::dynamic(
        name,
        "For a test.",
        json!({ "type": "object", "properties": { "x": { "type": "integer" } } }),
        openai_agents::tools::ToolOptions::default().strict(false),
        move |cx, _| {
            kept.lock().unwrap().push(cx.arguments().to_owned());
            async { Ok::<_, String>("did it") }
        },
    );
    (tool.unwrap().needs_approval(), seen)
}

fn key() -> StateKey {
    StateKey::new(Secret::new("a key of enough bytes")).unwrap()
}

/// Arguments whose bytes would not survive being parsed and written again.
const ARGUMENTS: &str = "{ \"x\" :  1.0e2 }";

/// A run of one guarded and one free call, paused.
async fn paused() -> (Agent, Runner, RunError, Arc<Mutex<Vec<String>>>) {
    let (danger, seen) = guarded("danger");
    let agent = Agent::builder("A")
        .tool(danger)
        .tool(instant("look", "wet"))
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("c1", "danger", ARGUMENTS), call("c2", "look", "{}")]),
        ScriptedTurn::text("done"),
    ]));
    let error = runner.run(&agent, "go").await.unwrap_err();
    (agent, runner, error, seen)
}

#[tokio::test]
async fn a_run_pauses_when_everything_else_of_the_turn_is_done() {
    let (agent, runner, error, seen) = paused().await;
    assert_eq!(error.kind(), ErrorKind::ApprovalRequired);
    assert_eq!(seen.lock().unwrap().len(), 0);
    let mut state = error.into_state().unwrap();
    let asked = state.interruptions();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].tool.as_str(), asked[0].arguments.as_str()),
        ("danger", ARGUMENTS)
    );
    state.approve(&asked[0].id).unwrap();
    let (events, result) = play(runner.resume(&agent, state).delivery(Delivery::Whole)).await;
    let result = result.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(*seen.lock().unwrap(), [ARGUMENTS]);
    assert_well_formed(result.items());
    assert_eq!(
        result.items()[2..4],
        [output("c1", "did it"), output("c2", "wet")]
    );
    // What was done before the pause is not done again.
    let done = events
        .iter()
        .filter(|event| matches!(event, RunEvent::ToolOutputDone { .. }));
    assert_eq!(done.count(), 1);
    assert_eq!((result.turns(), result.usage().requests), (2, 2));
}

#[tokio::test]
async fn a_rejected_call_is_answered_and_not_made() {
    for (message, told) in [
        (None, "Tool execution was not approved."),
        (Some("no!"), "no!"),
    ] {
        let (agent, runner, error, seen) = paused().await;
        let mut state = error.into_state().unwrap();
        match message {
            None => state.reject("c1").unwrap(),
            Some(message) => state.reject_with("c1", message).unwrap(),
        }
        let result = runner.resume(&agent, state).await.unwrap();
        assert_eq!(result.items()[2], output("c1", told));
        assert_eq!(seen.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn an_undecided_state_pauses_again_without_doing_anything() {
    let (agent, runner, error, _) = paused().await;
    let state = error.into_state().unwrap();
    let again = runner.resume(&agent, state.clone()).await.unwrap_err();
    let again = again.into_state().unwrap();
    // Who claimed the first state can claim this one.
    assert_ne!(again.id(), state.id());
    let count = |n: u32| format!("\"n_saved\":{n},");
    let json = state.to_json().unwrap();
    assert_eq!(
        again.to_json().unwrap(),
        json.replacen(&count(1), &count(2), 1)
    );
}

#[tokio::test]
async fn a_standing_decision_holds_for_later_calls() {
    let calls = |n: usize| ScriptedTurn::items([call(&format!("c{n}"), "danger", "{}")]);
    let (danger, seen) = guarded("danger");
    let agent = Agent::builder("A").tool(danger).build().unwrap();
    let script = || ScriptedModel::new([calls(1), calls(2), calls(3), ScriptedTurn::text("done")]);

    let runner = Runner::new(script());
    let mut state = runner
        .run(&agent, "go")
        .await
        .unwrap_err()
        .into_state()
        .unwrap();
    state.approve_always("c1").unwrap();
    let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
    assert_eq!(
        runner.resume(&agent, state).await.unwrap().final_output(),
        "done"
    );
    assert_eq!(seen.lock().unwrap().len(), 3);

    let runner = Runner::new(script());
    let mut state = runner
        .run(&agent, "go")
        .await
        .unwrap_err()
        .into_state()
        .unwrap();
    state.reject_always("c1", "never").unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    assert_eq!(result.items()[5], output("c3", "never"));
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_condition_says_which_calls_wait() {
    let (danger, seen) = guarded("danger");
    let danger = danger.needs_approval_if(|_, call| call.arguments.contains('9'));
    let agent = Agent::builder("A").tool(danger).build().unwrap();
    let runner = Runner::new(ScriptedModel::new([ScriptedTurn::items([
        call("c1", "danger", r#"{"x":1}"#),
        call("c2", "danger", r#"{"x":9}"#),
    ])]));
    let error = runner.run(&agent, "go").await.unwrap_err();
    let asked = error.interruptions();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].call_id, "c2");
    assert_eq!(*seen.lock().unwrap(), [r#"{"x":1}"#]);
}

#[tokio::test]
async fn the_state_goes_through_json_unchanged() {
    let (agent, runner, error, seen) = paused().await;
    let mut state = error.into_state().unwrap();
    state.approve("c1").unwrap();
    let json = state.to_sealed_json(&key()).unwrap();
    let read = RunState::from_sealed_json(&key(), &json).unwrap();
    assert_eq!(read.to_sealed_json(&key()).unwrap(), json);
    runner.resume(&agent, read).await.unwrap();
    // Byte for byte what was approved.
    assert_eq!(*seen.lock().unwrap(), [ARGUMENTS]);
}

/// All values that differ from a value in one place: a changed text or number, an added or a removed element.
fn edits(value: &Value) -> Vec<Value> {
    let mut edits = Vec::new();
    match value {
        Value::Null => edits.push(json!({ "x": 1 })),
        Value::Bool(is_true) => edits.push(json!(!is_true)),
        Value::Number(number) => edits.push(json!(number.as_u64().unwrap_or(0) + 1)),
        Value::String(text) => edits.push(json!(format!("{text}x"))),
        Value::Array(list) => {
            for n in 0..list.len() {
                let mut shorter = list.clone();
                shorter.remove(n);
                edits.push(shorter.into());
                for edit in super::run_state::edits(&list[n]) {
                    let mut list = list.clone();
                    list[n] = edit;
                    edits.push(list.into());
                }
            }
            let mut longer = list.clone();
            longer.push(list.last().cloned().unwrap_or(json!("x")));
            edits.push(longer.into());
        }
        Value::Object(object) => {
            for (key, inner) in object {
                for edit in super::run_state::edits(inner) {
                    let mut object = object.clone();
                    object.insert(key.clone(), edit);
                    edits.push(object.into());
                }
                let mut smaller = object.clone();
                smaller.shift_remove(key);
                edits.push(smaller.into());
            }
        }
    }
    edits
}

#[tokio::test]
async fn every_edit_of_a_sealed_state_is_refused() {
    let (_, _, error, _) = paused().await;
    let state = error.into_state().unwrap();
    let json = state.to_sealed_json(&key()).unwrap();
    let whole: Value = serde_json::from_str(&json).unwrap();
    let all = edits(&whole);
    assert!(all.len() > 60, "{}", all.len());
    for edited in all {
        let edited = edited.to_string();
        let error = RunState::from_sealed_json(&key(), &edited).unwrap_err();
        assert!(
            matches!(
                error,
                StateError::Tampered | StateError::Newer { .. } | StateError::Invalid { .. }
            ),
            "{error}: {edited}"
        );
    }
    // By hand: what an attacker would like to change.
    for (from, to) in [
        ("1.0e2", "9.9e9"),
        (r#""name":"danger""#, r#""name":"look""#),
        (r#""agent":"A""#, r#""agent":"B""#),
        (
            r#""asked":{"decision":null,"#,
            r#""asked":{"decision":"approved","#,
        ),
    ] {
        let from = from.to_owned();
        assert!(
            json.contains(&from) || json.contains(&from.replace('"', "\\\"")),
            "{from} in {json}"
        );
        let edited = json.replace(&from, to);
        if edited != json {
            assert_eq!(
                RunState::from_sealed_json(&key(), &edited).unwrap_err(),
                StateError::Tampered
            );
        }
    }
}

#[tokio::test]
async fn state_with_two_entries_for_one_call_is_refused() {
    let (_, _, error, _) = paused().await;
    let json = error.into_state().unwrap().to_json().unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let calls = value["state"]["calls"].as_array_mut().unwrap();
    // The same call at the same place, and a copy of it.
    let again = calls[0].clone();
    calls.push(again);
    let n_last = calls.len() - 1;
    let refused = RunState::from_json(&value.to_string()).unwrap_err();
    let item = value["state"]["calls"][0]["item"].as_u64().unwrap();
    let detail = format!("two entries are about the call in item {item}");
    assert_eq!(refused, StateError::Invalid { detail });

    let copy = value["state"]["history"][usize::try_from(item).unwrap()].clone();
    let history = value["state"]["history"].as_array_mut().unwrap();
    history.push(copy);
    let last = history.len() - 1;
    value["state"]["calls"][n_last]["item"] = last.into();
    let refused = RunState::from_json(&value.to_string()).unwrap_err();
    let detail = format!("two entries are about the call in item {last}");
    assert_eq!(refused, StateError::Invalid { detail });
}

/// A run of one guarded call in each of two turns.
async fn paused_twice() -> (RunState, RunState) {
    let (danger, _) = guarded("danger");
    let agent = Agent::builder("A").tool(danger).build().unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("c1", "danger", "{}")]),
        ScriptedTurn::items([call("c2", "danger", "{}")]),
    ]));
    let first = runner.run(&agent, "go").await.unwrap_err();
    let first = first.into_state().unwrap();
    let mut approved = first.clone();
    approved.approve("c1").unwrap();
    let second = runner.resume(&agent, approved).await.unwrap_err();
    (first, second.into_state().unwrap())
}

#[tokio::test]
async fn state_id_of_copies_is_one_of_other_states_another() {
    let (first, second) = paused_twice().await;
    let mut decided = RunState::from_json(&first.to_json().unwrap()).unwrap();
    decided.reject("c1").unwrap();
    decided.add_input([Item::user("and now?")]);
    assert_eq!(decided.id(), first.id());
    // The same words in another run.
    let (other, _) = paused_twice().await;
    let ids = [first.id(), second.id(), other.id()];
    let different: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(different.len(), 3, "{ids:?}");
    // Of one run that pauses again only the count differs.
    let run = |id: &str| {
        id.split_once('-')
            .map(|(run, n)| (run.to_owned(), n.to_owned()))
    };
    let (run_id, n) = run(&ids[0]).unwrap();
    assert_eq!(n, "1");
    assert_eq!(run(&ids[1]), Some((run_id, "2".to_owned())));
}

#[tokio::test]
async fn state_id_claimed_by_two_resumes_lets_one_go_on() {
    let (agent, runner, error, seen) = paused().await;
    let mut state = error.into_state().unwrap();
    state.approve("c1").unwrap();
    let claimed = Mutex::new(std::collections::HashSet::new());
    let resume = |state: RunState| {
        let is_first = claimed.lock().unwrap().insert(state.id());
        is_first.then(|| runner.resume(&agent, state))
    };
    let both = [resume(state.clone()), resume(state)];
    let [Some(first), None] = both else {
        panic!("both resumes go on");
    };
    assert_eq!(first.await.unwrap().final_output(), "done");
    assert_eq!(*seen.lock().unwrap(), [ARGUMENTS]);
}

#[tokio::test]
async fn state_id_of_an_older_version_is_the_same_each_time() {
    let (_, _, error, _) = paused().await;
    let json = error.into_state().unwrap().to_json().unwrap();
    let mut value: Value = serde_json::from_str(&json).unwrap();
    value["version"] = json!(4);
    let state = value["state"].as_object_mut().unwrap();
    state.remove("run").unwrap();
    state.remove("n_saved").unwrap();
    let read = || RunState::from_json(&value.to_string()).unwrap();
    let mut decided = read();
    decided.approve("c1").unwrap();
    assert_eq!(decided.id(), read().id());
    let again = RunState::from_json(&read().to_json().unwrap()).unwrap();
    assert_eq!(again.id(), read().id());
}

#[tokio::test]
async fn a_state_is_read_with_its_own_key_and_version_only() {
    let (agent, runner, error, _) = paused().await;
    let state = error.into_state().unwrap();
    let sealed = state.to_sealed_json(&key()).unwrap();
    let open = state.to_json().unwrap();
    let other = StateKey::new(Secret::new("another key of enough bytes")).unwrap();
    assert_eq!(
        RunState::from_sealed_json(&other, &sealed).unwrap_err(),
        StateError::Tampered
    );
    assert_eq!(
        RunState::from_sealed_json(&key(), &open).unwrap_err(),
        StateError::Tampered
    );
    assert_eq!(
        RunState::from_json(&sealed).unwrap_err(),
        StateError::Sealed
    );
    assert_eq!(
        StateKey::new(Secret::new("short")).unwrap_err(),
        StateError::WeakKey
    );
    let newer = open.replacen("\"version\":7", "\"version\":8", 1);
    let error = RunState::from_json(&newer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the run state has version 8; this library reads up to version 7"
    );
    for text in [
        "",
        "{}",
        "[]",
        "{\"version\":1}",
        "{\"version\":0,\"seal\":null,\"state\":{}}",
    ] {
        assert!(
            matches!(RunState::from_json(text), Err(StateError::Invalid { .. })),
            "{text}"
        );
    }
    // Another agent, and one that lost the tool.
    for agent in [
        Agent::builder("B").build().unwrap(),
        Agent::builder("A").build().unwrap(),
    ] {
        let error = runner.resume(&agent, state.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StateInvalid);
    }
    let mut state = state;
    let error = state.approve("c2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "0 calls with the id \"c2\" wait for a decision"
    );
    drop(agent);
}

#[tokio::test]
async fn a_pause_inside_an_agent_that_is_a_tool_comes_out_and_goes_back_in() {
    let (danger, seen) = guarded("danger");
    let inner = Agent::builder("Inner").tool(danger).build().unwrap();
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_calls);
    let free = tool("free", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok("x".to_owned()) }
    });
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("Asks the inner agent."))
        .tool(free)
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([
            call("o1", "inner", r#"{"input":"please"}"#),
            call("o2", "free", "{}"),
        ]),
        ScriptedTurn::items([call("i1", "danger", "{}")]),
        ScriptedTurn::text("inner done"),
        ScriptedTurn::text("outer done"),
    ]));
    let error = runner.run(&outer, "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    state = RunState::from_json(&state.to_json().unwrap()).unwrap();
    let asked = state.interruptions();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, ["o1"]);
    assert_eq!(
        (asked[0].agent.as_str(), asked[0].id.as_str()),
        ("Inner", "o1/i1")
    );
    assert_eq!(n_calls.load(Ordering::SeqCst), 1);

    state.approve("o1/i1").unwrap();
    let result = runner.resume(&outer, state).await.unwrap();
    assert_eq!(result.final_output(), "outer done");
    assert_eq!(
        result.items()[2..4],
        [output("o1", "inner done"), output("o2", "x")]
    );
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(n_calls.load(Ordering::SeqCst), 1);
    // Four model calls in all, two of them inside.
    assert_eq!((result.usage().requests, result.turns()), (4, 2));
}

#[tokio::test]
async fn a_resumed_run_keeps_its_limits_and_what_it_used() {
    let (danger, _) = guarded("danger");
    let agent = Agent::builder("A").tool(danger).build().unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("c1", "danger", "{}")]),
        ScriptedTurn::text("done"),
    ]));
    let request = runner
        .run(&agent, "go")
        .limits(openai_agents::Limits::turns(1));
    let mut state = request.await.unwrap_err().into_state().unwrap();
    state.approve("c1").unwrap();
    let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
    let error = runner.resume(&agent, state).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MaxTurns);
    let items: &[Item] = &error.progress().items;
    assert_eq!(items, [call("c1", "danger", "{}"), output("c1", "did it")]);
}
