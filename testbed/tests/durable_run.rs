//! A run of 50 turns that is killed at any moment goes on and does nothing twice.
//!
//! The killed process is the program `durable_run`; the model it asks is a server in this process.

#![cfg(test)]
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use openai_agents::Item;
use openai_agents::item::{FunctionCall, FunctionCallOutput, ItemKind};
use openai_agents::session::{Session, SessionId, SqliteSessions};
use rusqlite::Connection;
use serde_json::{Value, json};

const N_KILLS: usize = 200;
/// The last is the answer.
const N_TURNS: u32 = 50;
const CALLS: [&str; 2] = ["a", "b"];

/// What the parent learns of a process while it runs.
enum Event {
    /// The model was asked for this turn.
    Asked(u32),
    Said(String),
    Ended,
}

#[test]
fn a_run_survives_its_processes() {
    let (sender, events) = mpsc::channel();
    let url = serve(sender.clone());
    let mut chance = Chance(7);
    let (mut n_kills, mut n_runs, mut n_doubts) = (0, 0, 0);
    while n_kills < N_KILLS {
        n_runs += 1;
        let mut trial = Trial::new(n_runs);
        loop {
            let process = trial.start(&url, &sender);
            let mut watched = Watched {
                process,
                events: &events,
                asked: Vec::new(),
                said: Vec::new(),
                has_ended: false,
            };
            let is_killed = n_kills < N_KILLS && watched.kill_at(&mut chance);
            let is_over = watched.wait(is_killed);
            trial.check(&watched);
            n_doubts += watched
                .said
                .iter()
                .filter(|line| line.starts_with("DOUBT"))
                .count();
            if is_over {
                break;
            }
            n_kills += 1;
        }
        trial.check_end();
    }
    assert!(
        n_runs > 1 && n_doubts > 1,
        "{n_runs} runs, {n_doubts} calls in doubt"
    );
}

/// Moments of a kind of chance that is the same in every run.
struct Chance(u32);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (self.0 >> 8) as usize % n
    }
}

struct Watched<'a> {
    process: Child,
    events: &'a Receiver<Event>,
    asked: Vec<u32>,
    said: Vec<String>,
    has_ended: bool,
}

impl Watched<'_> {
    /// Kills the process some time after it has asked for some turns; `false` if it ended before.
    fn kill_at(&mut self, chance: &mut Chance) -> bool {
        let n_asked = chance.below(8);
        while self.asked.len() < n_asked {
            if !self.take() {
                return false;
            }
        }
        for _ in 0..chance.below(300_000) {
            std::hint::spin_loop();
        }
        self.process.kill().unwrap();
        true
    }

    /// Waits for the end; says whether the run was over.
    fn wait(&mut self, is_killed: bool) -> bool {
        while self.take() {}
        let status = self.process.wait().unwrap();
        let is_over = self.said.last().is_some_and(|line| line == "DONE done");
        assert!(is_killed || status.success(), "{:?}", self.said);
        is_over
    }

    fn take(&mut self) -> bool {
        if !self.has_ended {
            match self.events.recv().unwrap() {
                Event::Asked(turn) => self.asked.push(turn),
                Event::Said(line) => self.said.push(line),
                Event::Ended => self.has_ended = true,
            }
        }
        !self.has_ended
    }
}

/// One run, and what is known to be kept of it.
struct Trial {
    folder: PathBuf,
    /// The turns whose answers are kept.
    answered: BTreeSet<u32>,
    /// The calls whose outcomes are kept.
    called: BTreeSet<String>,
    session: Vec<Item>,
}

