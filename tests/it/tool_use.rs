//! What happens after an agent's tools gave their outputs.

use std::sync::Arc;

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Runner, ToolUse};
use tokio::sync::Notify;

use crate::support::{assert_well_formed, call, instant, tool};

/// Runs an agent whose tool `late` ends after its tool `early`; then `The model goes on.` if it is asked again.
async fn final_output(tool_use: ToolUse, calls: &[&str]) -> (String, usize) {
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
        .tool_use(tool_use)
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

fn stop_at(names: &[&str]) -> ToolUse {
    ToolUse::StopAtTools(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn each_behaviour_says_what_is_final() {
    const FAILED: &str = "An error occurred while running the tool. Please try again.";
    const ON: &str = "The model goes on.";
    let both: &[&str] = &["late", "early"];
    let cases: [(ToolUse, &[&str], &str, usize); 7] = [
        (ToolUse::RunAgain, both, ON, 2),
        // The first call, though it ended last.
        (ToolUse::StopOnFirstTool, both, "late", 1),
        (ToolUse::StopOnFirstTool, &["failing", "early"], FAILED, 1),
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
    let decide = ToolUse::Custom(Arc::new(|cx, results| {
        assert_eq!(cx.usage().requests, 1);
        let shown: Vec<_> = results
            .iter()
            .map(|result| {
                let failure = result.failure.as_deref().unwrap_or("fine");
                format!("{}/{}/{failure}", result.name, result.call_id)
            })
            .collect();
        Some(shown.join(" "))
    }));
    assert_eq!(
        final_output(decide, &["late", "failing", "early"]).await.0,
        "late/c_late/fine failing/c_failing/tool `failing` failed: no early/c_early/fine"
    );
    let go_on = ToolUse::Custom(Arc::new(|_, _| None));
    assert_eq!(
        final_output(go_on, &["early"]).await,
        ("The model goes on.".to_owned(), 2)
    );
}
