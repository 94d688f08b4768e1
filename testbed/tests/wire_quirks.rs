//! The library against the recorded behaviours of OpenAI-compatible servers, one client process per case.
//!
//! The judge watches the wire from outside: hidden retries, leaked keys, hangs and memory show there and nowhere else.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

#[test]
fn every_chat_case_is_handled() {
    judge("chat");
}

#[test]
fn every_responses_case_is_handled() {
    judge("responses");
}

/// Runs the judge over all cases of one endpoint; it prints a line per failure and a summary.
#[track_caller]
fn judge(endpoint: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire-quirks");
    let output = Command::new("python3")
        .arg(fixtures.join("judge.py"))
        .args([
            "--cmd",
            env!("CARGO_BIN_EXE_quirk_client"),
            "--endpoint",
            endpoint,
        ])
        // Twice the time each case allows: a busy machine is not what is judged here.
        .args(["--jobs", "4", "--scale", "2"])
        .output()
        .expect("python3 runs the judge and must be installed");
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{endpoint}: {}\n{errors}",
        report.lines().last().unwrap_or("no report")
    );
}
