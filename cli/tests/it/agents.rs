//! `openai-agents agents` and `openai-agents tools`, which need no model.

use serde_json::json;

use crate::support::{Directory, check_output, lines};

fn directory(name: &str) -> Directory {
    Directory::new(name).file(
        "config.yaml",
        "agents:\n  - name: Guide\n    instructions: |\n      Guide.\n      Well.\n    model: big\n    tools: [calculator]\n",
    )
}

#[test]
fn agents_are_listed_with_their_origins() {
    let directory = directory("agents-list");
    let output = directory.program().arg("agents").output().unwrap();
    check_output(
        &output,
        0,
        "\
Assistant (built in)
  model: not set
  tools: calculator, current_time
  instructions: You are a helpful assistant. Use your tools where they help, and answer briefly.
EchoAgent (built in)
  model: not set
  tools: none
  instructions: You are a helpful assistant.
Guide (./config.yaml:2)
  model: big
  tools: calculator
  instructions: Guide.\\nWell.
",
        "",
    );
    let output = directory
        .program()
        .args(["agents", "--json"])
        .output()
        .unwrap();
    assert_eq!(
        lines(&output)[2],
        json!({
            "type": "agent", "name": "Guide", "instructions": "Guide.\nWell.\n", "model": "big",
            "tools": ["calculator"], "skills": [], "mcp_servers": [], "agents_as_tools": [], "needs_approval": [], "handoffs": [],
            "handoff_description": null, "input_guardrails": [], "output_guardrails": [], "output_schema": null,
            "origin": "./config.yaml:2",
        })
    );
}

#[test]
fn the_graph_of_agents_is_shown() {
    let directory = Directory::new("agents-graph").file(
        "config.yaml",
        "agents:
  - name: Assistant
    handoffs: [Billing, EchoAgent]
    agents_as_tools: [Billing, { agent: EchoAgent, name: echo }]
    needs_approval: [echo]
    guardrails: { input: [{ deny: [x] }], output: [{ agent: Billing }] }
  - { name: Billing, tools: [calculator] }
",
    );
    let output = directory.program().arg("agents").output().unwrap();
    check_output(
        &output,
        0,
        "\
EchoAgent (built in)
  model: not set
  tools: none
  instructions: You are a helpful assistant.
Assistant (./config.yaml:2)
  model: not set
  tools: none
  hands off to: Billing, EchoAgent
  agents as tools: Billing, EchoAgent as echo
  needs approval: echo
  input guardrails: deny
  output guardrails: Billing
Billing (./config.yaml:7)
  model: not set
  tools: calculator
",
        "",
    );
}

#[test]
fn tools_are_listed_with_the_agents_that_have_them() {
    let directory = directory("agents-tools");
    let output = directory.program().arg("tools").output().unwrap();
    check_output(
        &output,
        0,
        "\
calculator(expression) (built in)
  Calculates an arithmetic expression, such as 4 * 5
  agents: Assistant, Guide
current_time(time_zone) (built in)
  Tells the current date and time in a time zone
  agents: Assistant
",
        "",
    );
    let output = directory
        .program()
        .args(["tools", "--json"])
        .output()
        .unwrap();
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], json!({"type": "result", "ok": true}));
    assert_eq!(lines[0]["parameters"]["required"], json!(["expression"]));
}
