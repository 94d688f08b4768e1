//! `openai-agents trace` and `graph`.

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::support::{Directory, KEY, chunk, lines, on, streamed_call, streamed_text};

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

const PRICED: &str = "prices: {m: {input: 1.5, output: 10}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn run_trace_is_shown_with_tokens_and_cost() {
    let directory = Directory::new("trace_cost").file("config.yaml", PRICED);
    let server = FakeServer::start([
        streamed_call("", "calculator", r#"{"expression":"100 + 250"}"#),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let output = on(
        &server,
        &directory,
        &["run", "--trace", "--json", "100 + 250?"],
    )
    .output()
    .unwrap();
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["ok"], true, "{output:?}");
    // Two answers of 10 tokens in and 5 out.
    assert_eq!(result["usage"]["cost"], "0.00013");
    assert_eq!(result["usage"]["priced_requests"], 2);

    let shown = trace(&directory, &["show"], 0);
    assert!(shown.contains("execute_tool calculator"), "{shown}");
    assert!(shown.contains("cost 0.00013"), "{shown}");
    let listed = trace(&directory, &["list"], 0);
    assert!(listed.contains("cost 0.00013"), "{listed}");
    let totals = trace(&directory, &["usage", "--by", "model,agent", "--json"], 0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(totals.lines().next().unwrap()).unwrap(),
        json!({"type": "usage", "model": "m", "agent": "Assistant", "usage": result["usage"]})
    );
    let table = trace(&directory, &["usage"], 0);
    let columns: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let head = [
        "day",
        "requests",
        "input",
        "cached",
        "output",
        "reasoning",
        "cost",
    ];
    assert_eq!(columns[0], head);
    assert_eq!(columns[1][1..], ["2", "20", "0", "10", "0", "0.00013"]);
    assert_eq!(
        trace(&directory, &["usage", "--since", "2999-01-01"], 0),
        ""
    );
    let said = trace(&directory, &["usage", "--since", "yesterday"], 2);
    assert!(
        said.contains("`since` must be a day such as 2026-11-27"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn run_trace_that_failed_is_found_with_the_words_of_the_server() {
    let directory = Directory::new("trace_failed");
    let server = FakeServer::start([Reply::status(
        500,
        r#"{"error":{"message":"out of memory"}}"#,
    )])
    .await
    .unwrap();
    let output = on(&server, &directory, &["run", "--trace", "Hello"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let failed = trace(&directory, &["list", "--failed"], 0);
    assert!(
        failed.contains("api_status") && failed.contains("out of memory"),
        "{failed}"
    );
    let page = trace(&directory, &["export", "--html"], 0);
    assert!(
        page.contains("out of memory") && !page.contains(KEY),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn run_with_a_budget_stops_at_it_or_at_an_unknown_price() {
    let budget = format!("{PRICED}limits: {{max_cost: 0.00006}}\n");
    let directory = Directory::new("trace_budget").file("config.yaml", &budget);
    let sum = r#"{"expression":"100 + 250"}"#;
    let server = FakeServer::start([streamed_call("", "calculator", sum)])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "--json", "100 + 250?"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let result = lines(&output).pop().unwrap();
    assert_eq!(
        result["error"]["message"],
        "the run cost 0.000065 of 0.00006 allowed (max_cost)"
    );
    let arguments = ["run", "--json", "--model", "other", "100 + 250?"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["error"]["kind"], "config");
    assert_eq!(server.requests().len(), 1);
}

/// What drives a terminal, looks like a line of ours, or would run in a page.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}31m\u{202e}<script>1</script>[a](javascript:1)";

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_returns_and_how_a_call_is_named_stay_text_on_a_terminal_and_in_html() {
    let config = "workspace: {root: .}\nagents: [{name: Reader, tools: [read_file]}]\n";
    let directory = Directory::new("trace_hostile").file("config.yaml", config);
    let directory = directory.file("evil.txt", HOSTILE);
    let server = FakeServer::start([
        streamed_call("", "read_file", r#"{"path":"evil.txt"}"#),
        streamed_call("", HOSTILE, "{}"),
    ])
    .await
    .unwrap();
    let arguments = ["run", "--trace", "--agent", "Reader", "Read evil.txt"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    let sent = server.requests()[1].json().unwrap().to_string();
    assert!(sent.contains("<script>1</script>"), "{sent}");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    let shown = trace(&directory, &["show"], 0);
    let listed = trace(&directory, &["list"], 0);
    for text in [&said, &shown, &listed] {
        let drives = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(drives), "{text:?}");
    }
    for text in [&said, &shown] {
        assert!(text.contains(r"\u{1b}[2J\u{1b}]0;x\u{7}"), "{text}");
    }
    let page = trace(&directory, &["export", "--html"], 0);
    assert!(
        page.contains("&lt;script>1") || page.contains("&lt;script&gt;1"),
        "{page}"
    );
    assert!(
        !page.contains("<script") && !page.contains("href"),
        "{page}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn run_of_a_killed_program_is_lost_and_can_be_deleted() {
    let directory = Directory::new("trace_lost");
    let server = FakeServer::start([Reply::sse([chunk(&json!({"content": "It"}), None)]).hang()])
        .await
        .unwrap();
    let mut child = on(&server, &directory, &["run", "--trace", "Hello"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !trace(&directory, &["list"], 0).contains("running") {
        assert_eq!(child.try_wait().unwrap(), None);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = trace(&directory, &["list"], 0);
    assert!(
        listed.contains("lost") && !listed.contains("running"),
        "{listed}"
    );
    let shown = trace(&directory, &["show"], 0);
    assert!(shown.contains("? run Assistant"), "{shown}");
    assert_eq!(trace(&directory, &["delete", "--older-than", "1d"], 0), "");
    assert_eq!(trace(&directory, &["list"], 0), listed);
    trace(&directory, &["delete", "--older-than", "0m"], 0);
    assert_eq!(trace(&directory, &["list"], 0), "");
    for wrong in ["1", "d", "1w", "-1d", "9999999999999999999d"] {
        let said = trace(&directory, &["delete", &format!("--older-than={wrong}")], 2);
        assert!(said.contains("such as 30d, 12h or 45m"), "{said}");
    }
}
