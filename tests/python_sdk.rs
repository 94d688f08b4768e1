//! Sessions that the Python Agents SDK wrote, and sessions that it reads.
//!
//! Run by `scripts/test --stage python-sdk`, or by `scripts/python-sdk run -- cargo test --all-features --test python_sdk`.
#![cfg(test)]

#[path = "it/folder.rs"]
mod folder;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use folder::Folder;
use futures_util::StreamExt;
use openai_agents::Item;
use openai_agents::model::{Dialect, Model, ModelRequest, OpenAiChat};
use openai_agents::session::{
    Session, SessionError, SessionId, SessionTurn, SqliteSession, SqliteSessions,
};
use openai_agents::testing::{FakeServer, Reply};
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

struct Store {
    path: PathBuf,
    _folder: Folder,
}

impl Store {
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
    let store = Store::new();
    drop(store.session().await);
    assert_eq!(
        said(&["tables", store.path.to_str().unwrap()]),
        said(&["tables"])
    );
}

#[tokio::test]
async fn python_session_is_read_and_continued() {
    let store = Store::new();
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
    let other = Store::new();
    other.said("write");
    let conversation = other.session().await.items(None).await.unwrap().items;
    let store = Store::new();
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
    let store = Store::new();
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