impl Trial {
    fn new(n: usize) -> Self {
        let name = format!("openai-agents-durable-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            answered: BTreeSet::new(),
            called: BTreeSet::new(),
            session: Vec::new(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("agents.db")
    }

    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().map(ToOwned::to_owned).collect()
    }

    fn start(&self, url: &str, events: &Sender<Event>) -> Child {
        let mut process = Command::new(env!("CARGO_BIN_EXE_durable_run"))
            .args([self.file(), self.folder.join("log"), url.into()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let events = events.clone();
        thread::spawn(move || {
            for line in lines {
                events.send(Event::Said(line.unwrap())).unwrap();
            }
            events.send(Event::Ended).unwrap();
        });
        process
    }

    /// What was kept before was not asked for again, and what was acknowledged is kept.
    fn check(&mut self, watched: &Watched<'_>) {
        for turn in &watched.asked {
            assert!(!self.answered.contains(turn), "turn {turn} was asked again");
        }
        let (answered, called) = kept(&self.file());
        assert!(answered.is_superset(&self.answered));
        assert!(called.is_superset(&self.called));
        (self.answered, self.called) = (answered, called);
        let log = self.log();
        let lines: BTreeSet<_> = log.iter().collect();
        assert_eq!(lines.len(), log.len(), "a call was made twice: {log:?}");
        for call in &self.called {
            let line = |line: &&String| line.starts_with(&format!("{call} "));
            assert_eq!(log.iter().filter(line).count(), 1, "{call}: {log:?}");
        }
        for call in watched
            .said
            .iter()
            .filter_map(|line| line.strip_prefix("ACK "))
        {
            // One that someone decided about has its outcome in the state.
            let line = |line: &String| line.starts_with(&format!("{call} "));
            assert!(self.called.contains(call) || log.iter().any(line), "{call}");
        }
        let session = session(&self.file());
        assert_well_formed(&session);
        assert!(session.starts_with(&self.session), "something was lost");
        self.session = session;
    }

    fn check_end(&self) {
        let n_calls = (N_TURNS as usize - 1) * CALLS.len();
        assert_eq!(self.log().len(), n_calls);
        let (answer, calls) = self.session.split_last().unwrap();
        assert!(*calls == calls_of_run(), "{:?}", self.session);
        assert_eq!(answer.assistant_text().as_deref(), Some("done"));
        assert!(self.answered.iter().copied().eq(1..=N_TURNS));
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// The turns and the calls whose outcomes are in a sound file.
fn kept(file: &Path) -> (BTreeSet<u32>, BTreeSet<String>) {
    if !file.exists() {
        return Default::default();
    }
    let db = Connection::open(file).unwrap();
    let check: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'openai_agents_effects'";
    let n_tables: u32 = db.query_row(sql, [], |row| row.get(0)).unwrap();
    if n_tables == 0 {
        return Default::default();
    }
    let sql = "SELECT turn, effect FROM openai_agents_effects WHERE outcome IS NOT NULL";
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let (mut answered, mut called) = (BTreeSet::new(), BTreeSet::new());
    while let Some(row) = rows.next().unwrap() {
        let effect: String = row.get(1).unwrap();
        match effect.split_once(':') {
            None if effect == "model_call" => drop(answered.insert(row.get(0).unwrap())),
            Some(("tool_call", id)) => drop(called.insert(id.to_owned())),
            _ => {}
        }
    }
    (answered, called)
}

fn session(file: &Path) -> Vec<Item> {
    if !file.exists() {
        return Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sessions = SqliteSessions::open(file).await.unwrap();
        let session = sessions.session(SessionId::new("s").unwrap());
        session.items(None).await.unwrap().items
    })
}

fn assert_well_formed(items: &[Item]) {
    let mut open = BTreeSet::new();
    for item in items {
        match item.kind() {
            ItemKind::FunctionCall(call) => assert!(open.insert(&*call.call_id)),
            ItemKind::FunctionCallOutput(output) => assert!(open.remove(&*output.call_id)),
            _ => {}
        }
    }
    assert!(open.is_empty(), "calls without output: {open:?}");
}

/// The conversation as it has to be at the end, before the answer.
fn calls_of_run() -> Vec<Item> {
    let mut items = vec![Item::user("Append the numbers.")];
    for turn in 1..N_TURNS {
        for call in CALLS {
            let arguments = format!("{{\"n\":{turn}}}");
            items.push(FunctionCall::new(format!("{call}{turn}"), "append", arguments).into());
        }
        for call in CALLS {
            let output = format!("appended {turn}");
            items.push(
                FunctionCallOutput::new(format!("{call}{turn}"), output.as_str().into()).into(),
            );
        }
    }
    items
}

/// Starts the model: it asks for two calls in each turn, and answers in the last.
fn serve(events: Sender<Event>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    // Threads end with the process, or with their connections.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let events = events.clone();
            thread::spawn(move || answer(stream.unwrap(), &events));
        }
    });
    url
}

fn answer(stream: TcpStream, events: &Sender<Event>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let request = read_request(&mut reader)?;
        let messages = request["messages"].as_array().unwrap().iter();
        let n_outputs = messages.filter(|message| message["role"] == "tool").count();
        let turn = u32::try_from(n_outputs / CALLS.len()).unwrap() + 1;
        events.send(Event::Asked(turn)).ok()?;
        let body = reply(turn).to_string();
        let n_bytes = body.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\n\r\n{body}"
        );
        writer.write_all(reply.as_bytes()).ok()?;
    }
}

fn reply(turn: u32) -> Value {
    let call = |call: &&str| {
        let function = json!({ "name": "append", "arguments": format!("{{\"n\":{turn}}}") });
        json!({ "id": format!("{call}{turn}"), "type": "function", "function": function })
    };
    let (message, reason) = if turn < N_TURNS {
        let calls: Vec<Value> = CALLS.iter().map(call).collect();
        (
            json!({ "role": "assistant", "content": null, "tool_calls": calls }),
            "tool_calls",
        )
    } else {
        (json!({ "role": "assistant", "content": "done" }), "stop")
    };
    json!({
        "choices": [{ "index": 0, "message": message, "finish_reason": reason }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6 },
    })
}

/// Reads a request whole; `None` when the connection is over.
fn read_request(reader: &mut impl BufRead) -> Option<Value> {
    let mut n_bytes = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            n_bytes = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
