//! A call of an agent: a run that tells how far it has come.

use std::sync::Arc;

use futures_util::StreamExt;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use super::agents::{AgentTool, refusal};
use super::live::Live;
use super::{McpCall, Served, run_sessions};
use crate::agent::runner::{RunEvent, RunRequest, RunResult};
use crate::error::RunError;
use crate::mcp::{McpProgress, with_causes};
use crate::session::Session;

/// The argument with what is asked.
const INPUT: &str = "input";

/// One call of an agent.
pub(super) struct Ask<'a> {
    pub(super) served: &'a Served,
    pub(super) agent: &'a AgentTool,
    pub(super) call: &'a McpCall,
}

/// A run that a call began.
struct Asked {
    session: Option<Arc<dyn Session>>,
    /// How often the client was told how far it has come.
    n_steps: u32,
}

/// How a run ended.
enum Ended {
    Done(Box<RunResult>),
    Failed(RunError),
    Silently,
}

impl Ask<'_> {
    /// Runs the agent; the run ends when this future is dropped.
    ///
    /// The error is the result that says so.
    pub(super) async fn answer(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<CallToolResult, CallToolResult> {
        let (mut asked, run) = self.begin(arguments).await?;
        let ended = self.follow(&mut asked, run).await;
        if let Some(session) = &asked.session {
            let changed = Live::Session(session.id().clone());
            self.served.resource_changed(&changed.to_string());
        }
        match ended {
            Ended::Done(result) => Ok(answer(&asked, &result)),
            Ended::Failed(error) => Err(failure(&error)),
            Ended::Silently => Err(refusal("the run ended without a result")),
        }
    }

    async fn begin(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<(Asked, RunRequest), CallToolResult> {
        let Some(input) = arguments.get(INPUT).and_then(Value::as_str) else {
            return Err(refusal(&format!("the argument `{INPUT}` must be a text")));
        };
        let is_known = |name: &&String| [INPUT, run_sessions::ARGUMENT].contains(&name.as_str());
        if let Some(unknown) = arguments.keys().find(|name| !is_known(name)) {
            return Err(refusal(&format!("there is no argument `{unknown}`")));
        }
        let session = self.served.sessions.of_call(arguments).await;
        let asked = Asked {
            session: session.map_err(|reason| refusal(&reason))?,
            n_steps: 0,
        };
        let run = self.served.runner.stream(&self.agent.agent, input);
        Ok((asked, run))
    }

    /// Follows a run to its end.
    async fn follow(&self, asked: &mut Asked, mut run: RunRequest) -> Ended {
        run = run.state(self.call.clone());
        if let Some(session) = &asked.session {
            run = run.session(session);
        }
        let mut run = run.start();
        while let Some(event) = run.next().await {
            match event {
                Ok(RunEvent::RunDone { result }) => return Ended::Done(result),
                Ok(event) => {
                    if let Some(message) = step(&event) {
                        asked.n_steps += 1;
                        let progress = McpProgress::new(f64::from(asked.n_steps)).message(message);
                        self.call.progress(progress).await;
                    }
                }
                Err(error) => return Ended::Failed(error),
            }
        }
        Ended::Silently
    }
}

/// Says what an event means to whoever waits.
fn step(event: &RunEvent) -> Option<String> {
    match event {
        RunEvent::TurnStarted { turn, agent } => Some(format!("{agent}: turn {turn}")),
        RunEvent::TextDelta { delta } => Some(delta.clone()),
        RunEvent::ToolCalled { name, .. } => Some(format!("calls {name}")),
        RunEvent::ToolOutputDone { name, failure, .. } => Some(match failure {
            None => format!("{name} is done"),
            Some(_) => format!("{name} failed"),
        }),
        _ => None,
    }
}

fn answer(asked: &Asked, result: &RunResult) -> CallToolResult {
    let usage = result.usage();
    let mut told = json!({
        "final_output": result.final_output(),
        "agent": result.last_agent().name(),
        "turns": result.turns(),
        "usage": {
            "requests": usage.requests,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        },
    });
    if let (Some(session), Value::Object(told)) = (&asked.session, &mut told) {
        let id = session.id().as_str().to_owned();
        told.insert(run_sessions::ARGUMENT.to_owned(), Value::String(id));
    }
    let mut answer = CallToolResult::success(vec![ContentBlock::text(result.final_output())]);
    answer.structured_content = Some(told);
    answer
}

fn failure(error: &RunError) -> CallToolResult {
    refusal(&format!("{}: {}", error.kind(), with_causes(error)))
}
