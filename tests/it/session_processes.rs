//! Sessions in one SQLite file, used by many processes, and by processes that are killed.
//!
//! The processes are this test program again, told by a variable what to do.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openai_agents::Item;
use openai_agents::session::{Session, SessionId, SessionTurn, SqliteSessions};
use rusqlite::Connection;

use crate::folder::Folder;

const ORDER: &str = "SESSION_PROCESS";
const N_ITEMS: usize = 3;

/// What a process is: without an order, nothing.
#[tokio::test]
async fn as_a_process() {
    let Ok(order) = env::var(ORDER) else {
        return;
    };
    let [path, id, n_turns] = order.split('|').collect::<Vec<_>>()[..] else {
        panic!("{order}");
    };
    let sessions = SqliteSessions::open(path).await.unwrap();
    let session = sessions.session(SessionId::new(id).unwrap());
    let n_turns: usize = n_turns.parse().unwrap();
    let n_there = session.items(None).await.unwrap().items.len() / N_ITEMS;
    for n in n_there..n_there + n_turns {
        session.append(turn(n)).await.unwrap();
        writeln!(std::io::stdout(), "\nACK {}", n + 1).unwrap();
    }
}

fn turn(n: usize) -> SessionTurn {
    let item = |part| Item::user(format!("{n} {part} {}", "x".repeat(3_000)));
    SessionTurn::new((0..N_ITEMS).map(item))
}

fn command(program: &Path, file: &Path, id: &str, n_turns: usize) -> Command {
    let mut command = Command::new(program);
    let order = format!("{}|{id}|{n_turns}", file.display());
    command
        .args(["--exact", "session_processes::as_a_process", "--nocapture"])
        .env(ORDER, order)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start(file: &Path, id: &str, n_turns: usize) -> Child {
    let program = env::current_exe().unwrap();
    command(&program, file, id, n_turns).spawn().unwrap()
}

fn end(process: Child) {
    let output = process.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
}

async fn n_turns(file: &Path, id: &str) -> usize {
    let session = SqliteSessions::open(file)
        .await
        .unwrap()
        .session(SessionId::new(id).unwrap());
    let items = session.items(None).await.unwrap().items;
    assert_eq!(items.len() % N_ITEMS, 0, "half a turn");
    for (n, found) in items.chunks(N_ITEMS).enumerate() {
        assert_eq!(found, turn(n).items);
    }
    items.len() / N_ITEMS
}

fn assert_sound(file: &Path) {
    let check = Connection::open(file)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0));
    let check: String = check.unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn eight_processes_lose_nothing() {
    let folder = Folder::new();
    let file = folder.path("sessions.db");
    let processes: Vec<_> = (0..8).map(|n| start(&file, &n.to_string(), 100)).collect();
    processes.into_iter().for_each(end);
    for n in 0..8 {
        assert_eq!(n_turns(&file, &n.to_string()).await, 100);
    }
    assert_sound(&file);
}

#[tokio::test]
async fn twenty_processes_start_at_once() {
    let folder = Folder::new();
    let file = folder.path("sessions.db");
    let processes: Vec<_> = (0..20).map(|n| start(&file, &n.to_string(), 2)).collect();
    processes.into_iter().for_each(end);
    for n in 0..20 {
        assert_eq!(n_turns(&file, &n.to_string()).await, 2);
    }
    assert_sound(&file);
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_acknowledged() {
    let folder = Folder::new();
    let file = folder.path("sessions.db");
    let mut n_there = 0;
    // Moments of a kind of chance that is the same in every run.
    let mut chance: u32 = 7;
    for _ in 0..40 {
        chance = chance.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let n_before = 1 + (chance >> 16) as usize % 6;
        let mut process = start(&file, "s", usize::MAX / 2);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let acknowledged = lines.by_ref().filter_map(|line| {
            line.unwrap()
                .strip_prefix("ACK ")
                .map(|n| n.parse::<usize>().unwrap())
        });
        let seen = acknowledged.take(n_before).last().unwrap();
        for _ in 0..(chance >> 8) % 200_000 {
            std::hint::spin_loop();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // What it still said before it was killed was acknowledged as well.
        let rest = lines.filter_map(|line| line.unwrap().strip_prefix("ACK ")?.parse().ok());
        let acknowledged: usize = rest.last().unwrap_or(seen);
        assert!(acknowledged > n_there);
        assert_sound(&file);
        n_there = n_turns(&file, "s").await;
        assert!(
            n_there == acknowledged || n_there == acknowledged + 1,
            "{n_there} of {acknowledged}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65_534;

    let folder = Folder::new();
    let inner = folder.path("inner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("sessions.db");
    end(start(&file, "s", 1));
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o444);
    // Root may write everything, so it is somebody else who tries, with a program that they may run.
    let program = folder.path("program");
    let here = env::current_exe().unwrap();
    if fs::hard_link(&here, &program).is_err() {
        fs::copy(&here, &program).unwrap();
    }
    let is_root = fs::metadata("/proc/self")
        .is_ok_and(|entry| std::os::unix::fs::MetadataExt::uid(&entry) == 0);
    for folder_mode in [0o777, 0o555] {
        mode(&inner, folder_mode);
        let mut command = command(&program, &file, "s", 1);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        let words =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{words}");
        assert!(words.contains("ReadOnly"), "{words}");
    }
    mode(&inner, 0o755);
    mode(&file, 0o644);
    assert_eq!(n_turns(&file, "s").await, 1);
}
