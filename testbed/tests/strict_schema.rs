//! `strict_schema` answers the golden files as the Python Agents SDK does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const GOLDEN: &str = include_str!("../../tests/fixtures/strict/golden.jsonl");
const MORE: &str = include_str!("../../tests/fixtures/strict/more.jsonl");

fn run(input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_strict_schema"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that refuses a line stops reading, so a broken pipe is no failure here.
        stdin.write_all(input.as_bytes()).ok();
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn check(golden: &str) {
    let output = run(golden);
    assert!(output.status.success(), "{output:?}");
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), golden.lines().count());
    for (case, answer) in golden.lines().zip(answers.lines()) {
        let expected: Value = serde_json::from_str(case).unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["error"].as_str(), class(&expected), "{case}");
        // Text, so that the order of keys counts.
        assert_eq!(answer["ok"].to_string(), expected["ok"].to_string());
        assert_eq!(answer["error"].is_null(), answer["message"].is_null());
    }
}

/// Returns the class that the program should name; see `python_class` there.
fn class(case: &Value) -> Option<&str> {
    Some(match case["error"].as_str()? {
        "ValueError" | "UnicodeDecodeError" => "ValueError",
        "UserError" | "KeyError" | "AssertionError" | "TypeError" => "UserError",
        other => panic!("unknown class {other}"),
    })
}

#[test]
fn answers_the_golden_cases() {
    check(GOLDEN);
    check(MORE);
}

#[test]
fn refuses_a_line_that_holds_no_schema() {
    for (input, reason) in [
        ("{\"in\": {}}\nnonsense\n", "line 2: expected ident"),
        (
            "{\"schema\": {}}\n",
            "line 1: no \"in\" that holds a schema",
        ),
    ] {
        let output = run(input);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(reason), "{message}");
    }
}
