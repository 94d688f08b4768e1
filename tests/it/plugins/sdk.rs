//! Libraries that are built with the SDK, through the loader of the program. As WebAssembly they are in `cli/tests/e2e/plugins.rs`, since
//! not every machine has that target.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::modules::{call, module, package, tools};

/// An example of the SDK as a shared library, built as all else here, so that what it needs is built already.
fn example(name: &str) -> Vec<u8> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--workspace"])
        .args(["--all-features", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{stderr}");
    // This test lies in `TARGET/PROFILE/deps`.
    let mut target: PathBuf = std::env::current_exe().unwrap();
    assert!(target.pop() && target.pop() && target.pop());
    let prefix = std::env::consts::DLL_PREFIX;
    let suffix = std::env::consts::DLL_SUFFIX;
    std::fs::read(target.join(format!("debug/examples/{prefix}{name}{suffix}"))).unwrap()
}

#[tokio::test]
async fn sdk_library_is_loaded_and_its_tools_are_called() {
    let names = ["count", "frequent_words", "nth_word"];
    let package = package(
        "native",
        "m.so",
        &example("text_tools"),
        &json!({ "tools": names }),
    );
    let tools = tools(&module(&package.named())).await;
    let count = tools["count"].spec();
    assert_eq!(
        count.description,
        "Counts the words or the lines of a text."
    );
    let text = &count.parameters["properties"]["text"];
    assert_eq!(text["description"], "The text.");
    for (name, arguments, expected) in [
        ("count", json!({"text": "a b\nc", "unit": null}), Ok("3")),
        ("count", json!({"text": "a b\nc", "unit": "lines"}), Ok("2")),
        (
            "frequent_words",
            json!({"text": "b a b", "limit": 1}),
            Ok(r#"[{"word":"b","count":2}]"#),
        ),
        ("nth_word", json!({"text": "a b", "position": 2}), Ok("b")),
        (
            "nth_word",
            json!({"text": "a b", "position": 3}),
            Err("there is no word 3"),
        ),
        (
            "nth_word",
            json!({"text": "a b", "position": "x"}),
            Err("the argument `position`: invalid type: string \"x\", expected usize"),
        ),
    ] {
        let said = call(&tools[name], &arguments).await;
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(said, expected, "{name} {arguments}");
    }
}

#[tokio::test]
async fn sdk_library_that_panics_anywhere_fails_the_call_alone() {
    let names = [
        "echo",
        "fails",
        "panics",
        "panics_twice",
        "panics_before",
        "panics_after",
        "panics_late",
        "loops",
        "takes_memory",
    ];
    let package = package(
        "native",
        "m.so",
        &example("faults"),
        &json!({ "tools": names }),
    );
    let module = module(&package.named());
    let tools = tools(&module).await;
    let panicked = |words: &str| Err(format!("the tool panicked: {words}"));
    let nothing = json!({});
    for (name, arguments, expected) in [
        ("echo", &json!({"text": "x"}), Ok("x".to_owned())),
        ("fails", &nothing, Err("it is Sunday".to_owned())),
        ("panics", &nothing, panicked("in the function")),
        (
            "panics_twice",
            &nothing,
            panicked("a value that is not text"),
        ),
        (
            "panics_before",
            &json!({"argument": "y"}),
            panicked("while the argument y was read"),
        ),
        (
            "panics_after",
            &nothing,
            panicked("while the output was serialized"),
        ),
        (
            "panics_late",
            &nothing,
            panicked("while the error was printed"),
        ),
        ("takes_memory", &json!({"mib": 1}), Ok("1048576".to_owned())),
        ("echo", &json!({"text": "y"}), Ok("y".to_owned())),
    ] {
        let arguments: &Value = arguments;
        assert_eq!(call(&tools[name], arguments).await, expected, "{name}");
    }
    assert_eq!(module.n_given_up(), 0);
}
