//! The agent that a benchmark's own checker judges: see `scripts/outside-proofs.d`.
//!
//! ```text
//! outside_agent <url> <label> <chat|responses> < tasks.json
//! ```
//!
//! Standard input holds the tasks, `[{"id": .., "turns": [..]}]`. Each becomes a conversation of an agent that has the task's MCP server,
//! `<url>/<label>/<id>/mcp`, and its model, `<url>/<label>/<id>/v1`. Prints `{"tasks": n, "errors": {id: message}}`.

use std::env;
use std::error::Error;
use std::io;

use futures_util::{StreamExt, stream};
use openai_agents::future::BoxError;
use openai_agents::mcp::{McpClient, StreamableHttp};
use openai_agents::model::{Delivery, OpenAiChat, OpenAiResponses};
use openai_agents::session::{MemorySession, SessionId};
use openai_agents::{Agent, Limits, Runner};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How many conversations go on at a time.
const N_CONCURRENT: usize = 8;

#[derive(Deserialize)]
struct Task {
    id: String,
    turns: Vec<String>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let [url, label, wire] = env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: outside_agent URL LABEL chat|responses < tasks.json")?;
    let tasks: Vec<Task> = serde_json::from_reader(io::stdin())?;
    let n_tasks = tasks.len();
    let conversations = tasks.into_iter().enumerate().map(|(index, task)| {
        let base = format!("{url}/{label}/{}", task.id);
        let wire = wire.as_str();
        async move { (converse(&base, wire, &task, index).await, task.id) }
    });
    let errors: Map<String, Value> = stream::iter(conversations)
        .buffer_unordered(N_CONCURRENT)
        .filter_map(async |(result, id)| Some((id, result.err()?.to_string().into())))
        .collect()
        .await;
    println!("{}", json!({ "tasks": n_tasks, "errors": errors }));
    Ok(())
}

/// Says what the user says, turn by turn; every other task is streamed.
async fn converse(base: &str, wire: &str, task: &Task, index: usize) -> Result<(), BoxError> {
    let model = format!("{base}/v1");
    let runner = match wire {
        "chat" => Runner::new(OpenAiChat::builder(model, "scripted").build()?),
        "responses" => Runner::new(OpenAiResponses::builder(model, "scripted").build()?),
        other => return Err(format!("there is no wire {other:?}").into()),
    };
    let server = McpClient::builder("task", StreamableHttp::new(format!("{base}/mcp"))).build()?;
    server.connect().await?;
    let agent = Agent::builder("Assistant")
        .tool_source(server.clone())
        .build()?;
    let session = MemorySession::new(SessionId::new(task.id.as_str())?);
    for turn in &task.turns {
        // A turn may bring new tools, and a server without sessions cannot tell its clients.
        server.forget_tools();
        let request = if index.is_multiple_of(2) {
            runner.run(&agent, turn.as_str()).delivery(Delivery::Whole)
        } else {
            runner.run(&agent, turn.as_str()).delivery(Delivery::Stream)
        };
        // The functions of a task act on one state: in order, one after the other.
        request
            .session(&session)
            .limits(Limits::turns(40))
            .max_tool_concurrency(1)
            .await
            .map_err(|error| described(&error))?;
    }
    server.close().await;
    Ok(())
}

/// An error with its causes, on one line.
fn described(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
