//! What is wrong or not there before anything is done.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use openai_agents::testing::Reply;

use super::{ExitRow, Scene, row};
use crate::support::{on, streamed_text};

/// The id of a durable run, which stands in a line of stderr.
pub(super) fn run_id(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let id = told.lines().find_map(|line| line.strip_prefix("run "));
    id.unwrap_or_else(|| panic!("no run in {told}")).to_owned()
}

/// `run --json` with these arguments and a server that is not asked.
fn run(scene: &Scene, arguments: &[&str]) -> Output {
    scene.on([], &[&["run", "--json"], arguments].concat())
}

fn at(scene: &Scene, url: &str) -> Output {
    let arguments = ["run", "--json", "--model", "m", "--base-url", url, "hi"];
    scene.bare(&arguments)
}

fn with_store(scene: &Scene, url: &str) -> Output {
    let server = scene.server([]);
    let arguments = ["run", "--session", "a", "--json", "hi"];
    let mut command = on(&server, &scene.directory, &arguments);
    command
        .env("OPENAI_AGENTS__SESSIONS__URL", url)
        .output()
        .unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

const NO_SERVER: &str = "{ mcp_servers: { gone: { command: ./not-there } }, agents: [{ name: A, mcp_servers: [gone] }] }";

pub(super) const ROWS: &[ExitRow] = &[
    row(
        "a flag that is not there",
        2,
        "config",
        "unexpected argument '--frob'",
        |scene| run(scene, &["--frob"]),
    ),
    row(
        "a command that is not there",
        2,
        "config",
        "unrecognized subcommand 'frob'",
        |scene| scene.bare(&["frob", "--json"]),
    ),
    row("no prompt", 2, "config", "no prompt: ", |scene| {
        run(scene, &[])
    }),
    row(
        "an empty prompt",
        2,
        "config",
        "the prompt is empty",
        |scene| run(scene, &[""]),
    ),
    row(
        "stdin is larger than it may be",
        2,
        "config",
        "--max-input-bytes allows more",
        |scene| {
            scene.fed(
                b"12345",
                [],
                &["run", "--json", "--max-input-bytes", "4", "hi"],
            )
        },
    ),
    row(
        "stdin is not UTF-8",
        2,
        "config",
        "it is not UTF-8 text: byte 3 ",
        |scene| scene.fed(b"caf\xe9", [], &["run", "--json", "hi"]),
    ),
    row(
        "`--image` is no image",
        2,
        "config",
        "it is neither PNG, JPEG, GIF nor WebP",
        |scene| {
            scene.directory.write("a.svg", "<svg/>");
            run(scene, &["--image", "a.svg", "hi"])
        },
    ),
    #[cfg(target_os = "linux")]
    row(
        "`--file /dev/zero`",
        2,
        "config",
        "it is a device, and only a regular file is read here",
        |scene| run(scene, &["--file", "/dev/zero", "hi"]),
    ),
    row(
        "`--schema` is no JSON",
        2,
        "config",
        "cannot use the schema s.json",
        |scene| {
            scene.directory.write("s.json", "{");
            run(scene, &["--schema", "s.json", "hi"])
        },
    ),
    #[cfg(unix)]
    row(
        "`-o` is a pipe that nobody reads",
        2,
        "config",
        "-o pipe: nobody reads this pipe",
        |scene| {
            let pipe = scene.directory.path("pipe");
            let made = std::process::Command::new("mkfifo").arg(pipe).status();
            assert!(made.unwrap().success());
            run(scene, &["-o", "pipe", "hi"])
        },
    ),
    row(
        "`-o` leads nowhere",
        2,
        "config",
        "-o none/a.txt: its folder does not exist",
        |scene| run(scene, &["-o", "none/a.txt", "hi"]),
    ),
    row(
        "`--record` names a file that is there",
        2,
        "journal",
        "a.jsonl",
        |scene| {
            scene.directory.write("a.jsonl", "");
            run(scene, &["--record", "a.jsonl", "hi"])
        },
    ),
    row(
        "`--save-state` names a file that is there",
        2,
        "config",
        "--save-state a.json: the file exists already",
        |scene| {
            scene.directory.write("a.json", "");
            run(scene, &["--save-state", "a.json", "hi"])
        },
    ),
    row(
        "no base URL",
        2,
        "config",
        "no base URL: set OPENAI_BASE_URL",
        |scene| scene.bare(&["run", "--json", "hi"]),
    ),
    row(
        "no model",
        2,
        "config",
        "no model: set OPENAI_MODEL",
        |scene| scene.bare(&["run", "--json", "--base-url", "http://127.0.0.1:1", "hi"]),
    ),
    row(
        "an unknown setting",
        2,
        "config",
        "unknown setting `modle`",
        |scene| scene.configured("modle: m", &["run", "--json", "hi"]),
    ),
    row(
        "the file of `--config` is not there",
        2,
        "config",
        "none.yaml",
        |scene| run(scene, &["--config", "none.yaml", "hi"]),
    ),
    row(
        "an agent that is not there",
        2,
        "config",
        "there is no agent `Nobody`",
        |scene| run(scene, &["--agent", "Nobody", "hi"]),
    ),
    row(
        "an agent with a tool that is not there",
        2,
        "config",
        "names the tool `rocket`",
        |scene| {
            scene.configured(
                "agents: [{ name: A, tools: [rocket] }]",
                &["agents", "--json"],
            )
        },
    ),
    row(
        "nobody listens at the base URL",
        2,
        "transport",
        "is the server running?",
        |scene| at(scene, &format!("http://{}/v1", nobody())),
    ),
    row(
        "the name of the server is not known",
        2,
        "transport",
        "could not connect to nowhere.invalid:80",
        |scene| at(scene, "http://nowhere.invalid/v1"),
    ),
    row(
        "the server does not speak TLS",
        2,
        "transport",
        "could not connect to 127.0.0.1:",
        |scene| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("https://{}/v1", listener.local_addr().unwrap());
            let serving = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream
                    .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    .unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            });
            let output = at(scene, &url);
            serving.join().unwrap();
            output
        },
    ),
    row(
        "the file of the sessions cannot be made",
        2,
        "session",
        "the session store /nowhere/at/all.db",
        |scene| with_store(scene, "sqlite:/nowhere/at/all.db"),
    ),
    #[cfg(feature = "postgres")]
    row(
        "the server of the sessions is not there",
        2,
        "session",
        "cannot be reached",
        |scene| with_store(scene, &format!("postgres://{}/db", nobody())),
    ),
    #[cfg(target_os = "linux")]
    row(
        "the folder for runs that wait cannot be made",
        2,
        "config",
        "cannot create /proc/openai-agents/runs",
        |scene| {
            scene.directory.write("config.yaml", super::stopped::CONFIG);
            let server = scene.server([]);
            let arguments = ["run", "--agent", "Careful", "--json", "hi"];
            let mut command = on(&server, &scene.directory, &arguments);
            command.env("XDG_STATE_HOME", "/proc").output().unwrap()
        },
    ),
    row(
        "an MCP server cannot be started",
        2,
        "mcp",
        "MCP server `gone`",
        |scene| scene.configured(NO_SERVER, &["run", "--agent", "A", "--json", "hi"]),
    ),
    row(
        "`tools`, an MCP server cannot be started",
        2,
        "mcp",
        "",
        |scene| scene.configured(NO_SERVER, &["tools", "--json"]),
    ),
    row(
        "`--continue`, and there is nothing to continue",
        2,
        "session",
        "there is no conversation to continue",
        |scene| run(scene, &["--continue", "hi"]),
    ),
    row(
        "`--resume` names no saved run",
        2,
        "state_invalid",
        "cannot read the saved run none.json",
        |scene| run(scene, &["--resume", "none.json"]),
    ),
    row(
        "`--resume` for the second time",
        2,
        "already_resumed",
        "the run in run.json was already resumed",
        |scene| {
            super::stopped::paused(scene);
            let arguments = ["run", "--resume", "run.json", "--approve-all", "--json"];
            scene.on([streamed_text("Do", "ne")], &arguments);
            scene.on([], &arguments)
        },
    ),
    row(
        "`--approve` names a call that does not wait",
        2,
        "state_invalid",
        "no call waits under the id nope",
        |scene| {
            super::stopped::paused(scene);
            run(scene, &["--resume", "run.json", "--approve", "nope"])
        },
    ),
    row(
        "`resume RUN` of a run that is not there",
        2,
        "state_invalid",
        "has no run `0123456789abcdef`",
        |scene| scene.on([], &["resume", "--json", "0123456789abcdef"]),
    ),
    row(
        "`resume RUN` of a run that is under way",
        2,
        "already_resumed",
        "is being executed by process ",
        |scene| {
            let server = scene.server([Reply::event_stream().hang()]);
            let mut child = scene.asking(
                &server,
                on(&server, &scene.directory, &["run", "--durable", "hi"]),
            );
            let list = scene.on([], &["resume"]);
            let list = String::from_utf8(list.stdout).unwrap();
            let refused = scene.on([], &["resume", "--json", list.split(' ').next().unwrap()]);
            child.kill().unwrap();
            child.wait().unwrap();
            refused
        },
    ),
    row(
        "`replay` names no file",
        2,
        "journal",
        "none.jsonl",
        |scene| scene.bare(&["replay", "none.jsonl", "--json"]),
    ),
    row(
        "`replay` names no recording",
        2,
        "state_invalid",
        "line 1 cannot be read",
        |scene| {
            scene.directory.write("a.jsonl", "{}\n");
            scene.bare(&["replay", "a.jsonl", "--json"])
        },
    ),
    row(
        "`sessions show` of one that is not there",
        2,
        "session",
        "there is no session `a` in ",
        |scene| scene.bare(&["sessions", "show", "a", "--json"]),
    ),
    row("`check`, and something is missing", 2, "-", "", |scene| {
        scene.bare(&["check"])
    }),
    row(
        "`serve` at a port that is taken",
        2,
        "-",
        "cannot listen on 127.0.0.1:",
        |scene| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            scene.on([], &["serve", "--bind", &address])
        },
    ),
    row(
        "`serve` for others without a token",
        2,
        "-",
        "`server.token`",
        |scene| scene.on([], &["serve", "--bind", "0.0.0.0:0"]),
    ),
    row(
        "`reload`, and nobody serves",
        2,
        "-",
        "no server answers at 127.0.0.1:",
        |scene| scene.bare(&["reload", "--bind", &nobody()]),
    ),
];
