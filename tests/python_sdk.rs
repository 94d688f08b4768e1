//! Sessions that the Python Agents SDK wrote, and sessions that it reads; diffs that it applies; traces that a collector decodes.
//!
//! Run by `scripts/test --stage python-sdk`, or by `scripts/python-sdk run -- cargo test --all-features --test python_sdk`.
#![cfg(test)]

#[path = "it/folder.rs"]
mod folder;
#[path = "python_sdk/otlp.rs"]
mod otlp;
#[path = "python_sdk/otlp_mcp.rs"]
mod otlp_mcp;

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use folder::Folder;
use futures_util::StreamExt;
use openai_agents::Item;
use openai_agents::model::{Dialect, Model, ModelRequest, OpenAiChat};
use openai_agents::session::{
    Session, SessionError, SessionId, SessionTurn, SqliteSession, SqliteSessions,
};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::workspace::{DiffMode, apply_diff};
use serde_json::{Value, json};

fn python(arguments: &[&str]) -> Output {
    let python = env::var("PYTHON_SDK").unwrap_or_else(|_| {
        panic!("PYTHON_SDK is not set; this test is for: scripts/test --stage python-sdk")
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/python-parity/session_interop.py");
    let output = Command::new(python).arg(script).args(arguments).output();
    output.unwrap()
}

/// What a command of the script prints; it must succeed.
fn said(arguments: &[&str]) -> Value {
    let output = python(arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

struct SharedStore {
    path: PathBuf,
    _folder: Folder,
}

impl SharedStore {
    fn new() -> Self {
        let folder = Folder::new();
        Self {
            path: folder.path("sessions.db"),
            _folder: folder,
        }
    }

    fn said(&self, command: &str) -> Value {
        said(&[command, self.path.to_str().unwrap(), "s"])
    }

    async fn session(&self) -> SqliteSession {
        let sessions = SqliteSessions::open(&self.path).await.unwrap();
        sessions.session(SessionId::new("s").unwrap())
    }
}

/// The messages of the request that this library makes of the session and the word `next`.
async fn next_messages(session: &SqliteSession) -> Value {
    let mut items = session.items(None).await.unwrap().items;
    items.push(Item::user("next"));
    let server = FakeServer::start([Reply::json(&json!({}))]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m")
        // The Python SDK sends reasoning of a tool turn to one provider only; tests/fixtures/python-parity says so.
        .dialect(without_reasoning())
        .build()
        .unwrap();
    // The answer does not matter.
    drop(
        model
            .call(ModelRequest::new(items))
            .collect::<Vec<_>>()
            .await,
    );
    server.requests()[0].json().unwrap()["messages"].take()
}

fn without_reasoning() -> Dialect {
    let mut dialect = Dialect::default();
    dialect.replay_reasoning = false;
    dialect
}

fn values(items: &[Item]) -> Value {
    items
        .iter()
        .map(|item| serde_json::from_str::<Value>(item.to_json()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_tables_are_those_of_the_python_sdk() {
    let store = SharedStore::new();
    drop(store.session().await);
    assert_eq!(
        said(&["tables", store.path.to_str().unwrap()]),
        said(&["tables"])
    );
}

#[tokio::test]
async fn python_session_is_read_and_continued() {
    let store = SharedStore::new();
    store.said("write");
    let session = store.session().await;
    let read = session.items(None).await.unwrap();
    assert_eq!(values(&read.items), store.said("read"));
    let messages = next_messages(&session).await;
    // The Python SDK runs a turn, which adds a message of the user and one of the model.
    assert_eq!(messages, store.said("resume"));
    let late = SessionTurn::new([Item::user("late")]).after(read.version);
    let error = session.append(late).await.unwrap_err();
    assert!(matches!(error, SessionError::Conflict { .. }), "{error:?}");
    let n_items = session.items(None).await.unwrap().items.len();
    assert_eq!(n_items, read.items.len() + 2);
    let turn = SessionTurn::new([Item::user("ours"), Item::assistant("hi")]);
    session.append(turn).await.unwrap();
    assert_eq!(next_messages(&session).await, store.said("resume"));
}

#[tokio::test]
async fn sqlite_session_is_continued_by_the_python_sdk() {
    // The conversation is the Python SDK's own, so that it can say whether it is the same.
    let other = SharedStore::new();
    other.said("write");
    let conversation = other.session().await.items(None).await.unwrap().items;
    let store = SharedStore::new();
    let session = store.session().await;
    for turn in conversation.chunks(2) {
        session
            .append(SessionTurn::new(turn.to_vec()))
            .await
            .unwrap();
    }
    assert_eq!(store.said("read"), values(&conversation));
    assert_eq!(next_messages(&session).await, store.said("resume"));
    // Both go on with what the other added.
    assert_eq!(next_messages(&session).await, store.said("resume"));
}

#[tokio::test]
async fn arbitrary_json_is_read_by_the_python_sdk() {
    let store = SharedStore::new();
    let session = store.session().await;
    let json = r#"{ "type":"brand_new",	"a":"\u0000\ud83d\ude00 é 你\u2028",
        "n":1e400, "x":[null,true,{"y":-0.0}] }"#;
    session
        .append(SessionTurn::new([Item::from_json(json).unwrap()]))
        .await
        .unwrap();
    let output = python(&["read", store.path.to_str().unwrap(), "s"]);
    let text = String::from_utf8(output.stdout).unwrap();
    // Python writes numbers in its own way; what it read shows.
    assert_eq!(
        text.trim(),
        r#"[{"type": "brand_new", "a": "\u0000\ud83d\ude00 \u00e9 \u4f60\u2028", "n": Infinity, "x": [null, true, {"y": -0.0}]}]"#
    );
    assert_eq!(session.items(None).await.unwrap().items[0].to_json(), json);
}

/// What the SDK makes of texts and diffs; null where it refuses.
fn applied_by_the_sdk(cases: &[(String, String, &str)]) -> Vec<Option<String>> {
    let python = env::var("PYTHON_SDK").unwrap();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python-parity/apply_diff.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(json!(cases).to_string().as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn check_diffs(cases: &[(String, String, &str)]) -> usize {
    let expected = applied_by_the_sdk(cases);
    let mut n_applied = 0;
    for ((text, diff, mode), expected) in cases.iter().zip(expected) {
        let mode = match *mode {
            "create" => DiffMode::Create,
            _ => DiffMode::Update,
        };
        let applied = apply_diff(text, diff, mode);
        n_applied += usize::from(applied.is_ok());
        assert_eq!(
            applied.clone().ok(),
            expected,
            "{text:?}\n{diff:?}\n{applied:?}"
        );
    }
    n_applied
}

#[test]
fn diffs_made_by_hand_are_applied_as_the_python_sdk_does() {
    let update = |text: &str, diff: &str| (text.to_owned(), diff.to_owned(), "default");
    let create = |diff: &str| (String::new(), diff.to_owned(), "create");
    let cases = [
        create(""),
        create("+a\n+b\n"),
        create("+a\r\n+b\r\n"),
        create("+a\nb\n"),
        create("+a\n*** End Patch\nb"),
        create("+a\n*** End of File\n"),
        update("a\nb\nc\n", "@@\n a\n-b\n+x\n c\n"),
        update("a\nb\nc\n", " a\n-b\n+x\n"),
        update("a\nb\nc", "@@ a\n-b\n+x"),
        update("a\r\nb\r\n", "@@\n-b\n+x\n"),
        update("a\rb\n", "@@\n-a\rb\n+x\n"),
        update("a\n\nb\n", "@@\n a\n\n-b\n+x\n"),
        update("  a\t\nb\n", "@@\n-a\n+x\n"),
        update("a\u{a0}\nb\u{1c}\n", "@@\n-a\n+x\n-b\n+y\n"),
        update("a\nb\na\nb\n", "@@ b\n-a\n+x\n"),
        update(
            "class A\n  def f\n  1\nclass B\n  def f\n  1\n",
            "@@ class B\n@@   def f\n-  1\n+  2\n",
        ),
        update(
            "class A\n  def f\n  1\n",
            "@@ class C\n@@   def f\n-  1\n+  2\n",
        ),
        update("class A\n  1\n", "@@ class C\n-  1\n+  2\n"),
        update("a\nb\n", "@@\n+x\n*** End of File\n"),
        update("a\nb\n", "@@\n b\n+x\n*** End of File\n"),
        update("a\nb\nc\n", "@@\n a\n+x\n*** End of File\n"),
        update("a\nb\n", "@@\n*** End of File\n"),
        update("a\nb\n", "*** End of File x\n"),
        update("a\nb\n", "@@\n*** End of File x\n"),
        update("a\n", "@@\n"),
        update("a\n", "@@"),
        update("a\n", ""),
        update("", "+a\n"),
        update("a\n", "***\n"),
        update("a\nb\n", "@@\n a\n***\n-b\n"),
        update("a\n", "*** x\n"),
        update("a\n", "@@\nx\n"),
        update("a\n", "@@x\n a\n"),
        update("a\nb\n", "@@ \n-b\n+x\n"),
        update("a\nb\nc\n", "@@\n-c\n@@\n-a\n"),
        update("a\nb\nc\n", "@@\n-a\n@@\n-c\n+x\n"),
        update("a\nb\nc\n", "@@\n-a\n+x\n-c\n"),
        update("a\n", "@@\n-a\n*** Add File: b\n+c\n"),
    ];
    assert!(check_diffs(&cases) > 20);
}

#[test]
fn diffs_made_at_random_are_applied_as_the_python_sdk_does() {
    const LINES: [&str; 9] = ["a", "b", " a", "a ", "\ta", "", "c", "def f():", "a\u{1f}"];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    let mut cases = Vec::new();
    for _ in 0..6000 {
        let text: Vec<&str> = (0..below(12)).map(|_| LINES[below(9)]).collect();
        let mut diff = Vec::new();
        let mut at = 0;
        for _ in 0..=below(3) {
            for _ in 0..below(3) {
                let anchor = *text.get(below(12)).unwrap_or(&LINES[below(9)]);
                diff.push(if below(3) == 0 {
                    "@@".to_owned()
                } else {
                    format!("@@ {anchor}")
                });
            }
            // Mostly lines of the text in their order, sometimes others.
            at += below(4);
            for _ in 0..below(6) {
                let line = if below(12) == 0 {
                    LINES[below(9)]
                } else {
                    text.get(at).unwrap_or(&"a")
                };
                match below(4) {
                    0 => diff.push(format!("+{}", LINES[below(9)])),
                    1 => {
                        diff.push(format!("-{line}"));
                        at += 1;
                    }
                    _ => {
                        diff.push(format!(" {line}"));
                        at += 1;
                    }
                }
            }
            match below(20) {
                0 => diff.push("*** End of File".to_owned()),
                1 => {
                    diff.push(["***", "*** x", "", "x", "*** Update File: b"][below(5)].to_owned());
                }
                _ => {}
            }
        }
        let line_end = if below(5) == 0 { "\r\n" } else { "\n" };
        let text = text.join(line_end) + if below(3) == 0 { "" } else { line_end };
        cases.push((text, diff.join("\n"), "default"));
    }
    let n_applied = check_diffs(&cases);
    assert!(n_applied > 1000, "{n_applied} of the diffs fit");
}
