//! WASM modules: what is refused, and what bounds the code that runs.

#[path = "../../fixtures/plugins/module.rs"]
pub(super) mod by_hand;

use serde_json::json;

use by_hand::{NAMES, wasm_module};

use super::modules::{FOLDER, call, module, package, refusal, tools};

#[tokio::test]
async fn calls_are_bounded_and_one_that_is_stopped_ends_nothing_else() {
    let fields = json!({"tools": NAMES, "max_fuel": 1_000_000, "max_memory_mib": 2});
    let package = package("wasm", "m.wasm", &wasm_module(" ", " "), &fields);
    let tools = tools(&module(&package.named())).await;
    let stopped = |problem: &str| Err(format!("the plugin was stopped: {problem}"));
    let contract = |problem: &str| Err(format!("the plugin broke the ABI: {problem}"));
    for (name, expected) in [
        ("echo", Ok("{}".to_owned())),
        ("fails", Err("it is Sunday".to_owned())),
        ("loops", stopped("it reached the limit `max_fuel`")),
        ("panics", stopped("it panicked, or ran out of memory")),
        ("hogs", Ok("full".to_owned())),
        ("outside", contract("its answer is outside its memory")),
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
            "m.wasm is for ABI 2; only 1 is supported",
        ),
        (
            wasm_module(version, ""),
            "m.wasm is not a plugin: it has no function openai_agents_abi_version with the signature of the ABI",
        ),
        (
            wasm_module("(memory (export \"memory\") 2)", "(memory 2)"),
            "m.wasm is not a plugin: it exports no memory",
        ),
        (
            wasm_module(
                "(memory (export",
                "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32)))\n(memory (export",
            ),
            "m.wasm is not a plugin: it imports wasi_snapshot_preview1.fd_write, and a module may import nothing",
        ),
        (
            wasm_module(
                "(data (i32.const 16)",
                "(start $spin)\n(func $spin (loop $again (br $again)))\n(data (i32.const 16)",
            ),
            "m.wasm is not a plugin: it reached the limit `max_fuel`",
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
            said.starts_with("m.wasm is not a plugin: it is not a WebAssembly module"),
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
    assert!(said.starts_with("m.wasm is not a plugin: "), "{said}");
}

#[tokio::test]
async fn entries_that_trap_or_loop_are_contained_one_by_one() {
    let describe = "(result i64)\n    (i64.const 0x";
    let version = "(result i32) (i32.const 1))\n  ;; The name";
    let trapped = "it panicked, or ran out of memory";
    let looped = "it reached the limit `max_fuel`";
    let not_described = "m.wasm does not describe its tools: the plugin";
    for (from, instead, expected) in [
        (
            describe,
            "(unreachable)",
            format!("{not_described} was stopped: {trapped}"),
        ),
        (
            describe,
            "(loop $again (br $again))",
            format!("{not_described} was stopped: {looped}"),
        ),
        (
            describe,
            "(return (i64.const -1))",
            format!("{not_described} broke the ABI: its answer is outside its memory"),
        ),
        (
            version,
            "(unreachable)",
            format!("m.wasm is not a plugin: {trapped}"),
        ),
        (
            version,
            "(loop $again (br $again))",
            format!("m.wasm is not a plugin: {looped}"),
        ),
    ] {
        let to = from.replacen(')', &format!(") {instead}"), 1);
        let bytes = wasm_module(from, &to);
        let fields = json!({"tools": NAMES, "max_fuel": 1_000_000});
        let package = package("wasm", "m.wasm", &bytes, &fields);
        let said = refusal(&module(&package.named()), &package.path(FOLDER)).await;
        assert_eq!(said, expected, "{instead}");
    }
}

#[tokio::test]
async fn room_that_a_module_cannot_give_fails_the_call() {
    let allocate = "(if (result i32) (i32.and (global.get $n_rooms) (i32.const 1))";
    let stopped = |problem: &str| Err(format!("the plugin was stopped: {problem}"));
    for (to, expected) in [
        (
            "(unreachable)",
            stopped("it panicked, or ran out of memory"),
        ),
        (
            "(loop $again (br $again))",
            stopped("it reached the limit `max_fuel`"),
        ),
        (
            "(return (i32.const -4))",
            Err(
                "the plugin broke the ABI: the space that it allocated is outside its memory"
                    .to_owned(),
            ),
        ),
    ] {
        let bytes = wasm_module(allocate, &format!("{to} {allocate}"));
        let fields = json!({"tools": NAMES, "max_fuel": 1_000_000});
        let package = package("wasm", "m.wasm", &bytes, &fields);
        let tools = tools(&module(&package.named())).await;
        assert_eq!(call(&tools["echo"], &json!({})).await, expected, "{to}");
    }
}
