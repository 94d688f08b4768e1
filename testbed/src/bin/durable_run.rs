//! One run of 50 turns that goes on where it was, however often its process is killed.
//!
//! ```text
//! cargo run -p testbed --bin durable_run FILE LOG URL
//! ```
//!
//! FILE is a SQLite file with the session and the journal, LOG the file to which the run's tool appends a line for each call, URL the base
//! URL of a model. Begins the run if FILE has none, else continues it. Of a call that is in doubt it decides by LOG. Prints `ACK` and the
//! id of each call whose output the run has, `DOUBT` and the id of each call that is in doubt, and `DONE` and the final output.

use openai_agents::journal::{DurableRun, RunBeginning, SqliteJournal};
use openai_agents::model::{Delivery, OpenAiChat};
use openai_agents::session::{SessionId, SqliteSessions};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, Limits, RunError, RunEvent, RunRequest, RunResult,
    RunState, Runner, ToolContext,
};
use std::env;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct AppendArguments {
    /// The number to append.
    n: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: durable_run FILE LOG URL");
    let (file, log, url) = (argument()?, PathBuf::from(argument()?), argument()?);

    let sessions = SqliteSessions::open(file).await?;
    let journal = SqliteJournal::sharing_store(&sessions).await?;
    let session = sessions.session(SessionId::new("s")?);
    let run = if let Some(found) = journal.runs(Some(1)).await?.first() {
        journal.resume(&found.id).await?
    } else {
        let beginning = RunBeginning::new("Writer", [Item::user("Append the numbers.")]);
        journal.start(beginning).await?
    };
    let agent = Agent::builder("Writer")
        .tool(append(log.clone())?)
        .build()?;
    let runner = Runner::new(OpenAiChat::builder(url, "m").build()?).limits(Limits::turns(60));
    let beginning = run.beginning().clone();
    let mut request = match beginning.state {
        Some(state) => runner.resume(&agent, decide(state, &run, &log).await?),
        None => runner.run(&agent, beginning.input),
    };
    let result = loop {
        let ended = play(request.session(&session).journal(Arc::new(run.clone()))).await;
        let end = ended.as_ref().map(RunResult::final_output);
        run.ended(end).await?;
        match ended {
            Err(error) if error.kind() == ErrorKind::ApprovalRequired => {
                let state = decide(error.into_state()?, &run, &log).await?;
                request = runner.resume(&agent, state);
            }
            ended => break ended?,
        }
    };
    say("DONE", result.final_output())?;
    Ok(())
}

/// Appends a line for each call, in one write, so that it is there or not.
fn append(log: PathBuf) -> Result<FunctionTool, Box<dyn Error>> {
    let write = move |cx: ToolContext, line: AppendArguments| {
        let log = log.clone();
        async move {
            let text = format!("{} {}\n", cx.call_id(), line.n);
            let mut file = OpenOptions::new().create(true).append(true).open(log)?;
            file.write_all(text.as_bytes())?;
            Ok::<_, std::io::Error>(format!("appended {}", line.n))
        }
    };
    Ok(FunctionTool::new(
        "append",
        "Appends a number to the file.",
        write,
    )?)
}

/// Decides about the calls that may have been made: by whether their lines are there.
async fn decide(
    mut state: RunState,
    run: &DurableRun,
    log: &Path,
) -> Result<RunState, Box<dyn Error>> {
    let log = fs::read_to_string(log).unwrap_or_default();
    for call in state.interruptions() {
        let line = log
            .lines()
            .find_map(|line| line.strip_prefix(&*call.call_id)?.strip_prefix(' '));
        drop(say("DOUBT", &call.call_id));
        match line {
            Some(n) => state.reject_with(&call.id, format!("appended {n}"))?,
            None => state.approve(&call.id)?,
        }
    }
    run.decided(&state).await?;
    Ok(state)
}

async fn play(request: RunRequest) -> Result<RunResult, RunError> {
    let mut stream = request.delivery(Delivery::Whole).stream();
    while let Some(event) = stream.next().await {
        match event? {
            RunEvent::ToolOutputDone { call_id, .. } => {
                // Who reads this is gone if it cannot be written.
                drop(say("ACK", &call_id));
            }
            RunEvent::RunDone { result } => return Ok(*result),
            _ => {}
        }
    }
    stream.finish().await
}

fn say(word: &str, what: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{word} {what}")
}
