//! States that are taken of a run while it goes on, and what follows from each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use openai_agents::agent::runner::{RunLayer, RunStep, StepOutcomes};
use openai_agents::guardrail::GuardrailTiming;
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, ErrorKind, InputGuardrail, RunError, RunEvent, RunResult, RunState, RunStream, Runner,
    Verdict,
};

use crate::support::{agent, assert_well_formed, call, instant, tool};

/// Names the steps of all runs.
#[derive(Clone, Default)]
struct NamedSteps(Arc<Mutex<Vec<&'static str>>>);

impl RunLayer for NamedSteps {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        self.0.lock().unwrap().push(step.name());
        outcomes
    }
}

/// An agent with a tool that hands off to another with a tool; and how often the tools were called.
fn two_agents() -> (Agent, Arc<AtomicUsize>) {
    let n_calls: Arc<AtomicUsize> = Arc::default();
    let counter = Arc::clone(&n_calls);
    let count = tool("count", move |_| {
        let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(n.to_string()) }
    });
    let second = Agent::builder("B").tool(count.clone()).build().unwrap();
    let first = agent([count, instant("look", "wet")]).to_builder();
    (first.handoff(&second).build().unwrap(), n_calls)
}

fn model() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "count", "{}"), call("c2", "look", "{}")]),
        ScriptedTurn::items([call("c3", "transfer_to_b", "{}")]),
        ScriptedTurn::items([call("c4", "count", "{}")]),
        ScriptedTurn::text("done"),
    ])
}

/// Takes the states of a run, each once, until it has given this many or is over.
async fn states(run: &mut RunStream, n: usize) -> Vec<RunState> {
    let mut states: Vec<RunState> = Vec::new();
    while let Some(state) = run.to_state().await {
        let json = |state: &RunState| state.to_json().unwrap();
        if states.last().map(json) != Some(json(&state)) {
            states.push(state);
        }
        if states.len() == n || run.next().await.is_none() {
            break;
        }
    }
    states
}

fn stored(state: &RunState) -> RunState {
    RunState::from_json(&state.to_json().unwrap()).unwrap()
}

fn told(result: Result<RunResult, RunError>) -> (String, Vec<String>, u32, u64) {
    let result = result.unwrap();
    assert_well_formed(result.items());
    let items = result.items().iter();
    (
        result.final_output().to_owned(),
        items.map(|item| item.to_json().to_owned()).collect(),
        result.turns(),
        result.usage().requests,
    )
}

#[tokio::test]
async fn run_that_goes_on_from_any_of_its_states_ends_like_the_run() {
    let steps = NamedSteps::default();
    let (first, _) = two_agents();
    let whole = told(
        Runner::new(model())
            .layer(steps.clone())
            .run(&first, "go")
            .await,
    );
    let all = steps.0.lock().unwrap().clone();
    let mut n_taken = 0;
    loop {
        let steps = NamedSteps::default();
        let runner = Runner::new(model()).layer(steps.clone());
        let (first, n_calls) = two_agents();
        let mut run = runner.run(&first, "go").stream();
        let taken = states(&mut run, n_taken + 1).await;
        drop(run);
        if taken.len() <= n_taken {
            break;
        }
        n_taken += 1;
        let state = stored(&taken[n_taken - 1]);
        // What a run begins after it gave a state is dropped with it, before it does anything.
        let before = state.turns();
        let resumed = told(runner.resume(&first, state).await);
        assert_eq!(
            (&resumed, n_calls.load(Ordering::SeqCst)),
            (&whole, 2),
            "state {n_taken}"
        );
        let steps = steps.0.lock().unwrap().clone();
        let of_run = |name: &str| all.iter().filter(|step| **step == name).count();
        let begun = |name: &str| steps.iter().filter(|step| **step == name).count();
        // A step that was begun when the run was dropped is begun again, and none is left out.
        assert!(
            begun("start_agent") >= of_run("start_agent"),
            "{before}: {steps:?}"
        );
        assert!(
            begun("hand_off") >= of_run("hand_off"),
            "{before}: {steps:?}"
        );
    }
    // After each of four answers, the tools of two turns and the handoff.
    assert_eq!(n_taken, 7);
}

