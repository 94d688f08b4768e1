//! Nothing is left of runs that are cancelled at random points.
#![cfg(test)]

use std::process::Command;

use serde_json::Value;

#[test]
fn cancelled_runs_leave_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_cancellations"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["orphan_calls"], 0);
    assert_eq!(report["tasks_left"], 0);
    assert!(
        report["cut_inside_an_answer"].as_u64() > Some(200),
        "{report}"
    );
}
