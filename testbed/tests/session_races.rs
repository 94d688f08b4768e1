//! Runs that race for a session: what the session has is what the runs that ended well have added.
//!
//! A few rounds of what `session_races` does 200 times.

#![cfg(test)]

use std::process::Command;

use serde_json::Value;

/// The last line, which is about all rounds.
fn race(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_session_races"))
        .args(["--rounds", "3"])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}{errors}");
    serde_json::from_str(told.lines().last().unwrap()).unwrap()
}

#[test]
fn a_session_has_what_the_runs_that_ended_well_have_added() {
    for store in ["memory", "sqlite"] {
        for wrap in ["nothing", "encrypted", "compacting"] {
            for turns in ["1", "3"] {
                let told = race(&["--wrap", wrap, "--turns", turns, store]);
                let n_runs = |key: &str| told[key].as_u64().unwrap();
                assert_eq!(n_runs("ok") + n_runs("lost"), 3 * 16, "{told}");
                assert!(n_runs("ok") + n_runs("all_lost") >= 3 * 8, "{told}");
                assert_eq!(told["rounds_wrong"], 0);
            }
        }
    }
}
