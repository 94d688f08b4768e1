//! What is refused, and that the refusal shows no value.

use super::{check_error, load, yaml};
use crate::config::{ConfigError, Loader};

#[test]
fn unknown_keys_are_errors_with_the_nearest_known_one() {
    for (text, expected) in [
        (
            "modle: x",
            "unknown setting `modle` (./config.yaml:1); did you mean `model`?",
        ),
        (
            "model: x\nport: 1",
            "unknown setting `port` (./config.yaml:2)",
        ),
        (
            "modle:",
            "unknown setting `modle` (./config.yaml:1); did you mean `model`?",
        ),
        (
            "limits:\n  max_turn: 2",
            "unknown setting `limits.max_turn` (./config.yaml:2); did you mean `limits.max_turns`?",
        ),
        (
            "agents:\n  - name: A\n    settings:\n      temprature: 1",
            "unknown setting `agents[0].settings.temprature` (./config.yaml:4); \
             did you mean `agents[0].settings.temperature`?",
        ),
        (
            "base-url: x",
            "unknown setting `base-url` (./config.yaml:1); did you mean `base_url`?",
        ),
    ] {
        check_error(yaml(text), expected);
    }
    for (name, expected) in [
        (
            "OPENAI_AGENTS__MODLE",
            "unknown setting `modle` (OPENAI_AGENTS__MODLE); did you mean `model`?",
        ),
        (
            "OPENAI_AGENTS__LIMITS__MAX_TURN",
            "unknown setting `limits.max_turn` (OPENAI_AGENTS__LIMITS__MAX_TURN); \
             did you mean `limits.max_turns`?",
        ),
        (
            "OPENAI_AGENTS__model",
            "unknown setting `OPENAI_AGENTS__model` (OPENAI_AGENTS__model); \
             did you mean `OPENAI_AGENTS__MODEL`?",
        ),
        (
            "OPENAI_AGENTS__MODEL__NAME",
            "unknown setting `OPENAI_AGENTS__MODEL__NAME` (OPENAI_AGENTS__MODEL__NAME); \
             did you mean `OPENAI_AGENTS__MODEL`?",
        ),
        (
            "OPENAI_AGENTS__",
            "unknown setting `OPENAI_AGENTS__` (OPENAI_AGENTS__)",
        ),
    ] {
        check_error(Loader::new().variable(name, "1"), expected);
    }
}

#[test]
fn section_that_is_null_is_as_one_that_is_not_there() {
    load(yaml("server:\ntrace: null"));
}

#[test]
fn wrong_values_are_errors_that_do_not_show_them() {
    const TEXT: &str = "text, and not empty (a number needs quotes to be text)";
    const COUNT: &str = "a whole number of at least 1";
    const URL: &str =
        "a URL that starts with http:// or https://, with a host and without a user name";
    for (text, key, expected) in [
        ("api_key: 0", "api_key", TEXT),
        ("api_key: [secret]", "api_key", TEXT),
        ("model: ''", "model", TEXT),
        ("model: 4", "model", TEXT),
        ("log_level: true", "log_level", TEXT),
        ("limits: secret", "limits", "a map of settings"),
        ("limits: {max_turns: -1}", "limits.max_turns", COUNT),
        ("limits: {max_turns: 1.5}", "limits.max_turns", COUNT),
        (
            "limits: {max_turns: 99999999999999999999}",
            "limits.max_turns",
            COUNT,
        ),
        ("base_url: secret", "base_url", URL),
        ("base_url: http://", "base_url", URL),
        ("base_url: http://me:secret@host/v1", "base_url", URL),
        ("base_url: ftp://host", "base_url", URL),
        (
            "model_api: secret",
            "model_api",
            "chat, responses or litellm",
        ),
        (
            "state_key: secret-15-bytes",
            "state_key",
            "at least 16 bytes long",
        ),
        (
            "max_concurrent_requests: 0",
            "max_concurrent_requests",
            COUNT,
        ),
    ] {
        check_error(
            yaml(text),
            &format!("`{key}` (./config.yaml:1) must be {expected}"),
        );
    }
}

