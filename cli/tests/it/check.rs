//! `openai-agents check`, and what holds for every command.

use std::fs;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::support::{Directory, KEY, check_output, on};

#[test]
fn every_setting_is_shown_with_its_origin() {
    let directory = Directory::new("origins")
        .file("config.yaml", "model: file\nlimits:\n  max_turns: 3\n")
        .file(".env", &format!("# the key\nOPENAI_API_KEY={KEY}\n"));
    let output = directory
        .program()
        .args(["--base-url", "http://127.0.0.1:1/v1/", "check"])
        .env("OPENAI_MODEL", "\u{1b}[31mred")
        .output()
        .unwrap();
    check_output(
        &output,
        2,
        "\
configuration file: ./config.yaml (read)

base_url                   http://127.0.0.1:1/v1                            --base-url
model                      \\u{1b}[31mred                                    OPENAI_MODEL
api_key                    (set, 20 characters)                             OPENAI_API_KEY in ./.env:2
model_api                  chat                                             default
timeouts.connect_secs      5                                                default
timeouts.first_event_secs  600                                              default
timeouts.idle_secs         300                                              default
timeouts.total_secs        none                                             default
log_level                  warn                                             default
plugins_path               ~/.config/openai_agents/plugins                  default
limits.max_turns           3                                                ./config.yaml:3
sessions.url               sqlite:~/.local/share/openai_agents/sessions.db  default

server: could not connect to 127.0.0.1:1: connection refused
hint: is the server running? the base URL is http://127.0.0.1:1/v1, from --base-url; \
it can be set by OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url
sessions: STORE will be created
"
        .replace("STORE", &store("origins"))
        .as_str(),
        "",
    );
}

fn store(name: &str) -> String {
    let folder = env!("CARGO_TARGET_TMPDIR");
    format!("sqlite:{folder}/{name}/.local/share/openai_agents/sessions.db")
}

#[test]
fn check_missing_settings_exits_2() {
    let directory = Directory::new("missing");
    let output = directory.program().arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("configuration file: ./config.yaml (not there)\n"));
    for line in [
        "missing: no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url",
        "missing: no model: set OPENAI_MODEL, `model` in ./config.yaml, or --model",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{stdout}");
    }
}

/// The end of the output, which is about the server.
async fn check_server(reply: Reply, code: i32, expected: &str) {
    let directory = Directory::new(&format!("check-server-{code}-{}", expected.len()));
    let server = FakeServer::start([reply]).await.unwrap();
    let output = on(&server, &directory, &["check"]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let (_, found) = stdout.split_once("\n\nserver: ").unwrap();
    let (found, _) = found.split_once("sessions: ").unwrap();
    assert_eq!(found.replace(&server.url(), "URL"), expected);
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(server.requests()[0].path, "/v1/models");
    let key = format!("Bearer {KEY}");
    assert_eq!(server.requests()[0].header("authorization"), Some(&*key));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_asked_for_its_models() {
    let models = |names: &[&str]| {
        let models: Vec<_> = names.iter().map(|name| json!({"id": name})).collect();
        Reply::json(&json!({"object": "list", "data": models}))
    };
    check_server(
        models(&["m", "n"]),
        0,
        "answers\nmodel: m is listed by the server\n",
    )
    .await;
    check_server(
        models(&["n", "o"]),
        0,
        "answers\nmodel: m is not listed by the server, which may know it all the same\nlisted: n, o\n",
    )
    .await;
    check_server(
        Reply::json(&json!({})),
        0,
        "answers, but not with a list of models; a run will show whether it has the model\n",
    )
    .await;
    check_server(
        Reply::status(401, format!("{{\"error\":{{\"message\":\"no {KEY}\"}}}}")),
        1,
        "answers with the error 401: no [redacted]\n\
         hint: the key is from OPENAI_API_KEY; it can be set by OPENAI_API_KEY, or `api_key` in ./config.yaml\n",
    )
    .await;
    check_server(
        Reply::status(404, "not here"),
        1,
        "answers with the error 404: not here\n\
         hint: the base URL is URL/v1, from OPENAI_BASE_URL; it can be set by OPENAI_BASE_URL, `base_url` in \
         ./config.yaml, or --base-url\n",
    )
    .await;
}

#[test]
fn check_wrong_setting_is_one_line_and_exits_2() {
    let directory = Directory::new("wrong")
        .file("config.yaml", &format!("api_key:\n  - {KEY}\n"))
        .file("typo.yaml", "modle: x\n")
        .file("fine.yaml", "");
    for (arguments, expected) in [
        (
            &["check"][..],
            "error: `api_key` (./config.yaml:2) must be text, and not empty (a number needs quotes to be text)\n",
        ),
        (
            &["check", "--config", "typo.yaml"],
            "error: unknown setting `modle` (typo.yaml:1); did you mean `model`?\n",
        ),
        (
            &["check", "--config", "none.yaml"],
            "error: the configuration file none.yaml does not exist (--config names it)\n",
        ),
        (
            &["check", "--config", "."],
            "error: cannot read .: it is a folder, and only a regular file is read here\n",
        ),
        (
            &[
                "check",
                "--config",
                "fine.yaml",
                "--base-url",
                "localhost:1",
            ],
            "error: `base_url` (--base-url) must be a URL that starts with http:// or https://, with a host and without a user name\n",
        ),
    ] {
        let output = directory.program().args(arguments).output().unwrap();
        check_output(&output, 2, "", expected);
    }
    let output = directory
        .program()
        .args(["check", "--config", "fine.yaml"])
        .env("RUST_LOG", "a=b=c")
        .output()
        .unwrap();
    check_output(
        &output,
        2,
        "",
        "error: `log_level` (RUST_LOG) must be a log filter, such as info or warn,openai_agents=debug\n",
    );
}

#[test]
fn a_malformed_dotenv_is_an_error_that_shows_no_value() {
    let directory = Directory::new("dotenv").file(".env", &format!("A=1\nOPENAI_API_KEY {KEY}\n"));
    let output = directory.program().arg("check").output().unwrap();
    check_output(
        &output,
        2,
        "",
        "error: ./.env:2: `=` was expected after the variable name\n",
    );
}

#[test]
fn wrong_usage_exits_2() {
    let directory = Directory::new("usage");
    for arguments in [&["--nonsense"][..], &["serve"], &["check", "more"], &[]] {
        let output = directory.program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("error: "), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_names_every_command() {
    let directory = Directory::new("help");
    let output = directory.program().arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    for line in [
        "serve     Serve the agents and tools to other programs; the default command",
        "run       Ask an agent and print its answer",
        "resume    Continue a run that was started with `run --durable`",
        "replay    Replay a run that `run --record` recorded, without a model",
        "reload    Reload the configuration of a running server",
        "sessions  List, show, delete and branch the conversations of `run --session`",
        "agents    List the agents, their tools and handoffs, and where each is defined",
        "tools     List all tools and the agents that have them",
        "check     Show every setting and its origin, what is missing, and whether the server answers",
    ] {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
}

/// A reader that goes away is no failure; /dev/full stands for one that is.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failure() {
    let directory = Directory::new("full");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = directory
        .program()
        .arg("check")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_quietly() {
    let directory = Directory::new("pipe");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = directory
        .program()
        .arg("check")
        .stdout(writer)
        .output()
        .unwrap();
    check_output(&output, 2, "", "");
}
