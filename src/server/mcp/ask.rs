//! A call of `ask_<agent>`: runs the agent, reports progress, and waits for decisions of the client's user.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::agents::{AgentTool, refusal};
use super::catalog::McpCatalog;
use super::dynamic_resources::DynamicResource;
use super::elicitation::ElicitationRounds;
use super::run_traces::RunRecorder;
use super::{McpCall, McpCallError, Served, approvals, run_sessions};
use crate::agent::runner::{RunEvent, RunRequest, RunResult, Runner};
use crate::agent::{Agent, Interruption, RunState};
use crate::error::RunError;
use crate::error::error_chain;
use crate::kind::ErrorKind;
use crate::mcp::McpProgress;
use crate::server::id;
use crate::session::Session;

/// The argument with what is asked.
const INPUT: &str = "input";

/// One call of an agent.
pub(super) struct Ask<'a> {
    pub(super) served: &'a Served,
    pub(super) catalog: &'a McpCatalog,
    pub(super) agent: &'a AgentTool,
    /// With what the agent's tools reach the client.
    pub(super) call: &'a McpCall,
    /// With what the client is asked whether a call may be made.
    pub(super) approver: &'a McpCall,
    /// Where the answers are if the call ended with questions; without effect for a client with a session.
    pub(super) rounds: &'a ElicitationRounds,
}

/// A run that waits until its calls are decided about.
pub(super) struct WaitingRun {
    asked: Asked,
    state: RunState,
    /// By what it is known, which no client can guess: the keys of its questions begin with it.
    id: String,
}

/// A run that a call began.
struct Asked {
    /// What it began with, whatever is offered by the time that it goes on.
    runner: Runner,
    agent: Agent,
    recorder: RunRecorder,
    session: Option<Arc<dyn Session>>,
    /// How often the client was told how far it has come.
    n_steps: u32,
}

/// How a run ended.
enum AgentRunEnd {
    Done(Box<RunResult>),
    Failed(RunError),
    Silently,
}

