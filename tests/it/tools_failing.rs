//! Tools that fail, hang, panic or get arguments that do not fit.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::{
    ErrorKind, FunctionTool, Item, RunError, RunEvent, RunFailure, RunResult, Runner, ToolContext,
    tool as tool_macro,
};
use serde_json::{Value, json};

use crate::support::{
    DropFlag, agent, assert_well_formed, call, instant, output, play, tool, tool_with,
};

const TOLD: &str = "An error occurred while running the tool. Please try again.";

/// Ways to fail; the argument says which.
fn failing(options: ToolOptions) -> FunctionTool {
    let schema = json!({ "type": "object", "properties": { "how": { "type": "string" } }, "required": ["how"] });
    FunctionTool::dynamic(
        "t",
        "Fails.",
        schema,
        options,
        async |_cx, arguments| match arguments.get("how").and_then(Value::as_str) {
            Some("error") => Err("boom".to_owned()),
            Some("panic") => panic!("a literal"),
            Some("panic with a value") => panic!("a value: {}", arguments.len()),
            Some("hang") => std::future::pending().await,
            Some("talk") => Ok("x".repeat(101)),
            _ => Err("no such way".to_owned()),
        },
    )
    .unwrap()
}

/// Blocks its thread and then panics.
#[tool_macro]
fn blocks_and_panics() -> Result<String, String> {
    panic!("in a thread")
}

fn options(failure: ToolFailure) -> ToolOptions {
    ToolOptions::default()
        .failure(failure)
        .timeout_failure(failure)
        .timeout(Duration::from_millis(50))
        .max_output_bytes(100)
}

/// Runs one call, then the final text.
async fn run(tool: FunctionTool, arguments: &str) -> (Option<String>, Result<RunResult, RunError>) {
    let name = tool.name().to_string();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", &name, arguments)]),
        ScriptedTurn::text("I see."),
    ]);
    let (events, result) = play(Runner::new(model).run(&agent([tool]), "go")).await;
    let failure = events.into_iter().find_map(|event| match event {
        RunEvent::ToolOutputDone { failure, .. } => failure,
        _ => None,
    });
    (failure, result)
}

