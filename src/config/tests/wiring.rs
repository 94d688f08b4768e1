//! From settings to runner, agents and tools.

use std::time::Duration;

use super::{load, yaml};
use crate::config::{Config, LimitsConfig, Loader};
use crate::error::error_chain;
use crate::model::FinishReason;
use crate::usage::{Price, TokenPrice};
use crate::{ErrorKind, Limits};

fn served(text: &str) -> Loader {
    yaml(text)
        .variable("OPENAI_BASE_URL", "http://localhost:1/v1")
        .variable("OPENAI_MODEL", "m")
}

/// `serve` hands out clones of its configuration: each would else have bounds of its own.
#[test]
fn clones_of_a_configuration_share_its_limits() {
    let config = load(served("max_concurrent_requests: 1"));
    let clone = config.clone();
    clone.memory_limit().set_max_bytes(5);
    assert_eq!(config.memory_limit().max_bytes(), 5);
    clone.driver("m").unwrap();
    assert!(config.concurrency_limit.get().is_some());

    // What takes its place goes on counting with it.
    let next = load(served(
        "max_concurrent_requests: 1\nlimits: { max_answers_bytes: 7 }",
    ));
    next.replaces(&config);
    assert_eq!(config.memory_limit().max_bytes(), 7);
    assert!(next.concurrency_limit.get().is_some());
    let other = load(served("max_concurrent_requests: 2"));
    other.replaces(&config);
    assert!(other.concurrency_limit.get().is_none());
}

/// The error with its causes, which the check, the runner and the agent `A` have in common.
#[track_caller]
fn check_error(text: &str, expected: &str) {
    let config = load(served(text));
    for error in [
        config.check().unwrap_err(),
        config.runner().unwrap_err(),
        config.agent("A").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error_chain(&error), expected);
    }
}

fn limits(config: &Config) -> Limits {
    config.limits().over(Limits::default())
}

#[test]
fn every_agent_is_checked_before_anything_runs() {
    for (text, expected) in [
        (
            "agents: [{name: A, tools: [calculater]}]",
            "agent `A` (./config.yaml:1) names the tool `calculater`, which does not exist; did you mean `calculator`?",
        ),
        (
            "agents: [{name: A, tools: [weather]}]",
            "agent `A` (./config.yaml:1) names the tool `weather`, which does not exist",
        ),
        (
            "agents: [{name: A, settings: {tool_choice: calculator}}]",
            "agent `A` (./config.yaml:1) names the tool `calculator`, which does not exist",
        ),
        (
            "agents: [{name: A, tool_use_behavior: {stop_at_tools: [calculator]}}]",
            "agent `A` (./config.yaml:1) cannot be built: agent `A` is to stop at the tool `calculator`, which it does not have",
        ),
    ] {
        check_error(text, expected);
    }
}

#[test]
fn agent_references_are_checked_at_load() {
    for (agents, expected) in [
        (
            "{name: A, handoffs: [Biling]}, {name: Billing}",
            "agent `A` (./config.yaml:1) hands off to `Biling`, which does not exist; did you mean `Billing`?",
        ),
        (
            "{name: A, agents_as_tools: [Warehouse]}",
            "agent `A` (./config.yaml:1) has the tool `Warehouse`, which does not exist",
        ),
        (
            "{name: A, guardrails: {output: [{agent: Warehouse}]}}",
            "agent `A` (./config.yaml:1) is guarded by `Warehouse`, which does not exist",
        ),
        (
            "{name: A, agents_as_tools: [B]}, {name: B, agents_as_tools: [C]}, {name: C, guardrails: {input: [{agent: B}]}}",
            "agents cannot be tools or guardrails of each other in a circle: `B` -> `C` -> `B` (./config.yaml:1)",
        ),
        (
            "{name: A, agents_as_tools: [A]}",
            "agents cannot be tools or guardrails of each other in a circle: `A` -> `A` (./config.yaml:1)",
        ),
        (
            "{name: A, guardrails: {input: [{agent: B}]}}, {name: B, handoffs: [A]}",
            "agent `A` (./config.yaml:1) is guarded by `B`, which hands off to others, so that another would give the verdict",
        ),
        (
            "{name: A, agents_as_tools: [{agent: b c}]}, {name: b c, agents_as_tools: [{agent: d, name: b_c}]}, {name: d, needs_approval: [b_c]}",
            "agent `d` (./config.yaml:1) names the tool `b_c`, which does not exist",
        ),
        (
            "{name: A, handoffs: [b c, B_C]}, {name: b c}, {name: B_C}",
            "agent `A` (./config.yaml:1) cannot be built: agent `A` cannot have this tool: two tools are named `transfer_to_b_c`: \
             \"Handoff to the b c agent to handle the request. \" and \"Handoff to the B_C agent to handle the request. \"",
        ),
        (
            "{name: A, output_schema: {type: object, additionalProperties: true}}",
            "agent `A` (./config.yaml:1) cannot be built: the output type of agent `A` has no strict schema (`output_non_strict` asks for none): \
             the root (#) is a map or allows undeclared properties, which strict mode forbids; \
             use a list of key-value pairs, or turn strict off",
        ),
    ] {
        check_error(&format!("agents: [{agents}]"), expected);
    }
}

