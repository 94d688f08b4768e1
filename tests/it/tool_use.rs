//! What happens after an agent's tools gave their outputs.

use std::sync::Arc;

use openai_agents::agent::runner::{InvalidOutput, UnknownTool};
use openai_agents::agent::{AgentBuilder, OutputMode, ToolUseBehavior};
use openai_agents::model::ToolChoice;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Handoff, ModelSettings, RunState, Runner};
use tokio::sync::Notify;

use crate::support::{assert_well_formed, call, instant, tool};

/// Runs an agent whose tool `late` ends after its tool `early`; then `The model goes on.` if it is asked again.
async fn final_output(tool_use: ToolUseBehavior, calls: &[&str]) -> (String, usize) {
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let late = tool("late", move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Ok("late".to_owned())
        }
    });
    let early = tool("early", move |_| {
        go.notify_one();
        async { Ok("early".to_owned()) }
    });
    let failing = tool("failing", |_| async { Err("no".to_owned()) });
    let agent = Agent::builder("A")
        .tool(late)
        .tool(early)
        .tool(failing)
        .tool(instant("never", ""))
        .tool_use_behavior(tool_use)
        .build()
        .unwrap();
    let calls = calls
        .iter()
        .map(|name| call(&format!("c_{name}"), name, "{}"));
    let model = ScriptedModel::new([
        ScriptedTurn::items(calls),
        ScriptedTurn::text("The model goes on."),
    ]);
    let result = Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_well_formed(result.items());
    (result.into_final_output(), model.requests().len())
}

