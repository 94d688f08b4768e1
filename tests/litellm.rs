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
use openai_agents::model::{
    Delivery, LiteLlm, LiteLlmApi, Model, OpenAiChat, OpenAiResponses, Providers,
};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunError, RunRequest, RunResult, Runner,
};

const PROMPT: &str = "What is the sum of 100 and 250?";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Addition {
    a: i64,
    b: i64,
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test is for: scripts/test --stage litellm")
    })
}

/// The model may share its cores with a compiler.
const PATIENCE: Duration = Duration::from_secs(300);

fn client() -> HttpClient {
    let client = HttpClient::builder().idle_timeout(PATIENCE);
    client.build().unwrap()
}

/// The proxy's model, by another name or with another key if given.
fn model(api: LiteLlmApi, name: Option<&str>, key: Option<&str>) -> LiteLlm {
    let name = name.map_or_else(|| variable("OPENAI_MODEL"), str::to_owned);
    let key = key.map_or_else(|| variable("OPENAI_API_KEY"), str::to_owned);
    LiteLlm::builder(variable("OPENAI_BASE_URL"), name)
        .api(api)
        .api_key(&*key)
        .http_client(client())
        .build()
        .unwrap()
}

/// An agent that can add, and how often it did.
fn adder() -> (Agent, Arc<AtomicUsize>) {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_calls);
    let add = FunctionTool::new("add", "Adds two numbers.", move |_cx, sum: Addition| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { sum.a.checked_add(sum.b).ok_or("too large") }
    })
    .unwrap();
    (Agent::builder("Adder").tool(add).build().unwrap(), n_calls)
}

/// Begins a run of the agent, answered whole or in pieces.
type Begin = fn(&Runner, &Agent) -> RunRequest;

const BOTH: [Begin; 2] = [
    |runner, agent| runner.run(agent, PROMPT),
    |runner, agent| runner.run(agent, PROMPT).delivery(Delivery::Stream),
];

/// Two turns: a call of the tool, and an answer that holds its result.
async fn tool_loop(model: Arc<dyn Model>, begin: Begin) -> RunResult {
    let (agent, n_calls) = adder();
    let result = begin(&Runner::shared(model), &agent).await.unwrap();
    assert_eq!(n_calls.load(Ordering::Relaxed), 1);
    assert_eq!(result.turns(), 2);
    assert!(
        result.final_output().contains("350"),
        "{}",
        result.final_output()
    );
    let usage = result.usage();
    assert_eq!((usage.requests, usage.requests_without_usage), (2, 0));
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    assert_eq!(result.deviations().next(), None);
    result
}

/// The items of a run, messages without text left out.
fn kinds(result: &RunResult) -> Vec<&str> {
    let kind = |item: &'_ Item| match item.kind() {
        ItemKind::FunctionCall(_) => "call",
        ItemKind::FunctionCallOutput(_) => "output",
        ItemKind::Message(_) => "message",
        _ => "other",
    };
    let said = |item: &&Item| item.assistant_text().as_deref() != Some("");
    result.items().iter().filter(said).map(kind).collect()
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
async fn a_tool_loop_runs_on_both_apis_whole_and_in_pieces() {
    for api in [LiteLlmApi::Chat, LiteLlmApi::Responses] {
        for begin in BOTH {
            let result = tool_loop(Arc::new(model(api, None, None)), begin).await;
            assert_eq!(result.items().len(), 3, "{:?}", result.items());
            assert_eq!(kinds(&result), ["call", "output", "message"]);
            check_request_ids(&result);
        }
    }
}

/// The proxy's own bridge from `/responses` to `/chat/completions` puts an empty message beside the call, before it in a whole
/// answer and behind it in a stream (1.101.6). It goes back with the rest, and the bridge takes it.
#[tokio::test]
async fn a_tool_loop_runs_over_the_bridge() {
    let name = variable("LITELLM_BRIDGE_MODEL");
    for begin in BOTH {
        let model = model(LiteLlmApi::Responses, Some(&name), None);
        let result = tool_loop(Arc::new(model), begin).await;
        assert_eq!(kinds(&result), ["call", "output", "message"]);
    }
}

/// The same program on each back end; the model's name is all that changes.
#[tokio::test]
async fn one_program_runs_on_all_back_ends() {
    let behind = || {
        (
            variable("MODEL_SERVER_BASE_URL"),
            variable("MODEL_SERVER_API_KEY"),
        )
    };
    let chat = move |name: &str| {
        let (url, key) = behind();
        let model = OpenAiChat::builder(url, name).api_key(&*key);
        model.http_client(client()).build()
    };
    let responses = move |name: &str| {
        let (url, key) = behind();
        let model = OpenAiResponses::builder(url, name).api_key(&*key);
        model.http_client(client()).build()
    };
    let litellm = |name: &str| Ok(model(LiteLlmApi::Chat, Some(name), None));
    let providers = Providers::new()
        .with_default(chat)
        .with("responses", responses)
        .and_then(|providers| providers.with("litellm", litellm))
        .unwrap();
    for name in ["local", "responses/local", "litellm/local"] {
        for begin in BOTH {
            let result = tool_loop(providers.model(name).unwrap(), begin).await;
            assert_eq!(kinds(&result), ["call", "output", "message"], "{name}");
        }
    }
}

async fn failure(api: LiteLlmApi, name: Option<&str>, key: Option<&str>) -> RunError {
    let runner = Runner::new(model(api, name, key));
    let error = runner.run(&adder().0, PROMPT).await.unwrap_err();
    let streamed = runner
        .run(&adder().0, PROMPT)
        .delivery(Delivery::Stream)
        .await
        .unwrap_err();
    assert_eq!(streamed.to_string(), error.to_string());
    error
}

#[tokio::test]
async fn a_wrong_model_is_an_error_in_the_words_of_litellm() {
    for (api, path) in [
        (LiteLlmApi::Chat, "/chat/completions"),
        (LiteLlmApi::Responses, "/responses"),
    ] {
        let error = failure(api, Some("no-such-model"), None).await;
        assert_eq!(
            (error.kind(), error.status()),
            (ErrorKind::ApiStatus, Some(400))
        );
        assert_eq!(
            error.to_string(),
            format!(
                "the server answered 400 Bad Request: {path}: Invalid model name passed in model=no-such-model. \
                 Call `/v1/models` to view available models for your key."
            )
        );
        let request_id = error.model_error().unwrap().request_id();
        assert_eq!(request_id.map(str::len), Some(36));
    }
}

/// Not 401: without a database LiteLLM cannot look a key up (1.101.6).
#[tokio::test]
async fn a_wrong_key_is_an_error_and_is_not_shown() {
    let key = "sk-someone-elses-key";
    for api in [LiteLlmApi::Chat, LiteLlmApi::Responses] {
        let error = failure(api, None, Some(key)).await;
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
}

/// The server behind keeps no conversation (llama.cpp b8156), and the proxy passes its words on.
#[tokio::test]
async fn a_chain_is_the_error_of_the_server_behind() {
    let runner = Runner::new(model(LiteLlmApi::Responses, None, None));
    let error = runner
        .run(&adder().0, PROMPT)
        .chain_responses()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::ApiStatus, Some(400))
    );
    assert!(
        error.to_string().contains("previous_response_id"),
        "{error}"
    );
}
