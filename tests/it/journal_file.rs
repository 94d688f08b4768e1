//! Runs that are recorded in a file, read, played back, forked and compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openai_agents::journal::DifferenceKind::{Request, Response, ToolCall, ToolOutcome};
use openai_agents::journal::{Difference, FileJournal, JournalError, Recording, RunBeginning};
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, ModelSettings, RunRequest, RunResult, Runner,
};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::support::{Gauge, agent, call, tool};

fn script() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "look", "{}"), call("c2", "fail", "{}")]),
        ScriptedTurn::items([call("c3", "look", "{}")]),
        ScriptedTurn::text("done"),
    ])
}

fn tools(text: &'static str, looked: &Gauge) -> [FunctionTool; 2] {
    let looked = looked.clone();
    let look = tool("look", move |_| {
        looked.enter();
        async move { Ok(text.to_owned()) }
    });
    [look, tool("fail", |_| async { Err("no".to_owned()) })]
}

fn beginning() -> RunBeginning {
    RunBeginning::new("A", [Item::user("go")]).settings(json!({ "model": "m" }))
}

async fn record(file: &Path, request: RunRequest) -> RunResult {
    let journal = FileJournal::create(file, &beginning()).await.unwrap();
    request.journal(Arc::new(journal)).await.unwrap()
}

fn looking(text: &'static str) -> Agent {
    agent(tools(text, &Gauge::default()))
}

/// A recorded run of three turns, and what it gave.
async fn recorded(folder: &Folder) -> (PathBuf, RunResult) {
    let file = folder.path("a.jsonl");
    let result = record(&file, Runner::new(script()).run(&looking("seen"), "go")).await;
    (file, result)
}

