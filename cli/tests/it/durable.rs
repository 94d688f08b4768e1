//! `openai-agents run --durable` and `openai-agents resume`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

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

/// A model that thinks until it is told to answer.
pub(crate) struct Thinking {
    listener: TcpListener,
    pub(crate) directory: Directory,
}

impl Thinking {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            directory: Directory::new(name),
        }
    }

    fn program(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let url = format!("http://{}/v1", self.listener.local_addr().unwrap());
        let mut command = self.directory.program();
        command
            .args(arguments)
            .args(["--json", "--model", "m", "--base-url", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn asked(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        assert!(stream.read(&mut [0; 8 * 1024]).unwrap() > 0);
        stream
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// How many more connections have been made than were asked.
    pub(crate) fn n_waiting(&self) -> usize {
        self.listener.set_nonblocking(true).unwrap();
        let waiting = std::iter::from_fn(|| self.listener.accept().ok());
        waiting.count()
    }

    /// The only run that is kept.
    fn run(&self) -> String {
        let output = self.program(&["resume"]).wait_with_output().unwrap();
        lines(&output)[0]["run"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn answer(mut stream: TcpStream) {
    let text = crate::support::chunk(&json!({"content": "Hello"}), None);
    let end = crate::support::chunk(&json!({}), Some("stop"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let answer = format!("{head}data: {text}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    stream.write_all(answer.as_bytes()).unwrap();
}

/// The code and the kind of the error, or the answer.
fn outcome(output: &Output) -> (Option<i32>, Value) {
    let result = lines(output).pop().unwrap();
    let (error, answer) = (&result["error"]["kind"], &result["final_output"]);
    let said = if error.is_null() { answer } else { error };
    (output.status.code(), said.clone())
}

#[test]
fn resume_of_a_live_run_is_refused_and_leaves_it_alone() {
    let model = Thinking::new("durable-live");
    let live = model.program(&["run", "--durable", "hi"]);
    let stream = model.asked();
    let run = model.run();
    for arguments in [&["resume", &run][..], &["resume", &run, "--approve-all"]] {
        let refused = model.program(arguments).wait_with_output().unwrap();
        assert_eq!(outcome(&refused), (Some(2), json!("already_resumed")));
        let stderr = String::from_utf8(refused.stderr).unwrap();
        let process = live.id();
        assert_eq!(
            stderr,
            format!(
                "error: the run {run} is being executed by process {process}\n\
                 hint: it continues there, and nothing was changed; resume it after that process has ended\n"
            )
        );
    }
    answer(stream);
    let ended = live.wait_with_output().unwrap();
    assert_eq!(outcome(&ended), (Some(0), json!("Hello")));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}

#[test]
fn of_three_that_resume_a_run_one_does_and_the_others_say_why() {
    let model = Thinking::new("durable-three");
    let mut first = model.program(&["run", "--durable", "hi"]);
    let stream = model.asked();
    let run = model.run();
    first.kill().unwrap();
    first.wait().unwrap();
    drop(stream);
    let mut all = [(); 3].map(|()| model.program(&["resume", &run]));
    // One asks the model; the others end while it thinks.
    let stream = model.asked();
    let ended = |all: &mut [Child]| {
        all.iter_mut()
            .filter_map(|child| child.try_wait().unwrap())
            .count()
    };
    while ended(&mut all) < 2 {
        std::thread::yield_now();
    }
    answer(stream);
    let mut outcomes = all.map(|child| outcome(&child.wait_with_output().unwrap()));
    outcomes.sort_by_key(|(code, _)| *code);
    let refused = (Some(2), json!("already_resumed"));
    assert_eq!(
        outcomes,
        [(Some(0), json!("Hello")), refused.clone(), refused]
    );
    assert_eq!(model.run(), run);
    let locks = std::fs::read_dir(model.directory.path(".local/share/openai_agents")).unwrap();
    let mut names = locks.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.find(|name| name.contains(&run)), None);
}

/// What is refused has changed nothing: the run waits as before.
#[tokio::test(flavor = "multi_thread")]
async fn refused_decision_leaves_the_run_waiting() {
    let config =
        "agents:\n  - name: Counter\n    tools: [calculator]\n    needs_approval: [calculator]\n";
    let directory = Directory::new("durable-refused").file("config.yaml", config);
    let [call, _] = called();
    let server = FakeServer::start([call]).await.unwrap();
    let arguments = ["run", "--durable", "--agent", "Counter", "100 + 250?"];
    let run = on(&server, &directory, &arguments).output().unwrap();
    let id = run_id(&run);
    for decision in [&["--approve", "nope"][..], &["--always"], &[]] {
        let arguments = [&["resume", &id], decision].concat();
        on(&server, &directory, &arguments).output().unwrap();
        let list = on(&server, &directory, &["resume", "--json"])
            .output()
            .unwrap();
        assert_eq!(lines(&list)[0]["status"], "paused", "{decision:?}");
    }
}
