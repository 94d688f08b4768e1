//! The examples end well on a small model. `scripts/test --stage end-to-end` builds them before, together with this test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// It serves until it is ended, and has a test of its own.
const SERVICE: &str = "12_axum";

/// It calls a vendor's API, which is not here; `tests/it/anthropic.rs` plays that to it.
const VENDOR: &str = "anthropic_messages";

/// In the order in which they teach.
fn examples(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("examples")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_example_ends_well() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let names = examples(root);
    assert!(names.len() >= 8, "{names:?}");
    for name in names
        .iter()
        .filter(|name| ![SERVICE, VENDOR].contains(&name.as_str()))
    {
        let output = example(name).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {stdout}{stderr}");
        assert!(stdout.ends_with('\n'), "{name}: {stdout}");
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
    }
}

#[test]
fn the_service_streams_an_answer() {
    let mut service = example(SERVICE)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = service.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.trim().strip_suffix("/alice").unwrap();

    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("POST /alice HTTP/1.0\r\nhost: {address}\r\ncontent-length: 2\r\n\r\nhi");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(
        answer.contains(" 200 OK") && answer.contains("data: {\"done\":"),
        "{answer}"
    );
}

/// An example without the file and settings of whoever runs the tests. Not by `cargo run` for its package alone, which would build the library
/// and half of its dependencies again, with the features of that package.
fn example(name: &str) -> Command {
    // Beside the folder of this test.
    let test = env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: use scripts/test --stage end-to-end",
        program.display()
    );
    let mut example = Command::new(program);
    example
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("OPENAI_AGENTS_CONFIG");
    example
}
