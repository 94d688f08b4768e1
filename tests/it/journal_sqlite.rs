//! Runs that are kept in SQLite and continued: what is asked again, what is not, and what is in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::agent::AgentBuilder;
use openai_agents::future::BoxFuture;
use openai_agents::journal::{
    DurableRun, JournalError, RunBeginning, RunId, RunStatus, RunSummary, SqliteJournal,
};
use openai_agents::model::Delivery;
use openai_agents::session::{
    MemorySession, Session, SessionError, SessionId, SessionItems, SessionTurn, SessionVersion,
    SqliteSessions,
};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::{
    Agent, Cancel, ErrorKind, FunctionTool, Item, RunError, RunEvent, RunRequest, RunResult,
    RunState, Runner,
};
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::folder::Folder;
use crate::support::{agent, assert_well_formed, call, instant, output, play, tool_with};

async fn journal() -> SqliteJournal {
    SqliteJournal::open(":memory:").await.unwrap()
}

async fn start(journal: &SqliteJournal) -> DurableRun {
    let beginning = RunBeginning::new("A", [Item::user("go")]);
    journal.start(beginning).await.unwrap()
}

fn request(run: &DurableRun, model: &ScriptedModel, agent: &Agent) -> RunRequest {
    let input = run.beginning().input.clone();
    let runner = Runner::new(model.clone());
    runner.run(agent, input).journal(Arc::new(run.clone()))
}

async fn note(run: &DurableRun, ended: &Result<RunResult, RunError>) {
    let end = ended.as_ref().map(RunResult::final_output);
    run.ended(end).await.unwrap();
}

/// A tool whose calls never end until it is let go.
#[derive(Clone, Default)]
struct Stuck {
    n_calls: Arc<AtomicUsize>,
    n_endless: Arc<AtomicUsize>,
    called: Arc<Notify>,
}

impl Stuck {
    fn times(n_endless: usize) -> Self {
        let stuck = Self::default();
        stuck.n_endless.store(n_endless, Ordering::SeqCst);
        stuck
    }

    fn n_calls(&self) -> usize {
        self.n_calls.load(Ordering::SeqCst)
    }

    fn tool(&self, options: ToolOptions) -> FunctionTool {
        let stuck = self.clone();
        tool_with("stuck", options, move |_| {
            let stuck = stuck.clone();
            async move {
                let n_before = stuck.n_calls.fetch_add(1, Ordering::SeqCst);
                stuck.called.notify_one();
                if n_before < stuck.n_endless.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Ok("free".to_owned())
            }
        })
    }

    /// Drops a run in the middle of a call, as the end of its process does.
    async fn crash(&self, request: RunRequest) {
        tokio::select! {
            ended = request.into_future() => panic!("it ended: {ended:?}"),
            () = self.called.notified() => {}
        }
    }
}

fn calls_then_answers() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "stuck", "{}")]),
        ScriptedTurn::text("done"),
    ])
}

fn paused(ended: Result<RunResult, RunError>) -> RunState {
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApprovalRequired, "{error}");
    error.into_state().unwrap()
}

