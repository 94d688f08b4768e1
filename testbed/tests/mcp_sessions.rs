//! MCP sessions that nobody ends are gone when they have been idle, with their memory.

// The program reads its memory from /proc.
#![cfg(all(test, target_os = "linux"))]

use std::process::Command;

use serde_json::Value;

#[test]
fn abandoned_sessions_end_and_give_their_memory_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp_sessions"))
        .args(["500", "2"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["all_open_at_once"], true, "{report}");
    assert_eq!(report["all_closed"], true, "{report}");
}
