//! Native modules: what is refused before any of their code runs, and what they may do wrong afterwards.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;

use super::modules::{FOLDER, call, module, package, refusal, tools};
use super::wasm::by_hand::compile_native_module;
use crate::folder::Folder;

pub(super) const NAMES: [&str; 14] = [
    "echo",
    "fails",
    "panics",
    "invalid_utf8",
    "null",
    "too_long",
    "no_json",
    "twice",
    "by_thread",
    "never",
    "status",
    "loops",
    "late",
    "after_late",
];

/// The library that is written by hand.
pub(super) struct Library {
    pub(super) bytes: Vec<u8>,
}

/// Compiled once.
pub(super) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Folder::new();
        let file = folder.path("by_hand.so");
        compile_native_module(&file);
        let bytes = std::fs::read(&file).unwrap();
        Library { bytes }
    })
}

impl Library {
    /// The bytes with a text exchanged for another as long.
    fn with(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = self.bytes.clone();
        let mut at = 0;
        let mut n_exchanged = 0;
        while at + from.len() <= bytes.len() {
            if bytes[at..].starts_with(from) {
                bytes[at..at + to.len()].copy_from_slice(to);
                n_exchanged += 1;
            }
            at += 1;
        }
        assert!(n_exchanged > 0);
        bytes
    }

    fn mode(&self, mode: u8) -> Vec<u8> {
        self.with(b"MODE=000", &[&b"MODE=00"[..], &[mode]].concat())
    }

