//! `openai-agents trace` and `graph`.

use crate::support::Directory;

#[track_caller]
fn trace(directory: &Directory, arguments: &[&str], code: i32) -> String {
    let output = directory
        .program()
        .arg("trace")
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = if code == 0 {
        output.stdout
    } else {
        output.stderr
    };
    String::from_utf8(text).unwrap()
}

#[test]
fn what_is_not_recorded_is_said() {
    let directory = Directory::new("trace_none");
    assert_eq!(trace(&directory, &["list"], 0), "");
    let said = trace(&directory, &["show"], 2);
    assert!(said.contains("nothing is recorded in"), "{said}");
    let said = trace(&directory, &["show", "xyz"], 2);
    assert!(said.contains("nothing is recorded in"), "{said}");
    let wrong = Directory::new("trace_wrong").file("config.yaml", "trace: {stor: a}\n");
    let said = trace(&wrong, &["list"], 2);
    assert!(
        said.contains("trace.stor") && said.contains("trace.store"),
        "{said}"
    );
}

#[test]
fn graph_draws_agents_tools_and_handoffs() {
    let config = "agents:\n  - {name: Desk, tools: [calculator], handoffs: [Billing]}\n  - {name: Billing}\n";
    let directory = Directory::new("graph").file("config.yaml", config);
    let draw = |format: &str| {
        let arguments = ["graph", "--agent", "Desk", "--format", format];
        let output = directory.program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        draw("mermaid"),
        "flowchart LR\n  n0[\"Desk\"]\n  n1([\"calculator\"])\n  n2[\"Billing\"]\n  n0 -->|tool| n1\n  n0 -->|hands off to| n2\n"
    );
    assert!(draw("dot").contains("n0 -> n2 [label=\"hands off to\"];"));
    let svg = draw("svg");
    assert!(
        svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
        "{svg}"
    );
}
