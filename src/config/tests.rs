//! Sources in, settings or one error out.

use super::{Config, LimitsConfig, Loader, ModelApi};
use crate::ErrorKind;
use crate::model::{Dialect, ToolChoiceOverride};

mod agents;
mod environment;
mod errors;
mod places;
#[cfg(feature = "mcp-client")]
mod servers;
#[cfg(all(feature = "sqlite", feature = "openapi"))]
mod outside_tools;
mod wiring;
#[cfg(all(feature = "workspace", unix))]
mod workspace;
#[cfg(all(feature = "skills", unix))]
mod skills;

const KEY: &str = "sk-secret-0123456789";

fn yaml(text: &str) -> Loader {
    Loader::new().file("config.yaml", text)
}

fn variables(pairs: &[(&str, &str)]) -> Loader {
    pairs.iter().fold(Loader::new(), |loader, (name, value)| {
        loader.variable(name, *value)
    })
}

fn load(loader: Loader) -> Config {
    loader.load().unwrap()
}

fn settings(config: &Config) -> Vec<String> {
    config
        .origins()
        .iter()
        .map(|setting| format!("{} = {} ({})", setting.key, setting.value, setting.origin))
        .collect()
}

/// The one setting of a key, as `value (origin)`.
#[track_caller]
fn check(loader: Loader, key: &str, expected: &str) {
    let config = load(loader);
    let prefix = format!("{key} = ");
    let all = settings(&config);
    let found: Vec<&str> = all
        .iter()
        .filter_map(|line| line.strip_prefix(&prefix))
        .collect();
    assert_eq!(found, [expected], "{all:#?}");
}

/// The error, which has the kind `config` and names no value.
#[track_caller]
fn check_error(loader: Loader, expected: &str) {
    let error = loader.load().unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), ErrorKind::Config);
    for printed in [format!("{error:?}"), format!("{error:#?}")] {
        assert!(!printed.contains("secret"), "{printed}");
    }
}

#[test]
fn without_any_source_only_defaults_hold() {
    let config = load(Loader::new());
    assert_eq!(
        settings(&config),
        [
            "model_api = chat (default)",
            "timeouts.connect_secs = 5 (default)",
            "timeouts.first_event_secs = 600 (default)",
            "timeouts.idle_secs = 300 (default)",
            "timeouts.total_secs = none (default)",
            "log_level = warn (default)",
            "plugins_path = ~/.config/openai_agents/plugins (default)",
            "sessions.url = sqlite:~/.local/share/openai_agents/sessions.db (default)",
        ]
    );
    assert_eq!(config.model_api(), ModelApi::Chat);
    assert_eq!(config.plugins_path(), None);
    assert_eq!(*config.limits(), LimitsConfig::default());
    assert_eq!(*config.dialect(), Dialect::default());
    assert!(config.api_key().is_none());
    assert!(!config.file_exists());
}

#[test]
fn missing_setting_names_its_sources() {
    let config = load(Loader::new());
    assert_eq!(
        config.base_url().unwrap_err().to_string(),
        "no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url"
    );
    let config = load(
        Loader::new()
            .file("/etc/a.yaml", "")
            .variable("OPENAI_AGENTS_CONFIG", "/etc/a.yaml"),
    );
    assert_eq!(
        config.model().unwrap_err().to_string(),
        "no model: set OPENAI_MODEL, `model` in /etc/a.yaml, or --model"
    );
}