#[tokio::test]
async fn state_at_a_pause_is_that_of_the_pause_to_the_byte() {
    let session = MemorySession::new(SessionId::new("s").unwrap());
    for session in [None, Some(session)] {
        let agent = agent([
            instant("danger", "boom").needs_approval(),
            instant("look", "wet"),
        ]);
        let runner = Runner::new(ScriptedModel::new([ScriptedTurn::items([
            call("c1", "danger", "{}"),
            call("c2", "look", "{}"),
        ])]));
        let mut request = runner.run(&agent, "go");
        if let Some(session) = &session {
            request = request.session(session);
        }
        let mut run = request.stream();
        let taken = states(&mut run, 2).await;
        let paused = run.finish().await.unwrap_err().into_state().unwrap();
        let [before, at_pause] = &taken[..] else {
            panic!("{} states", taken.len());
        };
        assert_eq!(at_pause.to_json().unwrap(), paused.to_json().unwrap());
        // Of the calls that had not begun nobody was asked yet.
        assert_eq!(before.interruptions(), []);
        assert_eq!((before.id(), before.turns()), (paused.id(), 1));
        let again = runner.resume(&agent, stored(before));
        let again = match &session {
            Some(session) => again.session(session).await,
            None => again.await,
        };
        assert_eq!(
            again.unwrap_err().into_state().unwrap().interruptions(),
            paused.interruptions()
        );
    }
}

/// What is taken of a run after each of its events.
#[derive(Debug, Clone, Copy)]
enum Take {
    Nothing,
    States,
    Futures,
    BrokenOff,
}

#[tokio::test]
async fn run_whose_state_is_taken_shows_the_same_events() {
    let (first, _) = two_agents();
    let shown = async |how: Take| {
        let mut run = Runner::new(model()).run(&first, "go").stream();
        let mut events = Vec::new();
        while let Some(event) = run.next().await {
            events.push(match event.unwrap() {
                RunEvent::RunDone { result } => format!("done: {}", result.final_output()),
                event => format!("{event:?}"),
            });
            match how {
                Take::Nothing => {}
                Take::States => drop(run.to_state().await),
                // The future is dropped before it has polled the run.
                Take::Futures => drop(run.to_state()),
                Take::BrokenOff => drop(run.to_state().now_or_never()),
            }
        }
        assert!(run.to_state().await.is_none());
        events
    };
    let usual = shown(Take::Nothing).await;
    assert_eq!(usual.last().map(String::as_str), Some("done: done"));
    // The counter of the tool goes on.
    let plain = |events: Vec<String>| {
        let no_digit = |c: char| !c.is_ascii_digit();
        let without = |event: String| event.chars().filter(|c| no_digit(*c)).collect::<String>();
        events.into_iter().map(without).collect::<Vec<_>>()
    };
    let usual = plain(usual);
    for how in [Take::States, Take::Futures, Take::BrokenOff] {
        assert_eq!(plain(shown(how).await), usual, "{how:?}");
    }
}

#[tokio::test]
async fn run_that_fails_before_it_stands_between_two_steps_has_no_state() {
    let trips = InputGuardrail::new("no", async |_| Ok::<_, String>(Verdict::trip("no")));
    for timing in [GuardrailTiming::Blocking, GuardrailTiming::Hold] {
        let agent = agent([]).to_builder();
        let agent = agent
            .input_guardrail(trips.clone().timing(timing))
            .build()
            .unwrap();
        let runner = Runner::new(ScriptedModel::text("never"));
        let mut run = runner.run(&agent, "go").stream();
        assert!(run.to_state().await.is_none());
        // Its end is still to come.
        let error = run.finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    }
}

#[tokio::test]
async fn state_of_a_run_with_a_session_is_resumed_once_and_not_after_the_run_has_written() {
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let (first, _) = two_agents();
    let runner = Runner::new(model());
    let mut run = runner.run(&first, "go").session(&session).stream();
    let taken = states(&mut run, 1).await;
    drop(run);
    let resume = async || {
        let run = runner.resume(&first, stored(&taken[0])).session(&session);
        run.await
    };
    let result = resume().await.unwrap();
    assert_eq!(
        session.items(None).await.unwrap().items,
        result.to_input_list()
    );
    assert_eq!(
        resume().await.unwrap_err().kind(),
        ErrorKind::AlreadyResumed
    );
}
