//! Runs that read and keep their conversation in a session.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use openai_agents::agent::{AgentBuilder, ToolUseBehavior};
use openai_agents::error::error_chain;
use openai_agents::future::BoxFuture;
use openai_agents::guardrail::{GuardrailTiming, InputGuardrail, OutputGuardrail};
use openai_agents::model::{Delivery, ModelError};
use openai_agents::session::{
    MemorySession, Session, SessionError, SessionId, SessionItems, SessionSettings, SessionTurn,
    SessionVersion,
};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::{
    Agent, Cancel, ErrorKind, Handoff, Item, Limits, RunEvent, RunState, Runner, Verdict,
};

use crate::support::{agent, assert_well_formed, call, instant, output, tool, tool_with};

fn memory() -> MemorySession {
    MemorySession::new(SessionId::new("s").unwrap())
}

async fn kept(session: &impl Session) -> Vec<Item> {
    let items = session.items(None).await.unwrap().items;
    assert_well_formed(&items);
    items
}

fn looks_then_answers() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "look", "{}")]),
        ScriptedTurn::text("wet"),
    ])
}

#[tokio::test]
async fn the_next_run_begins_where_the_last_ended() {
    let session = memory();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "look", "{}")]),
        ScriptedTurn::text("wet"),
        ScriptedTurn::text("bye"),
    ]);
    let runner = Runner::new(model.clone());
    let agent = agent([instant("look", "x")]);
    runner.run(&agent, "go").session(&session).await.unwrap();
    let result = runner.run(&agent, "and?").session(&session).await.unwrap();
    let all = [
        Item::user("go"),
        call("c1", "look", "{}"),
        output("c1", "x"),
        Item::assistant("wet"),
        Item::user("and?"),
        Item::assistant("bye"),
    ];
    assert_eq!(kept(&session).await, all);
    assert_eq!(*model.requests()[2].items, all[..5]);
    // The result is about this run.
    assert_eq!(result.to_input_list(), all[4..]);
}

/// Runs a script to an error of this kind, in as many turns as it has; gives what the session has then.
async fn failed(builder: AgentBuilder, script: Vec<ScriptedTurn>, kind: ErrorKind) -> Vec<Item> {
    let session = memory();
    let n_turns = u32::try_from(script.len()).unwrap();
    let runner = Runner::new(ScriptedModel::new(script)).limits(Limits::turns(n_turns));
    let agent = builder.build().unwrap();
    let error = runner
        .run(&agent, "go")
        .session(&session)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), kind);
    kept(&session).await
}

fn looking() -> AgentBuilder {
    Agent::builder("A").tool(instant("look", "x"))
}

fn looks() -> ScriptedTurn {
    ScriptedTurn::items([call("c1", "look", "{}")])
}

fn looked() -> [Item; 3] {
    [
        Item::user("go"),
        call("c1", "look", "{}"),
        output("c1", "x"),
    ]
}

#[tokio::test]
async fn a_model_error_leaves_the_input_and_the_turns_before() {
    let gone = || ScriptedTurn::error(ModelError::new(ErrorKind::Transport, "gone"));
    let kind = ErrorKind::Transport;
    assert_eq!(failed(looking(), vec![gone()], kind).await, looked()[..1]);
    assert_eq!(
        failed(looking(), vec![looks(), gone()], kind).await,
        looked()
    );
    // The end of the turns comes after the last of them, an unknown tool before the end of its own.
    let kind = ErrorKind::MaxTurns;
    assert_eq!(failed(looking(), vec![looks()], kind).await, looked());
    let unknown = ScriptedTurn::items([call("c9", "nope", "{}")]);
    let kind = ErrorKind::UnknownTool;
    assert_eq!(
        failed(looking(), vec![looks(), unknown], kind).await,
        looked()
    );
}

