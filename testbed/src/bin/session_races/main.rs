//! Many processes that run on a few sessions at once: what each session has afterwards, and whether that is what the runs that ended well
//! have added.
//!
//! ```text
//! cargo run -p testbed --bin session_races -- [--rounds N] [--processes N] [--sessions N] [--turns N] [--wrap encrypted|compacting] [STORE]
//! ```
//!
//! `STORE` is `memory`, `sqlite` (which is meant when none is given), `postgres` or `redis`; the last two are those that
//! `scripts/databases run -- ..` starts. In memory the runs are tasks of this process. Each run asks one question and has the given
//! number of turns (3 unless it is given), of which all but the last call a tool. All begin at once.
//!
//! Prints one JSON line for each round and one for all, and fails if a session has more or less than `2 * turns` items for each run of
//! it that ended well, or if a run ended otherwise than well or by `session_conflict`. `all_lost` counts the sessions none of whose runs
//! ended well: what a run takes out when it loses is a change too, by which another of several turns can lose in its turn.

mod stores;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;

use openai_agents::item::ItemKind;
use openai_agents::session::{Session, SessionId, SessionTurn};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Item, RunRequest, Runner, ToolContext};
use serde_json::{Map, Value, json};

use stores::{Stores, Wrap};

type BoxedFailure = Box<dyn Error>;

/// By this word a process knows that it is one of the racing ones.
const RACER: &str = "--racer";

const OK: &str = "ok";

#[derive(Clone)]
struct Plan {
    n_rounds: usize,
    n_processes: usize,
    n_sessions: usize,
    n_turns: usize,
    wrap: Wrap,
    store: String,
}

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stderr,
    reason = "a program says on stderr why it failed"
)]
async fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let is_racer = words.first().is_some_and(|word| word == RACER);
    let done = if is_racer {
        words.remove(0);
        race(words).await
    } else {
        run_all(words).await
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session_races: {error}");
            ExitCode::from(2)
        }
    }
}

impl Plan {
    fn parse(words: Vec<String>) -> Result<Self, BoxedFailure> {
        let mut plan = Self {
            n_rounds: 200,
            n_processes: 16,
            n_sessions: 8,
            n_turns: 3,
            wrap: Wrap::Nothing,
            store: "sqlite".to_owned(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => plan.n_rounds = value()?.parse()?,
                "--processes" => plan.n_processes = value()?.parse()?,
                "--sessions" => plan.n_sessions = value()?.parse::<usize>()?.max(1),
                "--turns" => plan.n_turns = value()?.parse::<usize>()?.max(1),
                "--wrap" => plan.wrap = value()?.parse()?,
                _ => plan.store = word,
            }
        }
        Ok(plan)
    }
}

async fn run_all(words: Vec<String>) -> Result<(), BoxedFailure> {
    let plan = Plan::parse(words)?;
    let stores = Stores::open(&plan.store).await?;
    let (mut n_ok, mut n_lost, mut n_all_lost, mut n_wrong) = (0, 0, 0, 0);
    for round in 0..plan.n_rounds {
        let told = run_round(&plan, &stores, round).await?;
        n_ok += told.n_ok;
        n_lost += told.n_lost;
        n_all_lost += told.n_all_lost;
        n_wrong += usize::from(!told.wrong.is_empty());
        say(&json!({ "round": round, "ok": told.n_ok, "lost": told.n_lost, "wrong": told.wrong }))?;
    }
    let Plan {
        n_rounds,
        n_processes,
        n_sessions,
        n_turns,
        ..
    } = plan;
    say(&json!({
        "store": plan.store, "wrap": plan.wrap.to_string(), "rounds": n_rounds, "processes": n_processes,
        "sessions": n_sessions, "turns": n_turns, "ok": n_ok, "lost": n_lost, "all_lost": n_all_lost, "rounds_wrong": n_wrong,
    }))?;
    match n_wrong {
        0 => Ok(()),
        _ => Err(format!("{n_wrong} of {n_rounds} rounds left something else").into()),
    }
}

/// A line at once, also where stdout is a pipe.
fn say(line: &Value) -> Result<(), BoxedFailure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// What came of a round.
struct Told {
    n_ok: usize,
    n_lost: usize,
    /// How many sessions have nothing, because all of their runs lost.
    n_all_lost: usize,
    /// The sessions that have something else than their runs added.
    wrong: Map<String, Value>,
}

