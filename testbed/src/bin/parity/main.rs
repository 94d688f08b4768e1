//! `parity SCENARIOS.json --out DIR [NAME...]`: runs scenarios as `drive_python.py` does, and writes the same files.
//!
//! Both stand in `tests/fixtures/python-parity`; `compare.py` there tells the two apart.

mod hooks;
mod outcome;
mod replies;
mod scenario;
mod wiring;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use futures_util::StreamExt;
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::FakeServer;
use openai_agents::{
    Agent, ErrorKind, RunError, RunEvent, RunRequest, RunResult, RunState, Runner,
};
use serde_json::{Map, Value, json};

use hooks::HookLog;
use outcome::Names;
use scenario::{Decision, File, Scenario};

type Failure = Box<dyn Error>;

struct Arguments {
    scenarios: PathBuf,
    out: PathBuf,
    names: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stderr,
    reason = "a program says on stderr why it failed"
)]
async fn main() -> ExitCode {
    match run_all().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parity: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run_all() -> Result<(), Failure> {
    let arguments = arguments()?;
    let file: File = serde_json::from_str(&fs::read_to_string(&arguments.scenarios)?)?;
    fs::create_dir_all(&arguments.out)?;
    for scenario in &file.scenarios {
        if arguments.names.is_empty() || arguments.names.contains(&scenario.name) {
            let told = run(&file, scenario).await;
            let told = told.map_err(|error| format!("{}: {error}", scenario.name))?;
            let path = arguments.out.join(format!("{}.json", scenario.name));
            fs::write(path, format!("{told:#}\n"))?;
        }
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Failure> {
    const USAGE: &str = "usage: parity SCENARIOS.json --out DIR [NAME...]";
    let mut words = env::args().skip(1);
    let (mut scenarios, mut out, mut names) = (None, None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--out" => out = words.next(),
            _ if scenarios.is_none() => scenarios = Some(word),
            _ => names.push(word),
        }
    }
    Ok(Arguments {
        scenarios: scenarios.ok_or(USAGE)?.into(),
        out: out.ok_or(USAGE)?.into(),
        names,
    })
}

/// Runs one scenario against a server of its own; gives the requests and the outcome.
async fn run(file: &File, scenario: &Scenario) -> Result<Value, Failure> {
    let replies: Result<Vec<_>, _> = scenario.steps.iter().map(replies::reply).collect();
    let server = FakeServer::start(replies?).await?;
    let agents = wiring::agents(file, scenario)?;
    let log = HookLog::default();
    let stage = Stage {
        scenario,
        names: Names::of(scenario),
        runner: wiring::runner(scenario, &server, agents.values(), &log)?,
        start: agents.get(&scenario.start).ok_or("no such start agent")?,
        session: MemorySession::new(SessionId::new(&*scenario.name)?),
    };
    let mut outcome = Map::new();
    for input in scenario.inputs() {
        if stage.run(input, &mut outcome).await?.is_err() {
            break;
        }
    }
    if scenario.session {
        let items = stage.session.items(None).await?.items;
        let items = items.iter().map(|item| json!(item)).collect();
        outcome.insert("session_items".to_owned(), items);
    }
    if scenario.hooks {
        outcome.insert("hooks".to_owned(), log.take().into());
    }
    let requests: Vec<Value> = server.requests().iter().map(replies::request).collect();
    Ok(json!({ "requests": requests, "outcome": outcome }))
}

/// What the runs of a scenario share.
struct Stage<'a> {
    scenario: &'a Scenario,
    names: Names,
    runner: Runner,
    start: &'a Agent,
    session: MemorySession,
}

type Ended = Result<RunResult, RunError>;

impl Stage<'_> {
    /// Runs once, through a pause if the scenario says what becomes of it, and tells what came of it.
    async fn run(&self, input: &Value, told: &mut Map<String, Value>) -> Result<Ended, Failure> {
        let Self {
            scenario,
            names,
            runner,
            start,
            ..
        } = self;
        let items = scenario::items(input)?;
        let n_input = items.len();
        let request = if scenario.stream {
            runner.stream(start, items)
        } else {
            runner.run(start, items)
        };
        let (events, mut ended) = play(self.kept(request)).await;
        if scenario.stream {
            told.insert("events".to_owned(), outcome::events(&events, names));
        }
        if let Some(decision) = scenario.approve
            && is_paused(&ended)
        {
            ended = self.go_on(ended, (decision, n_input), told).await?;
        }
        told.extend(match &ended {
            Ok(result) => outcome::of_result(result, names),
            Err(error) => outcome::of_error(error, names),
        });
        Ok(ended)
    }

    fn kept(&self, request: RunRequest) -> RunRequest {
        if self.scenario.session {
            return request.session(&self.session);
        }
        request
    }

    /// Decides about the calls of a run that paused, and goes on with it from its JSON.
    async fn go_on(
        &self,
        ended: Ended,
        (decision, n_input): (Decision, usize),
        told: &mut Map<String, Value>,
    ) -> Result<Ended, Failure> {
        let error = match ended {
            Ok(result) => return Ok(Ok(result)),
            Err(error) => error,
        };
        let mut state = error.into_state()?;
        let waiting = state.interruptions();
        let interruptions = waiting.iter().map(outcome::interruption).collect();
        told.insert("interruptions".to_owned(), interruptions);
        let new = self.names.kinds(state.items().iter().skip(n_input));
        told.insert("paused_new_items".to_owned(), new);
        let n_decided = self.scenario.decide_first.unwrap_or(usize::MAX);
        for call in waiting.iter().take(n_decided) {
            match decision {
                Decision::Approve => state.approve(&call.id)?,
                Decision::ApproveAlways => state.approve_always(&call.id)?,
                Decision::Reject => match &self.scenario.reject_message {
                    None => state.reject(&call.id)?,
                    Some(message) => state.reject_with(&call.id, message)?,
                },
            }
        }
        let state = RunState::from_json(&state.to_json()?)?;
        let request = self.runner.resume(self.start, state);
        Ok(play(self.kept(request)).await.1)
    }
}

fn is_paused(ended: &Result<RunResult, RunError>) -> bool {
    matches!(ended, Err(error) if error.kind() == ErrorKind::ApprovalRequired)
}

/// Polls a run to its end.
async fn play(request: RunRequest) -> (Vec<RunEvent>, Result<RunResult, RunError>) {
    let mut stream = request.start();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(RunEvent::RunDone { result }) => return (events, Ok(*result)),
            Ok(event) => events.push(event),
            Err(error) => return (events, Err(error)),
        }
    }
    (events, stream.finish().await)
}
