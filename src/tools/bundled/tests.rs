use serde_json::json;

use super::*;
use crate::tools::ToolName;
use crate::{RunContext, ToolContext};

async fn invoke(tool: &str, arguments: &str) -> String {
    let cx = ToolContext::new(
        RunContext::default(),
        "Guide",
        ToolName::new(tool).unwrap(),
        "call_1",
        arguments,
    );
    let result = registry().get(tool).unwrap().invoke(cx).await.into_output();
    match result {
        Ok(output) => output.to_json().as_str().unwrap().to_owned(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            cause.unwrap_or_else(|| error.to_string())
        }
    }
}

#[tokio::test]
async fn the_calculator_calculates() {
    for (arguments, expected) in [
        (r#"{"expression":"100 + 250"}"#, "350"),
        (
            r#"{"expression":"1 / 0"}"#,
            "division by zero at position 3",
        ),
    ] {
        assert_eq!(invoke("calculator", arguments).await, expected);
    }
}

#[tokio::test]
async fn the_clock_knows_time_zones() {
    for (arguments, expected) in [
        (r#"{"time_zone":"Europe/Rome"}"#, "[Europe/Rome]"),
        (r#"{"time_zone":null}"#, "[UTC]"),
        ("{}", "[UTC]"),
        (
            r#"{"time_zone":"Rome"}"#,
            "unknown time zone `Rome`; use an IANA name such as Europe/Paris",
        ),
    ] {
        let answer = invoke("current_time", arguments).await;
        assert!(answer.ends_with(expected), "{answer}");
    }
}

#[test]
fn the_model_is_told_the_names_that_it_must_use() {
    let told: Vec<_> = registry()
        .specs()
        .map(|spec| (spec.name.to_string(), spec.parameters["properties"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "calculator".to_owned(),
                json!({"expression": {
                    "type": "string",
                    "description": "Numbers with + - * / % ^, parentheses and functions such as sqrt; no words."
                }})
            ),
            (
                "current_time".to_owned(),
                json!({"time_zone": {
                    "type": ["string", "null"],
                    "description": "The IANA name of the time zone, such as Europe/Rome; null means UTC."
                }})
            ),
        ]
    );
}
