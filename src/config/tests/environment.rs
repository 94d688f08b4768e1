//! Time-outs, variables in the file, `.env` beside other programs, and files that are none.

use std::time::Duration;

use super::{load, settings, yaml};
use crate::config::{Config, Loader, TimeoutsConfig};

fn failure(loader: Loader) -> String {
    loader.load().unwrap_err().to_string()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn timeouts(config: &Config) -> [Option<Duration>; 4] {
    let TimeoutsConfig {
        connect,
        first_event,
        idle,
        total,
    } = *config.timeouts();
    [connect, first_event, idle, total]
}

#[test]
fn timeouts_come_from_file_variable_and_flag() {
    let default = [
        Some(seconds(5.0)),
        Some(seconds(600.0)),
        Some(seconds(300.0)),
        None,
    ];
    assert_eq!(timeouts(&load(Loader::new())), default);
    let loader = yaml("timeouts: { connect_secs: 0.5, first_event_secs: none, total_secs: 90 }")
        .variable("OPENAI_AGENTS__TIMEOUTS__IDLE_SECS", "20")
        .variable("OPENAI_AGENTS__TIMEOUTS__TOTAL_SECS", "none")
        .flag("--connect-timeout", "timeouts.connect_secs", "7");
    let config = load(loader);
    assert_eq!(
        timeouts(&config),
        [Some(seconds(7.0)), None, Some(seconds(20.0)), None]
    );
    let shown: Vec<String> = settings(&config)
        .into_iter()
        .filter(|line| line.starts_with("timeouts"))
        .collect();
    assert_eq!(
        shown,
        [
            "timeouts.connect_secs = 7 (--connect-timeout)",
            "timeouts.first_event_secs = none (./config.yaml:1)",
            "timeouts.idle_secs = 20 (OPENAI_AGENTS__TIMEOUTS__IDLE_SECS)",
            "timeouts.total_secs = none (OPENAI_AGENTS__TIMEOUTS__TOTAL_SECS)",
        ]
    );
    for value in ["0", "-1", "soon", "true", "[1]", "1e300"] {
        assert_eq!(
            failure(yaml(&format!("timeouts:\n  idle_secs: {value}"))),
            "`timeouts.idle_secs` (./config.yaml:2) must be a number of seconds above 0, or none",
            "{value}"
        );
    }
}

const NESTED: &str = "
model: ${MODEL}-large
api_key: a$$b$c${KEY}
agents:
  - name: A
    instructions: costs $$5, ${GREETING}
    settings: { stop: ['${STOP}'], extra_body: { deep: [ { x: '${DEEP}' } ] } }
";

#[test]
fn a_variable_stands_in_any_value_of_the_file() {
    let loader = yaml(NESTED)
        .variable("MODEL", "m")
        .variable("KEY", "k$${MODEL}")
        .dotenv("./.env", "GREETING=hi\nMODEL=other\nSTOP=END\nDEEP=d")
        .unwrap();
    let config = load(loader);
    assert_eq!(config.model().unwrap(), "m-large");
    // What a variable holds is not looked into again.
    assert_eq!(config.api_key().unwrap().expose(), "a$b$ck$${MODEL}");
    let agent = config.agent_config("A").unwrap();
    assert_eq!(agent.instructions.as_deref(), Some("costs $5, hi"));
    assert_eq!(
        agent.settings.stop.as_deref(),
        Some(&["END".to_owned()][..])
    );
    assert_eq!(agent.settings.extra_body["deep"][0]["x"], "d");
}

#[test]
fn a_variable_that_is_not_set_is_an_error_at_its_place() {
    for (text, expected) in [
        (
            "model: m\napi_key: ${KEY}",
            "`api_key` (./config.yaml:2) names the variable KEY, which is not set (`$$` is a dollar)",
        ),
        (
            "agents:\n  - name: A\n    tools:\n      - ${EMPTY}",
            "`agents[0].tools[0]` (./config.yaml:4) names the variable EMPTY, which is not set (`$$` is a dollar)",
        ),
    ] {
        assert_eq!(failure(yaml(text).variable("EMPTY", "")), expected);
    }
    for value in ["${", "${}", "${A", "${A-b}", "${1}", "x${A B}"] {
        assert_eq!(
            failure(yaml(&format!("api_key: '{value}'")).variable("A", "1")),
            "`api_key` (./config.yaml:1) must be without `${`, or with the name of a variable in the braces, as in ${NAME} (`$$` is a dollar)",
            "{value}"
        );
    }
}

#[test]
fn environment_value_is_not_substituted() {
    let loader = yaml("api_key: ${UNSET}").variable("OPENAI_API_KEY", "k${X}");
    assert_eq!(load(loader).api_key().unwrap().expose(), "k${X}");
}

#[test]
fn a_dotenv_of_other_programs_stops_nothing() {
    let text =
        "export PATH_X\nJSON={\n  \"a\": 1\n}\nBAD='open\n: colon\nOPENAI_MODEL = m # mine\n";
    let loader = Loader::new().dotenv("./.env", text).unwrap();
    assert_eq!(load(loader).model().unwrap(), "m");
    let error = Loader::new().dotenv("./.env", "A='open\nexport OPENAI_MODEL m\n");
    assert_eq!(
        error.unwrap_err().to_string(),
        "./.env:2: `=` was expected after the variable name"
    );
    let latin = "NAME=J\u{fffd}rg\nOPENAI_MODEL=\u{fffd}";
    let error = Loader::new().dotenv("./.env", latin);
    assert_eq!(
        error.unwrap_err().to_string(),
        "./.env:2: the value is not UTF-8"
    );
}

#[test]
fn many_unknown_keys_are_counted_and_the_first_named() {
    assert_eq!(
        failure(yaml("modle: a\nx: 1")),
        "unknown settings: `modle` (./config.yaml:1; did you mean `model`?), `x` (./config.yaml:2)"
    );
    let many: Vec<String> = (0..80_000).map(|n| format!("key_{n}: 1")).collect();
    let message = failure(yaml(&many.join("\n")));
    assert!(
        message.starts_with("unknown settings: `key_0` (./config.yaml:1), "),
        "{message}"
    );
    assert!(
        message.ends_with("`key_9` (./config.yaml:10), and 79990 more"),
        "{message}"
    );
}

#[test]
fn the_redactor_knows_every_secret_of_the_configuration() {
    let config = load(yaml(
        "
api_key: key-of-server
base_url: http://h/v1?token=key-of-query
state_key: key-of-the-states
sessions: { url: 'postgres://u:key-of-store@h/d', encryption_key: key-of-sessions-of-32-bytes-or-more }
server: { token: key-of-this-server }
",
    ));
    let text = "key-of-server key-of-query key-of-the-states key-of-store \
                key-of-sessions-of-32-bytes-or-more key-of-this-server";
    let redacted = config.redactor().redact(text);
    assert_eq!(redacted, ["[redacted]"; 6].join(" "));
    let shown = settings(&config).join("\n");
    assert!(
        shown.contains("base_url = http://h/v1?token=.. (./config.yaml:3)"),
        "{shown}"
    );
    assert!(!shown.contains("key-of"), "{shown}");
}