#[test]
fn agents_may_hand_off_in_a_circle() {
    let config = load(served(
        "agents: [{name: A, handoffs: [B]}, {name: B, handoffs: [A, B]}]",
    ));
    config.check().unwrap();
    let agent = config.agent("B").unwrap();
    assert_eq!(agent.handoffs().collect::<Vec<_>>(), ["A", "B"]);
}

#[test]
fn a_runner_is_on_a_model_that_someone_named() {
    let without_model =
        |text: &str| load(yaml(text).variable("OPENAI_BASE_URL", "http://localhost:1/v1"));
    let config =
        without_model("agents: [{name: A, model: own, handoffs: [B]}, {name: B, model: b}]");
    assert!(config.runner_for("A").is_ok());
    for config in [
        without_model("agents: [{name: A, model: own, handoffs: [B]}, {name: B}]"),
        without_model("agents: [{name: A}]"),
    ] {
        assert_eq!(
            config.runner_for("A").unwrap_err().to_string(),
            "no model: set OPENAI_MODEL, `model` in ./config.yaml, or --model"
        );
    }
}

#[test]
#[cfg(feature = "bundled-tools")]
fn agents_have_the_tools_that_they_name() {
    let config = load(yaml("agents: [{name: A, tools: [current_time]}]"));
    for (agent, expected) in [
        ("Assistant", &["calculator", "current_time"][..]),
        ("EchoAgent", &[]),
        ("A", &["current_time"]),
    ] {
        let agent = config.agent(agent).unwrap();
        let tools: Vec<&str> = agent.tools().iter().map(|tool| &**tool.name()).collect();
        assert_eq!(tools, expected);
        assert!(agent.model().is_none());
    }
    check_error(
        "agents: [{name: A, tools: [calculator, calculator]}]",
        "agent `A` (./config.yaml:1) cannot be built: agent `A` cannot have this tool: two tools are named `calculator`: \
         \"Calculates an arithmetic expression, such as 4 * 5\" and \"Calculates an arithmetic expression, such as 4 * 5\"",
    );
}

#[test]
fn an_agent_that_names_a_model_has_it() {
    let text = "agents: [{name: A, model: big}]";
    let agent = load(served(text)).agent("A").unwrap();
    assert_eq!(agent.model().unwrap().name(), "big");
    let config = load(yaml(text));
    config.check().unwrap();
    assert_eq!(
        config.agent("A").unwrap_err().to_string(),
        "no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url"
    );
}

#[test]
fn missing_agent_or_setting_is_named() {
    let config = load(Loader::new());
    assert_eq!(
        config.agent("Asistant").unwrap_err().to_string(),
        "there is no agent `Asistant`; did you mean `Assistant`? (there are: Assistant, EchoAgent)"
    );
    let error = config.runner().unwrap_err().to_string();
    assert!(
        error.starts_with("no base URL: set OPENAI_BASE_URL"),
        "{error}"
    );
    let key = "sk-secret\n0123456789";
    let config = load(served("").variable("OPENAI_API_KEY", key));
    let error = config.runner().unwrap_err();
    assert_eq!(
        error_chain(&error),
        "the model `m` cannot be used: the header \"authorization\" cannot be sent: its value has a character that is not allowed, such as a line end"
    );
}