#[tokio::test]
async fn a_tripped_guardrail_leaves_what_it_did_not_look_at() {
    let kind = ErrorKind::GuardrailTripped;
    let says = || ScriptedTurn::text("x");
    let trips = InputGuardrail::new("no", async |_| Ok::<_, String>(Verdict::trip("no")));
    let builder = looking().input_guardrail(trips);
    assert_eq!(failed(builder, vec![says()], kind).await, looked()[..1]);

    let trips = OutputGuardrail::new("no", async |_| Ok::<_, String>(Verdict::trip("no")));
    let builder = looking().output_guardrail(trips.clone());
    assert_eq!(failed(builder, vec![looks(), says()], kind).await, looked());
    let stops = looking()
        .tool_use_behavior(ToolUseBehavior::StopOnFirstTool)
        .output_guardrail(trips);
    let [go, call, _] = looked();
    let withheld = output("c1", "Output withheld by an output guardrail.");
    assert_eq!(
        failed(stops, vec![looks()], kind).await,
        [go, call, withheld]
    );

    let broken = OutputGuardrail::new("broken", async |_| Err::<Verdict, _>("broken"));
    let builder = looking().output_guardrail(broken);
    let items = failed(builder, vec![says()], ErrorKind::CallbackFailed).await;
    assert_eq!(items, [Item::user("go"), Item::assistant("x")]);
}

#[tokio::test]
async fn a_tool_that_ends_the_run_leaves_the_calls_that_were_done() {
    let options = ToolOptions::default().failure(ToolFailure::Raise);
    let raises = tool_with("raise", options, |_| async {
        // After the other tool.
        tokio::task::yield_now().await;
        Err("no".to_owned())
    });
    let both = ScriptedTurn::items([call("c1", "look", "{}"), call("c2", "raise", "{}")]);
    let items = failed(looking().tool(raises), vec![both], ErrorKind::ToolFailed).await;
    assert_eq!(items, looked());
}

