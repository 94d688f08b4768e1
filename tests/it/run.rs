//! A run: what is asked, what is answered, and what ends it.

use std::sync::Arc;

use openai_agents::agent::ToolUseBehavior;
use openai_agents::item::{Message, Part, Role};
use openai_agents::model::ToolChoice;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, ModelSettings, RunEvent, Runner, Usage};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Gauge, agent, call, instant, output, play, tool, tool_with};

#[tokio::test]
async fn a_text_is_the_final_output() {
    let usage = Usage::of_request(3, 2, 5);
    let model = ScriptedModel::new([ScriptedTurn::text("Paris.").with_usage(usage)]);
    let agent = Agent::builder("A")
        .instructions("Be brief.")
        .build()
        .unwrap();

    let result = Runner::new(model.clone())
        .run(&agent, "Where?")
        .await
        .unwrap();

    assert_eq!(result.final_output(), "Paris.");
    assert_eq!(result.items(), [Item::assistant("Paris.")]);
    assert_eq!(
        result.to_input_list(),
        [Item::user("Where?"), Item::assistant("Paris.")]
    );
    assert_eq!((result.usage(), result.turns()), (usage, 1));
    assert_eq!(result.last_agent().name(), "A");
    let requests = model.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].instructions.as_deref(), Some("Be brief."));
    assert_eq!(requests[0].items[..], [Item::user("Where?")]);
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct RunSummands {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn a_tool_call_is_answered_and_the_model_asked_again() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "add", r#"{"a":1,"b":2}"#)])
            .with_usage(Usage::of_request(10, 1, 11)),
        ScriptedTurn::text("3.").with_usage(Usage::of_request(20, 2, 22)),
    ]);
    let add = FunctionTool::new("add", "Adds.", async |_cx, summands: RunSummands| {
        Ok::<_, String>(summands.a + summands.b)
    });

    let result = Runner::new(model.clone())
        .run(&agent([add.unwrap()]), "1 + 2?")
        .await
        .unwrap();

    let pair = [call("c1", "add", r#"{"a":1,"b":2}"#), output("c1", "3")];
    assert_eq!(
        result.items(),
        [&pair[..], &[Item::assistant("3.")]].concat()
    );
    let mut usage = Usage::of_request(30, 3, 33);
    usage.requests = 2;
    assert_eq!(result.usage(), usage);
    let requests = model.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[1].items[..],
        [&[Item::user("1 + 2?")], &pair[..]].concat()
    );
    assert_eq!((requests[0].turn, requests[1].turn), (1, 2));
}

#[tokio::test]
async fn a_server_that_reports_no_usage_is_counted() {
    let model = ScriptedModel::text("hi");
    let result = Runner::new(model).run(&agent([]), "hi").await.unwrap();
    assert_eq!(result.usage(), Usage::UNREPORTED);
}

#[tokio::test]
async fn outputs_stand_in_call_order_while_their_events_come_as_tools_finish() {
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let slow = tool("slow", move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Ok("slow".to_owned())
        }
    });
    let fast = tool("fast", move |_| {
        go.notify_one();
        async { Ok("fast".to_owned()) }
    });
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "slow", "{}"), call("c2", "fast", "{}")]),
        ScriptedTurn::text("done"),
    ]);

    let (events, result) = play(Runner::new(model).run(&agent([slow, fast]), "go")).await;

    let finished: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ToolOutputDone {
                call_id,
                name,
                output,
                failure,
            } => Some((
                call_id.as_str(),
                name.as_str(),
                output.as_str(),
                failure.clone(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        finished,
        [("c2", "fast", "fast", None), ("c1", "slow", "slow", None)]
    );
    assert_eq!(
        result.unwrap().items(),
        [
            call("c1", "slow", "{}"),
            call("c2", "fast", "{}"),
            output("c1", "slow"),
            output("c2", "fast"),
            Item::assistant("done"),
        ]
    );
}

#[tokio::test]
async fn tools_run_at_once_up_to_the_cap() {
    for (cap, peak) in [
        (None, 5),
        (Some(1), 1),
        (Some(2), 2),
        (Some(5), 5),
        (Some(9), 5),
    ] {
        let gauge = Gauge::default();
        let inside = gauge.clone();
        let busy = tool("busy", move |_| {
            let gauge = inside.clone();
            async move {
                gauge.enter();
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                gauge.leave();
                Ok(String::new())
            }
        });
        let model = ScriptedModel::new([
            ScriptedTurn::tool_calls((0..5).map(|_| ("busy", json!({})))),
            ScriptedTurn::text("done"),
        ]);
        let mut request = Runner::new(model).run(&agent([busy]), "go");
        if let Some(cap) = cap {
            request = request.max_tool_concurrency(cap);
        }
        assert_eq!(request.await.unwrap().items().len(), 11);
        assert_eq!(gauge.peak(), peak, "with the cap {cap:?}");
    }
}

#[tokio::test]
async fn a_text_beside_a_tool_call_is_not_final() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([Item::assistant("Let me see."), call("c1", "look", "{}")]),
        ScriptedTurn::text("It rains."),
    ]);
    let result = Runner::new(model)
        .run(&agent([instant("look", "rain")]), "Weather?")
        .await
        .unwrap();
    assert_eq!(result.final_output(), "It rains.");
    assert_eq!(
        result.items(),
        [
            Item::assistant("Let me see."),
            call("c1", "look", "{}"),
            output("c1", "rain"),
            Item::assistant("It rains."),
        ]
    );
}