#[tokio::test]
async fn a_recording_plays_back_without_model_and_tools() {
    let folder = Folder::new();
    let (file, first) = recorded(&folder).await;
    let recording = Recording::open(&file).await.unwrap();
    assert_eq!((recording.turns(), recording.is_cut()), (3, false));
    assert_eq!(recording.beginning().agent, "A");
    assert_eq!(recording.beginning().settings["model"], "m");
    assert_eq!(recording.first_items(), [Item::user("go")]);
    let looked = Gauge::default();
    let replay = |agent: &Agent| {
        let runner = Runner::new(recording.model());
        let request = runner.run(agent, recording.beginning().input.clone());
        request.journal(Arc::new(recording.journal()))
    };
    let again = replay(&agent(tools("other", &looked))).await.unwrap();
    assert_eq!(again.items(), first.items());
    assert_eq!(again.usage(), first.usage());
    assert_eq!(looked.peak(), 0);

    // Another question than the recorded one.
    let [look, _] = tools("seen", &looked);
    let error = replay(&agent([look])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent);
    let cause = error.journal_error().unwrap().to_string();
    assert!(
        cause.contains("turn 1") && cause.contains("tools changed"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_file_has_a_line_for_each_thing_that_happens_and_no_secrets() {
    let folder = Folder::new();
    let file = folder.path("a.jsonl");
    let mut settings = ModelSettings::default().temperature(0.5);
    settings.extra_headers = vec![("x-key".to_owned(), "hush".to_owned())];
    settings.extra_body.insert("key".to_owned(), json!("hush"));
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let request = Runner::new(script()).run(&looking("seen"), "go");
    let request = request.session(&session).model_settings(settings);
    record(&file, request).await;
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hush"), "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    let turn = |n_tools: usize, ends: &[&'static str]| {
        let tools = ["tool_call"].repeat(n_tools);
        let outcomes = ["tool_outcome"].repeat(n_tools);
        [&["request", "response"][..], &tools, &outcomes, ends].concat()
    };
    let mut expect = vec!["header", "session_read"];
    for (n_tools, ends) in [(2, 1), (1, 1), (0, 1)] {
        expect.extend(turn(n_tools, &["session_write"].repeat(ends)));
    }
    let sorted = |mut types: Vec<&'static str>| {
        types.sort_unstable();
        types
    };
    assert_eq!(types[..5], expect[..5]);
    let types = types
        .iter()
        .map(|name| *expect.iter().find(|one| one == &name).unwrap());
    assert_eq!(sorted(types.collect()), sorted(expect.clone()));
    // A request has what is new in it.
    let asked = |n: usize| {
        let mut requests = lines.iter().filter(|line| line["type"] == "request");
        let body = &requests.nth(n).unwrap()["body"];
        (
            body["n_same"].clone(),
            body["items"].as_array().unwrap().len(),
        )
    };
    assert_eq!(
        [asked(0), asked(1), asked(2)],
        [(json!(0), 1), (json!(1), 4), (json!(5), 2)]
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // What the session held is in the first request, so that a replay needs no session.
    let recording = Recording::open(&file).await.unwrap();
    let input = recording.first_items().to_vec();
    let request = Runner::new(recording.model()).run(&looking("other"), input);
    let result = request
        .journal(Arc::new(recording.journal()))
        .await
        .unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(session.items(None).await.unwrap().items.len(), 8);
}

#[tokio::test]
async fn a_fork_goes_on_from_a_turn() {
    let folder = Folder::new();
    let (file, first) = recorded(&folder).await;
    let recording = Recording::open(&file).await.unwrap();
    for turn in 1..=4 {
        let looked = Gauge::default();
        // The model behind the fork has only the turns that it is asked for.
        let model = ScriptedModel::new(
            [
                ScriptedTurn::items([call("c1", "look", "{}"), call("c2", "fail", "{}")]),
                ScriptedTurn::items([call("c3", "look", "{}")]),
                ScriptedTurn::text("otherwise"),
            ]
            .into_iter()
            .skip(turn - 1),
        );
        let live_from = u32::try_from(turn).unwrap();
        let forked = Runner::new(model.clone()).run(&agent(tools("seen", &looked)), "go");
        let forked = forked.journal(Arc::new(recording.fork_at(live_from)));
        let result = forked.await.unwrap();
        let expect = if turn == 4 { "done" } else { "otherwise" };
        assert_eq!(result.final_output(), expect, "fork at {turn}");
        assert_eq!(model.n_left(), 0);
        assert_eq!(looked.peak(), [2, 1, 0, 0][turn - 1], "fork at {turn}");
        assert_eq!(result.items().len(), first.items().len());
    }
}

#[tokio::test]
async fn two_recordings_are_compared_effect_by_effect() {
    let folder = Folder::new();
    let (file, _) = recorded(&folder).await;
    let first = Recording::open(&file).await.unwrap();
    assert_eq!(first.diff(&first), []);

    // Other ids, another output of the tool from the second turn on, and one more call.
    let file = folder.path("b.jsonl");
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("x1", "look", "{}"), call("x2", "fail", "{}")]),
        ScriptedTurn::items([call("x3", "look", "{}"), call("x4", "fail", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    record(&file, Runner::new(model).run(&looking("seen"), "go")).await;
    let second = Recording::open(&file).await.unwrap();
    let found = first.diff(&second);
    let kinds: Vec<_> = found.iter().map(|found| (found.turn, found.kind)).collect();
    let expect = [(2, Response), (3, Request), (2, ToolCall), (2, ToolOutcome)];
    assert_eq!(kinds, expect);
    assert_eq!(
        found[2].to_string(),
        "turn 2: tool call only in the second: fail({})"
    );
    assert!(
        found[1].before.as_ref().unwrap().starts_with("items: ["),
        "{}",
        found[1]
    );

    let file = folder.path("c.jsonl");
    record(&file, Runner::new(script()).run(&looking("heard"), "go")).await;
    let third = Recording::open(&file).await.unwrap();
    let found = first.diff(&third);
    let Difference {
        turn,
        kind,
        before,
        after,
        ..
    } = &found[0];
    assert_eq!((*turn, *kind), (1, ToolOutcome));
    assert_eq!(
        (before.as_deref(), after.as_deref()),
        (Some("seen"), Some("heard"))
    );
    assert_eq!(found[1].kind, Request);
}

#[tokio::test]
async fn agents_as_tools_are_recorded_by_their_calls() {
    let folder = Folder::new();
    let file = folder.path("a.jsonl");
    let inner = Agent::builder("Inner").build().unwrap();
    let outer = agent([inner.as_tool("Does it.").build().unwrap()]);
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("o1", "inner", r#"{"input":"do"}"#)]),
        ScriptedTurn::text("inner done"),
        ScriptedTurn::text("done"),
    ]);
    let first = record(&file, Runner::new(model).run(&outer, "go")).await;
    let recording = Recording::open(&file).await.unwrap();
    let replay = Runner::new(recording.model()).run(&outer, "go");
    let again = replay.journal(Arc::new(recording.journal())).await.unwrap();
    assert_eq!(again.items(), first.items());
    // What happens inside a call belongs to the turn of the call.
    let model = ScriptedModel::new([ScriptedTurn::text("otherwise")]);
    let forked = Runner::new(model).run(&outer, "go");
    let forked = forked
        .journal(Arc::new(recording.fork_at(2)))
        .await
        .unwrap();
    assert_eq!(forked.final_output(), "otherwise");
}

#[tokio::test]
async fn recording_cut_off_is_read_and_broken_is_refused() {
    let folder = Folder::new();
    let (file, _) = recorded(&folder).await;
    let bytes = fs::read(&file).unwrap();
    let n_header = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let whole = Recording::parse(&bytes, "it").unwrap();
    for n_bytes in 0..bytes.len() {
        let read = Recording::parse(&bytes[..n_bytes], "it");
        if n_bytes < n_header {
            assert!(
                matches!(read, Err(JournalError::Corrupt { .. })),
                "{n_bytes}"
            );
            continue;
        }
        let read = read.unwrap();
        assert_eq!(read.is_cut(), bytes[n_bytes - 1] != b'\n');
        assert!(read.turns() <= whole.turns());
    }
    // One that was cut says what it does not have.
    let cut = Recording::parse(&bytes[..bytes.len() - 2], "it").unwrap();
    let replay = Runner::new(cut.model()).run(&looking("seen"), "go");
    let error = replay.journal(Arc::new(cut.journal())).await.unwrap_err();
    assert_eq!(
        error.journal_error().unwrap().to_string(),
        "the recording has no outcome of the model call of turn 3"
    );

    let text = String::from_utf8(bytes).unwrap();
    let refused = |text: &str| Recording::parse(text.as_bytes(), "it").unwrap_err();
    let newer = text.replacen("\"version\":1", "\"version\":7", 1);
    let error = refused(&newer);
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
    for (broken, line) in [
        (text.replacen("\"response\"", "\"answer\"", 1), "line 3"),
        (text.replacen("\"response\"", "\"response", 1), "line 3"),
        (
            text.replacen("\"type\":\"header\"", "\"type\":\"request\"", 1),
            "line 1",
        ),
        (text.replacen("\"n_same\":1", "\"n_same\":9", 1), "line "),
    ] {
        let error = refused(&broken);
        let JournalError::Corrupt { place, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(place.starts_with(line), "{error:?}");
    }
    // A recording is not written over.
    let error = FileJournal::create(&file, &beginning()).await.unwrap_err();
    assert!(matches!(error, JournalError::Refused { .. }), "{error:?}");
    let missing = folder.path("none/a.jsonl");
    let error = FileJournal::create(&missing, &beginning())
        .await
        .unwrap_err();
    assert!(
        matches!(error, JournalError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(Recording::open(&missing).await.is_err());
}
