//! The library against the real LiteLLM proxy, in front of a real model.
//!
//! Run by `scripts/test --stage litellm`, or by `scripts/litellm run -- cargo test --test litellm`. The model is small: what it may be
//! asked is in docs/model-server.md.
#![cfg(test)]

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openai_agents::http::HttpClient;
use openai_agents::item::ItemKind;
use openai_agents::model::{LiteLlm, LiteLlmApi, Model, OpenAiChat};
use openai_agents::{Agent, ErrorKind, FunctionTool, RunError, RunRequest, RunResult, Runner};

const PROMPT: &str = "What is the sum of 100 and 250?";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Sum {
    a: i64,
    b: i64,
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test is for: scripts/test --stage litellm")
    })
}

/// The proxy's model, by another name or with another key if given.
fn model(name: Option<&str>, key: Option<&str>) -> OpenAiChat {
    let name = name.map_or_else(|| variable("OPENAI_MODEL"), str::to_owned);
    let key = key.map_or_else(|| variable("OPENAI_API_KEY"), str::to_owned);
    // The model may share its cores with a compiler.
    let client = HttpClient::builder().idle_timeout(Duration::from_secs(300));
    OpenAiChat::builder(variable("OPENAI_BASE_URL"), name)
        .api_key(&*key)
        .http_client(client.build().unwrap())
        .event_timeout(Duration::from_secs(300))
        .build()
        .unwrap()
}

/// An agent that can add, and how often it did.
fn adder() -> (Agent, Arc<AtomicUsize>) {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_calls);
    let add = FunctionTool::new("add", "Adds two numbers.", move |_cx, sum: Sum| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { sum.a.checked_add(sum.b).ok_or("too large") }
    })
    .unwrap();
    (Agent::builder("Adder").tool(add).build().unwrap(), n_calls)
}

/// Two turns: a call of the tool, and an answer that holds its result.
async fn check_tool_loop(
    model: impl Model + 'static,
    request: impl FnOnce(&Runner, &Agent) -> RunRequest,
) {
    let (agent, n_calls) = adder();
    let result: RunResult = request(&Runner::new(model), &agent).await.unwrap();
    assert_eq!(n_calls.load(Ordering::Relaxed), 1);
    assert_eq!(result.turns(), 2);
    let names: Vec<_> = result
        .items()
        .iter()
        // The bridge puts a message without text beside each call.
        .filter(|item| !matches!(item.kind(), ItemKind::Message(message) if message.text("").is_empty()))
        .map(|item| match item.kind() {
            ItemKind::FunctionCall(call) => call.name.as_str(),
            ItemKind::FunctionCallOutput(_) => "output",
            ItemKind::Message(_) => "message",
            _ => "other",
        })
        .collect();
    assert_eq!(names, ["add", "output", "message"]);
    assert!(
        result.final_output().contains("350"),
        "{}",
        result.final_output()
    );
    let usage = result.usage();
    assert_eq!((usage.requests, usage.requests_without_usage), (2, 0));
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    assert_eq!(result.deviations().next(), None);
    check_request_ids(&result);
}

/// LiteLLM names each request in `x-litellm-call-id`, a UUID.
#[track_caller]
fn check_request_ids(result: &RunResult) {
    let ids: Vec<_> = result
        .responses()
        .iter()
        .map(|end| end.request_id.as_deref().unwrap_or_default())
        .collect();
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_tool_loop_runs() {
    check_tool_loop(model(None, None), |runner, agent| runner.run(agent, PROMPT)).await;
}

#[tokio::test]
async fn a_tool_loop_streams() {
    check_tool_loop(model(None, None), |runner, agent| {
        runner.stream(agent, PROMPT)
    })
    .await;
}

/// The driver of `LiteLLM`, on the name whose `/responses` goes through the proxy's own bridge.
fn bridge() -> LiteLlm {
    LiteLlm::builder(
        variable("OPENAI_BASE_URL"),
        variable("LITELLM_BRIDGE_MODEL"),
    )
    .api(LiteLlmApi::Responses)
    .api_key(&*variable("OPENAI_API_KEY"))
    .event_timeout(Duration::from_secs(300))
    .build()
    .unwrap()
}

#[tokio::test]
async fn a_tool_loop_runs_through_the_bridge() {
    check_tool_loop(bridge(), |runner, agent| runner.run(agent, PROMPT)).await;
}

#[tokio::test]
async fn a_tool_loop_streams_through_the_bridge() {
    check_tool_loop(bridge(), |runner, agent| runner.stream(agent, PROMPT)).await;
}

async fn failure(name: Option<&str>, key: Option<&str>) -> RunError {
    let runner = Runner::new(model(name, key));
    let error = runner.run(&adder().0, PROMPT).await.unwrap_err();
    let streamed = runner.stream(&adder().0, PROMPT).await.unwrap_err();
    assert_eq!(streamed.to_string(), error.to_string());
    error
}

#[tokio::test]
async fn a_wrong_model_is_an_error_in_the_words_of_litellm() {
    let error = failure(Some("no-such-model"), None).await;
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::ApiStatus, Some(400))
    );
    assert_eq!(
        error.to_string(),
        "the server answered 400 Bad Request: /chat/completions: Invalid model name passed in model=no-such-model. \
         Call `/v1/models` to view available models for your key."
    );
    let request_id = error.model_error().unwrap().request_id();
    assert_eq!(request_id.map(str::len), Some(36));
}

/// Not 401: without a database LiteLLM cannot look a key up (1.101.6).
#[tokio::test]
async fn a_wrong_key_is_an_error_and_is_not_shown() {
    let key = "sk-someone-elses-key";
    let error = failure(None, Some(key)).await;
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::ApiStatus, Some(400))
    );
    assert_eq!(
        error.to_string(),
        "the server answered 400 Bad Request: No connected db."
    );
    assert_eq!(error.model_error().unwrap().code(), Some("400"));
    assert!(!format!("{error:?}").contains(key));
}
