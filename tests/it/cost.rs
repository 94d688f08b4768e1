//! What a run costs, and what it may cost.

use openai_agents::error::SetupError;
use openai_agents::limits::LimitReached;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::usage::{Money, Price, PriceTable};
use openai_agents::{Agent, ErrorKind, Limits, RunFailure, RunState, Runner, Usage};

use crate::support::{agent, call, instant};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// A token of input costs a millionth, one of output two.
fn prices() -> PriceTable {
    let price = Price::new("1".parse().unwrap(), "2".parse().unwrap());
    [("scripted", price)].into_iter().collect()
}

/// Calls `t`, then answers; each time with 100,000 tokens in and out, which cost 0.3.
fn model() -> ScriptedModel {
    let usage = Usage::of_request(100_000, 100_000, 200_000);
    ScriptedModel::new([
        ScriptedTurn::items([call("c", "t", "{}")]).with_usage(usage),
        ScriptedTurn::text("done").with_usage(usage),
    ])
}

fn caller() -> Agent {
    agent([instant("t", "x")])
}

#[tokio::test]
async fn run_with_prices_says_what_it_cost() {
    let runner = Runner::new(model()).prices(prices());
    let result = runner.run(&caller(), "go").await.unwrap();
    assert_eq!(result.usage().whole_cost(), Some(money("0.6")));
    let each: Vec<_> = result
        .responses()
        .iter()
        .map(|meta| meta.usage.unwrap().cost)
        .collect();
    assert_eq!(each, [Some(money("0.3")); 2]);
}

#[tokio::test]
async fn run_with_prices_of_other_models_has_no_cost() {
    let price = Price::new("1".parse().unwrap(), "2".parse().unwrap());
    let runner = Runner::new(model()).prices([("gpt-5", price)].into_iter().collect());
    let result = runner.run(&caller(), "go").await.unwrap();
    assert_eq!(
        (result.usage().cost, result.usage().whole_cost()),
        (None, None)
    );
}

#[tokio::test]
async fn budget_that_is_used_up_ends_the_run_before_the_next_request() {
    for (limit, n_requests) in [("0.3", 1), ("0.300000000001", 2), ("0", 0)] {
        let model = model();
        let runner = Runner::new(model.clone()).prices(prices());
        let runner = runner.limits(Limits::default().cost(money(limit)));
        let outcome = runner.run(&caller(), "go").await;
        assert_eq!(model.requests().len(), n_requests, "{limit}");
        if n_requests == 2 {
            outcome.unwrap();
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        let used = if n_requests == 0 {
            Money::ZERO
        } else {
            money("0.3")
        };
        let RunFailure::Limit(reached) = error.failure() else {
            panic!("{error:?}");
        };
        let limit = money(limit);
        assert_eq!(*reached, LimitReached::Cost { limit, used });
    }
}

#[tokio::test]
async fn budget_without_a_price_asks_nothing() {
    let model = model();
    let runner = Runner::new(model.clone()).limits(Limits::default().cost(money("5")));
    let error = runner.run(&caller(), "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        matches!(error.failure(), RunFailure::Setup(SetupError::NoPrice { model, .. }) if model == "scripted"),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("set `prices.scripted`"),
        "{error}"
    );
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn budget_of_a_run_holds_for_the_agents_that_it_calls() {
    let inner = Agent::builder("Inner").build().unwrap();
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("Asks."))
        .build()
        .unwrap();
    let usage = Usage::of_request(0, 100_000, 100_000);
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c", "inner", r#"{"input":"go"}"#)]).with_usage(usage),
        ScriptedTurn::text("inner is done").with_usage(usage),
        ScriptedTurn::text("never asked"),
    ]);
    let runner = Runner::new(model.clone()).prices(prices());
    let runner = runner.limits(Limits::default().cost(money("0.4")));
    let error = runner.run(&outer, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(error.progress().usage.cost, Some(money("0.4")));
    assert_eq!(model.n_left(), 1);
}

#[tokio::test]
async fn budget_after_an_answer_without_usage_is_no_longer_known() {
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c", "t", "{}")]),
        ScriptedTurn::text("never asked"),
    ]);
    let runner = Runner::new(model.clone()).prices(prices());
    let runner = runner.limits(Limits::default().cost(money("5")));
    let error = runner.run(&caller(), "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    let RunFailure::Limit(reached) = error.failure() else {
        panic!("{error:?}");
    };
    let limit = money("5");
    assert_eq!(*reached, LimitReached::UnknownCost { limit });
    assert_eq!(model.n_left(), 1);
}

#[tokio::test]
async fn budget_of_a_paused_run_goes_on_with_it() {
    let tool = instant("t", "x").needs_approval();
    let agent = agent([tool]);
    let limits = Limits::default().cost(money("0.3"));
    let runner = Runner::new(model()).prices(prices()).limits(limits);
    let error = runner.run(&agent, "go").await.unwrap_err();
    let state = error.into_state().unwrap().to_json().unwrap();
    let mut state = RunState::from_json(&state).unwrap();
    let call_id = state.interruptions()[0].call_id.clone();
    state.approve(&call_id).unwrap();
    let error = runner.resume(&agent, state).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(error.progress().usage.cost, Some(money("0.3")));
}
