//! Shortened outputs against those of the Python SDK.

use super::*;

const GOLDEN: &str = include_str!("../../../tests/fixtures/python-parity/trim_golden.jsonl");

fn settings(given: &Value) -> TrimToolOutputs {
    let number = |key: &str| {
        let number = given.get(key).and_then(Value::as_u64);
        number.map(|number| usize::try_from(number).unwrap())
    };
    let mut trim = TrimToolOutputs::default();
    trim.recent_turns = number("recent_turns").unwrap_or(trim.recent_turns);
    trim.max_chars = number("max_output_chars").unwrap_or(trim.max_chars);
    trim.preview_chars = number("preview_chars").unwrap_or(trim.preview_chars);
    if let Some(tools) = given.get("trimmable_tools") {
        trim.tools = serde_json::from_value(tools.clone()).unwrap();
    }
    trim
}

#[test]
fn old_outputs_become_those_of_the_python_sdk() {
    for (n, line) in GOLDEN.lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        let list = |key: &str| -> Vec<Item> { serde_json::from_value(case[key].clone()).unwrap() };
        let ours = settings(&case["settings"]).trim(&list("in"));
        assert_eq!(ours, list("out"), "line {}", n + 1);
    }
}
