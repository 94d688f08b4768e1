//! Calls of tools that do not exist or are disabled.

use openai_agents::agent::runner::UnknownTool;
use openai_agents::model::Delivery;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{ErrorKind, FunctionTool, Item, RunEvent, RunFailure, Runner};
use serde_json::json;

use crate::support::{Gauge, agent, call, instant, offered, output, play, tool};

/// Whether the tool `door` is enabled.
struct Open(bool);

fn door() -> FunctionTool {
    instant("door", "opened").enabled_if(|cx| cx.state::<Open>().is_ok_and(|open| open.0))
}

#[tokio::test]
async fn a_disabled_tool_is_not_offered_and_not_called() {
    let agent = agent([door(), instant("bell", "rings")]);
    for (open, expect) in [(true, vec!["door", "bell"]), (false, vec!["bell"])] {
        let model = ScriptedModel::text("hi");
        let runner = Runner::new(model.clone()).state(Open(open));
        runner.run(&agent, "hi").await.unwrap();
        assert_eq!(offered(&model.requests()[0]), expect);
    }

    let model = ScriptedModel::new([ScriptedTurn::tool_call("door", json!({}))]);
    let error = Runner::new(model.clone())
        .run(&agent, "hi")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisabledTool);
    assert_eq!(
        error.to_string(),
        "the model called the tool `door` of agent `A`, which is disabled"
    );
    assert_eq!(error.progress().items, []);
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn an_unknown_tool_ends_the_run_and_nothing_is_called() {
    let called = Gauge::default();
    let count = called.clone();
    let known = tool("known", move |_| {
        count.enter();
        async { Ok(String::new()) }
    });
    let model = ScriptedModel::new([ScriptedTurn::items([
        Item::assistant("Let me see."),
        call("c1", "known", "{}"),
        call("c2", "nope", "{}"),
    ])]);

    let error = Runner::new(model)
        .run(&agent([known, instant("other", "")]), "go")
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    let RunFailure::UnknownTool {
        tool, agent, known, ..
    } = error.failure()
    else {
        panic!("{error:?}");
    };
    assert_eq!((tool.as_str(), agent.as_str()), ("nope", "A"));
    assert_eq!(known[..], ["known", "other"]);
    assert_eq!(
        error.to_string(),
        "the model called the tool `nope`, which agent `A` does not have (it has: known, other)"
    );
    assert_eq!(error.progress().items, [Item::assistant("Let me see.")]);
    assert_eq!(called.peak(), 0);
}

#[tokio::test]
async fn the_model_can_be_told_which_tools_there_are() {
    let cases = [
        (
            agent([instant("known", "yes"), door()]),
            "nope",
            "Tool 'nope' not found. The tools are: known.",
            "Tool 'nope' not found. The tools are: known.",
        ),
        (
            agent([instant("known", "yes"), door()]),
            "door",
            "Tool 'door' not found. The tools are: known.",
            "tool `door` is disabled",
        ),
        (
            agent([]),
            "nope",
            "Tool 'nope' not found. There are no tools.",
            "Tool 'nope' not found. There are no tools.",
        ),
    ];
    for (agent, name, text, why) in cases {
        let model = ScriptedModel::new([
            ScriptedTurn::items([call("c1", name, "{}")]),
            ScriptedTurn::text("I see."),
        ]);
        let (events, result) = play(
            Runner::new(model)
                .run(&agent, "go")
                .delivery(Delivery::Stream)
                .unknown_tool(UnknownTool::TellModel),
        )
        .await;
        assert_eq!(
            result.unwrap().items(),
            [
                call("c1", name, "{}"),
                output("c1", text),
                Item::assistant("I see.")
            ]
        );
        let failure = events.iter().find_map(|event| match event {
            RunEvent::ToolOutputDone { failure, .. } => failure.as_deref(),
            _ => None,
        });
        assert_eq!(failure, Some(why));
    }
}

#[tokio::test]
async fn an_unknown_tool_does_not_keep_a_known_one_from_running() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "nope", "{}"), call("c2", "known", "{}")]),
        ScriptedTurn::text("I see."),
    ]);
    let result = Runner::new(model)
        .run(&agent([instant("known", "yes")]), "go")
        .unknown_tool(UnknownTool::TellModel)
        .await
        .unwrap();
    assert_eq!(
        result.items()[2..4],
        [
            output("c1", "Tool 'nope' not found. The tools are: known."),
            output("c2", "yes"),
        ]
    );
}
