//! A server that is told to end while 50 turns run: each is finished and kept whole, and the process ends by itself.
#![cfg(test)]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use openai_agents::item::ItemKind;
use openai_agents::session::{Session, SessionId, SqliteSessions};
use serde_json::json;

const N_RUNS: usize = 50;

/// Sends a request and reads the answer until a text has come.
fn ask(address: &str, head: &str, body: &str, until: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let n_bytes = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(until) {
        let n_bytes = stream.read(&mut buffer).unwrap();
        assert!(n_bytes > 0, "{text}");
        text += &String::from_utf8_lossy(&buffer[..n_bytes]);
    }
    text
}

#[tokio::test]
async fn turns_that_run_at_the_end_are_whole() {
    let folder = std::env::temp_dir().join(format!("server-closing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("sessions.db");
    let mut child = Command::new(env!("CARGO_BIN_EXE_openai_server"))
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("LISTENING http://")
        .unwrap()
        .to_owned();

    for n in 0..N_RUNS {
        let body =
            json!({"agent": "Slow", "input": "slow", "session": format!("s{n}")}).to_string();
        ask(&address, "POST /run", &body, "\"running\"");
    }
    for n in 0..N_RUNS {
        ask(&address, &format!("GET /events/s{n}"), "", "tool_called");
    }
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert!(child.wait().unwrap().success());

    let sessions = SqliteSessions::open(&file).await.unwrap();
    for n in 0..N_RUNS {
        let session = sessions.session(SessionId::new(format!("s{n}")).unwrap());
        let items = session.items(None).await.unwrap().items;
        let kinds: Vec<&str> = items.iter().map(|item| item.kind().type_name()).collect();
        let is_whole = kinds.starts_with(&["message", "function_call", "function_call_output"]);
        assert!(is_whole, "s{n}: {items:?}");
        let open = items
            .iter()
            .filter(|item| matches!(item.kind(), ItemKind::FunctionCall(_)))
            .count();
        let done = items
            .iter()
            .filter(|item| matches!(item.kind(), ItemKind::FunctionCallOutput(_)))
            .count();
        assert_eq!(open, done, "s{n}");
    }
    std::fs::remove_dir_all(folder).ok();
}