impl Ask<'_> {
    /// Runs the agent, or goes on with the run that waits for this call; the run ends when this future is dropped.
    ///
    /// The error is the result that says so, also when the client is asked.
    pub(super) async fn answer(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<CallToolResult, CallToolResult> {
        // A call comes here twice or more: first to begin the run, then each time with answers to
        // its questions. The answers name the run that waits.
        let (mut asked, mut run) = match self.rounds.run() {
            None => self.begin(arguments).await?,
            // No other call gets it.
            Some(id) => match self.served.waiting.take(id) {
                Some(waiting) => self.decide(waiting).await?,
                None => return Err(gone()),
            },
        };
        loop {
            // One pass for each time that the run pauses for approval. It ends with an answer, or
            // with an error.
            let ended = self.follow(&mut asked, run).await;
            let error = match ended {
                AgentRunEnd::Done(result) => {
                    self.changed(&asked);
                    return Ok(answer(&asked, &result));
                }
                AgentRunEnd::Failed(error) => error,
                AgentRunEnd::Silently => return Err(refusal("the run ended without a result")),
            };
            if error.kind() != ErrorKind::ApprovalRequired {
                return Err(self.failed(&asked, error.kind(), &error_chain(&error)));
            }
            self.changed(&asked);
            let state = error.into_state();
            let state =
                state.map_err(|error| self.failed(&asked, error.kind(), &error_chain(&error)))?;
            let id = id::digits().map_err(|error| refusal(&error.to_string()))?;
            (asked, run) = self.decide(WaitingRun { asked, state, id }).await?;
        }
    }

    /// Says which calls wait, and why nobody decides about them.
    fn undecided(&self, asked: &Asked, calls: &[Interruption], why: &str) -> CallToolResult {
        let waiting = format!("{} ({why})", approvals::describe(calls));
        self.failed(asked, ErrorKind::ApprovalRequired, &waiting)
    }

    /// Ends a run without a result.
    fn failed(&self, asked: &Asked, kind: ErrorKind, message: &str) -> CallToolResult {
        asked.recorder.failed(kind, message);
        self.changed(asked);
        refusal(&format!("{kind}: {message}"))
    }

    /// Tells who subscribed to the run or to its session.
    fn changed(&self, asked: &Asked) {
        let run = DynamicResource::Trace(asked.recorder.run().to_owned());
        self.served.changes.resource(&run.to_string());
        if let Some(session) = &asked.session {
            let session = DynamicResource::Session(session.id().clone());
            self.served.changes.resource(&session.to_string());
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
        let session = session.map_err(|reason| refusal(&reason))?;
        let id = session.as_ref().map(|session| session.id().as_str());
        let runner = &self.catalog.runner;
        let agent = &self.agent.agent;
        let traces = &self.served.run_traces;
        let recorder = traces.begin(runner.recorder(), agent.name(), id);
        let recorder = recorder.map_err(|error| refusal(&error.to_string()))?;
        let asked = Asked {
            runner: runner.clone().tracer(recorder.tracer()),
            agent: agent.clone(),
            recorder,
            session,
            n_steps: 0,
        };
        let run = asked.runner.run(&asked.agent, input);
        Ok((asked, run))
    }

    /// Has the client's user decide about all calls that wait, after which the run goes on.
    async fn decide(&self, waiting: WaitingRun) -> Result<(Asked, RunRequest), CallToolResult> {
        let calls = waiting.state.interruptions();
        // Nobody can be asked, so the run ends. It is not kept: nobody could find it again.
        if !self.approver.can_show_forms() {
            let why = "the client cannot ask its user";
            return Err(self.undecided(&waiting.asked, &calls, why));
        }
        let mut verdicts = Vec::new();
        let mut unanswered = None;
        for (n, call) in calls.iter().enumerate() {
            let key = format!("{}-{n}", waiting.id);
            match approvals::ask(self.approver, &key, call).await {
                Ok(verdict) => verdicts.push(verdict),
                // The others are asked in the same round.
                Err(error @ McpCallError::Asked { .. }) => unanswered = Some(error),
                Err(error) => {
                    unanswered = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = unanswered {
            let why = error_chain(&error);
            if self.approver.asks_in_rounds() {
                // The run stays here and the client goes. What the client carries is sealed and has
                // only the name of the run.
                self.rounds.wait(waiting.id.clone());
                self.served.waiting.put(waiting.id.clone(), waiting);
                return Err(refusal(&why));
            }
            return Err(self.undecided(&waiting.asked, &calls, &why));
        }
        let WaitingRun {
            asked, mut state, ..
        } = waiting;
        for (call, verdict) in calls.iter().zip(verdicts) {
            let decided = approvals::decide(&mut state, call, verdict);
            decided.map_err(|error| self.failed(&asked, error.kind(), &error.to_string()))?;
        }
        let run = asked.runner.resume(&asked.agent, state);
        Ok((asked, run))
    }

    /// Follows a run to its end.
    async fn follow(&self, asked: &mut Asked, mut run: RunRequest) -> AgentRunEnd {
        // With this the agent's tools find the `McpCall` as a state.
        run = run.state(self.call.clone());
        if let Some(session) = &asked.session {
            run = run.session(session);
        }
        let mut run = run.stream();
        while let Some(event) = run.next().await {
            match event {
                Ok(RunEvent::RunDone { result }) => return AgentRunEnd::Done(result),
                Ok(event) => {
                    if let Some(message) = step(&event) {
                        asked.n_steps += 1;
                        let progress = McpProgress::new(f64::from(asked.n_steps)).message(message);
                        self.call.progress(progress).await;
                    }
                }
                Err(error) => return AgentRunEnd::Failed(error),
            }
        }
        AgentRunEnd::Silently
    }
}

/// Says what an event means to whoever waits.
fn step(event: &RunEvent) -> Option<String> {
    match event {
        RunEvent::TurnStarted { turn, agent } => Some(format!("{agent}: turn {turn}")),
        RunEvent::TextDelta { delta } => Some(delta.clone()),
        RunEvent::ToolCalled { name, .. } => Some(format!("calls {name}")),
        RunEvent::ApprovalRequired { interruption } => {
            Some(format!("waits for approval: {}", interruption.tool))
        }
        RunEvent::ToolOutputDone { name, failure, .. } => Some(match failure {
            None => format!("{name} is done"),
            Some(_) => format!("{name} failed"),
        }),
        _ => None,
    }
}

fn answer(asked: &Asked, result: &RunResult) -> CallToolResult {
    let mut told = json!({
        "run": asked.recorder.run(),
        "final_output": result.final_output(),
        "agent": result.last_agent().name(),
        "turns": result.turns(),
        "usage": result.usage(),
    });
    if let (Some(session), Value::Object(told)) = (&asked.session, &mut told) {
        let id = session.id().as_str().to_owned();
        told.insert(run_sessions::ARGUMENT.to_owned(), Value::String(id));
    }
    let mut answer = CallToolResult::success(vec![ContentBlock::text(result.final_output())]);
    answer.structured_content = Some(told);
    answer
}

/// Says that there is no run that the client's answers belong to.
fn gone() -> CallToolResult {
    let kind = ErrorKind::StateInvalid;
    let why = "it has them, or they came too late";
    refusal(&format!(
        "{kind}: the run does not wait for these answers: {why}"
    ))
}
