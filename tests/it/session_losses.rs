//! What a run leaves in its session when it does not end well: lost to another writer, tripped over, dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use openai_agents::agent::runner::TrippedInput;
use openai_agents::guardrail::{GuardrailInput, GuardrailTiming, InputGuardrail};
use openai_agents::model::{Delivery, ModelError};
use openai_agents::session::{MemorySession, Session, SessionId, SessionTurn};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, RunFailure, Runner, Verdict};

use crate::support::{agent, assert_well_formed, call, instant, output, tool};

fn memory() -> MemorySession {
    MemorySession::new(SessionId::new("s").unwrap())
}

async fn kept(session: &impl Session) -> Vec<Item> {
    let items = session.items(None).await.unwrap().items;
    assert_well_formed(&items);
    items
}

/// A tool in which somebody else writes to the session, at its n-th call.
fn interrupting(session: &MemorySession, at: usize) -> FunctionTool {
    let (other, n_calls) = (session.clone(), Arc::new(AtomicUsize::new(0)));
    tool("look", move |_| {
        let other = other.clone();
        let is_now = n_calls.fetch_add(1, Ordering::SeqCst) + 1 == at;
        async move {
            if is_now {
                let turn = SessionTurn::new([Item::user("me too"), Item::assistant("ok")]);
                other.append(turn).await.unwrap();
            }
            Ok("x".to_owned())
        }
    })
}

fn looks_three_times() -> ScriptedModel {
    let looks = |n: u32| ScriptedTurn::items([call(&format!("c{n}"), "look", "{}")]);
    ScriptedModel::new([looks(1), looks(2), looks(3), ScriptedTurn::text("wet")])
}

#[tokio::test]
async fn a_run_that_loses_to_another_writer_leaves_nothing_of_itself() {
    for before in [
        vec![],
        // Its own words, said before by somebody else.
        vec![
            Item::user("go"),
            call("c1", "look", "{}"),
            output("c1", "x"),
        ],
    ] {
        for at in 1..=3 {
            let session = memory();
            session
                .append(SessionTurn::new(before.clone()))
                .await
                .unwrap();
            let agent = agent([interrupting(&session, at)]);
            let runner = Runner::new(looks_three_times());
            let error = runner
                .run(&agent, "go")
                .session(&session)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionConflict);
            assert_eq!(
                error.to_string(),
                "session `s` was changed by another run or program in between; nothing of this run is in it"
            );
            assert!(error.into_state().is_err(), "a lost run cannot go on");
            let others = [Item::user("me too"), Item::assistant("ok")];
            assert_eq!(
                kept(&session).await,
                [before.clone(), others.to_vec()].concat(),
                "{at}"
            );
        }
    }
}

#[tokio::test]
async fn a_run_that_loses_leaves_nothing_of_the_time_before_its_pause_either() {
    for is_paused_later in [false, true] {
        let session = memory();
        let asks = instant("ask", "x").needs_approval();
        let agent = agent([
            interrupting(&session, 1 + usize::from(is_paused_later)),
            asks,
        ]);
        let first = is_paused_later.then(|| ScriptedTurn::items([call("c0", "look", "{}")]));
        let script = first.into_iter().chain([
            ScriptedTurn::items([call("c1", "ask", "{}")]),
            ScriptedTurn::items([call("c2", "look", "{}")]),
            ScriptedTurn::text("done"),
        ]);
        let runner = Runner::new(ScriptedModel::new(script));
        let error = runner
            .run(&agent, "go")
            .session(&session)
            .await
            .unwrap_err();
        let mut state = error.into_state().unwrap();
        assert_eq!(
            kept(&session).await.len(),
            if is_paused_later { 3 } else { 1 }
        );
        state.approve("c1").unwrap();
        let error = runner
            .resume(&agent, state)
            .session(&session)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionConflict);
        assert_eq!(
            kept(&session).await,
            [Item::user("me too"), Item::assistant("ok")]
        );
    }
}

