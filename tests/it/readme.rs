//! What the README promises of itself; its code is compiled by the documentation tests.

/// The first Rust block is the hello-agent with a tool.
#[test]
fn hello_agent_with_a_tool_is_at_most_15_lines() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("```rust,no_run\n").expect("a Rust block");
    let (hello, _) = rest.split_once("```").expect("its end");
    assert!(
        hello.contains("#[tool]") && hello.contains("fn main"),
        "{hello}"
    );
    assert!(
        !hello
            .lines()
            .any(|line| line.starts_with('#') && !line.starts_with("#[")),
        "hidden lines: {hello}"
    );
    assert!(
        hello.lines().count() <= 15,
        "{} lines",
        hello.lines().count()
    );
}
