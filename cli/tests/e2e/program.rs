//! The program as the quickstart runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use openai_agents::http::HttpClient;
use openai_agents::model::{OpenAiChat, OpenAiResponses};
use openai_agents::tools::bundled::calculator::calculate;
use openai_agents::{Agent, Runner};
use serde_json::Value;

use crate::variable;

const PROMPT: &str = "What is the sum of 100 and 250?";

pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openai-agents"));
    // Without the files and settings of whoever runs the tests.
    command
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_clear()
        .args(arguments);
    for name in ["OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"] {
        command.env(name, variable(name));
    }
    command
}

fn succeed(arguments: &[&str]) -> Output {
    let output = program(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    output
}

#[test]
fn the_calculator_is_called_and_its_result_told() {
    for arguments in [
        &["run", "--json", PROMPT][..],
        &["run", "--json", "--no-stream", PROMPT],
    ] {
        let output = succeed(arguments);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of_type = |name: &str| -> Vec<&Value> {
            lines.iter().filter(|line| line["type"] == name).collect()
        };
        let calls = of_type("tool_called");
        assert!(!calls.is_empty(), "{stdout}");
        for call in calls {
            assert_eq!(call["name"], "calculator");
            let arguments: Value =
                serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
            let value = calculate(arguments["expression"].as_str().unwrap()).unwrap();
            assert!((value - 350.0).abs() < 1e-9, "{call}");
        }
        assert_eq!(of_type("tool_output")[0]["output"], "350");
        let result = lines.last().unwrap();
        assert_eq!(result["ok"], true);
        let answer = result["final_output"].as_str().unwrap();
        assert!(answer.contains("350"), "{answer}");
        let text: String = of_type("text_delta")
            .iter()
            .map(|line| line["delta"].as_str().unwrap())
            .collect();
        let is_streamed = !arguments.contains(&"--no-stream");
        assert_eq!(text, if is_streamed { answer } else { "" });
    }
}

#[test]
fn the_answer_alone_is_on_stdout() {
    let output = succeed(&["run", PROMPT]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("350") && stdout.ends_with('\n'), "{stdout}");
    assert!(!stdout.contains("calculator"), "{stdout}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("-> calculator {"), "{stderr}");
    assert!(stderr.contains("\n<- 350\n"), "{stderr}");
}

#[test]
fn the_server_is_checked() {
    let output = succeed(&["check"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("\nserver: answers\n"), "{stdout}");
    assert!(!stdout.contains(&variable("OPENAI_API_KEY")), "{stdout}");
}

/// Not by `check`: llama.cpp tells its models to anyone.
#[test]
fn a_wrong_key_is_refused() {
    let output = program(&["run", PROMPT])
        .env("OPENAI_API_KEY", "sk-wrong-0123456789")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    for expected in ["error: ", "401", "OPENAI_API_KEY"] {
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(!stderr.contains("sk-wrong"), "{stderr}");
}

/// The program, serving until this is dropped.
struct ServingProgram {
    child: Child,
    url: String,
}

impl ServingProgram {
    fn start() -> Self {
        let mut child = program(&["serve", "--bind", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let address = line.strip_prefix("serving on ").unwrap();
        let url = format!("{}/v1", address.split_once(": ").unwrap().0);
        Self { child, url }
    }
}

impl Drop for ServingProgram {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn an_agent_that_is_served_is_a_model_for_the_library() {
    let served = ServingProgram::start();
    let client = HttpClient::builder().idle_timeout(Duration::from_secs(300));
    let client = client.build().unwrap();
    let chat = OpenAiChat::builder(&served.url, "Assistant").http_client(client.clone());
    let responses = OpenAiResponses::builder(&served.url, "Assistant").http_client(client);
    let asker = Agent::builder("Asker").build().unwrap();
    for (api, runner) in [
        ("chat", Runner::new(chat.build().unwrap())),
        ("responses", Runner::new(responses.build().unwrap())),
    ] {
        // What the calculator said there is in the answer here.
        let answer = runner.run(&asker, PROMPT).await.unwrap();
        assert!(
            answer.final_output().contains("350"),
            "{api}: {}",
            answer.final_output()
        );
        assert_eq!((answer.turns(), answer.usage().requests), (1, 1), "{api}");
    }
}