#[tokio::test]
async fn of_two_runs_at_once_one_is_kept_whole_and_the_other_not_at_all() {
    let session = memory();
    // Both have begun before one of them ends its turn.
    let look = tool("look", |_| async {
        tokio::task::yield_now().await;
        Ok("x".to_owned())
    });
    let agent = agent([look]);
    let run = |question: &'static str| {
        let runner = Runner::new(ScriptedModel::new([
            ScriptedTurn::items([call("c1", "look", "{}")]),
            ScriptedTurn::text("wet"),
        ]));
        runner.run(&agent, question).session(&session).into_future()
    };
    let (one, two) = tokio::join!(run("one"), run("two"));
    let asked = match (&one, &two) {
        (Ok(_), Err(_)) => "one",
        (Err(_), Ok(_)) => "two",
        both => panic!("{both:?}"),
    };
    let error = one.err().or(two.err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::SessionConflict);
    let items = kept(&session).await;
    assert_eq!((items.len(), &items[0]), (4, &Item::user(asked)));
}

#[tokio::test]
async fn a_failure_whose_session_was_changed_leaves_nothing_and_says_both() {
    let session = memory();
    let agent = agent([interrupting(&session, 2)]);
    let gone = ScriptedTurn::error(ModelError::new(ErrorKind::Transport, "gone"));
    let looks = |id: &str| ScriptedTurn::items([call(id, "look", "{}")]);
    let runner = Runner::new(ScriptedModel::new([looks("c1"), looks("c2"), gone]));
    let error = runner
        .run(&agent, "go")
        .session(&session)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionConflict);
    assert_eq!(kept(&session).await.len(), 2);

    // The model fails in the first turn, while another writes.
    let session = memory();
    let other = session.clone();
    let hangs = InputGuardrail::new("slow", move |_| {
        let other = other.clone();
        async move {
            other
                .append(SessionTurn::new([Item::user("me too")]))
                .await
                .unwrap();
            Ok::<_, String>(Verdict::trip("no"))
        }
    });
    let agent = Agent::builder("A").input_guardrail(hangs).build().unwrap();
    let runner = Runner::new(ScriptedModel::text("x"));
    let error = runner
        .run(&agent, "go")
        .session(&session)
        .await
        .unwrap_err();
    let RunFailure::SessionConflict {
        after: Some(after),
        left: None,
        ..
    } = error.failure()
    else {
        panic!("{error:?}")
    };
    assert_eq!(after.kind(), ErrorKind::GuardrailTripped);
    assert_eq!(kept(&session).await, [Item::user("me too")]);
}

#[tokio::test]
async fn tripped_input_is_kept_or_forgotten_as_set() {
    let is_rude = |input: GuardrailInput| {
        let verdict = if input.text().contains("rude") {
            Verdict::trip("rude")
        } else {
            Verdict::pass()
        };
        std::future::ready(Ok::<_, String>(verdict))
    };
    let guardrail = InputGuardrail::new("polite", is_rude).timing(GuardrailTiming::Blocking);
    let agent = Agent::builder("A")
        .input_guardrail(guardrail)
        .build()
        .unwrap();
    for (tripped, seen) in [
        (
            TrippedInput::Keep,
            vec![Item::user("rude"), Item::user("sorry")],
        ),
        (TrippedInput::Forget, vec![Item::user("sorry")]),
    ] {
        let session = memory();
        let model = ScriptedModel::text("ok");
        let runner = Runner::new(model.clone()).tripped_input(tripped);
        let error = runner
            .run(&agent, "rude")
            .session(&session)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
        // One rude message does not lock the session.
        let result = runner.run(&agent, "sorry").session(&session).await.unwrap();
        assert_eq!(result.final_output(), "ok");
        assert_eq!(*model.requests().pop().unwrap().items, seen);
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_its_finished_turns() {
    for n_finished in 0..2 {
        let session = memory();
        let agent = agent([
            instant("look", "x"),
            tool("hangs", |_| std::future::pending()),
        ]);
        let looks = [ScriptedTurn::items([call("c1", "look", "{}")])]
            .into_iter()
            .take(n_finished);
        let hangs = ScriptedTurn::items([call("c2", "hangs", "{}")]);
        let runner = Runner::new(ScriptedModel::new(looks.chain([hangs])));
        let mut stream = runner
            .run(&agent, "go")
            .session(&session)
            .delivery(Delivery::Whole)
            .stream();
        while let Some(event) = stream.next().now_or_never() {
            event.unwrap().unwrap();
        }
        drop(stream);
        let looked = [
            Item::user("go"),
            call("c1", "look", "{}"),
            output("c1", "x"),
        ];
        assert_eq!(kept(&session).await, looked[..3 * n_finished]);
    }
}