#[test]
fn wrong_values_of_agents_are_errors_that_do_not_show_them() {
    for (text, key, expected) in [
        ("agents: {name: secret}", "agents", "a list of agents"),
        ("agents: [secret]", "agents[0]", "a map of settings"),
        (
            "agents: [{tools: []}]",
            "agents[0].name",
            "set: every agent has a name",
        ),
        (
            "agents: [{name: A, tools: secret}]",
            "agents[0].tools",
            "a list of texts",
        ),
        (
            "agents: [{name: A, tools: [1]}]",
            "agents[0].tools",
            "a list of texts",
        ),
        (
            "agents: [{name: A, settings: {temperature: secret}}]",
            "agents[0].settings.temperature",
            "a number",
        ),
        (
            "agents: [{name: A, settings: {parallel_tool_calls: 1}}]",
            "agents[0].settings.parallel_tool_calls",
            "true or false",
        ),
        (
            "agents: [{name: A, settings: {extra_body: secret}}]",
            "agents[0].settings.extra_body",
            "a map of JSON values",
        ),
        (
            "agents: [{name: A, tool_use_behavior: secret}]",
            "agents[0].tool_use_behavior",
            "run_llm_again, stop_on_first_tool, or a map with a list `stop_at_tools`",
        ),
    ] {
        check_error(
            yaml(text),
            &format!("`{key}` (./config.yaml:1) must be {expected}"),
        );
    }
}

#[test]
fn wrong_values_about_several_agents_are_errors_that_do_not_show_them() {
    const CHECKS: &str = "a map with one of `max_chars`, `deny` and `agent`";
    for (agent, key, expected) in [
        ("handoffs: secret", "handoffs", "a list of texts"),
        (
            "agents_as_tools: secret",
            "agents_as_tools",
            "a list of names of agents, or of maps with `agent`",
        ),
        (
            "agents_as_tools: [{name: secret}]",
            "agents_as_tools[0].agent",
            "set, to the name of an agent",
        ),
        (
            "needs_approval: secret",
            "needs_approval",
            "`always`, or a list of names of tools",
        ),
        (
            "output_schema: secret",
            "output_schema",
            "a map of JSON values",
        ),
        ("guardrails: secret", "guardrails", "a map of settings"),
        (
            "guardrails: {input: {deny: [secret]}}",
            "guardrails.input",
            "a list of guardrails",
        ),
        (
            "guardrails: {input: [[secret]]}",
            "guardrails.input[0]",
            "a map of settings",
        ),
        (
            "guardrails: {input: [{deny: [secret]}, {name: secret}]}",
            "guardrails.input[1]",
            CHECKS,
        ),
        (
            "guardrails: {output: [{deny: [secret], max_chars: 1}]}",
            "guardrails.output[0]",
            CHECKS,
        ),
        (
            "guardrails: {output: [{max_chars: 1, timing: blocking}]}",
            "guardrails.output[0].timing",
            "hold or concurrent",
        ),
    ] {
        check_error(
            yaml(&format!("agents: [{{name: A, {agent}}}]")),
            &format!("`agents[0].{key}` (./config.yaml:1) must be {expected}"),
        );
    }
}

#[test]
fn broken_files_are_errors_that_do_not_show_them() {
    for (text, expected) in [
        (
            "api_key: \"secret",
            "./config.yaml:1: this is not valid YAML",
        ),
        (
            "model: m\napi_key: sk: secret",
            "./config.yaml:2: this is not valid YAML",
        ),
        (
            "api_key: secret\napi_key: secret",
            "./config.yaml:2: a key appears twice",
        ),
        (
            "api_key: *secret",
            "./config.yaml:1: an alias refers to an anchor that does not exist",
        ),
        (
            "a: 1\n---\nb: 2",
            "./config.yaml:3: there is more than one YAML document",
        ),
        (
            "[secret]",
            "./config.yaml:1: the file must be a map of settings",
        ),
        (
            "secret",
            "./config.yaml:1: the file must be a map of settings",
        ),
        (
            "limits: {max_turns: .inf}",
            "./config.yaml:1: a number is not finite",
        ),
    ] {
        check_error(yaml(text), expected);
    }
    check_error(
        Loader::new().variable("OPENAI_AGENTS__LIMITS", "{secret"),
        "OPENAI_AGENTS__LIMITS: this is not valid YAML",
    );
    let deep = "[".repeat(100_000);
    assert!(matches!(yaml(&deep).load(), Err(ConfigError::Yaml { .. })));
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (before, name) in ('a'..'k').zip('b'..) {
        let aliases = vec![format!("*{before}"); 9].join(",");
        bomb.extend([&format!("{name}: &{name} [{aliases}]"), "\n"]);
    }
    assert!(matches!(yaml(&bomb).load(), Err(ConfigError::Yaml { .. })));
}

#[test]
fn a_malformed_dotenv_names_the_line_only() {
    let error = Loader::new()
        .dotenv("./.env", "A=1\nOPENAI_MODEL secret")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "./.env:2: `=` was expected after the variable name"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn agents_are_checked_together() {
    check_error(
        yaml("agents:\n  - name: A\n  - name: B\n  - name: A"),
        "two agents are called `A` (./config.yaml:2 and ./config.yaml:4)",
    );
    check_error(
        yaml("agents:\n  - name: A\n    instructions: file:none.md"),
        "`agents[0].instructions` (./config.yaml:3) names ./none.md, which cannot be read",
    );
}
