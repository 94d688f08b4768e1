//! What a model is offered under conditions that have to be waited for, and what it is told of calls that fail.

use std::time::Duration;

use openai_agents::agent::ToolUseBehavior;
use openai_agents::agent::runner::UnknownTool;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolError, ToolOptions};
use openai_agents::{
    Agent, ErrorKind, Handoff, Item, OutputGuardrail, RunFailure, Runner, Verdict,
};
use serde_json::json;

use crate::support::{instant, offered, tool_with};

struct UserRole(&'static str);

fn told(item: &Item) -> String {
    match item.kind() {
        openai_agents::item::ItemKind::FunctionCallOutput(output) => output.output.text(),
        _ => item.to_json().to_owned(),
    }
}

#[tokio::test]
async fn tool_and_handoff_are_offered_where_awaited_conditions_hold() {
    let other = Agent::builder("Other").build().unwrap();
    let look = instant("look", "wet").enabled_when(async |offer| {
        tokio::task::yield_now().await;
        Ok::<_, openai_agents::context::MissingState>(offer.cx.state::<UserRole>()?.0 == "admin")
    });
    let handoff = Handoff::to(&other).enabled_when(async |offer| &*offer.agent == "B");
    let agent = Agent::builder("A")
        .tools([look, instant("listen", "hush")])
        .handoff(handoff);
    let agent = agent.build().unwrap();
    for (name, role, expect) in [
        ("A", "admin", vec!["look", "listen"]),
        ("A", "guest", vec!["listen"]),
        ("B", "guest", vec!["listen", "transfer_to_other"]),
    ] {
        let model = ScriptedModel::text("done");
        let agent = agent.to_builder().name(name).build().unwrap();
        Runner::new(model.clone())
            .state(UserRole(role))
            .run(&agent, "go")
            .await
            .unwrap();
        assert_eq!(offered(&model.requests()[0]), expect);
    }
    let error = Runner::new(ScriptedModel::text("never"))
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
}

#[tokio::test]
async fn tool_whose_awaited_condition_does_not_hold_cannot_be_called() {
    let look = instant("look", "wet").enabled_when(async |_| false);
    let agent = Agent::builder("A").tool(look).build().unwrap();
    let calls = || ScriptedTurn::tool_call("look", json!({}));
    let runner = Runner::new(ScriptedModel::new([calls()]));
    let error = runner.run(&agent, "go").await.unwrap_err();
    assert!(
        matches!(error.failure(), RunFailure::DisabledTool { .. }),
        "{error:?}"
    );
    let model = ScriptedModel::new([calls(), ScriptedTurn::text("done")]);
    let runner = Runner::new(model.clone()).unknown_tool(UnknownTool::TellModel);
    runner.run(&agent, "go").await.unwrap();
    let requests = model.requests();
    assert_eq!(
        told(requests[1].items.last().unwrap()),
        "Tool 'look' not found. There are no tools."
    );
}

#[tokio::test]
async fn run_words_failures_unless_the_tool_has_words_of_its_own() {
    let failing = tool_with("failing", ToolOptions::default(), |_| async {
        Err("broken".to_owned())
    });
    let slow = ToolOptions::default().timeout(Duration::from_millis(1));
    let slow = tool_with("slow", slow, |_| std::future::pending());
    let own = failing_named("own").failure_text(|_, error| format!("own: {error}"));
    let agent =
        Agent::builder("A").tools([failing, slow, own, instant("pay", "paid").needs_approval()]);
    let agent = agent.build().unwrap();
    let calls = ["failing", "slow", "own", "pay", "missing"].map(|name| (name, json!({})));
    let model = ScriptedModel::new([ScriptedTurn::tool_calls(calls), ScriptedTurn::text("done")]);
    let runner = Runner::new(model.clone())
        .unknown_tool(UnknownTool::TellModel)
        .unknown_tool_text(|name, known| format!("no {name} among {}", known.len()))
        .tool_failure_text(|cx, error| {
            let usual = matches!(error, ToolError::Failed { .. });
            (!usual || cx.agent() == "A").then(|| format!("{}: {}", cx.tool_name(), error.kind()))
        });
    let mut state = runner
        .run(&agent, "go")
        .await
        .unwrap_err()
        .into_state()
        .unwrap();
    let id = state.interruptions()[0].id.clone();
    state.reject(&id).unwrap();
    runner.resume(&agent, state).await.unwrap();
    let requests = model.requests();
    let outputs: Vec<String> = requests[1].items.iter().rev().take(5).map(told).collect();
    assert_eq!(
        outputs,
        [
            "no missing among 4",
            "pay: approval_required",
            "own: tool `own` failed",
            "slow: tool_timeout",
            "failing: tool_failed",
        ]
    );
}

fn failing_named(name: &str) -> openai_agents::FunctionTool {
    tool_with(name, ToolOptions::default(), |_| async {
        Err("broken".to_owned())
    })
}

#[tokio::test]
async fn output_that_is_withheld_is_worded_by_the_run() {
    let tripping = OutputGuardrail::new("no", async |_| Verdict::trip("no"));
    let agent = Agent::builder("A")
        .tool(instant("look", "wet"))
        .tool_use_behavior(ToolUseBehavior::StopOnFirstTool)
        .output_guardrail(tripping)
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([ScriptedTurn::tool_call(
        "look",
        json!({}),
    )]));
    let error = runner
        .run(&agent, "go")
        .withheld_output_text("(gone)")
        .await
        .unwrap_err();
    assert_eq!(told(error.progress().items.last().unwrap()), "(gone)");
}

#[tokio::test]
async fn tool_use_decided_by_the_application_ends_the_run_or_goes_on_or_fails() {
    for (output, expect) in [("stop", Ok("stop")), ("go", Ok("done")), ("fail", Err(()))] {
        let behavior = ToolUseBehavior::custom(async |_, results| {
            tokio::task::yield_now().await;
            match &*results[0].output {
                "stop" => Ok(Some("stop".to_owned())),
                "go" => Ok(None),
                _ => Err("no decision"),
            }
        });
        let agent = Agent::builder("A")
            .tool(instant("look", output))
            .tool_use_behavior(behavior);
        let agent = agent.build().unwrap();
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("look", json!({})),
            ScriptedTurn::text("done"),
        ]);
        let result = Runner::new(model).run(&agent, "go").await;
        let found = result.as_ref().map(openai_agents::RunResult::final_output);
        assert_eq!(found.map_err(|_| ()), expect);
        if let Err(error) = &result {
            assert_eq!(error.kind(), ErrorKind::CallbackFailed);
        }
    }
}
