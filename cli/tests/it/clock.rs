//! The real program while its wall clock is set forth and back, by libfaketime: nothing hangs, is lost or changes its order.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::durable::Thinking;
use crate::serve::{ServedProgram, command};
use crate::support::{Directory, chunk, lines, streamed_text, whole_text};

const FORTH: &str = "+400d";
const BACK: &str = "-400d";
const FAR_BACK: &str = "-800d";

/// A wall clock that programs read; what measures the time that passes is left alone, as on a machine whose clock is set.
struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// None where the library is not installed, but in continuous integration, which installs it (`scripts/test`).
    fn new(directory: &Directory) -> Option<Self> {
        let named = std::env::var_os("LIBFAKETIME").map(PathBuf::from);
        let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let installed = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = named.into_iter().chain(installed).find(|it| it.exists()) else {
            let missing = "needs libfaketime (Debian: apt-get install libfaketime), or its path in LIBFAKETIME";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("NOT TESTED: {missing}");
            return None;
        };
        let file = directory.path("clock");
        let clock = Self { library, file };
        clock.set("+0");
        Some(clock)
    }

    /// Sets the clock of all that runs on it, by one rename: they read it whenever they ask for the time.
    fn set(&self, offset: &str) {
        let next = self.file.with_extension("next");
        fs::write(&next, offset).unwrap();
        fs::rename(next, &self.file).unwrap();
    }

    fn on(&self, mut command: Command) -> Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }
}

/// The lists of a program that reads what is there, at a clock that was not set.
fn listed(directory: &Directory, command: &str, name: &str) -> Vec<String> {
    let mut program = directory.program();
    program.args(command.split(' ')).arg("--json");
    let list = lines(&program.output().unwrap());
    let entries = list.iter().filter_map(|line| line[name].as_str());
    entries.map(str::to_owned).collect()
}

#[test]
fn run_is_not_ended_by_a_clock_that_is_set_and_what_came_last_is_first() {
    let model = Thinking::new("clock-run");
    let Some(clock) = Clock::new(&model.directory) else {
        return;
    };
    let [first, last] = [
        chunk(&json!({"content": "Hel"}), None),
        chunk(&json!({"content": "lo"}), Some("stop")),
    ];
    let run = |arguments: &[&str], during: &str| {
        let limits = ["--timeout", "600"];
        let mut command = clock.on(model.command(&[&["run", "--durable"], arguments].concat()));
        let program = command.args(limits).spawn().unwrap();
        let mut stream = model.asked();
        clock.set(during);
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        write!(stream, "{head}data: {first}\n\n").unwrap();
        clock.set(BACK);
        write!(stream, "data: {last}\n\ndata: [DONE]\n\n").unwrap();
        clock.set(during);
        drop(stream);
        let output = program.wait_with_output().unwrap();
        let result = lines(&output).pop().unwrap();
        let said = json!([result["final_output"], result["error"]]);
        assert_eq!(said, json!(["Hello", null]), "{output:?}");
        result["run"].as_str().unwrap_or_default().to_owned()
    };
    run(&["--session", "a", "hi"], FORTH);
    run(&["--session", "b", "hi"], BACK);
    run(&["--session", "c", "hi"], FAR_BACK);
    // The one that was written to last, which by the clock is the oldest.
    run(&["--continue", "and?"], FORTH);
    clock.set(FAR_BACK);
    assert_eq!(
        listed(&model.directory, "sessions list", "id"),
        ["c", "b", "a"]
    );
    let runs = listed(&model.directory, "resume", "run");
    assert_eq!(runs.len(), 4);
    run(&["--session", "b", "more"], FAR_BACK);
    assert_eq!(
        listed(&model.directory, "sessions list", "id"),
        ["b", "c", "a"]
    );
    assert_eq!(listed(&model.directory, "resume", "run")[1..], runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_keeps_and_answers_while_its_clock_is_set() {
    let directory = Directory::new("clock-serve");
    let Some(clock) = Clock::new(&directory) else {
        return;
    };
    let busy = Reply::status(429, r#"{"error": {"message": "busy"}}"#)
        .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
    // Runs take streams, and clients of the OpenAI API get what they ask for.
    let (run, response) = (|| streamed_text("Hel", "lo"), || whole_text("Hello"));
    let replies = [run(), run(), response(), response(), busy, run()];
    let server = FakeServer::start(replies).await.unwrap();
    let mut served = ServedProgram::start(clock.on(command(&server, &directory)));
    let ask = |method: &str, path: &str, body: Value| {
        let (status, answer) = served.ask(method, path, &[], &body.to_string());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let retry_after = head.lines().find_map(|it| it.strip_prefix("retry-after: "));
        let body = serde_json::from_str::<Value>(body).unwrap_or_default();
        (status, body, retry_after.map(str::to_owned))
    };
    let run = |session: &str| {
        let run = json!({"agent": "EchoAgent", "input": "hi", "session": session});
        assert_eq!(ask("POST", "/run", run).0, 202);
        let path = format!("/status/{session}");
        loop {
            let (status, answer, _) = ask("GET", &path, Value::Null);
            assert_eq!(status, 200, "{answer}");
            match answer["status"].as_str() {
                Some("running") => {}
                status => return assert_eq!(status, Some("completed"), "{answer}"),
            }
        }
    };
    clock.set(FORTH);
    run("a");
    clock.set(BACK);
    run("b");
    clock.set(FAR_BACK);
    // What is kept is as old as it is, in time that passed.
    for session in ["a", "b"] {
        let (status, answer, _) = ask("GET", &format!("/status/{session}"), Value::Null);
        assert_eq!((status, &answer["status"]), (200, &json!("completed")));
    }
    let asked = json!({"model": "EchoAgent", "input": "hi"});
    let (_, first, _) = ask("POST", "/v1/responses", asked);
    clock.set(FORTH);
    let id = first["id"].as_str().unwrap();
    let asked = json!({"model": "EchoAgent", "input": "and?", "previous_response_id": id});
    let (status, second, _) = ask("POST", "/v1/responses", asked);
    assert_eq!((status, &second["status"]), (200, &json!("completed")));
    let continued = server.requests()[3].json().unwrap().to_string();
    assert!(
        continued.contains("Hello") && continued.contains("and?"),
        "{continued}"
    );
    clock.set(BACK);
    let asked = json!({"model": "EchoAgent", "input": "hi"});
    let (status, _, retry_after) = ask("POST", "/v1/responses", asked);
    assert_eq!((status, retry_after.as_deref()), (429, Some("30")));
    clock.set(FAR_BACK);
    run("c");
    clock.set(FORTH);
    let (_, sessions, _) = ask("GET", "/sessions", Value::Null);
    let sessions: Vec<_> = sessions["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["session"].as_str().unwrap())
        .collect();
    assert_eq!(sessions, ["c", "b", "a"]);
    served.signal("-TERM");
    clock.set(BACK);
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}
