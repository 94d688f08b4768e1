//! `openai-agents run --durable` and `openai-agents resume`.

use std::process::{Output, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Directory, check_output, lines, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;

/// The id of the run, which stands in a line of stderr.
fn run_id(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let id = told.lines().find_map(|line| line.strip_prefix("run "));
    id.unwrap_or_else(|| panic!("no run in {told}")).to_owned()
}

fn called() -> [Reply; 2] {
    [
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_over_gives_its_answer_again() {
    let directory = Directory::new("durable-over");
    let server = FakeServer::start(called()).await.unwrap();
    let run = on(&server, &directory, &["run", "--durable", "100 + 250?"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let id = run_id(&run);
    // The server has nothing left to say.
    let again = on(&server, &directory, &["resume", &id]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(String::from_utf8_lossy(&again.stdout), "It is 350.\n");
    assert_eq!(server.requests().len(), 2);
    let list = on(&server, &directory, &["resume", "--json"])
        .output()
        .unwrap();
    let list = lines(&list);
    assert_eq!(list.len(), 2);
    assert_eq!(list[1], json!({"type": "result", "ok": true}));
    assert_eq!(list[0]["run"], json!(id));
    assert_eq!(
        (&list[0]["status"], &list[0]["turns"]),
        (&json!("done"), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_was_killed_goes_on_where_it_was() {
    let directory = Directory::new("durable-killed");
    let [call, text] = called();
    let server = FakeServer::start([call, Reply::event_stream().hang()])
        .await
        .unwrap();
    let mut child = on(
        &server,
        &directory,
        &["run", "--durable", "--session", "s", "100 + 250?"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // The tool was called, and the model is asked for the second time.
    server.received(2).await;
    child.kill().unwrap();
    let killed = child.wait_with_output().unwrap();
    let id = run_id(&killed);
    server.push(text);
    let resumed = on(&server, &directory, &["resume", &id, "--json"])
        .output()
        .unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    let told = lines(&resumed);
    let result = told.last().unwrap();
    assert_eq!(result["final_output"], "It is 350.");
    assert_eq!(result["session"], "s");
    // The first answer was kept; only the second was asked for again.
    assert_eq!(server.requests().len(), 3);
    let shown = on(&server, &directory, &["sessions", "show", "s", "--json"])
        .output()
        .unwrap();
    assert_eq!(lines(&shown).len(), 4 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_run_that_waits_goes_on_by_its_id() {
    let config =
        "agents:\n  - name: Counter\n    tools: [calculator]\n    needs_approval: [calculator]\n";
    let directory = Directory::new("durable-waits").file("config.yaml", config);
    let server = FakeServer::start(called()).await.unwrap();
    let arguments = ["run", "--durable", "--agent", "Counter", "100 + 250?"];
    let run = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(run.status.code(), Some(5), "{run:?}");
    let id = run_id(&run);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(told.contains(&format!("resume {id} --approve")), "{told}");
    // Shown again without a decision, and not made.
    let shown = on(&server, &directory, &["resume", &id]).output().unwrap();
    assert_eq!(shown.status.code(), Some(5), "{shown:?}");
    let wrong = on(&server, &directory, &["resume", &id, "--approve", "nope"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let done = on(&server, &directory, &["resume", &id, "--approve-all"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "It is 350.\n");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_there_is_said_to_be_not_there() {
    let directory = Directory::new("durable-missing");
    let server = FakeServer::start([]).await.unwrap();
    let missing = on(&server, &directory, &["resume", "not an id"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let arguments = ["resume", "--json", "not an id"];
    let missing = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(lines(&missing)[0]["agent"], Value::Null);
    let none = on(&server, &directory, &["resume"]).output().unwrap();
    check_output(&none, 0, "", "");
}
