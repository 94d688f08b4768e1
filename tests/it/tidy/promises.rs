//! Every promise of SECURITY.md names the tests that hold it, and these are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a row of the table says.
struct PromiseRow<'a> {
    promise: &'a str,
    /// Files with the tests that they are to have.
    tests: Vec<(&'a str, Vec<&'a str>)>,
}

/// The numbers of the promises, and the rows of the table behind them.
fn read(page: &str) -> (Vec<&str>, Vec<PromiseRow<'_>>) {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let promises = page.lines().filter_map(|line| line.split_once(". "));
    let promises = promises.map(|(number, _)| number);
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", promise, tests, ""] if is_number(promise) => Some(PromiseRow {
                promise,
                tests: tests.split("; ").map(of_file).collect(),
            }),
            _ => None,
        }
    });
    (
        promises.filter(|it| is_number(it)).collect(),
        rows.collect(),
    )
}

fn of_file(text: &str) -> (&str, Vec<&str>) {
    let (file, tests) = text.split_once(": ").unwrap_or((text, ""));
    let tests = tests.split(", ").map(|test| test.trim_matches('`'));
    let tests = tests.filter(|test| !test.is_empty());
    (file.trim_matches('`'), tests.collect())
}

/// What is missing; `source` gives the text of a file.
fn check(page: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let (promises, rows) = read(page);
    let held: BTreeSet<&str> = rows.iter().map(|row| row.promise).collect();
    let mut complaints: Vec<String> = promises
        .iter()
        .filter(|promise| !held.contains(*promise))
        .map(|promise| format!("SECURITY.md: no test holds promise {promise}"))
        .collect();
    for row in &rows {
        if !promises.contains(&row.promise) {
            complaints.push(format!("SECURITY.md: there is no promise {}", row.promise));
        }
        for (file, tests) in &row.tests {
            let text = source(file).unwrap_or_default();
            let is_missing = |test: &&&str| !text.contains(&format!("fn {test}("));
            if tests.is_empty() {
                complaints.push(format!("SECURITY.md: `{file}` without a test"));
            }
            complaints.extend(
                tests
                    .iter()
                    .filter(is_missing)
                    .map(|test| format!("SECURITY.md: `{file}` has no test `{test}`")),
            );
        }
    }
    complaints
}

#[test]
fn promises_of_security_are_held_by_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let (promises, _) = read(&page);
    assert!(promises.len() > 10, "{promises:?}");
    let complaints = check(&page, |file| fs::read_to_string(root.join(file)).ok());
    super::assert_none(&complaints);
}

#[test]
fn the_check_of_promises_sees_what_is_missing() {
    let page = "1. One.\n2. Two.\n\n| 1 | `a.rs`: `known`, `gone`; `b.rs`: `x` |\n| 3 | `a.rs` |\n";
    let source = |file: &str| (file == "a.rs").then(|| "fn known() {}".to_owned());
    assert_eq!(
        check(page, source),
        [
            "SECURITY.md: no test holds promise 2",
            "SECURITY.md: `a.rs` has no test `gone`",
            "SECURITY.md: `b.rs` has no test `x`",
            "SECURITY.md: there is no promise 3",
            "SECURITY.md: `a.rs` without a test",
        ]
    );
}
