//! `openai-agents run --record` and `openai-agents replay`.

use openai_agents::testing::FakeServer;
use serde_json::{Value, json};

use crate::support::{Directory, check_output, lines, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;

/// A directory with the recording `a.jsonl` of a run with a tool call, and the server, which has nothing left to say.
async fn recorded(name: &str) -> (Directory, FakeServer) {
    let directory = Directory::new(name);
    let replies = [
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let run = on(
        &server,
        &directory,
        &["run", "--record", "a.jsonl", "100 + 250?"],
    )
    .output()
    .unwrap();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    (directory, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_played_back_without_its_server() {
    let (directory, server) = recorded("replay").await;
    drop(server);
    // No server, no settings.
    let output = directory
        .program()
        .args(["replay", "a.jsonl"])
        .output()
        .unwrap();
    check_output(
        &output,
        0,
        "It is 350.\n",
        "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
    );
    let mut program = directory.program();
    let output = program
        .args(["replay", "a.jsonl", "--json"])
        .output()
        .unwrap();
    let told = lines(&output);
    assert_eq!(told.last().unwrap()["final_output"], "It is 350.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_goes_its_own_way_from_its_turn_on() {
    let (directory, server) = recorded("replay-fork").await;
    server.push(streamed_text("350, ", "of course."));
    let arguments = ["replay", "a.jsonl", "--fork-at", "2", "--model", "other"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "350, of course.\n");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let body = requests[2].json().unwrap();
    assert_eq!(body["model"], "other");
    // The tool's output of the first turn is part of the question.
    let last = body["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["role"], &last["content"]),
        (&json!("tool"), &json!("350"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_recordings_are_compared() {
    let (directory, server) = recorded("replay-diff").await;
    server.push(streamed_call("", "calculator", SUM));
    server.push(streamed_text("It is ", "351."));
    let again = ["run", "--record", "b.jsonl", "100 + 250?"];
    let output = on(&server, &directory, &again).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let compare = |other: &str| {
        let mut program = directory.program();
        program
            .args(["replay", "a.jsonl", "--json", "--diff", other])
            .output()
            .unwrap()
    };
    let same = "{\"type\":\"result\",\"ok\":true}\n";
    check_output(&compare("a.jsonl"), 0, same, "");
    let output = compare("b.jsonl");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = lines(&output);
    assert_eq!(
        (&told[0]["turn"], &told[0]["kind"]),
        (&json!(2), &json!("response"))
    );
    // A recording is not written over.
    let output = on(&server, &directory, &again).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("b.jsonl"),
        "{output:?}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_of_other_file_is_refused() {
    let directory = Directory::new("replay-wrong").file("x.jsonl", "{\"a\":1}\n");
    for file in ["x.jsonl", "missing.jsonl"] {
        let output = directory.program().args(["replay", file]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(file),
            "{output:?}"
        );
        // Whose run it is cannot be known.
        let arguments = ["replay", "--json", file];
        let output = directory.program().args(arguments).output().unwrap();
        let line = lines(&output).pop().unwrap();
        assert_eq!(
            (&line["ok"], &line["agent"], &line["turns"]),
            (&json!(false), &Value::Null, &json!(0))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn full_disk_ends_the_recording_and_not_the_run() {
    let directory = Directory::new("replay-full");
    let server = FakeServer::start([streamed_text("Hel", "lo"), streamed_text("Hel", "lo")])
        .await
        .unwrap();
    let told = "error: the recording is not complete: the journal a.jsonl cannot be reached: File too large (os error 27)\n";
    let run = ["run", "--record", "a.jsonl", "hi"];
    let mut command = crate::support::on_full_disk(&server, &directory, &run);
    check_output(&command.output().unwrap(), 1, "Hello\n", told);
    std::fs::remove_file(directory.path("a.jsonl")).unwrap();
    let run = ["run", "--record", "a.jsonl", "--json", "hi"];
    let mut command = crate::support::on_full_disk(&server, &directory, &run);
    let output = command.output().unwrap();
    let result = lines(&output).pop().unwrap();
    assert_eq!(
        (
            &result["ok"],
            &result["final_output"],
            &result["error"]["kind"]
        ),
        (&json!(false), &json!("Hello"), &json!("journal"))
    );
}
