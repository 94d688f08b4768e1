//! The library, with a tool of the application's own.
use openai_agents::model::OpenAiChat;
use openai_agents::{Agent, FunctionTool, RunEvent, Runner};

use crate::variable;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Addends {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn a_tool_of_ones_own_is_called_in_a_stream() {
    let model = OpenAiChat::builder(variable("OPENAI_BASE_URL"), variable("OPENAI_MODEL"))
        .api_key(variable("OPENAI_API_KEY"))
        .build()
        .unwrap();
    let add = FunctionTool::new("add", "Add two numbers", async |_cx, sum: Addends| {
        sum.a.checked_add(sum.b).ok_or("too large")
    })
    .unwrap();
    let agent = Agent::builder("Guide").tool(add).build().unwrap();
    let mut stream = Runner::new(model)
        .run(&agent, "What is the sum of 100 and 250?")
        .stream();
    let (mut outputs, mut text, mut result) = (Vec::new(), String::new(), None);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            RunEvent::ToolOutputDone {
                name,
                output,
                failure,
                ..
            } => {
                outputs.push((name, output, failure));
            }
            RunEvent::TextDelta { delta } => text.push_str(&delta),
            RunEvent::RunDone { result: done } => result = Some(done),
            _ => {}
        }
    }
    assert_eq!(outputs, [("add".to_owned(), "350".to_owned(), None)]);
    let result = result.unwrap();
    assert!(result.final_output().contains("350"), "{text}");
    assert_eq!(text, result.final_output());
    assert_eq!(result.turns(), 2);
    assert_eq!(result.usage().requests, 2);
    assert_eq!(result.usage().requests_without_usage, 0);
}
