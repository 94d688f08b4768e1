//! Cases 18 to 28: call ids, limits, names, outputs, filters of requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::agent::runner::Recovery;
use openai_agents::agent::{ModelInput, ModelInputFilter};
use openai_agents::item::{FunctionCallOutput, OutputContent, Part};
use openai_agents::testing::{FakeServer, ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolContent, ToolOptions};
use openai_agents::{Agent, ErrorKind, FunctionTool, Handoff, Item, Limits, Runner, ToolOutput};
use serde_json::{Value, json};

use crate::support::{
    agent, assert_well_formed, bodies, call, chat, instant, output, tool, whole, whole_text,
    wire_call,
};

fn wire_calls(calls: &[(&str, &str, &str)]) -> Value {
    let calls = calls.iter().enumerate();
    let calls = calls.map(|(n, (id, name, arguments))| wire_call(n, id, name, arguments));
    json!({ "role": "assistant", "content": null, "tool_calls": calls.collect::<Vec<_>>() })
}

/// The Python SDK ends the run.
#[tokio::test]
async fn case_18_a_call_without_an_id_gets_one() {
    let calls = wire_calls(&[("", "t", "{}"), ("", "t", "{}")]);
    let server = FakeServer::start([whole(&calls, "tool_calls"), whole_text("done")])
        .await
        .unwrap();
    let result = Runner::new(chat(&server))
        .run(&agent([instant("t", "x")]), "go")
        .await
        .unwrap();
    assert_well_formed(result.items());
    assert_eq!(
        result.items()[2..4],
        [output("call_1_0", "x"), output("call_1_1", "x")]
    );
    assert!(result.deviations().count() > 0);
    let messages = &bodies(&server)[1]["messages"];
    assert_eq!(messages[1]["tool_calls"][1]["id"], "call_1_1");
    assert_eq!(messages[3]["tool_call_id"], "call_1_1");
}

