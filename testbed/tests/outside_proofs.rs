//! Benchmarks of other people: their ground truth is played to our agent, and their own checkers judge what arrived.
//!
//! Run by `scripts/test --stage bfcl`, `--stage bfcl-flipped` and `--stage tau2`; see `scripts/outside-proofs.d/proof.py`.
#![cfg(test)]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The server of a benchmark; it ends when this is dropped.
struct Benchmark {
    server: Child,
    url: String,
}

impl Benchmark {
    fn start(script: &str) -> Self {
        let python = env::var("OUTSIDE_PROOFS_PYTHON").expect(
            "this test is for: scripts/test --stage bfcl, --stage bfcl-flipped, --stage tau2",
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/outside-proofs.d");
        let mut server = Command::new(python)
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("LISTENING ").unwrap().to_owned();
        Self { server, url }
    }

    /// Plays all tasks to our agent over a wire, and gives the verdict on each.
    #[track_caller]
    fn verdicts(&self, label: &str, wire: &str) -> BTreeMap<String, Verdict> {
        self.verdicts_on_some(label, wire, 1)
    }

    /// Does the same with every `nth` task.
    #[track_caller]
    fn verdicts_on_some(&self, label: &str, wire: &str, nth: usize) -> BTreeMap<String, Verdict> {
        let tasks = self.get(&format!("/{label}/tasks"));
        let tasks: Vec<Value> = serde_json::from_slice(&tasks).unwrap();
        let tasks: Vec<Value> = tasks.into_iter().step_by(nth).collect();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_outside_agent"))
            .args([&self.url, label, wire])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let played = serde_json::to_vec(&tasks).unwrap();
        agent.stdin.take().unwrap().write_all(&played).unwrap();
        let output = agent.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            serde_json::from_slice::<Value>(&output.stdout).unwrap(),
            json!({"tasks": tasks.len(), "errors": {}})
        );
        let verdicts = self.get(&format!("/{label}/verdict"));
        let mut verdicts: BTreeMap<String, Verdict> = serde_json::from_slice(&verdicts).unwrap();
        verdicts.retain(|id, _| tasks.iter().any(|task| task["id"] == **id));
        verdicts
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap();
        answer.split_off(end + 4)
    }
}

impl Drop for Benchmark {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Verdict {
    /// What the benchmark's checker minds; empty if it is content.
    checker: String,
    /// What else differs from what was played.
    complaints: Vec<String>,
}

#[track_caller]
fn assert_all_valid(verdicts: &BTreeMap<String, Verdict>, n_tasks: usize) {
    let wrong: BTreeMap<_, _> = verdicts
        .iter()
        .filter(|(_, verdict)| !verdict.checker.is_empty() || !verdict.complaints.is_empty())
        .collect();
    assert_eq!((verdicts.len(), wrong), (n_tasks, BTreeMap::new()));
}

/// One argument of each task was played wrongly: the checker minds each of them, and all else is as it was played.
#[track_caller]
fn assert_all_minded(verdicts: &BTreeMap<String, Verdict>, n_tasks: usize) {
    let missed: BTreeMap<_, _> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.checker.is_empty() || !verdict.complaints.is_empty())
        .collect();
    assert_eq!((verdicts.len(), missed), (n_tasks, BTreeMap::new()));
}

#[test]
fn bfcl_every_task_is_valid_on_both_wires_and_every_fifth_flipped_one_is_not() {
    let benchmark = Benchmark::start("bfcl.py");
    for wire in ["chat", "responses"] {
        assert_all_valid(&benchmark.verdicts(wire, wire), 800);
    }
    // The control of the checker, which our code seldom changes: all of them take a third of this test's time.
    let flipped = benchmark.verdicts_on_some("chat-flipped", "chat", 5);
    assert_all_minded(&flipped, 160);
}

#[test]
fn control_every_flipped_task_is_invalid() {
    let benchmark = Benchmark::start("bfcl.py");
    // In three tasks no argument matters to the checker.
    assert_all_minded(&benchmark.verdicts("chat-flipped", "chat"), 797);
}

#[test]
fn tau2_every_task_is_valid_on_both_wires_and_every_flipped_one_is_not() {
    let benchmark = Benchmark::start("tau2_proof.py");
    for wire in ["chat", "responses"] {
        assert_all_valid(&benchmark.verdicts(wire, wire), 164);
    }
    // In the others nothing is changed, and the evaluator looks at nothing else.
    assert_all_minded(&benchmark.verdicts("chat-flipped", "chat"), 133);
}
