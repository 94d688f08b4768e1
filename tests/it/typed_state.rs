//! Application state as a parameter of a tool: found by its type, and missed before anything is sent.

use std::sync::atomic::{AtomicU32, Ordering};

use openai_agents::context::States;
use openai_agents::item::ItemKind;
use openai_agents::testing::{ScriptedModel, ScriptedTurn, tool_context};
use openai_agents::tools::ToolOptions;
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Handoff, Item, RunContext, Runner, State, ToolContext, tool,
};
use serde_json::json;

struct Stock(AtomicU32);

impl Stock {
    fn of(n_pots: u32) -> Self {
        Self(AtomicU32::new(n_pots))
    }
}

/// Takes pots of tea
#[tool]
async fn take(stock: State<Stock>, n_pots: u32) -> u32 {
    stock.0.fetch_sub(n_pots, Ordering::SeqCst) - n_pots
}

/// Counts the pots of tea
#[tool]
fn count(cx: &ToolContext, unit: String, stock: openai_agents::State<Stock>) -> String {
    let n_pots = stock.0.load(Ordering::SeqCst);
    format!("{n_pots} {unit} for {}", cx.agent())
}

fn output_text(item: &Item) -> Option<String> {
    match item.kind() {
        ItemKind::FunctionCallOutput(output) => Some(output.output.text()),
        _ => None,
    }
}

const MISSING: &str = "needs the state of type `it::typed_state::Stock`, which was not given: give it by `.state(..)` of the runner or the run";

#[tokio::test]
async fn state_parameter_given_is_shared_by_tools_and_hidden_from_the_model() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("take", json!({ "n_pots": 2 })),
        ScriptedTurn::tool_call("count", json!({ "unit": "pots" })),
        ScriptedTurn::text("1 is left"),
    ]);
    let agent = Agent::builder("A").tools((take, count)).build().unwrap();
    let runner = Runner::new(model.clone()).state(Stock::of(3));
    runner.run(&agent, "two, please").await.unwrap();
    let requests = model.requests();
    let outputs: Vec<_> = requests[2].items.iter().filter_map(output_text).collect();
    assert_eq!(outputs, ["1", "1 pots for A"]);
    let parameters = &agent.tools().get("count").unwrap().spec().parameters;
    assert_eq!(parameters["required"], json!(["unit"]));
}

#[tokio::test]
async fn state_parameter_missing_ends_the_run_before_a_request() {
    let own = Agent::builder("A").tool(take).build().unwrap();
    let next = Agent::builder("B").tool(take).build().unwrap();
    let handing = Agent::builder("A")
        .handoff(Handoff::to(&next))
        .build()
        .unwrap();
    let calling = Agent::builder("C")
        .tool(handing.as_tool("asks A"))
        .build()
        .unwrap();
    for (agent, place) in [
        (own, "tool `take` of agent `A`"),
        (handing, "tool `take` of agent `B`"),
        (calling, "tool `a` of agent `C`"),
    ] {
        let model = ScriptedModel::text("never asked");
        let error = Runner::new(model.clone())
            .run(&agent, "hi")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("{place} {MISSING}"));
        assert_eq!(model.requests().len(), 0);
    }
}

#[tokio::test]
async fn state_of_a_tool_under_a_condition_is_missed_by_its_call_only() {
    let tool = FunctionTool::from_tool(take).unwrap();
    let agent = Agent::builder("A")
        .tool(tool.enabled_if(|_| true))
        .build()
        .unwrap();
    let answers = Runner::new(ScriptedModel::text("hi"))
        .run(&agent, "hi")
        .await;
    assert_eq!(answers.unwrap().final_output(), "hi");
    let model = ScriptedModel::new([ScriptedTurn::tool_call("take", json!({ "n_pots": 2 }))]);
    let error = Runner::new(model).run(&agent, "hi").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), format!("tool `take` {MISSING}"));
}

#[tokio::test]
async fn state_required_by_a_closure_is_checked_as_well() {
    let tool = FunctionTool::dynamic(
        "look",
        "Looks.",
        json!({ "type": "object", "properties": {} }),
        ToolOptions::default(),
        async |cx, _| {
            Ok::<_, openai_agents::context::MissingState>(
                cx.state::<Stock>()?.0.load(Ordering::SeqCst),
            )
        },
    );
    let tool = tool.unwrap().requires_state::<Stock>();
    let agent = Agent::builder("A").tool(tool).build().unwrap();
    let error = Runner::new(ScriptedModel::text("never asked"))
        .run(&agent, "hi")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("tool `look` of agent `A` {MISSING}")
    );
}

#[tokio::test]
async fn tool_function_is_called_by_its_name() {
    let stock = State::new(Stock::of(5));
    assert_eq!(take(stock.clone(), 2).await, 3);
    let cx = tool_context(RunContext::new(States::new()));
    assert_eq!(count(&cx, "cups".to_owned(), stock), "3 cups for Test");
}