#[tokio::test]
async fn a_handoff_filter_does_not_change_what_is_kept() {
    let session = memory();
    let second = Agent::builder("Second").build().unwrap();
    let filter = openai_agents::agent::HandoffFilter::remove_tools();
    let first = Agent::builder("First")
        .tool(instant("look", "x"))
        .handoff(Handoff::to(&second).filter(filter))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "look", "{}")]),
        ScriptedTurn::items([call("h1", "transfer_to_second", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    Runner::new(model.clone())
        .run(&first, "go")
        .session(&session)
        .await
        .unwrap();
    assert_eq!(*model.requests()[2].items, [Item::user("go")]);
    assert_eq!(kept(&session).await.len(), 6);
}

#[tokio::test]
async fn the_history_can_be_cut_and_changed_for_the_model_only() {
    let session = memory();
    let before = [
        Item::user("1"),
        call("c1", "look", "{}"),
        output("c1", "x"),
        Item::assistant("2"),
    ];
    session
        .append(SessionTurn::new(before.clone()))
        .await
        .unwrap();
    let model = ScriptedModel::new([ScriptedTurn::text("a"), ScriptedTurn::text("b")]);
    let runner = Runner::new(model.clone());
    let agent = agent([]);
    // The cut would part the output from its call.
    let request = runner.run(&agent, "3").session(&session);
    request
        .session_settings(SessionSettings::latest(2))
        .await
        .unwrap();
    assert_eq!(
        *model.requests()[0].items,
        [Item::assistant("2"), Item::user("3")]
    );
    let request = runner.run(&agent, "4").session(&session);
    let request = request.session_input(async |history, new| {
        let last = history.into_iter().last();
        last.into_iter().chain(new).collect::<Vec<_>>()
    });
    request.await.unwrap();
    assert_eq!(
        *model.requests()[1].items,
        [Item::assistant("a"), Item::user("4")]
    );
    let texts = ["3", "4"].map(Item::user);
    let all = kept(&session).await;
    assert_eq!(all.len(), 8);
    assert_eq!([all[4].clone(), all[6].clone()], texts);
}

#[tokio::test]
async fn session_input_that_fails_ends_the_run_and_asks_nothing() {
    let session = memory();
    let model = ScriptedModel::text("a");
    let runner = Runner::new(model.clone());
    let request = runner.run(&agent([]), "1").session(&session);
    let request = request.session_input(async |_, _| Err::<Vec<Item>, _>("the index is away"));
    let error = request.await.unwrap_err();
    assert_eq!(
        error_chain(&error),
        "the session input failed: the index is away"
    );
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert_eq!(model.requests().len(), 0);
}

/// A session whose writes can be made to fail.
#[derive(Clone)]
struct Shaky {
    inner: MemorySession,
    /// How many writes succeed before one fails.
    n_good: Arc<AtomicUsize>,
    /// Whether a write that fails has happened all the same.
    happens: bool,
}

impl Session for Shaky {
    fn id(&self) -> &SessionId {
        self.inner.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        self.inner.items(limit)
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move {
            let fails = self.n_good.fetch_sub(1, Ordering::SeqCst) == 0;
            if fails && !self.happens {
                return Err(broken());
            }
            let version = self.inner.append(turn).await?;
            if fails { Err(broken()) } else { Ok(version) }
        })
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        self.inner.replace(turn)
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        self.inner.pop()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        self.inner.clear()
    }
}

fn broken() -> SessionError {
    SessionError::Interrupted {
        store: "test".to_owned(),
        source: "unplugged".into(),
    }
}

#[tokio::test]
async fn a_turn_whose_write_failed_is_written_later_without_doing_it_again() {
    // The input and the turn with the tool, the answer; each may have been written or not.
    for n_good in 0..2 {
        for happens in [false, true] {
            let session = Shaky {
                inner: memory(),
                n_good: Arc::new(AtomicUsize::new(n_good)),
                happens,
            };
            let n_looks = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&n_looks);
            let look = tool("look", move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                async { Ok("x".to_owned()) }
            });
            let agent = agent([look]);
            let model = looks_then_answers();
            let runner = Runner::new(model.clone());
            let error = runner
                .run(&agent, "go")
                .session(&session)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Session);
            let state = error.into_state().unwrap();
            let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
            session.n_good.store(9, Ordering::SeqCst);
            let request = runner.resume(&agent, state).session(&session);
            let result = request.await.unwrap();
            assert_eq!(result.final_output(), "wet");
            assert_eq!(
                (n_looks.load(Ordering::SeqCst), model.requests().len()),
                (1, 2)
            );
            let all = [
                Item::user("go"),
                call("c1", "look", "{}"),
                output("c1", "x"),
                Item::assistant("wet"),
            ];
            assert_eq!(kept(&session).await, all, "{n_good} {happens}");
        }
    }
}

#[tokio::test]
async fn tripped_input_whose_session_failed_is_judged_again_by_the_resumed_run() {
    for timing in [
        GuardrailTiming::Blocking,
        GuardrailTiming::Hold,
        GuardrailTiming::Concurrent,
    ] {
        let session = Shaky {
            inner: memory(),
            n_good: Arc::default(),
            happens: false,
        };
        let guardrail = InputGuardrail::new("no", async |_| Verdict::trip("no")).timing(timing);
        let agent = Agent::builder("A").input_guardrail(guardrail);
        let agent = agent.build().unwrap();
        let model = ScriptedModel::new([ScriptedTurn::text("wet"), ScriptedTurn::text("wet")]);
        let runner = Runner::new(model.clone());
        let request = runner.run(&agent, "go").session(&session);
        let error = request.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Session, "{timing:?}");
        let n_requests = model.requests().len();
        let state = error.into_state().unwrap();
        let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
        session.n_good.store(9, Ordering::SeqCst);
        let request = runner.resume(&agent, state).session(&session);
        let error = request.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GuardrailTripped, "{timing:?}");
        assert_eq!(model.requests().len(), n_requests, "{timing:?}");
        assert_eq!(kept(&session).await, [Item::user("go")], "{timing:?}");
    }
}

