//! Runs that wait for a place at the model are few bytes, and the server never sees more than the limit.

// The program reads its memory from /proc.
#![cfg(all(test, target_os = "linux"))]

use std::process::Command;

use serde_json::Value;

/// What a waiting run may cost; 5 KB were measured.
const MAX_KB: f64 = 40.0;

#[test]
fn waiting_runs_are_small_and_in_order() {
    let output = Command::new(env!("CARGO_BIN_EXE_queued_runs"))
        .args(["2000", "16"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["max_at_server"], 16);
    // Those whose turn has come may overtake each other on their way to the server, no others.
    assert!(report["max_displacement"].as_u64() < Some(32), "{report}");
    let kb: f64 = report["kb_per_waiting_run"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kb < MAX_KB, "{report}");
}