#[test]
fn a_later_layer_wins() {
    type Layer = fn(Loader) -> Loader;
    let layers: [(Layer, &str); 6] = [
        (|loader| loader, "file (./config.yaml:1)"),
        (
            |loader| loader.variable("OPENAI_AGENTS__MODEL", "prefixed"),
            "prefixed (OPENAI_AGENTS__MODEL)",
        ),
        (
            |loader| loader.dotenv("./.env", "\nOPENAI_MODEL=dotenv").unwrap(),
            "dotenv (OPENAI_MODEL in ./.env:2)",
        ),
        (
            |loader| loader.variable("OPENAI_MODEL", "named"),
            "named (OPENAI_MODEL)",
        ),
        (
            |loader| loader.flag("--model", "model", "flag"),
            "flag (--model)",
        ),
        (
            |loader| loader.variable("OPENAI_MODEL", ""),
            "flag (--model)",
        ),
    ];
    for n_layers in 1..=layers.len() {
        let mut loader = yaml("model: file");
        for (layer, _) in &layers[..n_layers] {
            loader = layer(loader);
        }
        check(loader, "model", layers[n_layers - 1].1);
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    check(
        yaml("model: file").variable("OPENAI_MODEL", ""),
        "model",
        "file (./config.yaml:1)",
    );
    check(
        Loader::new()
            .variable("OPENAI_MODEL", "")
            .dotenv("./.env", "OPENAI_MODEL=x")
            .unwrap(),
        "model",
        "x (OPENAI_MODEL in ./.env:1)",
    );
    check(
        yaml("model: file")
            .dotenv("./.env", "OPENAI_MODEL=")
            .unwrap()
            .variable("OPENAI_AGENTS_CONFIG", ""),
        "model",
        "file (./config.yaml:1)",
    );
}

#[test]
fn keys_have_types() {
    for (text, key, expected) in [
        ("model: m", "model", "m (./config.yaml:1)"),
        ("model: '4'", "model", "4 (./config.yaml:1)"),
        ("log_level: off", "log_level", "off (./config.yaml:1)"),
        ("\nlog_level: debug", "log_level", "debug (./config.yaml:2)"),
        (
            "limits:\n  max_turns: 3",
            "limits.max_turns",
            "3 (./config.yaml:2)",
        ),
        (
            "base_url: https://a.example/v1//",
            "base_url",
            "https://a.example/v1 (./config.yaml:1)",
        ),
        (
            "api_key: sk-secret-0123456789",
            "api_key",
            "(set, 20 characters) (./config.yaml:1)",
        ),
        ("model_api: chat", "model_api", "chat (./config.yaml:1)"),
        (
            "provider_name: groq",
            "provider_name",
            "groq (./config.yaml:1)",
        ),
        (
            "model: &m x\nlog_level: *m",
            "log_level",
            "x (./config.yaml:2)",
        ),
    ] {
        check(yaml(text), key, expected);
    }
}

#[test]
fn variables_reach_every_key() {
    for (name, value, key, expected) in [
        ("OPENAI_AGENTS__MODEL", "4", "model", "4"),
        (
            "OPENAI_AGENTS__API_KEY",
            KEY,
            "api_key",
            "(set, 20 characters)",
        ),
        (
            "OPENAI_AGENTS__LIMITS__MAX_TURNS",
            "3",
            "limits.max_turns",
            "3",
        ),
        (
            "OPENAI_AGENTS__LIMITS",
            "{max_turns: 4}",
            "limits.max_turns",
            "4",
        ),
        (
            "OPENAI_AGENTS__AGENTS",
            "[{name: A}]",
            "agents[0].name",
            "A",
        ),
        ("OPENAI_AGENTS__LOG_LEVEL", "info", "log_level", "info"),
        ("RUST_LOG", "trace", "log_level", "trace"),
        ("OPENAI_BASE_URL", "http://h", "base_url", "http://h"),
        ("OPENAI_API_KEY", KEY, "api_key", "(set, 20 characters)"),
        ("VLLM_FORCE_FUNCTIONS", "Yes", "VLLM_FORCE_FUNCTIONS", "Yes"),
    ] {
        let expected = format!("{expected} ({name})");
        check(Loader::new().variable(name, value), key, &expected);
    }
}

#[test]
fn nested_maps_are_merged() {
    let config = load(
        yaml("limits:\n  max_turns: 3\n  max_tool_calls: 9")
            .variable("OPENAI_AGENTS__LIMITS__MAX_TURNS", "5"),
    );
    assert_eq!(config.limits().max_turns, Some(5));
    assert_eq!(config.limits().max_tool_calls, Some(9));
}

#[test]
fn other_variables_do_not_matter() {
    load(variables(&[
        ("OPENAI_ORG_ID", "x"),
        ("OPENAI_AGENTS_DISABLE_TRACING", "1"),
        ("VLLM_LOGGING_LEVEL", "DEBUG"),
    ]));
}

#[test]
fn empty_files_are_fine() {
    for text in ["", "\n", "# nothing\n", "---\n", "{}", "null", "model:\n"] {
        let config = load(yaml(text));
        assert!(config.model().is_err(), "{text:?}");
        assert!(config.file_exists());
    }
}

#[test]
fn the_file_can_be_named() {
    for (loader, expected) in [
        (
            Loader::new().variable("OPENAI_AGENTS_CONFIG", "other.yaml"),
            "x (other.yaml:1)",
        ),
        (
            Loader::new()
                .dotenv(".env", "OPENAI_AGENTS_CONFIG=other.yaml")
                .unwrap(),
            "x (other.yaml:1)",
        ),
        (
            Loader::new()
                .variable("OPENAI_AGENTS_CONFIG", "missing.yaml")
                .config_file("--config", "other.yaml"),
            "x (other.yaml:1)",
        ),
        (
            Loader::new()
                .home("/home/me")
                .file("/home/me/a.yaml", "model: y")
                .variable("OPENAI_AGENTS_CONFIG", "~/a.yaml"),
            "y (/home/me/a.yaml:1)",
        ),
    ] {
        check(
            loader
                .file("other.yaml", "model: x")
                .file("config.yaml", "model: z"),
            "model",
            expected,
        );
    }
    for (loader, expected) in [
        (
            Loader::new().variable("OPENAI_AGENTS_CONFIG", "missing.yaml"),
            "the configuration file missing.yaml does not exist (OPENAI_AGENTS_CONFIG names it)",
        ),
        (
            Loader::new().config_file("--config", "missing.yaml"),
            "the configuration file missing.yaml does not exist (--config names it)",
        ),
    ] {
        check_error(loader, expected);
    }
}

#[test]
fn paths_know_the_home_and_the_file() {
    for (loader, expected) in [
        (Loader::new().home("/h"), "/h/.config/openai_agents/plugins"),
        (
            Loader::new()
                .home("/h")
                .variable("OPENAI_AGENTS__PLUGINS_PATH", "~/p"),
            "/h/p",
        ),
        (
            Loader::new().variable("OPENAI_AGENTS__PLUGINS_PATH", "p"),
            "p",
        ),
        (
            Loader::new()
                .file("dir/a.yaml", "plugins_path: p")
                .config_file("--config", "dir/a.yaml"),
            "dir/p",
        ),
        (yaml("plugins_path: /p"), "/p"),
    ] {
        assert_eq!(
            load(loader).plugins_path().unwrap().to_str(),
            Some(expected)
        );
    }
    check_error(
        yaml("plugins_path: ~/p"),
        "`plugins_path` (./config.yaml:1) needs the home directory, and HOME is not set",
    );
}

#[test]
fn switches_for_servers() {
    for text in ["1", "true", "TRUE", "yes", "On"] {
        assert!(
            load(Loader::new().variable("VLLM_MIN_PAYLOAD", text))
                .dialect()
                .min_payload
        );
    }
    for text in ["0", "false", "No", "OFF", ""] {
        assert!(
            !load(Loader::new().variable("VLLM_MIN_PAYLOAD", text))
                .dialect()
                .min_payload
        );
    }
    for (text, expected) in [
        ("auto", ToolChoiceOverride::Auto),
        ("none", ToolChoiceOverride::None),
        ("object:auto", ToolChoiceOverride::ObjectAuto),
        ("object:none", ToolChoiceOverride::ObjectNone),
    ] {
        let config = load(Loader::new().variable("VLLM_TOOL_CHOICE", text));
        assert_eq!(config.dialect().tool_choice, Some(expected));
    }
    assert_eq!(
        *load(variables(&[
            ("VLLM_MIN_PAYLOAD", "1"),
            ("VLLM_FORCE_FUNCTIONS", "1"),
            ("VLLM_DISABLE_PARALLEL_TOOL_CALLS", "1"),
            ("VLLM_DISABLE_TOOLS_IN_LLM", "1"),
            ("VLLM_DEBUG_PAYLOAD", "1"),
        ]))
        .dialect(),
        Dialect {
            min_payload: true,
            force_functions: true,
            send_parallel_tool_calls: false,
            tool_choice: None,
            send_tools: false,
            log_payload: true,
            ..Dialect::default()
        }
    );
    for name in [
        "VLLM_MIN_PAYLOAD",
        "VLLM_FORCE_FUNCTIONS",
        "VLLM_DISABLE_PARALLEL_TOOL_CALLS",
        "VLLM_DISABLE_TOOLS_IN_LLM",
        "VLLM_DEBUG_PAYLOAD",
    ] {
        check_error(
            Loader::new().variable(name, "secret"),
            &format!("`{name}` ({name}) must be 1, true, yes or on, or 0, false, no or off"),
        );
    }
    check_error(
        Loader::new().variable("VLLM_TOOL_CHOICE", "required"),
        "`VLLM_TOOL_CHOICE` (VLLM_TOOL_CHOICE) must be auto, none, object:auto or object:none",
    );
}

#[test]
fn debug_shows_no_secret() {
    let loader = || {
        yaml("api_key: sk-secret-0123456789")
            .variable("OPENAI_API_KEY", KEY)
            .flag("--api-key", "api_key", KEY)
    };
    let config = load(loader());
    assert_eq!(config.api_key().unwrap().expose(), KEY);
    assert!(!format!("{config:?}").contains("secret"));
    assert!(!format!("{:?}", loader()).contains("secret"));
}

/// The page says that it shows every key, and a key that does not exist would be an error.
#[test]
fn the_example_of_the_documentation_is_right() {
    let page = include_str!("../../docs/configuration.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    // The folders and files that it names have to be there.
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let example = example
        .replace("./skills", &format!("{fixtures}/skills"))
        .replace("./project", fixtures)
        .replace("./shop.db", &format!("{fixtures}/README.md"))
        .replace("./pets.yaml", &format!("{fixtures}/openapi/pets.yaml"));
    let config = load(yaml(&example).file("guide.md", "Guide.").home("/h"));
    if cfg!(feature = "bundled-tools") {
        config.check().unwrap();
    }
    assert_eq!(config.limits().max_seconds, Some(120));
    let agent = config.agent_config("Guide").unwrap();
    assert_eq!(agent.settings.extra_body["top_k"], 20);
}