/// The Python SDK ends the run. Within one response an id must be one call's: its output could not be told from the other's.
#[tokio::test]
async fn case_19_an_id_that_comes_again_is_another_call_in_another_turn_only() {
    let turn = |arguments| whole(&wire_calls(&[("call_0", "t", arguments)]), "tool_calls");
    let server = FakeServer::start([turn(r#"{"n":1}"#), turn(r#"{"n":2}"#), whole_text("done")])
        .await
        .unwrap();
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let echo = FunctionTool::dynamic("t", "", schema, ToolOptions::default(), async |_, given| {
        Ok::<_, String>(Value::Object(given))
    });
    let result = Runner::new(chat(&server))
        .run(&agent([echo.unwrap()]), "go")
        .await
        .unwrap();
    assert_eq!(result.items()[1], output("call_0", r#"{"n":1}"#));
    assert_eq!(result.items()[3], output("call_0", r#"{"n":2}"#));
    let codes: Vec<_> = result.deviations().map(|one| &*one.code).collect();
    assert_eq!(codes, ["reused_tool_call_id"]);

    let twice = wire_calls(&[("c1", "t", r#"{"n":1}"#), ("c1", "t", r#"{"n":2}"#)]);
    let server = FakeServer::start([whole(&twice, "tool_calls")])
        .await
        .unwrap();
    let error = Runner::new(chat(&server))
        .run(&agent([instant("t", "x")]), "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateToolCallId);

    // So it is with a model of one's own.
    let model = ScriptedModel::new([ScriptedTurn::items([
        call("c1", "t", "{}"),
        call("c1", "t", ""),
    ])]);
    let error = Runner::new(model)
        .run(&agent([instant("t", "x")]), "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateToolCallId);
    assert_eq!(error.progress().items, []);
}

/// The Python SDK makes it once and adds nothing to the conversation. Servers that count their ids anew in each response would then
/// never get the second answer to the same question.
#[tokio::test]
async fn case_20_an_identical_call_of_a_later_turn_is_made_again() {
    let n_made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_made);
    let counted = tool("t", move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(n.to_string()) }
    });
    let again = || ScriptedTurn::items([call("call_0", "t", "{}")]);
    let model = ScriptedModel::new([again(), again(), ScriptedTurn::text("done")]);
    let result = Runner::new(model)
        .run(&agent([counted]), "go")
        .await
        .unwrap();
    assert_eq!(n_made.load(Ordering::SeqCst), 2);
    assert_eq!(
        result.items()[..4],
        [
            call("call_0", "t", "{}"),
            output("call_0", "1"),
            call("call_0", "t", "{}"),
            output("call_0", "2"),
        ]
    );
    assert_eq!(result.deviations().count(), 0);
}

#[tokio::test]
async fn case_22_a_run_that_used_its_turns_can_end_with_another_output() {
    let model = ScriptedModel::new([ScriptedTurn::items([call("c1", "t", "{}")])]);
    let runner = Runner::new(model).limits(Limits::turns(1));
    let agent = agent([instant("t", "x")]);
    let result = runner
        .run(&agent, "go")
        .recover(|failure, progress| {
            assert_eq!(failure.kind(), ErrorKind::MaxTurns);
            Some(Recovery::with(format!("{} items", progress.items.len())))
        })
        .await
        .unwrap();
    assert_eq!(result.final_output(), "2 items");
    assert_eq!(
        result.items(),
        [
            call("c1", "t", "{}"),
            output("c1", "x"),
            Item::assistant("2 items")
        ]
    );
    let model = ScriptedModel::new([ScriptedTurn::items([call("c1", "t", "{}")])]);
    let result = Runner::new(model)
        .run(&agent, "go")
        .limits(Limits::turns(1))
        .recover(|_, _| Some(Recovery::with("Enough.").not_in_history()))
        .await
        .unwrap();
    assert_eq!(result.final_output(), "Enough.");
    assert_eq!(result.items().len(), 2);
}

/// The Python SDK hides one of the two, unless it is told to refuse.
#[tokio::test]
async fn case_25_two_of_one_name_are_refused_before_anything_is_asked() {
    let other = Agent::builder("Other").build().unwrap();
    let told = |builder: openai_agents::agent::AgentBuilder| {
        let error = builder.build().unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    let taken = Agent::builder("A")
        .tool(instant("transfer_to_other", ""))
        .handoff(&other);
    assert!(told(taken).starts_with("two tools are named `transfer_to_other`"));
    let twice = Agent::builder("A").handoff(&other).handoff(&other);
    assert!(told(twice).starts_with("two tools are named `transfer_to_other`"));
    let renamed = Agent::builder("A")
        .handoff(&other)
        .handoff(Handoff::to(&other).tool_name("ask_other"));
    assert_eq!(renamed.build().unwrap().handoffs().len(), 2);
}

#[tokio::test]
async fn case_26_parts_of_an_output_stay_parts() {
    let schema = json!({ "type": "object", "properties": {} });
    let chart = FunctionTool::dynamic("t", "", schema, ToolOptions::default(), async |_, _| {
        Ok::<_, String>(ToolOutput::Parts(vec![
            ToolContent::text("The chart:"),
            ToolContent::image_url("data:image/png;base64,AAAA"),
        ]))
    });
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let result = Runner::new(model)
        .run(&agent([chart.unwrap()]), "go")
        .await
        .unwrap();
    let parts = vec![
        Part::text("The chart:"),
        Part::image("data:image/png;base64,AAAA"),
    ];
    let expected = FunctionCallOutput::new("c1", OutputContent::Parts(parts));
    assert_eq!(result.items()[1], expected.into());
}

#[tokio::test]
async fn case_28_a_filter_of_requests_leaves_the_conversation_as_it_is() {
    let last_only = ModelInputFilter::new(|mut input: ModelInput| {
        let last = input.items.last().cloned();
        input.items = last.into_iter().collect::<Vec<_>>().into();
        input.instructions = Some(format!("Turn {}.", input.turn).into());
        std::future::ready(Ok::<_, Infallible>(input))
    });
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let input = vec![Item::user("one"), Item::user("two")];
    let result = Runner::new(model.clone())
        .run(&agent([instant("t", "x")]), input.clone())
        .model_input_filter(last_only)
        .await
        .unwrap();
    let requests = model.requests();
    assert_eq!(requests[0].items[..], [Item::user("two")]);
    assert_eq!(requests[1].items[..], [output("c1", "x")]);
    assert_eq!(requests[1].instructions.as_deref(), Some("Turn 2."));
    let added = [
        call("c1", "t", "{}"),
        output("c1", "x"),
        Item::assistant("done"),
    ];
    assert_eq!(result.to_input_list(), [&input[..], &added[..]].concat());
}
