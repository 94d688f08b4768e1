//! A gpt-oss model behind raw completions: a run with a tool, whole and streamed.

use openai_agents::model::GptOssCompletions;
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{Agent, ErrorKind, Runner, tool};
use serde_json::{Value, json};

/// Returns the weather in a city.
#[tool]
async fn get_weather(
    /// The city.
    city: String,
) -> String {
    format!("sun in {city}")
}

const CALL: &str = "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\":\"Rome\"}";
const ANSWER: &str = "<|channel|>final<|message|>Sun.<|return|>";

fn chunk(text: &str, finish_reason: Option<&str>) -> Value {
    json!({"id": "cmpl-1", "choices": [{"index": 0, "text": text, "finish_reason": finish_reason}]})
}

/// The pieces of a text as a stream, and the end.
fn streamed(text: &str) -> Reply {
    let (first, second) = text.split_at(text.len() / 2 + 3);
    let chunks = [
        chunk(first, None),
        chunk(second, None),
        chunk("", Some("stop")),
    ];
    Reply::sse(
        chunks
            .iter()
            .map(Value::to_string)
            .chain(["[DONE]".to_owned()]),
    )
}

fn prompts(server: &FakeServer) -> Vec<String> {
    assert!(server.problems().is_empty(), "{:?}", server.problems());
    let bodies = server.requests().into_iter().map(|request| {
        assert_eq!(request.path, "/v1/completions");
        assert_eq!(request.header("authorization"), Some("Bearer sk-test"));
        request.json().unwrap()
    });
    bodies
        .map(|body| body["prompt"].as_str().unwrap().to_owned())
        .collect()
}

async fn answer_of(server: &FakeServer, is_streamed: bool) -> String {
    let model = GptOssCompletions::builder(server.url() + "/v1", "gpt-oss-20b")
        .api_key("sk-test")
        .current_date("2026-11-22")
        .build()
        .unwrap();
    let agent = Agent::builder("Guide")
        .instructions("Use your tools.")
        .tool(get_weather)
        .build()
        .unwrap();
    let runner = Runner::new(model);
    if is_streamed {
        let run = runner.run(&agent, "Weather in Rome?").stream();
        return run.finish().await.unwrap().final_output().to_owned();
    }
    let result = runner.run(&agent, "Weather in Rome?").await.unwrap();
    result.final_output().to_owned()
}

#[tokio::test]
async fn a_run_with_a_tool_is_the_same_whole_and_streamed() {
    let whole = FakeServer::start([
        Reply::json(&chunk(CALL, Some("stop"))),
        Reply::json(&chunk(ANSWER, Some("stop"))),
    ])
    .await
    .unwrap();
    let stream = FakeServer::start([streamed(CALL), streamed(ANSWER)])
        .await
        .unwrap();
    assert_eq!(answer_of(&whole, false).await, "Sun.");
    assert_eq!(answer_of(&stream, true).await, "Sun.");
    let sent = prompts(&whole);
    assert_eq!(sent, prompts(&stream));
    let [first, second] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    let turn = first.strip_suffix("<|start|>assistant").unwrap();
    let expect = format!(
        "{turn}<|start|>assistant<|channel|>analysis<|message|>Look.<|end|>\
         <|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{{\"city\":\"Rome\"}}<|call|>\
         <|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>sun in Rome<|end|><|start|>assistant"
    );
    assert_eq!(*second, expect);
}

#[tokio::test]
async fn unsupported_request_is_refused() {
    let server = FakeServer::start([]).await.unwrap();
    let model = GptOssCompletions::builder(server.url() + "/v1", "gpt-oss-20b")
        .build()
        .unwrap();
    let agent = Agent::builder("Guide").build().unwrap();
    let error = Runner::new(model)
        .run(&agent, "hi")
        .chain_responses()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("that the server keeps"),
        "{error}"
    );
    assert!(server.requests().is_empty());
}