#[tokio::test]
async fn the_tool_choice_is_dropped_after_the_first_tool_call() {
    let settings = ModelSettings::default()
        .tool_choice(ToolChoice::Required)
        .temperature(0.5);
    let required = Some(ToolChoice::Required);
    for (keeps, expect) in [
        (false, [required.clone(), None, None]),
        (true, [required.clone(), required.clone(), required]),
    ] {
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("t", json!({})),
            ScriptedTurn::items([call("c2", "t", "{}")]),
            ScriptedTurn::text("done"),
        ]);
        let mut builder = Agent::builder("A")
            .tool(instant("t", "x"))
            .model_settings(settings.clone());
        if keeps {
            builder = builder.keep_tool_choice();
        }
        let agent = builder.build().unwrap();
        Runner::new(model.clone()).run(&agent, "go").await.unwrap();
        let requests = model.requests();
        let choices: Vec<_> = requests
            .iter()
            .map(|request| request.settings.tool_choice.clone())
            .collect();
        assert_eq!(choices, expect);
        assert!(
            requests
                .iter()
                .all(|request| request.settings.temperature == Some(0.5))
        );
    }
}

#[tokio::test]
async fn empty_arguments_are_an_empty_object() {
    for arguments in ["", "  ", "{}"] {
        let echo = FunctionTool::dynamic(
            "echo",
            "Echoes.",
            json!({}),
            ToolOptions::default(),
            async |_cx, arguments| Ok::<_, String>(Value::Object(arguments)),
        );
        let model = ScriptedModel::new([
            ScriptedTurn::items([call("c1", "echo", arguments)]),
            ScriptedTurn::text("done"),
        ]);
        let result = Runner::new(model)
            .run(&agent([echo.unwrap()]), "go")
            .await
            .unwrap();
        assert_eq!(result.items()[1], output("c1", "{}"), "for {arguments:?}");
    }
}

#[tokio::test]
async fn an_answer_without_text_and_calls_is_an_error() {
    let refusal = Message::from_parts(
        Role::Assistant,
        vec![Part::Refusal {
            refusal: "I cannot do that.".to_owned(),
        }],
    );
    let refusal = Item::from(refusal);
    let cases = [
        (
            vec![refusal.clone()],
            ErrorKind::Refusal,
            "the model refused: I cannot do that.",
            vec![refusal],
        ),
        (
            vec![],
            ErrorKind::EmptyResponse,
            "the model's answer holds neither text nor a tool call",
            vec![],
        ),
        (
            vec![Item::assistant("")],
            ErrorKind::EmptyResponse,
            "the model's answer holds neither text nor a tool call",
            vec![Item::assistant("")],
        ),
    ];
    for (items, kind, text, kept) in cases {
        let model = ScriptedModel::new([ScriptedTurn::items(items)]);
        let error = Runner::new(model).run(&agent([]), "go").await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        assert_eq!(error.progress().items, kept);
        assert_eq!(error.progress().usage.requests, 1);
    }
}

#[tokio::test]
async fn an_agent_with_a_model_of_its_own_uses_that() {
    let (own, other) = (ScriptedModel::text("own"), ScriptedModel::text("other"));
    let agent = Agent::builder("A").model(own).build().unwrap();
    let result = Runner::new(other.clone()).run(&agent, "hi").await.unwrap();
    assert_eq!(result.final_output(), "own");
    assert_eq!(other.n_left(), 1);
}