#[tokio::test]
async fn a_run_that_failed_goes_on_where_it_failed() {
    let (journal, tool) = (journal().await, Stuck::default());
    let agent = agent([tool.tool(ToolOptions::default())]);
    let run = start(&journal).await;
    let broken = ScriptedModel::new([ScriptedTurn::items([call("c1", "stuck", "{}")])]);
    let ended = request(&run, &broken, &agent).await;
    note(&run, &ended).await;
    let found = journal.find(run.id()).await.unwrap().unwrap();
    let RunStatus::Failed { message, .. } = &found.status else {
        panic!("{found:?}");
    };
    assert_eq!(message, "the scripted model has no turn 2");
    assert_eq!((found.turns, found.n_executions), (1, 1));

    let id: RunId = run.id().to_string().parse().unwrap();
    let run = journal.resume(&id).await.unwrap();
    assert_eq!(run.beginning().agent, "A");
    let rest = ScriptedModel::text("done");
    let ended = request(&run, &rest, &agent).await;
    note(&run, &ended).await;
    let first = ended.unwrap();
    assert_eq!(rest.requests().len(), 1);
    assert_eq!(tool.n_calls(), 1);
    let runs = journal.runs(None).await.unwrap();
    let final_output = "done".to_owned();
    assert_eq!(runs[0].status, RunStatus::Done { final_output });
    assert_eq!((runs[0].turns, runs[0].n_executions), (2, 2));

    // What is over is given again: the same result, from the same events but for the deltas.
    let run = journal.resume(&id).await.unwrap();
    let silent = ScriptedModel::new([]);
    let (events, again) = play(request(&run, &silent, &agent).delivery(Delivery::Whole)).await;
    let again = again.unwrap();
    assert_eq!(again.items(), first.items());
    assert_eq!(again.usage(), first.usage());
    assert_eq!(tool.n_calls(), 1);
    let is_output = |event: &&RunEvent| matches!(event, RunEvent::ToolOutputDone { .. });
    assert_eq!(events.iter().filter(is_output).count(), 1);

    journal.forget(&id).await.unwrap();
    assert_eq!(journal.runs(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_call_in_doubt_asks_and_a_decision_holds_once() {
    let (journal, tool) = (journal().await, Stuck::times(2));
    let agent = agent([tool.tool(ToolOptions::default())]);
    let model = calls_then_answers();
    let run = start(&journal).await;
    tool.crash(request(&run, &model, &agent)).await;

    let run = journal.resume(run.id()).await.unwrap();
    let ended = request(&run, &model, &agent).await;
    note(&run, &ended).await;
    let found = journal.find(run.id()).await.unwrap().unwrap();
    assert_eq!(found.status, RunStatus::Paused);
    let mut state = paused(ended);
    assert!(state.interruptions()[0].may_have_run);
    state.approve("c1").unwrap();
    let resume = |run: &DurableRun, state: &RunState| {
        let runner = Runner::new(model.clone());
        let request = runner.resume(&agent, state.clone());
        request.journal(Arc::new(run.clone()))
    };

    // A decision that was not noted does not count: it would hold for ever.
    paused(resume(&run, &state).await);
    assert_eq!(tool.n_calls(), 1);
    run.decided(&state).await.unwrap();
    tool.crash(resume(&run, &state)).await;
    assert_eq!(tool.n_calls(), 2);

    // The process ended in the middle of the second try.
    let run = journal.resume(run.id()).await.unwrap();
    let kept = run.beginning().state.clone().unwrap();
    assert_eq!(kept.interruptions(), []);
    let mut state = paused(resume(&run, &kept).await);
    state.approve("c1").unwrap();
    run.decided(&state).await.unwrap();
    let ended = resume(&run, &state).await;
    note(&run, &ended).await;
    assert_eq!(ended.unwrap().items()[1], output("c1", "free"));
    assert_eq!(tool.n_calls(), 3);
}

#[tokio::test]
async fn an_idempotent_tool_is_called_again() {
    let (journal, tool) = (journal().await, Stuck::times(1));
    let agent = agent([tool.tool(ToolOptions::default().idempotent())]);
    let model = calls_then_answers();
    let run = start(&journal).await;
    tool.crash(request(&run, &model, &agent)).await;
    let run = journal.resume(run.id()).await.unwrap();
    let result = request(&run, &model, &agent).await.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(tool.n_calls(), 2);
}

#[tokio::test]
async fn a_kept_answer_is_no_answer_to_another_question() {
    let journal = journal().await;
    let one = |instructions: &str, tools: &[FunctionTool]| {
        let builder = Agent::builder("A").instructions(instructions);
        let tools = tools.iter().cloned();
        tools.fold(builder, AgentBuilder::tool).build().unwrap()
    };
    let model = ScriptedModel::text("done");
    let run = start(&journal).await;
    request(&run, &model, &one("a", &[])).await.unwrap();
    for (agent, expect) in [
        (one("b", &[]), "instructions"),
        (one("a", &[instant("more", "")]), "tools"),
        (one("b", &[instant("more", "")]), "instructions, tools"),
    ] {
        let error = request(&run, &model, &agent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Inconsistent);
        let Some(JournalError::Changed { effect, parts }) = error.journal_error() else {
            panic!("{error:?}");
        };
        assert_eq!((&**effect, &**parts), ("the model call of turn 1", expect));
    }
    let other = Runner::new(model).run(&one("a", &[]), "stop");
    let error = other.journal(Arc::new(run)).await.unwrap_err();
    assert!(error.journal_error().unwrap().to_string().contains("items"));
}

#[tokio::test]
async fn continued_run_fences_its_earlier_execution() {
    let journal = journal().await;
    let agent = agent([]);
    let earlier = start(&journal).await;
    let later = journal.resume(earlier.id()).await.unwrap();
    let model = ScriptedModel::new([ScriptedTurn::text("a"), ScriptedTurn::text("b")]);
    let error = request(&earlier, &model, &agent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyResumed);
    assert!(earlier.ended(Ok("a")).await.is_err());
    request(&later, &model, &agent).await.unwrap();

    let missing: RunId = "0123456789abcdef".parse().unwrap();
    let error = journal.resume(&missing).await.unwrap_err();
    assert!(matches!(error, JournalError::NoRun { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::StateInvalid);
    assert_eq!(journal.find(&missing).await.unwrap(), None);
    for text in [
        "",
        "0123456789abcde",
        "0123456789abcdeg",
        "0123456789abcdef0",
    ] {
        assert!(text.parse::<RunId>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn agents_as_tools_are_part_of_the_run() {
    let (journal, tool) = (journal().await, Stuck::times(1));
    let inner = Agent::builder("Inner");
    let inner = inner.tool(tool.tool(ToolOptions::default().idempotent()));
    let inner = inner.build().unwrap().as_tool("Does it.");
    let outer = agent([inner.build().unwrap()]);
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("o1", "inner", r#"{"input":"do"}"#)]),
        ScriptedTurn::items([call("c1", "stuck", "{}")]),
        ScriptedTurn::text("inner done"),
        ScriptedTurn::text("done"),
    ]);
    let run = start(&journal).await;
    tool.crash(request(&run, &model, &outer)).await;
    assert_eq!(model.n_left(), 2);
    let run = journal.resume(run.id()).await.unwrap();
    let result = request(&run, &model, &outer).await.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!((model.n_left(), tool.n_calls()), (0, 2));
    assert_eq!(result.items()[1], output("o1", "inner done"));
}

#[tokio::test]
async fn a_journal_that_fails_inside_an_agent_ends_the_run() {
    let journal = journal().await;
    let stolen = start(&journal).await;
    let (thief, id) = (journal.clone(), stolen.id().clone());
    let steal = tool_with("stuck", ToolOptions::default(), move |_| {
        let (journal, id) = (thief.clone(), id.clone());
        async move {
            journal
                .resume(&id)
                .await
                .map(|_| String::new())
                .map_err(|e| e.to_string())
        }
    });
    let inner = Agent::builder("Inner").tool(steal).build().unwrap();
    let outer = agent([inner.as_tool("Does it.").build().unwrap()]);
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("o1", "inner", r#"{"input":"do"}"#)]),
        ScriptedTurn::items([call("c1", "stuck", "{}")]),
    ]);
    let error = request(&stolen, &model, &outer).await.unwrap_err();
    let found = error.journal_error();
    assert!(
        matches!(found, Some(JournalError::TakenOver { .. })),
        "{error:?}"
    );
}

/// Writes to another session, and then does not say so.
#[derive(Clone)]
struct Mute(MemorySession, Arc<Notify>);

impl Session for Mute {
    fn id(&self) -> &SessionId {
        self.0.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        self.0.items(limit)
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move {
            let is_answer = turn
                .items
                .iter()
                .any(|item| item.assistant_text().is_some());
            let version = self.0.append(turn).await?;
            if is_answer {
                self.1.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(version)
        })
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        self.0.replace(turn)
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        self.0.pop()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        self.0.clear()
    }
}

#[tokio::test]
async fn a_writing_that_has_happened_is_not_made_again() {
    let journal = journal().await;
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let mute = Mute(session.clone(), Arc::default());
    let (agent, model) = (agent([]), ScriptedModel::text("done"));
    let run = start(&journal).await;
    tokio::select! {
        ended = request(&run, &model, &agent).session(&mute).into_future() => panic!("{ended:?}"),
        () = mute.1.notified() => {}
    }
    let before = session.items(None).await.unwrap();
    assert_eq!(before.items.len(), 2);
    let run = journal.resume(run.id()).await.unwrap();
    request(&run, &model, &agent)
        .session(&session)
        .await
        .unwrap();
    assert_eq!(session.items(None).await.unwrap(), before);

    // A session that went on without the run is not written to.
    let run = start(&journal).await;
    let model = ScriptedModel::text("done");
    session.clear().await.unwrap();
    tokio::select! {
        ended = request(&run, &model, &agent).session(&mute).into_future() => panic!("{ended:?}"),
        () = mute.1.notified() => {}
    }
    let other = SessionTurn::new([Item::user("other")]);
    session.append(other).await.unwrap();
    let run = journal.resume(run.id()).await.unwrap();
    let error = request(&run, &model, &agent)
        .session(&session)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionConflict);
}

#[tokio::test]
async fn a_run_that_was_cancelled_completes_its_turn_later() {
    let (journal, tool) = (journal().await, Stuck::times(1));
    let agent = agent([
        // It may be cancelled while its outcome is on the way to the disk.
        tool_with("same", ToolOptions::default().idempotent(), |_| async {
            Ok("same".to_owned())
        }),
        tool.tool(ToolOptions::default().idempotent()),
    ]);
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "same", "{}"), call("c2", "stuck", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let run = start(&journal).await;
    let stream = request(&run, &model, &agent)
        .session(&session)
        .delivery(Delivery::Whole)
        .stream();
    let handle = stream.handle();
    let cancel = async {
        tool.called.notified().await;
        handle.cancel(Cancel::Now);
    };
    let (ended, ()) = tokio::join!(stream.finish(), cancel);
    assert_eq!(ended.as_ref().unwrap_err().kind(), ErrorKind::Cancelled);
    note(&run, &ended).await;
    assert_eq!(session.items(None).await.unwrap().items, [Item::user("go")]);

    let run = journal.resume(run.id()).await.unwrap();
    request(&run, &model, &agent)
        .session(&session)
        .await
        .unwrap();
    let items = session.items(None).await.unwrap().items;
    assert_well_formed(&items);
    assert_eq!(items.len(), 6);
}

#[tokio::test]
async fn one_file_holds_sessions_and_runs_and_a_newer_format_is_refused() {
    let folder = Folder::new();
    let file = folder.path("agents.db");
    let sessions = SqliteSessions::open(&file).await.unwrap();
    let error = SqliteJournal::open_read_only(&file).await.unwrap_err();
    assert!(matches!(error, JournalError::Refused { .. }), "{error:?}");
    let journal = SqliteJournal::sharing_store(&sessions).await.unwrap();
    let run = start(&journal).await;
    let only = SqliteJournal::open_read_only(&file).await.unwrap();
    assert_eq!(only.runs(None).await.unwrap().len(), 1);
    let error = only.resume(run.id()).await.unwrap_err();
    assert!(matches!(error, JournalError::ReadOnly { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Journal);

    let db = Connection::open(&file).unwrap();
    let sql = "UPDATE openai_agents_journal_format SET version = 7";
    db.execute_batch(sql).unwrap();
    let error = SqliteJournal::open(&file).await.unwrap_err();
    assert!(
        matches!(
            error,
            JournalError::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
    SqliteSessions::open(&file).await.unwrap();
}

/// As after a clock that was set back: the run that was changed first has the latest time.
#[tokio::test]
async fn runs_are_listed_in_the_order_of_their_changes_whatever_the_clock_said() {
    let folder = Folder::new();
    let path = folder.path("runs.db");
    let journal = SqliteJournal::open(&path).await.unwrap();
    let (first, second) = (start(&journal).await, start(&journal).await);
    let db = Connection::open(&path).unwrap();
    let set = "UPDATE openai_agents_runs SET updated_at = CASE id WHEN 1 THEN '2039-01-01 00:00:00' ELSE '2019-01-01 00:00:00' END";
    let ids = |runs: Vec<RunSummary>| runs.into_iter().map(|it| it.id).collect::<Vec<_>>();
    let (first, second) = (first.id().clone(), second.id().clone());
    db.execute(set, []).unwrap();
    let listed = ids(journal.runs(None).await.unwrap());
    assert_eq!(listed, [second.clone(), first.clone()]);
    journal.resume(&first).await.unwrap();
    let listed = ids(journal.runs(None).await.unwrap());
    assert_eq!(listed, [first.clone(), second.clone()]);
    // The effects of a run are changes of it.
    let model = ScriptedModel::text("done");
    let run = journal.resume(&second).await.unwrap();
    request(&run, &model, &agent([])).await.unwrap();
    db.execute(set, []).unwrap();
    let listed = ids(journal.runs(None).await.unwrap());
    assert_eq!(listed, [second.clone(), first.clone()]);

    // A file from before there was an order but the time: as it is where it is only read, with an order from then on where it is written.
    drop((journal, run));
    let remove = "DROP INDEX idx_openai_agents_runs_changed; ALTER TABLE openai_agents_runs DROP COLUMN changed;";
    db.execute_batch(remove).unwrap();
    let old = SqliteJournal::open_read_only(&path).await.unwrap();
    let by_time = [first.clone(), second.clone()];
    assert_eq!(ids(old.runs(None).await.unwrap()), by_time);
    drop(old);
    let journal = SqliteJournal::open(&path).await.unwrap();
    assert_eq!(ids(journal.runs(None).await.unwrap()), by_time);
    journal.resume(&second).await.unwrap();
    db.execute(set, []).unwrap();
    assert_eq!(ids(journal.runs(None).await.unwrap()), [second, first]);
}