#[tokio::test]
async fn of_two_that_resume_one_state_one_wins_and_the_tool_runs_once() {
    for at_once in [false, true] {
        let session = memory();
        let seen = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&seen);
        let look = tool("look", move |_| {
            *counter.lock().unwrap() += 1;
            async {
                tokio::task::yield_now().await;
                Ok("x".to_owned())
            }
        });
        let agent = agent([look.needs_approval()]);
        let runner = Runner::new(looks_then_answers());
        let error = runner
            .run(&agent, "go")
            .session(&session)
            .await
            .unwrap_err();
        let mut state = error.into_state().unwrap();
        // A call without its output is not kept.
        assert_eq!(kept(&session).await, [Item::user("go")]);
        state.approve("c1").unwrap();
        let resume = || {
            runner
                .resume(&agent, state.clone())
                .session(&session)
                .into_future()
        };
        let results = if at_once {
            let (one, two) = tokio::join!(resume(), resume());
            [one, two]
        } else {
            [resume().await, resume().await]
        };
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1));
        let lost = lost.into_iter().next().unwrap().unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::AlreadyResumed);
        assert_eq!(*seen.lock().unwrap(), 1);
        assert_eq!(kept(&session).await.len(), 4);
    }
}

#[tokio::test]
async fn a_state_goes_on_with_its_own_session_only() {
    let session = memory();
    let agent = agent([instant("look", "x").needs_approval()]);
    let runner = Runner::new(looks_then_answers());
    let error = runner
        .run(&agent, "go")
        .session(&session)
        .await
        .unwrap_err();
    let mut state = error.into_state().unwrap();
    state.approve("c1").unwrap();
    let error = runner.resume(&agent, state.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the run state needs the session `s`, which is not there"
    );
    let other = MemorySession::new(SessionId::new("t").unwrap());
    let error = runner
        .resume(&agent, state)
        .session(&other)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateInvalid);
}

#[tokio::test]
async fn cancelling_after_the_turn_keeps_the_turn() {
    let session = memory();
    let agent = agent([instant("look", "x")]);
    let stream = Runner::new(looks_then_answers())
        .run(&agent, "go")
        .session(&session)
        .delivery(Delivery::Whole)
        .stream();
    stream.cancel(Cancel::AfterTurn);
    let error = stream.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(kept(&session).await.len(), 3);
}

#[tokio::test]
async fn a_conversation_is_kept_in_one_place() {
    let error = Runner::new(ScriptedModel::text("x"))
        .run(&agent([]), "go")
        .session(memory())
        .chain_responses()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn cancelling_at_once_keeps_the_calls_that_were_done() {
    let session = memory();
    let hangs = tool("hangs", |_| std::future::pending());
    let agent = agent([instant("look", "x"), hangs]);
    let model = ScriptedModel::new([ScriptedTurn::items([
        call("c1", "look", "{}"),
        call("c2", "hangs", "{}"),
    ])]);
    let mut stream = Runner::new(model)
        .run(&agent, "go")
        .session(&session)
        .delivery(Delivery::Whole)
        .stream();
    while !matches!(
        stream.next().await,
        Some(Ok(RunEvent::ToolOutputDone { .. }))
    ) {}
    stream.cancel(Cancel::Now);
    let error = stream.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(kept(&session).await, looked());
}

#[tokio::test]
async fn an_output_that_nobody_judged_is_not_kept() {
    let session = memory();
    let hangs = OutputGuardrail::new("hangs", |_| {
        std::future::pending::<Result<Verdict, String>>()
    });
    let agent = Agent::builder("A").output_guardrail(hangs).build().unwrap();
    let runner = Runner::new(ScriptedModel::text("x"));
    let mut stream = runner
        .run(&agent, "go")
        .session(&session)
        .delivery(Delivery::Whole)
        .stream();
    while !matches!(stream.next().await, Some(Ok(RunEvent::ResponseDone { .. }))) {}
    assert!(stream.next().now_or_never().is_none());
    stream.cancel(Cancel::Now);
    assert_eq!(
        stream.finish().await.unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    assert_eq!(kept(&session).await, [Item::user("go")]);
}
