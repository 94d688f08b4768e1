//! The library over `/responses`, with a tool of the application's own.

use std::time::Duration;

use openai_agents::http::HttpClient;
use openai_agents::item::ItemKind;
use openai_agents::model::{Delivery, OpenAiResponses};
use openai_agents::{Agent, ErrorKind, FunctionTool, RunEvent, Runner};

use crate::variable;

const PROMPT: &str = "What is the sum of 100 and 250?";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Addends {
    a: i64,
    b: i64,
}

fn runner() -> Runner {
    // The model may share its cores with a compiler.
    let patience = Duration::from_secs(300);
    let client = HttpClient::builder().idle_timeout(patience);
    let model = OpenAiResponses::builder(variable("OPENAI_BASE_URL"), variable("OPENAI_MODEL"))
        .api_key(variable("OPENAI_API_KEY"))
        .http_client(client.build().unwrap());
    Runner::new(model.build().unwrap())
}

fn adder() -> Agent {
    let add = FunctionTool::new("add", "Add two numbers", async |_cx, sum: Addends| {
        sum.a.checked_add(sum.b).ok_or("too large")
    });
    Agent::builder("Adder").tool(add.unwrap()).build().unwrap()
}

#[tokio::test]
async fn a_tool_loop_runs_whole_and_in_pieces() {
    let (runner, adder) = (runner(), adder());
    for (request, is_streamed) in [
        (runner.run(&adder, PROMPT).delivery(Delivery::Whole), false),
        (runner.run(&adder, PROMPT).delivery(Delivery::Stream), true),
    ] {
        let mut stream = request.stream();
        let (mut text, mut arguments, mut result) = (String::new(), String::new(), None);
        while let Some(event) = futures_util::StreamExt::next(&mut stream).await {
            match event.unwrap() {
                RunEvent::TextDelta { delta } => text.push_str(&delta),
                RunEvent::ToolCallDelta { delta, .. } => arguments.push_str(&delta),
                RunEvent::RunDone { result: done } => result = Some(done),
                _ => {}
            }
        }
        let result = result.unwrap();
        let [call, output, answer] = result.items() else {
            panic!("{:?}", result.items());
        };
        let ItemKind::FunctionCall(call) = call.kind() else {
            panic!("{call:?}");
        };
        let sum: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(
            (call.name.as_str(), sum),
            ("add", serde_json::json!({ "a": 100, "b": 250 }))
        );
        assert!(output.to_json().contains(r#""output":"350""#), "{output:?}");
        assert_eq!(
            answer.assistant_text().as_deref(),
            Some(result.final_output())
        );
        assert!(result.final_output().contains("350"), "{answer:?}");
        let pieces = [call.arguments.as_str(), result.final_output()];
        assert_eq!(
            [&*arguments, &*text],
            if is_streamed { pieces } else { [""; 2] }
        );
        let usage = result.usage();
        assert_eq!((usage.requests, usage.requests_without_usage), (2, 0));
        assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
        assert_eq!(result.deviations().next(), None);
    }
}

/// This server keeps no conversation (llama.cpp b8156), and says so; it is not worked around.
#[tokio::test]
async fn a_chain_is_an_error_in_the_words_of_the_server() {
    let error = runner()
        .run(&adder(), PROMPT)
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
    // The turn before is not lost.
    assert_eq!(error.progress().items.len(), 2);
}
