//! Guardrails, limits, approvals.

use openai_agents::testing::Reply;

use super::{ExitRow, Scene, row};
use crate::support::{on, streamed_call, streamed_text};

pub(super) const CONFIG: &str =
    "agents: [{ name: Careful, tools: [calculator], needs_approval: [calculator] }]";
const SUM: &str = r#"{"expression":"1+1"}"#;

/// A run that waits in `run.json`.
pub(super) fn paused(scene: &Scene) -> std::process::Output {
    scene.directory.write("config.yaml", CONFIG);
    let arguments = [
        "run",
        "--agent",
        "Careful",
        "--save-state",
        "run.json",
        "--json",
        "hi",
    ];
    scene.on([streamed_call("", "calculator", SUM)], &arguments)
}

pub(super) const ROWS: &[ExitRow] = &[
    row(
        "an input guardrail trips",
        3,
        "guardrail_tripped",
        "the input guardrail `deny` tripped",
        |scene| {
            let config = "agents: [{ name: A, guardrails: { input: [{ deny: [secret], timing: blocking }] } }]";
            scene.configured(config, &["run", "--agent", "A", "--json", "a secret"])
        },
    ),
    row(
        "an output guardrail trips",
        3,
        "guardrail_tripped",
        "the output guardrail `deny` tripped",
        |scene| {
            let config = "agents: [{ name: A, guardrails: { output: [{ deny: [secret] }] } }]";
            scene.directory.write("config.yaml", config);
            scene.on(
                [streamed_text("a ", "secret")],
                &["run", "--agent", "A", "--json", "hi"],
            )
        },
    ),
    row(
        "all turns are used",
        4,
        "max_turns",
        "--max-turns",
        |scene| {
            let arguments = ["run", "--max-turns", "1", "--json", "hi"];
            scene.on([streamed_call("", "calculator", SUM)], &arguments)
        },
    ),
    row(
        "a budget of `limits` is used",
        4,
        "budget_exceeded",
        "`limits` in ./config.yaml",
        |scene| {
            scene
                .directory
                .write("config.yaml", "limits: { max_total_tokens: 10 }");
            scene.on(
                [streamed_call("", "calculator", SUM)],
                &["run", "--json", "hi"],
            )
        },
    ),
    row(
        "the run has cost what `--max-cost` allows",
        4,
        "budget_exceeded",
        "--max-cost, or",
        |scene| {
            let prices = "prices: { m: { input: 1.5, output: 10 } }";
            scene.directory.write("config.yaml", prices);
            let arguments = ["run", "--max-cost", "0.00006", "--json", "hi"];
            scene.on([streamed_call("", "calculator", SUM)], &arguments)
        },
    ),
    row(
        "the time of `--timeout` is over",
        4,
        "budget_exceeded",
        "--timeout",
        |scene| {
            let arguments = ["run", "--timeout", "1", "--json", "hi"];
            scene.on([Reply::event_stream().hang()], &arguments)
        },
    ),
    row(
        "stdin does not end within `--timeout`",
        4,
        "budget_exceeded",
        "stdin did not end within 1s",
        |scene| {
            let server = scene.server([]);
            let (reader, writer) = std::io::pipe().unwrap();
            let arguments = ["run", "--timeout", "1", "--json", "hi"];
            let output = on(&server, &scene.directory, &arguments)
                .stdin(reader)
                .output();
            drop(writer);
            output.unwrap()
        },
    ),
    row(
        "calls wait for approval",
        5,
        "approval_required",
        "the run is saved in run.json; to approve and resume it:",
        paused,
    ),
    row(
        "calls of a durable run wait",
        5,
        "approval_required",
        "the run is kept as ",
        |scene| {
            scene.directory.write("config.yaml", CONFIG);
            let arguments = ["run", "--agent", "Careful", "--durable", "--json", "hi"];
            scene.on([streamed_call("", "calculator", SUM)], &arguments)
        },
    ),
    row(
        "`run --resume FILE` without a decision",
        5,
        "approval_required",
        "1 call waits for approval: calculator",
        |scene| {
            paused(scene);
            scene.on([], &["run", "--resume", "run.json", "--json"])
        },
    ),
];