async fn run_round(plan: &Plan, stores: &Stores, round: usize) -> Result<Told, BoxedFailure> {
    let id = |n: usize| {
        format!(
            "race-{}-{round}-{}",
            std::process::id(),
            n % plan.n_sessions
        )
    };
    let ids: Vec<String> = (0..plan.n_processes).map(id).collect();
    let n_earlier = plan.wrap.earlier().len();
    for id in &ids {
        let session = stores.session(&SessionId::new(id)?, Wrap::Nothing)?;
        session
            .replace(SessionTurn::new(plan.wrap.earlier()))
            .await?;
    }
    let ended = if stores.is_shared_by_processes() {
        processes(plan, stores, &ids)?
    } else {
        tasks(plan, stores, &ids).await?
    };
    let mut by_session: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, end) in ids.iter().zip(&ended) {
        by_session.entry(id).or_default().push(end);
    }
    let mut told = Told {
        n_ok: 0,
        n_lost: 0,
        n_all_lost: 0,
        wrong: Map::new(),
    };
    for (id, ends) in by_session {
        let n_ok = ends.iter().filter(|end| **end == OK).count();
        let is_expected = ends
            .iter()
            .all(|end| [OK, "session_conflict"].contains(end));
        let session = stores.session(&SessionId::new(id)?, Wrap::Nothing)?;
        let items = session.items(None).await?.items;
        told.n_ok += n_ok;
        told.n_lost += ends.len() - n_ok;
        told.n_all_lost += usize::from(n_ok == 0);
        // A history that was compacted has fewer items than were added; but nothing of runs that lost.
        let n_items = match plan.wrap {
            Wrap::Compacting => n_items_after_compaction(&items),
            Wrap::Nothing | Wrap::Encrypted => items.len(),
        };
        if !is_expected || n_items != n_earlier + n_ok * 2 * plan.n_turns {
            told.wrong
                .insert(id.to_owned(), json!({ "ends": ends, "items": items.len() }));
        }
        session.clear().await?;
    }
    Ok(told)
}

/// How many items the runs added, of which the compactor left the number in its own.
fn n_items_after_compaction(items: &[Item]) -> usize {
    let n_stands_for = |item: &Item| match item.kind() {
        ItemKind::Message(message) => stores::n_compacted(&message.text("")),
        _ => None,
    };
    items
        .iter()
        .map(|item| n_stands_for(item).unwrap_or(1))
        .sum()
}

/// A run of a question, some calls and an answer.
fn request(session: &Arc<dyn Session>, n_turns: usize) -> Result<RunRequest, BoxedFailure> {
    let look = FunctionTool::dynamic(
        "look",
        "Looks.",
        json!({ "type": "object", "properties": {} }),
        openai_agents::tools::ToolOptions::default(),
        async |_cx: ToolContext, _| Ok::<_, String>("wet"),
    )?;
    let agent = Agent::builder("Racer").tool(look).build()?;
    let calls = (1..n_turns).map(|_| ScriptedTurn::tool_call("look", json!({})));
    let model = ScriptedModel::new(calls.chain([ScriptedTurn::text("wet")]));
    Ok(Runner::new(model)
        .run(&agent, "How is it?")
        .session(session))
}

async fn tasks(plan: &Plan, stores: &Stores, ids: &[String]) -> Result<Vec<String>, BoxedFailure> {
    let mut runs = Vec::new();
    for id in ids {
        let session = stores.session(&SessionId::new(id)?, plan.wrap)?;
        runs.push(request(&session, plan.n_turns)?.into_future());
    }
    let ended = futures_util::future::join_all(runs.into_iter().map(IntoFuture::into_future)).await;
    let word = |ended: Result<_, openai_agents::RunError>| match ended {
        Ok(_) => OK.to_owned(),
        Err(error) => error.kind().to_string(),
    };
    Ok(ended.into_iter().map(word).collect())
}

/// Starts all, lets them go when all are ready, and gives how each ended.
fn processes(plan: &Plan, stores: &Stores, ids: &[String]) -> Result<Vec<String>, BoxedFailure> {
    let program = env::current_exe()?;
    let mut racers: Vec<Racer> = Vec::new();
    for id in ids {
        let mut child = Command::new(&program)
            .args([RACER, "--turns", &plan.n_turns.to_string()])
            .args(["--wrap", &plan.wrap.to_string(), stores.name()])
            .env("RACER_SESSION", id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no stdout")?;
        let go = child.stdin.take().ok_or("no stdin")?;
        racers.push(Racer {
            child,
            go,
            out: BufReader::new(out),
        });
    }
    for racer in &mut racers {
        racer.line()?;
    }
    for racer in &mut racers {
        racer.go.write_all(b"go\n")?;
    }
    let mut ended = Vec::new();
    for mut racer in racers {
        ended.push(racer.line()?);
        racer.child.wait()?;
    }
    Ok(ended)
}

struct Racer {
    child: Child,
    go: ChildStdin,
    out: BufReader<std::process::ChildStdout>,
}

impl Racer {
    fn line(&mut self) -> Result<String, BoxedFailure> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// One of the processes: ready, go, done.
async fn race(words: Vec<String>) -> Result<(), BoxedFailure> {
    let plan = Plan::parse(words)?;
    let id = env::var("RACER_SESSION")?;
    let stores = Stores::open(&plan.store).await?;
    let session = stores.session(&SessionId::new(id)?, plan.wrap)?;
    let request = request(&session, plan.n_turns)?;
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    let end = match request.await {
        Ok(_) => OK.to_owned(),
        Err(error) => error.kind().to_string(),
    };
    writeln!(out, "{end}")?;
    Ok(())
}