#[test]
fn limits_are_laid_over_each_other() {
    let config = load(yaml(
        "limits: {max_turns: 3, max_tool_calls: 9}\nagents: [{name: A, limits: {max_turns: 4, max_seconds: 30}}]",
    ));
    assert_eq!(limits(&config), Limits::turns(3).tool_calls(9));
    let of_agent = config
        .agent_config("A")
        .unwrap()
        .limits
        .over(limits(&config));
    assert_eq!(
        of_agent,
        Limits::turns(4)
            .tool_calls(9)
            .duration(Duration::from_secs(30))
    );
    // Whoever runs the agent, `serve` and MCP too, has them from it.
    assert_eq!(config.agent("A").unwrap().limits(), Some(of_agent));
    assert_eq!(LimitsConfig::default().over(Limits::NONE), Limits::NONE);
}

#[test]
fn words_for_the_end_of_an_answer_are_read_and_checked() {
    let config = load(yaml(
        "dialect: {finish_reasons: {done: complete, oops: failed}}",
    ));
    let words: Vec<_> = config.dialect().finish_reasons.iter().collect();
    assert_eq!(
        words,
        [
            (&"done".to_owned(), &FinishReason::Complete),
            (&"oops".to_owned(), &FinishReason::Failed)
        ]
    );
    for (text, says) in [
        (
            "dialect: {finish_reasons: {done: sure}}",
            "`dialect.finish_reasons.done` (./config.yaml:1) must be complete, tool_calls, truncated, filtered or failed",
        ),
        (
            "dialect: {finish_reason: {done: complete}}",
            "`dialect.finish_reason`",
        ),
    ] {
        let error = yaml(text).load().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn prices_are_read_exactly() {
    let config = load(yaml(
        "prices: {gpt-5: {input: 1.25, cached_input: 0.125, cache_write: \"2\", output: 10, reasoning: 10.5}}\n\
         limits: {max_cost: 0.1}",
    ));
    let price = |text: &str| text.parse::<TokenPrice>().unwrap();
    let expected = Price::new(price("1.25"), price("10"))
        .cached_input(price("0.125"))
        .cache_write(price("2"))
        .reasoning(price("10.5"));
    assert_eq!(config.prices().price("gpt-5"), Some(&expected));
    assert_eq!(config.prices().price("gpt-5-mini"), None);
    let budget = "0.1".parse().unwrap();
    assert_eq!(limits(&config), Limits::default().cost(budget));
    let cached = config.setting("prices.gpt-5.cached_input").unwrap();
    assert_eq!(cached.value, "0.125");
}

#[test]
fn prices_that_are_none_are_refused_at_their_place() {
    const PRICE: &str =
        "must be the price of a million tokens, a number such as 0.15 with at most six decimals";
    for (text, says) in [
        (
            "prices: {m: {input: -1, output: 1}}",
            format!("`prices.m.input` (./config.yaml:1) {PRICE}"),
        ),
        (
            "prices: {m: {input: 1e-7, output: 1}}",
            format!("`prices.m.input` (./config.yaml:1) {PRICE}"),
        ),
        (
            "prices: {m: {input: free, output: 1}}",
            format!("`prices.m.input` (./config.yaml:1) {PRICE}"),
        ),
        (
            "prices: {m: {input: 1234567890.123456, output: 1}}",
            format!("`prices.m.input` (./config.yaml:1) {PRICE}"),
        ),
        (
            "prices: {m: {input: 1}}",
            "`prices.m` (./config.yaml:1) must be a map with the prices `input` and `output`"
                .to_owned(),
        ),
        (
            "prices: [1]",
            "`prices` (./config.yaml:1) must be a map from the names of models to prices"
                .to_owned(),
        ),
        (
            "limits: {max_cost: 1 USD}",
            "`limits.max_cost` (./config.yaml:1) must be an amount of money, a number such as 0.50"
                .to_owned(),
        ),
    ] {
        assert_eq!(yaml(text).load().unwrap_err().to_string(), says);
    }
    let error = yaml("prices: {m: {inptu: 1, output: 1}}")
        .load()
        .unwrap_err()
        .to_string();
    assert!(error.contains("`prices.m.input`"), "{error}");
}