    /// A library that makes a file when any of its code runs.
    pub(super) fn with_marker(&self, path: &Path) -> Vec<u8> {
        let path = path.to_str().unwrap();
        let marker = format!("MARKER={path}");
        let room = format!("MARKER={}", " ".repeat(path.len()));
        self.with(room.as_bytes(), marker.as_bytes())
    }
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_and_none_of_its_code_runs() {
    let library = library();
    let folder = Folder::new();
    let marker = folder.path("marker");
    let marked = Library {
        bytes: library.with_marker(&marker),
    };
    let with_version = |version: u8| {
        let head = [&b"OAPLUGIN"[..], &[1, 0, 0, 0]].concat();
        let other = [&b"OAPLUGIN"[..], &[version, 0, 0, 0]].concat();
        marked.with(&head, &other)
    };
    let with_size = [&b"OAPLUGIN"[..], &[1, 0, 0, 0, 48]].concat();
    let head = [&b"OAPLUGIN"[..], &[1, 0, 0, 0, 40]].concat();
    let mut other_machine = marked.bytes.clone();
    other_machine[18] = 0xf3; // RISC-V
    let no_table = "m.so is not a plugin: its OPENAI_AGENTS_PLUGIN is not the table of a plugin";
    for (bytes, expected) in [
        (with_version(2), "m.so is for ABI 2; only 1 is supported"),
        (marked.with(&head, &with_size), no_table),
        (marked.with(b"OAPLUGIN", b"OAPLUGIX"), no_table),
        (
            marked.with(b"OPENAI_AGENTS_PLUGIN", b"OPENAI_AGENTS_PLUGIX"),
            "m.so is not a plugin: it has no symbol OPENAI_AGENTS_PLUGIN",
        ),
        (
            other_machine,
            "m.so is not a plugin: it is for the architecture Riscv64",
        ),
        (
            b"#!/bin/sh\n".to_vec(),
            "m.so is not a plugin: it is not a shared library (Could not read file magic)",
        ),
    ] {
        let package = package("native", "m.so", &bytes, &json!({"tools": NAMES}));
        let module = module(&package.named());
        assert_eq!(refusal(&module, &package.path(FOLDER)).await, expected);
        // A second question is answered without a second try.
        assert_eq!(refusal(&module, &package.path(FOLDER)).await, expected);
        assert!(!marker.exists(), "{expected}");
    }
    for n_bytes in [
        0,
        10,
        64,
        4096,
        marked.bytes.len() / 2,
        marked.bytes.len() - 1,
    ] {
        let bytes = &marked.bytes[..n_bytes];
        let package = package("native", "m.so", bytes, &json!({"tools": NAMES}));
        let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
        assert!(
            said.starts_with("m.so is not a plugin: it is "),
            "{n_bytes}: {said}"
        );
        assert!(!marker.exists(), "{n_bytes}");
    }
    // Whole and of this ABI, its code runs: the marker is a proof of the rest.
    let package = package("native", "m.so", &marked.bytes, &json!({"tools": NAMES}));
    tools(&module(&package.named())).await;
    assert!(marker.exists());
}

#[tokio::test]
async fn description_that_breaks_the_contract_is_refused() {
    for (mode, expected) in [
        (
            b'1',
            "m.so does not describe its tools: it has two tools `echo`",
        ),
        (
            b'2',
            "m.so does not describe its tools: the plugin broke the ABI: it returned without a description",
        ),
        (
            b'3',
            "m.so does not describe its tools: expected ident at line 1 column 2",
        ),
        (
            b'4',
            "m.so does not describe its tools: it panicked: in describe",
        ),
        (
            b'5',
            "m.so does not describe its tools: the plugin broke the ABI: its answer is null",
        ),
        (
            b'6',
            "m.so is not a plugin: an entry of its table is null, or the table is not the one in the file",
        ),
        (
            b'7',
            "m.so does not describe its tools: the tool `not a name`: the name of the tool is not allowed: the tool name \"not a name\" contains ' ', allowed are A-Z, a-z, 0-9, _ and -",
        ),
    ] {
        let bytes = library().mode(mode);
        let said = if mode == b'7' {
            &["not a name"][..]
        } else {
            &NAMES
        };
        let package = package("native", "m.so", &bytes, &json!({"tools": said}));
        let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn calls_that_break_the_contract_fail_and_end_nothing_else() {
    let fields = json!({"tools": NAMES, "timeout_seconds": 1});
    let package = package("native", "m.so", &library().bytes, &fields);
    let module = module(&package.named());
    let tools = tools(&module).await;
    let contract = |problem: &str| Err(format!("the plugin broke the ABI: {problem}"));
    let arguments = json!({"text": "x"});
    for (name, expected) in [
        ("echo", Ok(r#"{"text":"x"}"#.to_owned())),
        ("fails", Err("it is Sunday".to_owned())),
        ("panics", Err("the tool panicked: on purpose".to_owned())),
        ("invalid_utf8", contract("its answer is not UTF-8")),
        ("null", contract("its answer is null")),
        (
            "too_long",
            contract("its answer has a length of more than 64 MiB"),
        ),
        (
            "no_json",
            contract("its output is not JSON: expected value at line 1 column 1"),
        ),
        ("twice", Ok("first".to_owned())),
        ("by_thread", Ok("from a thread".to_owned())),
        ("status", contract("its status is 9")),
        ("echo", Ok(r#"{"text":"x"}"#.to_owned())),
    ] {
        assert_eq!(call(&tools[name], &arguments).await, expected, "{name}");
    }
    assert_eq!(module.n_given_up(), 0);
    // The time passes by itself while nothing else is to be done.
    tokio::time::pause();
    for (name, n_given_up) in [("loops", 1), ("loops", 2)] {
        let said = call(&tools[name], &arguments).await.unwrap_err();
        assert_eq!(said, format!("tool `{name}` timed out after 1s"));
        assert_eq!(module.n_given_up(), n_given_up, "{name}");
    }
    for name in ["never", "late"] {
        let said = call(&tools[name], &arguments).await.unwrap_err();
        assert_eq!(said, format!("tool `{name}` timed out after 1s"));
    }
    tokio::time::resume();
    // What ends a call that is not waited for any more reaches no other.
    let in_time = Ok("in time".to_owned());
    assert_eq!(call(&tools["after_late"], &arguments).await, in_time);
    let expected = Err("it is Sunday".to_owned());
    assert_eq!(call(&tools["fails"], &arguments).await, expected);
}
