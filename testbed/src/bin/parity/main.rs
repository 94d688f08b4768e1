//! `parity SCENARIOS.json --out DIR [NAME...]`: runs scenarios as `drive_python.py` does, and writes the same files.
//!
//! Both stand in `tests/fixtures/python-parity`; `compare.py` there tells the two apart. A scenario that cannot be played, because it
//! has a setting that there is nothing for here, is told on stderr and in its file (`not_played`, with the reason); the others are played
//! all the same, and the program ends with 1.

mod hooks;
mod outcome;
mod replies;
mod scenario;
mod settings;
mod wiring;

use openai_agents::model::{Delivery, ModelSettings};
use openai_agents::session::{MemorySession, Session, SessionId, SessionTurn};
use openai_agents::testing::FakeServer;
use openai_agents::{
    Agent, ErrorKind, RunError, RunEvent, RunRequest, RunResult, RunState, Runner,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hooks::HookLog;
use outcome::HandoffNames;
use scenario::{File, Scenario, ScenarioDecision};

type BoxedFailure = Box<dyn Error>;

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
        Ok(0) => ExitCode::SUCCESS,
        Ok(n_failed) => {
            eprintln!("parity: {n_failed} scenarios could not be played");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("parity: {error}");
            ExitCode::from(2)
        }
    }
}

/// Plays all that were asked for; counts those that cannot be played.
async fn run_all() -> Result<usize, BoxedFailure> {
    let arguments = arguments()?;
    let file: File = serde_json::from_str(&fs::read_to_string(&arguments.scenarios)?)?;
    fs::create_dir_all(&arguments.out)?;
    let mut n_failed = 0;
    let mut missing = arguments.names.clone();
    let mut played = BTreeSet::new();
    for (n, declared) in file.scenarios.iter().enumerate() {
        let name = declared.get("name").and_then(Value::as_str);
        let name = name
            .filter(|name| is_file_name(name) && !played.contains(*name))
            .map_or_else(|| format!("scenario-{n}"), str::to_owned);
        if !arguments.names.is_empty() && !arguments.names.contains(&name) {
            continue;
        }
        missing.retain(|asked| *asked != name);
        let told = match play_declared(&file, declared, &name).await {
            Ok(told) => told,
            Err(reason) => {
                n_failed += 1;
                not_played(&name, &reason.to_string())
            }
        };
        fs::write(
            arguments.out.join(format!("{name}.json")),
            format!("{told:#}\n"),
        )?;
        played.insert(name);
    }
    match &missing[..] {
        [] => Ok(n_failed),
        missing => Err(format!("there is no scenario {}", missing.join(", ")).into()),
    }
}

fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name() == Some(OsStr::new(name))
}

/// Plays a scenario for the file of this name.
async fn play_declared(file: &File, declared: &Value, name: &str) -> Result<Value, BoxedFailure> {
    let scenario: Scenario = serde_json::from_value(declared.clone())?;
    if scenario.name != name {
        let told = format!("the name {:?} is taken or no file's name", scenario.name);
        return Err(told.into());
    }
    run(file, &scenario).await
}

#[expect(
    clippy::print_stderr,
    reason = "a scenario that is not played is told at once"
)]
fn not_played(name: &str, reason: &str) -> Value {
    eprintln!("parity: {name}: not played: {reason}");
    json!({ "requests": [], "outcome": { "not_played": reason } })
}

fn arguments() -> Result<Arguments, BoxedFailure> {
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
async fn run(file: &File, scenario: &Scenario) -> Result<Value, BoxedFailure> {
    let replies: Result<Vec<_>, _> = scenario.steps.iter().map(replies::reply).collect();
    let server = FakeServer::start(replies?).await?;
    let agents = wiring::agents(file, scenario, &server)?;
    let log = HookLog::default();
    let stage = ScenarioStage {
        scenario,
        names: HandoffNames::of(scenario),
        runner: wiring::runner(scenario, &server, agents.values(), &log)?,
        start: agents.get(&scenario.start).ok_or("no such start agent")?,
        session: MemorySession::new(SessionId::new(&*scenario.name)?),
        settings: settings::settings(&scenario.run_config.model_settings)?,
    };
    let before: Result<Vec<_>, _> = scenario
        .session_before
        .iter()
        .map(scenario::items)
        .collect();
    let before: Vec<_> = before?.into_iter().flatten().collect();
    if !before.is_empty() {
        stage.session.append(SessionTurn::new(before)).await?;
    }
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
struct ScenarioStage<'a> {
    scenario: &'a Scenario,
    names: HandoffNames,
    runner: Runner,
    start: &'a Agent,
    session: MemorySession,
    /// Those of the run's configuration.
    settings: ModelSettings,
}

type Ended = Result<RunResult, RunError>;

impl ScenarioStage<'_> {
    /// Runs once, through a pause if the scenario says what becomes of it, and tells what came of it.
    async fn run(
        &self,
        input: &Value,
        told: &mut Map<String, Value>,
    ) -> Result<Ended, BoxedFailure> {
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
            runner.run(start, items).delivery(Delivery::Stream)
        } else {
            runner.run(start, items).delivery(Delivery::Whole)
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

    fn kept(&self, mut request: RunRequest) -> RunRequest {
        let scenario = self.scenario;
        request = request.model_settings(self.settings.clone());
        if scenario.session {
            request = request.session(&self.session);
        }
        if scenario.auto_previous_response_id == Some(true) {
            request = request.chain_responses();
        }
        if let Some(id) = &scenario.previous_response_id {
            request = request.previous_response_id(id);
        }
        if let Some(id) = &scenario.conversation_id {
            request = request.conversation_id(id);
        }
        request
    }

    /// Decides about the calls of a run that paused, and goes on with it from its JSON.
    async fn go_on(
        &self,
        ended: Ended,
        (decision, n_input): (ScenarioDecision, usize),
        told: &mut Map<String, Value>,
    ) -> Result<Ended, BoxedFailure> {
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
                ScenarioDecision::Approve => state.approve(&call.id)?,
                ScenarioDecision::ApproveAlways => state.approve_always(&call.id)?,
                ScenarioDecision::Reject => match &self.scenario.reject_message {
                    None => state.reject(&call.id)?,
                    Some(message) => state.reject_with(&call.id, message)?,
                },
            }
        }
        let state = RunState::from_json(&state.to_json()?)?;
        let request = self
            .runner
            .resume(self.start, state)
            .delivery(Delivery::Whole);
        Ok(play(self.kept(request)).await.1)
    }
}

fn is_paused(ended: &Result<RunResult, RunError>) -> bool {
    matches!(ended, Err(error) if error.kind() == ErrorKind::ApprovalRequired)
}

/// Polls a run to its end.
async fn play(request: RunRequest) -> (Vec<RunEvent>, Result<RunResult, RunError>) {
    let mut stream = request.stream();
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
