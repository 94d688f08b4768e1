//! WASM modules: what is refused, and what bounds the code that runs.

#[path = "../../fixtures/plugins/module.rs"]
mod by_hand;

use serde_json::json;

use by_hand::{NAMES, wasm_module};

use super::modules::{FOLDER, call, module, package, refusal, tools};

#[tokio::test]
async fn calls_are_bounded_and_one_that_is_stopped_ends_nothing_else() {
    let fields = json!({"tools": NAMES, "max_fuel": 1_000_000, "max_memory_mib": 2});
    let package = package("wasm", "m.wasm", &wasm_module(" ", " "), &fields);
    let tools = tools(&module(&package.named())).await;
    let stopped = |problem: &str| Err(format!("the plugin was stopped: {problem}"));
    let contract = |problem: &str| Err(format!("the plugin broke its contract: {problem}"));
    for (name, expected) in [
        ("echo", Ok("{}".to_owned())),
        ("fails", Err("it is Sunday".to_owned())),
        (
            "loops",
            stopped("it computes longer than `max_fuel` lets it"),
        ),
        ("panics", stopped("it panicked, or ran out of memory")),
        ("hogs", Ok("full".to_owned())),
        ("outside", contract("its answer lies outside of its memory")),
        ("utf8", contract("its answer is not UTF-8")),
        ("nothing", contract("its answer is empty")),
        ("echo", Ok("{}".to_owned())),
    ] {
        assert_eq!(call(&tools[name], &json!({})).await, expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_plugin_or_asks_for_more_is_refused() {
    let version = "(func (export \"openai_agents_abi_version\") (result i32) (i32.const 1))";
    for (bytes, expected) in [
        (
            wasm_module(
                "(i32.const 1))\n  ;; The name",
                "(i32.const 2))\n  ;; The name",
            ),
            "m.wasm is for ABI 2, and 1 is supported",
        ),
        (
            wasm_module(version, ""),
            "m.wasm is no plugin: it has no function openai_agents_abi_version as the ABI has it",
        ),
        (
            wasm_module("(memory (export \"memory\") 2)", "(memory 2)"),
            "m.wasm is no plugin: it exports no memory",
        ),
        (
            wasm_module(
                "(memory (export",
                "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32)))\n(memory (export",
            ),
            "m.wasm is no plugin: it imports wasi_snapshot_preview1.fd_write, and a module is offered nothing",
        ),
        (
            wasm_module(
                "(data (i32.const 16)",
                "(start $spin)\n(func $spin (loop $again (br $again)))\n(data (i32.const 16)",
            ),
            "m.wasm is no plugin: it computes longer than `max_fuel` lets it",
        ),
    ] {
        let fields = json!({"tools": NAMES, "max_fuel": 1_000_000});
        let package = package("wasm", "m.wasm", &bytes, &fields);
        let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
        assert_eq!(said, expected);
    }
    for bytes in [&b"text"[..], &wasm_module(" ", " ")[..100], b""] {
        let package = package("wasm", "m.wasm", bytes, &json!({"tools": NAMES}));
        let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
        assert!(
            said.starts_with("m.wasm is no plugin: it is not a WebAssembly module"),
            "{said}"
        );
    }
    let package = package(
        "wasm",
        "m.wasm",
        &wasm_module(
            "(memory (export \"memory\") 2)",
            "(memory (export \"memory\") 100)",
        ),
        &json!({"tools": NAMES, "max_memory_mib": 1}),
    );
    let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
    assert!(said.starts_with("m.wasm is no plugin: "), "{said}");
}
