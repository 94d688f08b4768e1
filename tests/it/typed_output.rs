//! Final outputs that are values of a type.

use std::collections::{BTreeMap, HashMap};

use openai_agents::agent::runner::InvalidOutput;
use openai_agents::agent::{AgentError, OutputMode, OutputType};
use openai_agents::model::{Delivery, OpenAiChat, OpenAiResponses};
use openai_agents::schema::SchemaError;
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, RunFailure, RunResult, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::instant;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct TypedReport {
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
        .output::<TypedReport>()
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
    let report: TypedReport = result.output().unwrap();
    assert_eq!(
        report,
        TypedReport {
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
    let model = OpenAiResponses::builder(server.url(), "m").build().unwrap();
    let result = Runner::new(model).run(&analyst(), "go").await.unwrap();
    assert_eq!(result.output::<TypedReport>().unwrap().n_findings, 0);
    let format = json!({"type": "json_schema", "name": "final_output", "strict": true, "schema": report_schema()});
    assert_eq!(
        server.requests()[0].json().unwrap()["text"]["format"],
        format
    );
}

#[tokio::test]
async fn output_type_that_is_no_object_is_wrapped() {
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
async fn output_of_wrong_type_is_an_error_with_the_text() {
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
        .output::<TypedReport>()
        .tool(instant("look", "fine"))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text(REPORT),
    ]);
    let result = Runner::new(model)
        .run(&agent, "go")
        .delivery(Delivery::Stream)
        .await
        .unwrap();
    assert_eq!(result.output::<TypedReport>().unwrap().n_findings, 0);
}

#[tokio::test]
async fn a_server_without_schemas_is_told_in_words() {
    let agent = Agent::builder("A")
        .instructions("Be brief.")
        .output_by::<TypedReport>(OutputMode::Prompted)
        .build()
        .unwrap();
    let model = ScriptedModel::text(REPORT);
    let result = Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(result.output::<TypedReport>().unwrap().n_findings, 0);
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

/// A schema in which one property may be left out.
fn loose_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "a": { "type": "integer" },
            "more": { "type": "array", "items": { "type": "object", "properties": { "b": { "enum": ["x", "y"] } } } },
        },
        "required": ["a"],
    })
}

/// Runs an agent of an output type; the final output, or what is wrong with the text.
async fn ended(output: &OutputType, text: &str) -> Result<String, String> {
    let agent = Agent::builder("A").output_type(output.clone());
    let runner = Runner::new(ScriptedModel::text(text));
    let ended = runner.run(&agent.build().unwrap(), "go").await;
    ended.map(RunResult::into_final_output).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidOutput, "{error}");
        let RunFailure::InvalidOutput { text: kept, .. } = error.failure() else {
            panic!("{error}")
        };
        assert_eq!(kept, text);
        error.to_string()
    })
}

#[tokio::test]
async fn an_answer_is_checked_against_a_schema_of_run_time() {
    const NOT: &str = "agent `A`: the final output is not what was asked for: ";
    for mode in [OutputMode::Native, OutputMode::Prompted] {
        for output in [
            OutputType::of_schema(loose_schema(), mode).unwrap(),
            OutputType::of_schema_non_strict(loose_schema(), mode).unwrap(),
        ] {
            for fits in [
                r#"{"a": 1}"#,
                r#"{"a": 1, "more": [{"b": "x"}], "c": null}"#,
            ] {
                assert_eq!(ended(&output, fits).await.as_deref(), Ok(fits));
            }
            for (text, detail) in [
                (r#"{"b": "..."}"#, r#""a" is a required property"#),
                ("[1]", r#"the value is not of type "object""#),
                (
                    r#"{"a": "1"}"#,
                    r#"at `/a`: the value is not of type "integer""#,
                ),
                (
                    r#"{"a": 1, "more": [{}, {"b": "z"}]}"#,
                    r#"at `/more/1/b`: the value is not one of "x" or "y""#,
                ),
                ("no", "expected ident at line 1 column 2"),
                (
                    r#"{"a": 1} and more"#,
                    "trailing characters at line 1 column 10",
                ),
            ] {
                let told = ended(&output, text).await.unwrap_err();
                assert_eq!(told, format!("{NOT}{detail}"));
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_answer_is_told_to_the_model_with_its_place() {
    let agent = Agent::builder("A")
        .output_schema(loose_schema())
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::text(r#"{"a": "1"}"#),
        ScriptedTurn::text(r#"{"a": 1}"#),
    ]);
    let runner = Runner::new(model.clone()).invalid_output(InvalidOutput::AskAgain { max: 1 });
    let result = runner.run(&agent, "go").await.unwrap();
    assert_eq!(result.final_output(), r#"{"a": 1}"#);
    let told = model.requests()[1].items[2].to_json().to_owned();
    assert!(told.contains("at `/a`: the value is not of type"), "{told}");
}

#[test]
fn output_schema_that_is_invalid_is_refused_at_build() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "whole number" } } });
    let error = Agent::builder("A")
        .output_schema(schema)
        .build()
        .unwrap_err();
    assert!(
        matches!(
            &error,
            AgentError::Output {
                source: SchemaError::Invalid { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Nested {
    #[serde(rename = "list")]
    _list: Vec<TypedReport>,
}

#[tokio::test]
async fn a_typed_answer_that_does_not_fit_names_its_place() {
    let output = OutputType::of::<Nested>(OutputMode::Native).unwrap();
    let told = ended(
        &output,
        r#"{"list": [{"summary": "x", "n_findings": "0"}]}"#,
    )
    .await;
    let told = told.unwrap_err();
    assert!(
        told.contains("at `list[0].n_findings`: invalid type"),
        "{told}"
    );
    let list = OutputType::of::<Vec<u8>>(OutputMode::Native).unwrap();
    let told = ended(&list, r#"{"response": [1, "2"]}"#).await.unwrap_err();
    assert!(told.contains("at `[1]`: invalid type"), "{told}");
}

#[tokio::test]
async fn a_map_is_an_output_type_that_is_not_strict() {
    let agent = Agent::builder("A")
        .output_non_strict::<BTreeMap<String, u32>>()
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::text(r#"{"a": 1, "b": 2}"#),
        ScriptedTurn::text(r#"{"a": "1"}"#),
    ]);
    let runner = Runner::new(model.clone());
    let result = runner.run(&agent, "go").await.unwrap();
    let map: BTreeMap<String, u32> = result.output().unwrap();
    assert_eq!(
        map,
        BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)])
    );
    let format = model.requests()[0].output.clone().unwrap();
    assert!(!format.strict);
    assert_eq!(format.schema["additionalProperties"]["type"], "integer");
    let error = runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOutput);
}

#[test]
fn a_type_without_a_strict_schema_is_refused() {
    let error = Agent::builder("A")
        .output::<HashMap<String, String>>()
        .build()
        .unwrap_err();
    assert!(matches!(error, AgentError::Output { .. }), "{error:?}");
    assert!(error.to_string().contains("`output_non_strict`"), "{error}");
}