fn stop_at(names: &[&str]) -> ToolUseBehavior {
    ToolUseBehavior::StopAtTools(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn tool_use_behavior_decides_the_final_output() {
    const FAILED: &str = "An error occurred while running the tool. Please try again.";
    const ON: &str = "The model goes on.";
    let both: &[&str] = &["late", "early"];
    let cases: [(ToolUseBehavior, &[&str], &str, usize); 7] = [
        (ToolUseBehavior::RunAgain, both, ON, 2),
        // The first call, though it ended last.
        (ToolUseBehavior::StopOnFirstTool, both, "late", 1),
        (
            ToolUseBehavior::StopOnFirstTool,
            &["failing", "early"],
            FAILED,
            1,
        ),
        (stop_at(&["early"]), both, "early", 1),
        (stop_at(&["early", "late"]), both, "late", 1),
        (stop_at(&["never"]), both, ON, 2),
        (stop_at(&[]), both, ON, 2),
    ];
    for (tool_use, calls, text, n_requests) in cases {
        let label = format!("{tool_use:?} after {calls:?}");
        assert_eq!(
            final_output(tool_use, calls).await,
            (text.to_owned(), n_requests),
            "{label}"
        );
    }
}

#[tokio::test]
async fn a_function_sees_the_results_in_call_order_and_decides() {
    let decide = ToolUseBehavior::custom(async |cx, results| {
        assert_eq!(cx.usage().requests, 1);
        let shown: Vec<_> = results
            .iter()
            .map(|result| {
                let failure = result.failure.as_deref().unwrap_or("fine");
                format!("{}/{}/{failure}", result.name, result.call_id)
            })
            .collect();
        Some(shown.join(" "))
    });
    assert_eq!(
        final_output(decide, &["late", "failing", "early"]).await.0,
        "late/c_late/fine failing/c_failing/tool `failing` failed: no early/c_early/fine"
    );
    let go_on = ToolUseBehavior::custom(async |_, _| None::<String>);
    assert_eq!(
        final_output(go_on, &["early"]).await,
        ("The model goes on.".to_owned(), 2)
    );
}

#[tokio::test]
async fn the_answer_to_an_unknown_tool_is_no_result() {
    const ON: &str = "The model goes on.";
    let says = || {
        ToolUseBehavior::custom(async |_, results| {
            results.first().map(|result| result.output.clone())
        })
    };
    let cases: [(ToolUseBehavior, &[&str], &str); 6] = [
        (ToolUseBehavior::StopOnFirstTool, &["nope", "look"], "wet"),
        (ToolUseBehavior::StopOnFirstTool, &["nope"], ON),
        (ToolUseBehavior::StopOnFirstTool, &["hidden", "look"], "wet"),
        (says(), &["nope", "look"], "wet"),
        (says(), &["nope"], ON),
        (stop_at(&["hidden"]), &["hidden", "look"], ON),
    ];
    for (tool_use, calls, text) in cases {
        let label = format!("{tool_use:?} after {calls:?}");
        let agent = Agent::builder("A")
            .tool(instant("look", "wet"))
            .tool(instant("hidden", "never").enabled_if(|_| false))
            .tool_use_behavior(tool_use)
            .build()
            .unwrap();
        let calls = calls
            .iter()
            .map(|name| call(&format!("c_{name}"), name, "{}"));
        let model = ScriptedModel::new([ScriptedTurn::items(calls), ScriptedTurn::text(ON)]);
        let runner = Runner::new(model).unknown_tool(UnknownTool::TellModel);
        let result = runner.run(&agent, "go").await.unwrap();
        assert_eq!(result.final_output(), text, "{label}");
        assert_well_formed(result.items());
    }
}

#[tokio::test]
async fn the_answer_to_an_unknown_tool_is_none_after_a_pause_either() {
    let agent = Agent::builder("A")
        .tool(instant("look", "wet").needs_approval())
        .tool_use_behavior(ToolUseBehavior::StopOnFirstTool)
        .build()
        .unwrap();
    let calls = [call("c1", "nope", "{}"), call("c2", "look", "{}")];
    let runner = Runner::new(ScriptedModel::new([ScriptedTurn::items(calls)]));
    let runner = runner.unknown_tool(UnknownTool::TellModel);
    let error = runner.run(&agent, "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    state.approve("c2").unwrap();
    let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    assert_eq!(result.final_output(), "wet");
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct NumberAnswer {
    n: u32,
}

#[tokio::test]
async fn answer_to_a_wrong_output_is_not_final() {
    let agent = Agent::builder("A")
        .output_by::<NumberAnswer>(OutputMode::Tool)
        .tool_use_behavior(ToolUseBehavior::StopOnFirstTool)
        .build()
        .unwrap();
    let gives =
        |id: &str, arguments: &str| ScriptedTurn::items([call(id, "final_output", arguments)]);
    let model = ScriptedModel::new([gives("c1", r#"{"n":"1"}"#), gives("c2", r#"{"n":1}"#)]);
    let runner = Runner::new(model).invalid_output(InvalidOutput::AskAgain { max: 1 });
    let result = runner.run(&agent, "go").await.unwrap();
    assert_eq!(
        result.output::<NumberAnswer>().unwrap(),
        NumberAnswer { n: 1 }
    );
}

/// The tool choice of each request of two agents that must call a tool and can hand off to each other.
async fn choices(keeps: bool) -> Vec<Option<ToolChoice>> {
    let settings = ModelSettings::default().tool_choice(ToolChoice::Required);
    let build = |builder: AgentBuilder| {
        let builder = builder.model_settings(settings.clone());
        let builder = if keeps {
            builder.keep_tool_choice()
        } else {
            builder
        };
        builder.build().unwrap()
    };
    let other = build(Agent::builder("Other").handoff(Handoff::to_name("First")));
    let first = build(Agent::builder("First").handoff(&other));
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("h1", "transfer_to_other", "{}")]),
        ScriptedTurn::items([call("h2", "transfer_to_first", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    Runner::new(model.clone()).run(&first, "go").await.unwrap();
    let requests = model.requests();
    let choices = requests
        .iter()
        .map(|request| request.settings.tool_choice.clone());
    choices.collect()
}

#[tokio::test]
async fn a_handoff_counts_as_a_tool_call_for_the_tool_choice() {
    let required = || Some(ToolChoice::Required);
    assert_eq!(choices(false).await, [required(), required(), None]);
    assert_eq!(choices(true).await, [required(), required(), required()]);
}