/// Arguments; what the model is told by default; the failure; its kind when it is raised.
fn cases() -> Vec<(&'static str, &'static str, &'static str, ErrorKind)> {
    vec![
        (
            r#"{"how":"error"}"#,
            TOLD,
            "tool `t` failed: boom",
            ErrorKind::ToolFailed,
        ),
        (
            r#"{"how":"panic"}"#,
            TOLD,
            "tool `t` panicked: a literal",
            ErrorKind::ToolFailed,
        ),
        (
            r#"{"how":"panic with a value"}"#,
            TOLD,
            "tool `t` panicked: a value: 1",
            ErrorKind::ToolFailed,
        ),
        (
            r#"{"how":"hang"}"#,
            "Tool 't' timed out after 0.05 seconds.",
            "tool `t` timed out after 50ms",
            ErrorKind::ToolTimeout,
        ),
        (
            r#"{"how":"talk"}"#,
            TOLD,
            "the output of tool `t` has 101 bytes, at most 100 are allowed",
            ErrorKind::LimitExceeded,
        ),
        (
            r#"{"how":"#,
            "bad arguments for tool `t`: they are not JSON: EOF while parsing a value at line 1 column 7",
            "bad arguments for tool `t`: they are not JSON: EOF while parsing a value at line 1 column 7",
            ErrorKind::BadToolArguments,
        ),
        (
            r#"["error"]"#,
            "bad arguments for tool `t`: they must be a JSON object",
            "bad arguments for tool `t`: they must be a JSON object",
            ErrorKind::BadToolArguments,
        ),
        (
            r#"{"who":1}"#,
            "bad arguments for tool `t`: unknown field `who`, expected `how`",
            "bad arguments for tool `t`: unknown field `who`, expected `how`",
            ErrorKind::BadToolArguments,
        ),
        (
            r#"{"how":"error","how":"talk"}"#,
            "bad arguments for tool `t`: the field `how` appears twice",
            "bad arguments for tool `t`: the field `how` appears twice",
            ErrorKind::BadToolArguments,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_model_is_told_that_a_tool_failed() {
    for (arguments, told, failure, _) in cases() {
        let (reported, result) = run(failing(options(ToolFailure::TellModel)), arguments).await;
        let items = result.unwrap().items().to_vec();
        assert_eq!(items[1..], [output("c1", told), Item::assistant("I see.")]);
        assert_eq!(reported.as_deref(), Some(failure));
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_is_told_why_a_tool_failed() {
    for (arguments, _, failure, _) in cases() {
        let (reported, result) =
            run(failing(options(ToolFailure::TellModelDetail)), arguments).await;
        assert_eq!(result.unwrap().items()[1], output("c1", failure));
        assert_eq!(reported.as_deref(), Some(failure));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_raised_ends_the_run() {
    for (arguments, _, failure, kind) in cases() {
        let (reported, result) = run(failing(options(ToolFailure::Raise)), arguments).await;
        let error = result.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let says = [Some(error.to_string()), source]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        assert_eq!((error.kind(), says.join(": ").as_str()), (kind, failure));
        assert!(matches!(error.failure(), RunFailure::Tool(_)), "{error:?}");
        assert_eq!(error.progress().items, []);
        assert_eq!(reported, None);
    }
}

#[tokio::test]
async fn a_panic_in_a_thread_is_a_failure_of_the_tool() {
    let tool = openai_agents::tools::IntoTool::into_tool(blocks_and_panics).unwrap();
    let (failure, result) = run(tool, "").await;
    assert_eq!(
        failure.as_deref(),
        Some("tool `blocks_and_panics` panicked: in a thread")
    );
    assert_eq!(result.unwrap().items()[1], output("c1", TOLD));
}

#[tokio::test]
async fn outputs_before_a_raised_failure_are_kept() {
    let dropped = DropFlag::default();
    let flag = dropped.clone();
    let hangs = tool("hangs", move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let raises = tool_with(
        "raises",
        ToolOptions::default().failure(ToolFailure::Raise),
        |_| async {
            tokio::task::yield_now().await;
            Err("boom".to_owned())
        },
    );
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c0", "fine", "{}")]),
        ScriptedTurn::items([
            Item::assistant("Now all."),
            call("c1", "hangs", "{}"),
            call("c2", "raises", "{}"),
            call("c3", "fine", "{}"),
        ]),
    ]);
    let agent = agent([hangs, raises, instant("fine", "yes")]);

    let (events, result) = play(Runner::new(model.clone()).run(&agent, "go")).await;

    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ToolFailed);
    assert_eq!(
        error.progress().items,
        [
            call("c0", "fine", "{}"),
            output("c0", "yes"),
            Item::assistant("Now all."),
            call("c3", "fine", "{}"),
            output("c3", "yes"),
        ]
    );
    assert!(
        dropped.is_set(),
        "the other tool was dropped where it stood"
    );
    assert!(matches!(
        events.last(),
        Some(RunEvent::ToolOutputDone { call_id, .. }) if call_id == "c3"
    ));
    assert_eq!(model.requests().len(), 2);
}

/// Ids that come again must not make an open call look answered.
#[tokio::test]
async fn no_open_call_is_kept_when_its_id_was_used_before() {
    let raises = tool_with(
        "raises",
        ToolOptions::default().failure(ToolFailure::Raise),
        |_| async { Err("boom".to_owned()) },
    );
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "fine", "{}")]),
        ScriptedTurn::items([call("c1", "raises", "{}")]),
    ]);
    let error = Runner::new(model)
        .run(&agent([raises, instant("fine", "yes")]), "go")
        .await
        .unwrap_err();
    assert_well_formed(&error.progress().items);
    assert_eq!(
        error.progress().items,
        [call("c1", "fine", "{}"), output("c1", "yes")]
    );
}

/// Waits for a word from outside; only threads can do that.
#[tool_macro]
fn wait_for_word(cx: &ToolContext) -> Result<String, String> {
    let words = cx
        .state::<Mutex<mpsc::Receiver<String>>>()
        .map_err(|error| error.to_string())?;
    let word = words.lock().map_err(|error| error.to_string())?;
    word.recv_timeout(Duration::from_secs(10))
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "current_thread")]
async fn a_tool_that_blocks_does_not_stall_another_run() {
    let (say, words) = mpsc::channel();
    let blocked = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "wait_for_word", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let tool = openai_agents::tools::IntoTool::into_tool(wait_for_word).unwrap();
    let waiting = Runner::new(blocked).state(Mutex::new(words));
    let other = async {
        let result = Runner::new(ScriptedModel::text("meanwhile"))
            .run(&agent([]), "hi")
            .await;
        say.send(result.unwrap().into_final_output()).unwrap();
    };
    let (result, ()) = tokio::join!(waiting.run(&agent([tool]), "go").into_future(), other);
    assert_eq!(result.unwrap().items()[1], output("c1", "meanwhile"));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_drops_the_tool() {
    let dropped = DropFlag::default();
    let flag = dropped.clone();
    let options = ToolOptions::default().timeout(Duration::from_secs(5));
    let hangs = tool_with("hangs", options, move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let (_, result) = run(hangs, "{}").await;
    assert_eq!(
        result.unwrap().items()[1],
        output("c1", "Tool 'hangs' timed out after 5 seconds.")
    );
    assert!(dropped.is_set());
}
