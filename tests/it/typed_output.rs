//! Final outputs that are values of a type.

use std::collections::HashMap;

use openai_agents::agent::{AgentError, OutputMode};
use openai_agents::model::{GptOssResponses, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, RunFailure, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::instant;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Report {
    /// One sentence.
    summary: String,
    n_findings: u32,
}

/// A type whose schema is a union that refers to itself.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
enum Tree {
    Leaf(i64),
    Pair(Box<Self>, Box<Self>),
}

fn report_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "summary": {"description": "One sentence.", "type": "string"},
            "n_findings": {"type": "integer", "minimum": 0},
        },
        "required": ["summary", "n_findings"],
        "additionalProperties": false,
    })
}

fn analyst() -> Agent {
    Agent::builder("Analyst")
        .instructions("Be brief.")
        .output::<Report>()
        .build()
        .unwrap()
}

const REPORT: &str = r#"{"summary": "All is well.", "n_findings": 0}"#;

#[tokio::test]
async fn a_chat_server_is_told_the_form_and_the_value_is_read() {
    let answer = json!({"choices": [{"message": {"content": REPORT}, "finish_reason": "stop"}]});
    let server = FakeServer::start([Reply::json(&answer)]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let result = Runner::new(model).run(&analyst(), "go").await.unwrap();
    let report: Report = result.output().unwrap();
    assert_eq!(
        report,
        Report {
            summary: "All is well.".to_owned(),
            n_findings: 0
        }
    );
    let schema = json!({"name": "final_output", "strict": true, "schema": report_schema()});
    assert_eq!(
        server.requests()[0].json().unwrap()["response_format"],
        json!({"type": "json_schema", "json_schema": schema})
    );
}

#[tokio::test]
async fn a_responses_server_is_told_the_form() {
    let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": REPORT}]});
    let answer = json!({"id": "r", "status": "completed", "output": [message]});
    let server = FakeServer::start([Reply::json(&answer)]).await.unwrap();
    let model = GptOssResponses::builder(server.url(), "m").build().unwrap();
    let result = Runner::new(model).run(&analyst(), "go").await.unwrap();
    assert_eq!(result.output::<Report>().unwrap().n_findings, 0);
    let format = json!({"type": "json_schema", "name": "final_output", "strict": true, "schema": report_schema()});
    assert_eq!(
        server.requests()[0].json().unwrap()["text"]["format"],
        format
    );
}

#[tokio::test]
async fn what_is_no_object_is_wrapped_and_unwrapped() {
    let list = Agent::builder("A").output::<Vec<u8>>().build().unwrap();
    let model = ScriptedModel::text(r#"{"response": [1, 2]}"#);
    let result = Runner::new(model.clone()).run(&list, "go").await.unwrap();
    assert_eq!(result.output::<Vec<u8>>().unwrap(), [1, 2]);
    let schema = model.requests()[0].output.as_ref().unwrap().schema.clone();
    assert_eq!(schema["required"], json!(["response"]));

    let tree = Agent::builder("A").output::<Tree>().build().unwrap();
    let text = r#"{"response": {"Pair": [{"Leaf": 1}, {"Leaf": 2}]}}"#;
    let model = ScriptedModel::text(text);
    let result = Runner::new(model.clone()).run(&tree, "go").await.unwrap();
    let pair = Tree::Pair(Box::new(Tree::Leaf(1)), Box::new(Tree::Leaf(2)));
    assert_eq!(result.output::<Tree>().unwrap(), pair);
    let schema = model.requests()[0]
        .output
        .as_ref()
        .unwrap()
        .schema
        .to_string();
    assert!(!schema.contains(r##""$ref":"#""##), "{schema}");
}

#[tokio::test]
async fn what_is_not_of_the_type_is_an_error_with_the_text() {
    for text in [
        "All is well.",
        "```json\n{\"summary\": \"x\", \"n_findings\": 0}\n```",
        r#"{"summary": "x", "n_findings": "0"}"#,
        r#"{"summary": "x"}"#,
        r#"{"summary": "x", "n_findings": 0} and more"#,
    ] {
        let error = Runner::new(ScriptedModel::text(text))
            .run(&analyst(), "go")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOutput, "{text}");
        let RunFailure::InvalidOutput {
            text: told, agent, ..
        } = error.failure()
        else {
            panic!("{error:?}")
        };
        assert_eq!((told.as_str(), agent.as_str()), (text, "Analyst"));
        assert_eq!(error.progress().items.len(), 1);
    }
}

#[tokio::test]
async fn only_the_final_text_is_held_to_the_type() {
    let agent = Agent::builder("A")
        .output::<Report>()
        .tool(instant("look", "fine"))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text(REPORT),
    ]);
    let result = Runner::new(model).stream(&agent, "go").await.unwrap();
    assert_eq!(result.output::<Report>().unwrap().n_findings, 0);
}

#[tokio::test]
async fn a_server_without_schemas_is_told_in_words() {
    let agent = Agent::builder("A")
        .instructions("Be brief.")
        .output_by::<Report>(OutputMode::Prompted)
        .build()
        .unwrap();
    let model = ScriptedModel::text(REPORT);
    let result = Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(result.output::<Report>().unwrap().n_findings, 0);
    let request = model.requests().remove(0);
    assert!(request.output.is_none());
    let instructions = request.instructions.as_deref().unwrap();
    assert!(
        instructions.starts_with("Be brief.\n\nWrite your final answer as one JSON value"),
        "{instructions}"
    );
    let (_, schema) = instructions.rsplit_once('\n').unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(schema).unwrap(),
        report_schema()
    );
}

#[tokio::test]
async fn a_schema_of_run_time_takes_any_json() {
    let agent = Agent::builder("A")
        .output_schema(report_schema())
        .build()
        .unwrap();
    let result = Runner::new(ScriptedModel::text(REPORT))
        .run(&agent, "go")
        .await
        .unwrap();
    assert_eq!(
        result
            .output::<Value>()
            .map(|value| value["n_findings"].clone())
            .unwrap_or_default(),
        json!(0)
    );
    let error = Runner::new(ScriptedModel::text("no"))
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOutput);
}

#[test]
fn a_type_without_a_strict_schema_is_refused() {
    let error = Agent::builder("A")
        .output::<HashMap<String, String>>()
        .build()
        .unwrap_err();
    assert!(matches!(error, AgentError::Output { .. }), "{error:?}");
}
