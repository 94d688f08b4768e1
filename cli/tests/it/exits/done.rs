//! What ends well.

use super::{ExitRow, row};
use crate::support::{on, streamed_call, streamed_text, whole_text};

pub(super) const ROWS: &[ExitRow] = &[
    row("`run`, an answer", 0, "ok", "", |scene| {
        scene.on([streamed_text("Hel", "lo")], &["run", "--json", "hi"])
    }),
    row("`run --no-stream`, an answer", 0, "ok", "", |scene| {
        let arguments = ["run", "--no-stream", "--json", "hi"];
        scene.on([whole_text("Hello")], &arguments)
    }),
    row(
        "`run`, a tool failed, and the model answered",
        0,
        "-",
        "<- failed: tool `calculator` failed",
        |scene| {
            let call = streamed_call("", "calculator", r#"{"expression":"1/"}"#);
            scene.on([call, streamed_text("So", "rry")], &["run", "hi"])
        },
    ),
    row("`run PROMPT` with a pipe", 0, "ok", "", |scene| {
        scene.fed(
            b"log\n",
            [streamed_text("O", "k")],
            &["run", "--json", "Summarise"],
        )
    }),
    row("`run -` with a pipe", 0, "ok", "", |scene| {
        scene.fed(b"hi\n", [streamed_text("O", "k")], &["run", "--json", "-"])
    }),
    row(
        "`run`, the reader of stdout has gone",
        0,
        "-",
        "",
        |scene| {
            let server = scene.server([streamed_text("Hel", "lo").hang()]);
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = on(&server, &scene.directory, &["run", "--json", "hi"]);
            command.stdout(writer).output().unwrap()
        },
    ),
    row("`run --resume FILE --approve-all`", 0, "ok", "", |scene| {
        super::stopped::paused(scene);
        let arguments = ["run", "--resume", "run.json", "--approve-all", "--json"];
        scene.on([streamed_text("Do", "ne")], &arguments)
    }),
    row("`resume RUN` of a run that is over", 0, "ok", "", |scene| {
        let run = scene.on([streamed_text("Hel", "lo")], &["run", "--durable", "hi"]);
        let id = super::usage::run_id(&run);
        scene.on([], &["resume", &id, "--json"])
    }),
    row("`replay FILE`", 0, "ok", "", |scene| {
        scene.on(
            [streamed_text("Hel", "lo")],
            &["run", "--record", "a.jsonl", "hi"],
        );
        scene.bare(&["replay", "a.jsonl", "--json"])
    }),
    row(
        "`replay FILE --diff` of two that are the same",
        0,
        "ok",
        "",
        |scene| {
            scene.on(
                [streamed_text("Hel", "lo")],
                &["run", "--record", "a.jsonl", "hi"],
            );
            scene.bare(&["replay", "a.jsonl", "--diff", "a.jsonl", "--json"])
        },
    ),
    row("`sessions list`", 0, "ok", "", |scene| {
        scene.bare(&["sessions", "list", "--json"])
    }),
    row("`resume`, which lists runs", 0, "ok", "", |scene| {
        scene.bare(&["resume", "--json"])
    }),
    row("`agents`", 0, "ok", "", |scene| {
        scene.bare(&["agents", "--json"])
    }),
    row("`tools`", 0, "ok", "", |scene| {
        scene.bare(&["tools", "--json"])
    }),
    row("`--help`", 0, "-", "", |scene| scene.bare(&["--help"])),
];
