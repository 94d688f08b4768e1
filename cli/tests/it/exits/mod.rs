//! How the program ends: every row of docs/exit-codes.md, played on the program itself.

mod done;
mod failed;
#[cfg(unix)]
mod signals;
mod speech;
mod stopped;
mod usage;

use std::process::{Command, Output, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::Value;
use tokio::runtime::Handle;

#[cfg(unix)]
use crate::support::on_full_disk;
use crate::support::{Directory, on};

/// A situation, what the program makes of it, and how to bring it about.
struct ExitRow {
    situation: &'static str,
    code: i32,
    /// The kind of the error in the last line of `--json`, `ok`, or `-` where there is no such line.
    result: &'static str,
    /// What a line of stderr names; nothing where stderr is empty.
    stderr: &'static str,
    play: fn(&Scene) -> Output,
}

const fn row(
    situation: &'static str,
    code: i32,
    result: &'static str,
    stderr: &'static str,
    play: fn(&Scene) -> Output,
) -> ExitRow {
    ExitRow {
        situation,
        code,
        result,
        stderr,
        play,
    }
}

/// Where a row is played: a directory of its own, and a server that says what it is told to.
struct Scene {
    directory: Directory,
    handle: Handle,
}

impl Scene {
    fn server(&self, replies: impl IntoIterator<Item = Reply>) -> FakeServer {
        self.handle.block_on(FakeServer::start(replies)).unwrap()
    }

    /// The program with a server that gives these replies.
    fn on(&self, replies: impl IntoIterator<Item = Reply>, arguments: &[&str]) -> Output {
        let server = self.server(replies);
        on(&server, &self.directory, arguments).output().unwrap()
    }

    /// The program without any setting.
    fn bare(&self, arguments: &[&str]) -> Output {
        self.directory.program().args(arguments).output().unwrap()
    }

    /// The program with a configuration and a server that is not asked.
    fn configured(&self, config: &str, arguments: &[&str]) -> Output {
        self.directory.write("config.yaml", config);
        self.on([], arguments)
    }

    /// The program with this on stdin, which then ends.
    fn fed(
        &self,
        stdin: &[u8],
        replies: impl IntoIterator<Item = Reply>,
        arguments: &[&str],
    ) -> Output {
        let server = self.server(replies);
        self.directory.write("stdin", stdin);
        let stdin = std::fs::File::open(self.directory.path("stdin")).unwrap();
        let mut command = on(&server, &self.directory, arguments);
        command.stdin(stdin).output().unwrap()
    }

    /// The program where files cannot grow.
    #[cfg(unix)]
    fn on_full_disk(&self, replies: impl IntoIterator<Item = Reply>, arguments: &[&str]) -> Output {
        let server = self.server(replies);
        let mut command = on_full_disk(&server, &self.directory, arguments);
        command.output().unwrap()
    }

    /// The program, started, as soon as its server has got a request.
    fn asking(&self, server: &FakeServer, mut command: Command) -> std::process::Child {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.spawn().unwrap();
        self.handle.block_on(server.received(1));
        child
    }
}

/// All rows, in the order of the page.
#[cfg(target_os = "linux")]
fn all() -> Vec<&'static ExitRow> {
    let mut rows: Vec<&ExitRow> = Vec::new();
    rows.extend(done::ROWS);
    rows.extend(failed::ROWS);
    rows.extend(usage::ROWS);
    rows.extend(stopped::ROWS);
    rows.extend(signals::ROWS);
    rows.extend(speech::ROWS);
    rows
}

/// Plays rows, and tells of all that are not as they say.
async fn check(name: &'static str, rows: &'static [ExitRow]) {
    let handle = Handle::current();
    let played = tokio::task::spawn_blocking(move || {
        let differences = rows.iter().enumerate().filter_map(|(n, row)| {
            let scene = Scene {
                directory: Directory::new(&format!("exit-{name}-{n}")),
                handle: handle.clone(),
            };
            difference(row, &(row.play)(&scene))
        });
        differences.collect::<Vec<String>>()
    });
    let differences = played.await.unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn difference(row: &ExitRow, output: &Output) -> Option<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let names = match row.stderr {
        "" => stderr.is_empty(),
        part => stderr.lines().any(|line| line.contains(part)),
    };
    let result = result(&output.stdout);
    if output.status.code() == Some(row.code) && result == row.result && names {
        return None;
    }
    let (situation, status) = (row.situation, output.status);
    Some(format!("{situation}: {status}, {result}, {stderr}"))
}

/// What the last line of stdout says.
fn result(stdout: &[u8]) -> String {
    let stdout = String::from_utf8_lossy(stdout);
    let last = stdout
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok());
    let last: Value = last.unwrap_or_default();
    if last["type"] != "result" {
        return "-".to_owned();
    }
    let kind = last["error"]["kind"].as_str();
    assert_eq!(last["ok"], kind.is_none(), "{last}");
    kind.unwrap_or("ok").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn done_is_0() {
    check("done", done::ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_is_1() {
    check("failed", failed::ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_without_work_is_2() {
    check("usage", usage::ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_is_3_4_or_5() {
    check("stopped", stopped::ROWS).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_are_129_130_or_143() {
    check("signals", signals::ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_commands_end_alike() {
    check("speech", speech::ROWS).await;
}

/// The page is what was played; not every system has every row.
#[cfg(target_os = "linux")]
#[test]
fn the_page_has_these_rows() {
    let mut table = String::from(
        "| situation | exit | `--json` ends with | stderr names |\n|---|---|---|---|\n",
    );
    let code = |text: &str| match text.trim() {
        "" | "-" => text.to_owned(),
        text if text.contains('`') => format!("`` {text} ``"),
        text => format!("`{text}`"),
    };
    for row in all() {
        let ExitRow {
            situation,
            code: exit,
            result,
            stderr,
            ..
        } = row;
        let line = format!(
            "| {situation} | {exit} | {} | {} |\n",
            code(result),
            code(stderr)
        );
        table.push_str(&line);
    }
    let page = include_str!("../../../../docs/exit-codes.md").replace("\r\n", "\n");
    let (_, rest) = page.split_once("<!-- rows -->\n\n").unwrap();
    let (written, _) = rest.split_once("<!-- end of rows -->").unwrap();
    assert_eq!(
        written.trim_end(),
        table.trim_end(),
        "the table of docs/exit-codes.md should be:\n{table}"
    );
    assert!(all().len() >= 60, "{}", all().len());
}