#[tokio::test]
async fn the_settings_of_the_run_lie_over_those_of_the_agent() {
    let model = ScriptedModel::text("hi");
    let agent = Agent::builder("A")
        .model_settings(
            ModelSettings::default()
                .temperature(0.1)
                .max_tokens(5)
                .extra_body("a", 1)
                .extra_header("x-a", "agent")
                .extra_header("x-b", "agent"),
        )
        .build()
        .unwrap();
    let over = ModelSettings::default()
        .temperature(0.9)
        .seed(7)
        .extra_body("b", 2)
        .extra_header("X-A", "run");

    Runner::new(model.clone())
        .run(&agent, "hi")
        .model_settings(over)
        .await
        .unwrap();

    assert_eq!(
        *model.requests()[0].settings,
        ModelSettings::default()
            .temperature(0.9)
            .max_tokens(5)
            .seed(7)
            .extra_body("a", 1)
            .extra_body("b", 2)
            .extra_header("x-b", "agent")
            .extra_header("X-A", "run")
    );
}

#[tokio::test]
async fn settings_of_runner_agent_and_run_lie_over_each_other_in_this_order() {
    let model = ScriptedModel::text("hi");
    let agent = Agent::builder("A")
        .model_settings(ModelSettings::default().seed(2).top_p(0.2))
        .build()
        .unwrap();
    let of_runner = ModelSettings::default().max_tokens(1).seed(1).top_p(0.1);
    let runner = Runner::new(model.clone()).model_settings(of_runner);
    let request = runner.run(&agent, "hi");
    let of_run = ModelSettings::default().top_p(0.3);
    request.model_settings(of_run).await.unwrap();
    assert_eq!(
        *model.requests()[0].settings,
        ModelSettings::default().max_tokens(1).seed(2).top_p(0.3)
    );
}

#[tokio::test]
async fn tools_find_the_state_of_the_run_by_its_type() {
    struct Name(&'static str);
    let options = ToolOptions::default().failure(ToolFailure::TellModelDetail);
    let greet = tool_with("greet", options, |cx| async move {
        let name = cx.state::<Name>().map_err(|error| error.to_string())?.0;
        Ok(format!(
            "{name}, {}, {}, {}",
            cx.agent(),
            cx.call_id(),
            cx.usage().requests
        ))
    });
    let agent = agent([greet]);
    let script = || {
        ScriptedModel::new([
            ScriptedTurn::items([call("c1", "greet", "{}")]),
            ScriptedTurn::text("done"),
        ])
    };
    let said = async |request: openai_agents::RunRequest| request.await.unwrap().items()[1].clone();

    let runner = Runner::new(script()).state(Name("runner"));
    assert_eq!(
        said(runner.run(&agent, "go")).await,
        output("c1", "runner, A, c1, 1")
    );
    let runner = Runner::new(script()).state(Name("runner"));
    assert_eq!(
        said(runner.run(&agent, "go").state(Name("run"))).await,
        output("c1", "run, A, c1, 1")
    );
    // The model is not told of what only the application can mend.
    let error = Runner::new(script()).run(&agent, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expect = format!(
        "tool `greet` needs the state of type `{}`, which was not given: give it by `.state(..)` of the runner or the run",
        std::any::type_name::<Name>()
    );
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn a_final_answer_of_several_messages_is_the_last_one() {
    let items = [Item::assistant("One."), Item::assistant("Two.")];
    let model = ScriptedModel::new([ScriptedTurn::items(items.clone())]);
    let result = Runner::new(model).run(&agent([]), "go").await.unwrap();
    assert_eq!(result.final_output(), "Two.");
    assert_eq!(result.items(), items);
}

#[tokio::test]
async fn an_id_that_the_server_reuses_is_noted() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "a", "{}")]),
        ScriptedTurn::items([call("c1", "b", "{}")]),
        ScriptedTurn::items([call("c1", "b", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let result = Runner::new(model)
        .run(&agent([instant("a", "1"), instant("b", "2")]), "go")
        .await
        .unwrap();
    let codes: Vec<_> = result
        .deviations()
        .map(|deviation| &*deviation.code)
        .collect();
    assert_eq!(codes, ["reused_tool_call_id"]);
    assert_eq!(
        result.items()[..4],
        [
            call("c1", "a", "{}"),
            output("c1", "1"),
            call("c1", "b", "{}"),
            output("c1", "2")
        ]
    );
}

#[test]
fn agents_are_checked_when_they_are_built() {
    let told =
        |builder: openai_agents::agent::AgentBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(told(Agent::builder(" ")), "an agent needs a name");
    let twice = Agent::builder("A")
        .tool(instant("t", ""))
        .tool(instant("t", ""));
    assert_eq!(told(twice), "agent `A` cannot have this tool");
    let stop =
        Agent::builder("A").tool_use_behavior(ToolUseBehavior::StopAtTools(vec!["t".to_owned()]));
    assert_eq!(
        told(stop),
        "agent `A` is to stop at the tool `t`, which it does not have"
    );
}
