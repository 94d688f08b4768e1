use serde_json::Value;

use super::*;

const GOLDEN: &str = include_str!("../../tests/fixtures/strict/golden.jsonl");

/// The class of the Python SDK's exception for an error.
fn python_class(error: &SchemaError) -> &'static str {
    match error {
        SchemaError::RefOutside { .. } => "ValueError",
        _ => "UserError",
    }
}

fn check(line: &str) {
    let case: Value = serde_json::from_str(line).unwrap();
    let result = strict(case["in"].clone());
    match (&case["ok"], result) {
        (Value::Null, Err(error)) => assert_eq!(case["error"], python_class(&error), "{line}"),
        // Text, so that the order of keys counts.
        (expected, Ok(ok)) => assert_eq!(expected.to_string(), ok.to_string(), "{line}"),
        (_, Err(error)) => panic!("{error}: {line}"),
    }
}

#[test]
fn agrees_with_the_golden_cases() {
    for line in GOLDEN.lines() {
        check(line);
    }
}
