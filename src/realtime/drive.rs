//! Does what the machine of a session decides: sends, receives, calls tools, asks guardrails.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::agent::{Briefing, RealtimeAgent};
use super::conversation::RealtimeItem;
use super::machine::{
    GuardrailCheck, HandoffRequest, Machine, MachineInput, MachineStep, ToolRequest, UserInput,
};
use super::queue::EventQueue;
use super::trace::SessionTrace;
use super::{Clock, RealtimeError, Reconnect};
use crate::context::RunContext;
use crate::future::BoxFuture;
use crate::guardrail::{GuardrailOutput, GuardrailResult, GuardrailStage, Verdict};
use crate::model::ModelError;
use crate::model::realtime::{
    ClientEvent, ConnectionEnd, Outgoing, RealtimeConnection, RealtimeModel,
};
use crate::tools::{Approval, ToolCall, ToolCallResult, ToolContext, ToolError, Unobserved};

/// How much audio of the user waits at most to be sent, in bytes: 20 seconds of PCM. More is not taken until some was sent.
const MAX_WAITING_AUDIO: usize = 1024 * 1024;

/// How long the close of a connection may take; a peer that takes nothing any more is left behind.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What the application asks of the driver.
pub(super) enum DriverCommand {
    Ask(UserInput, oneshot::Sender<Result<(), RealtimeError>>),
    Played(String, Duration),
    History(oneshot::Sender<Vec<RealtimeItem>>),
    Close,
}

/// What a connection begins with.
pub(super) type Opened = (Box<dyn RealtimeConnection>, Briefing);

pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) model: Arc<dyn RealtimeModel>,
    pub(super) cx: RunContext,
    pub(super) clock: Clock,
    pub(super) reconnect: Option<Reconnect>,
    pub(super) events: Arc<EventQueue>,
    pub(super) trace: SessionTrace,
    /// Interruptions, texts and questions: they never wait behind audio.
    pub(super) control: mpsc::Receiver<DriverCommand>,
    pub(super) audio: mpsc::Receiver<DriverCommand>,
    connection: Option<Box<dyn RealtimeConnection>>,
    opening: Option<BoxFuture<'static, Result<Opened, ModelError>>>,
    queue: VecDeque<Outgoing>,
    n_waiting: usize,
    /// Calls, handoffs and guardrails under way, beside the audio.
    work: FuturesUnordered<BoxFuture<'static, MachineInput>>,
}

/// What a driver is made of.
pub(super) struct DriverParts {
    pub(super) machine: Machine,
    pub(super) model: Arc<dyn RealtimeModel>,
    pub(super) cx: RunContext,
    pub(super) clock: Clock,
    pub(super) reconnect: Option<Reconnect>,
    pub(super) events: Arc<EventQueue>,
    pub(super) trace: SessionTrace,
    pub(super) control: mpsc::Receiver<DriverCommand>,
    pub(super) audio: mpsc::Receiver<DriverCommand>,
}

/// What the driver waits for.
enum DriverEvent {
    Command(DriverCommand),
    MachineInput(MachineInput),
    /// The application is gone.
    Dropped,
}

impl Driver {
    pub(super) fn new(parts: DriverParts) -> Self {
        let DriverParts {
            machine,
            model,
            cx,
            clock,
            reconnect,
            events,
            trace,
            control,
            audio,
        } = parts;
        Self {
            machine,
            model,
            cx,
            clock,
            reconnect,
            events,
            trace,
            control,
            audio,
            connection: None,
            opening: None,
            queue: VecDeque::new(),
            n_waiting: 0,
            work: FuturesUnordered::new(),
        }
    }

    /// Drives the session to its end.
    pub(super) async fn run(mut self, (connection, briefing): Opened) {
        self.connection = Some(connection);
        self.take(MachineInput::Opened(briefing));
        // Do all that the machine wants, then wait for one thing to happen, give it to the machine,
        // and begin again.
        while self.perform() {
            match poll_fn(|cx| self.poll_driver_event(cx)).await {
                DriverEvent::Command(command) => self.on_command(command),
                DriverEvent::MachineInput(input) => self.take(input),
                DriverEvent::Dropped => return,
            }
        }
        if let Some(mut connection) = self.connection.take() {
            let closed = poll_fn(|cx| connection.poll_close(cx));
            // The connection is dropped either way.
            drop(tokio::time::timeout(CLOSE_TIME, closed).await);
        }
        self.events.finish();
    }

    fn take(&mut self, input: MachineInput) {
        self.machine.accept(self.clock.now(), input);
    }

    fn on_command(&mut self, command: DriverCommand) {
        match command {
            DriverCommand::Ask(input, reply) => {
                let done = self.machine.ask(self.clock.now(), input);
                // Whoever asked may not wait for the answer.
                drop(reply.send(done));
            }
            DriverCommand::Played(item_id, position) => {
                self.take(MachineInput::Played { item_id, position });
            }
            DriverCommand::History(reply) => {
                drop(reply.send(self.machine.history(self.clock.now())));
            }
            DriverCommand::Close => self.take(MachineInput::Close),
        }
    }

    /// Does all steps that there are; says whether the session goes on.
    fn perform(&mut self) -> bool {
        while let Some(step) = self.machine.next() {
            match step {
                MachineStep::Send(outgoing) => self.enqueue(outgoing),
                MachineStep::Emit(event) => {
                    self.trace.observe(&event);
                    self.events.push(event);
                }
                MachineStep::RunTool(order) => {
                    let call_id = order.call_id.clone();
                    let call = run_tool(self.cx.clone(), order);
                    self.work.push(self.trace.in_call(&call_id, call));
                }
                MachineStep::RefuseTool { order, message } => {
                    self.work
                        .push(Box::pin(refuse(self.cx.clone(), order, message)));
                }
                MachineStep::HandOff(order) => {
                    self.work.push(Box::pin(hand_off(self.cx.clone(), order)));
                }
                MachineStep::CheckGuardrails(order) => {
                    self.work
                        .push(Box::pin(check_guardrails(self.cx.clone(), order)));
                }
                MachineStep::Reconnect => self.reopen(),
                MachineStep::Close => return false,
            }
        }
        true
    }

    /// Puts an event behind all others, but not behind audio that follows nothing else: an interruption comes before that.
    fn enqueue(&mut self, outgoing: Outgoing) {
        let is_audio = |waiting: &Outgoing| matches!(waiting.event, ClientEvent::AppendAudio(_));
        let is_urgent = matches!(
            outgoing.event,
            ClientEvent::CancelResponse { .. }
                | ClientEvent::TruncateItem { .. }
                | ClientEvent::ClearOutputAudio
        );
        self.n_waiting += audio_bytes(&outgoing.event);
        if is_urgent {
            let last = self.queue.iter().rposition(|waiting| !is_audio(waiting));
            self.queue.insert(last.map_or(0, |last| last + 1), outgoing);
        } else {
            self.queue.push_back(outgoing);
        }
    }

    fn reopen(&mut self) {
        self.connection = None;
        // What was not sent belongs to the connection that is gone. The machine tells the new one
        // what it must know.
        self.queue.clear();
        self.n_waiting = 0;
        let agent = self.machine.agent().clone();
        let (model, cx) = (Arc::clone(&self.model), self.cx.clone());
        // The machine reconnects only where this is set.
        let attempts = self.reconnect.unwrap_or(Reconnect::new(1, Duration::ZERO));
        self.opening = Some(Box::pin(async move {
            let mut n_attempts = 0;
            loop {
                n_attempts += 1;
                tokio::time::sleep(attempts.delay).await;
                match open(&*model, &agent, &cx).await {
                    Err(error) if n_attempts < attempts.max_attempts => {
                        tracing::warn!(target: "openai_agents::realtime", %error, n_attempts, "reconnecting failed");
                    }
                    opened => return opened,
                }
            }
        }));
    }

    /// Waits for what happens next; what the application asks comes first, what the server says last.
    fn poll_driver_event(&mut self, cx: &mut Context<'_>) -> Poll<DriverEvent> {
        // The order is the order of what must not wait. The application first, or an interruption
        // would wait behind what the server says. Then sending, so that audio leaves before more is
        // taken. The server comes last, and only while there is room for its events.
        match self.control.poll_recv(cx) {
            Poll::Ready(Some(command)) => return Poll::Ready(DriverEvent::Command(command)),
            Poll::Ready(None) => return Poll::Ready(DriverEvent::Dropped),
            Poll::Pending => {}
        }
        if let Some(end) = self.poll_send(cx) {
            return Poll::Ready(DriverEvent::MachineInput(MachineInput::Lost(end)));
        }
        // Not taken while too much waits: the channel fills, and the application that sends audio
        // has to wait.
        if self.n_waiting < MAX_WAITING_AUDIO
            && let Poll::Ready(Some(command)) = self.audio.poll_recv(cx)
        {
            return Poll::Ready(DriverEvent::Command(command));
        }
        if let Poll::Ready(Some(input)) = self.work.poll_next_unpin(cx) {
            return Poll::Ready(DriverEvent::MachineInput(input));
        }
        if let Some(opening) = &mut self.opening
            && let Poll::Ready(opened) = opening.as_mut().poll(cx)
        {
            self.opening = None;
            return Poll::Ready(DriverEvent::MachineInput(match opened {
                Ok((connection, briefing)) => {
                    self.connection = Some(connection);
                    MachineInput::Opened(briefing)
                }
                Err(error) => MachineInput::Lost(ConnectionEnd::Broken(error)),
            }));
        }
        if let Some(connection) = &mut self.connection
            // No room means that the application does not read. Then nothing is read from the
            // socket either, which slows the server.
            && self.events.poll_room(cx).is_ready()
            && let Poll::Ready(event) = connection.poll_event(cx)
        {
            let input = match event {
                Some(Ok(received)) => MachineInput::Server(received),
                Some(Err(end)) => MachineInput::Lost(end),
                None => MachineInput::Lost(ConnectionEnd::Closed {
                    code: None,
                    reason: String::new(),
                }),
            };
            return Poll::Ready(DriverEvent::MachineInput(input));
        }
        Poll::Pending
    }

    /// Sends what can be sent; gives the end of a connection that takes nothing any more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Option<ConnectionEnd> {
        let connection = self.connection.as_mut()?;
        let sent = connection.poll_send(cx, &mut self.queue);
        self.n_waiting = if self.queue.is_empty() {
            0
        } else {
            let audio = self.queue.iter();
            audio.map(|waiting| audio_bytes(&waiting.event)).sum()
        };
        match sent {
            Poll::Ready(Err(end)) => {
                // The server may have said why before it went.
                if let Poll::Ready(Some(Err(said))) = connection.poll_event(cx) {
                    return Some(said);
                }
                Some(end)
            }
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }
}

/// How much of what may wait an event takes.
fn audio_bytes(event: &ClientEvent) -> usize {
    match event {
        ClientEvent::AppendAudio(audio) => audio.len(),
        ClientEvent::Verbatim(json) => json.len(),
        _ => 0,
    }
}

/// Opens a connection, and finds out what the agent is told.
pub(super) async fn open(
    model: &dyn RealtimeModel,
    agent: &RealtimeAgent,
    cx: &RunContext,
) -> Result<Opened, ModelError> {
    let briefing = agent.brief(cx).await?;
    Ok((model.connect().await?, briefing))
}

/// Makes a call in the one place for calls.
pub(super) async fn run_tool(cx: RunContext, order: ToolRequest) -> MachineInput {
    let call_id = order.call_id.clone();
    let result = call_tool(cx, order).await;
    MachineInput::ToolEnded { call_id, result }
}

async fn call_tool(cx: RunContext, order: ToolRequest) -> ToolCallResult {
    if let Err(limit) = cx.begin_tool_calls(1) {
        let source = Box::new(limit);
        let tool = order.tool.name().clone();
        return ToolCallResult::Fatal(ToolError::Failed { tool, source });
    }
    let (call, approved_after) = tool_call(cx, order);
    let approval = match approved_after {
        Some(guardrails) => Approval::GivenAfter(guardrails),
        None => match call.needs_approval().await {
            Ok(true) => Approval::Required,
            Ok(false) => Approval::Given,
            Err(error) => return ToolCallResult::Fatal(error),
        },
    };
    call.make(approval, Unobserved).await
}

pub(super) async fn refuse(cx: RunContext, order: ToolRequest, message: String) -> MachineInput {
    let call_id = order.call_id.clone();
    let tool = order.tool.name().clone();
    let (call, guardrails) = tool_call(cx, order);
    let refused = ToolError::NotApproved { tool };
    let result = call.refuse(message, refused, guardrails.unwrap_or_default());
    MachineInput::ToolEnded {
        call_id,
        result: result.await,
    }
}

fn tool_call(cx: RunContext, order: ToolRequest) -> (ToolCall, Option<Vec<GuardrailResult>>) {
    let ToolRequest {
        call_id,
        agent,
        tool,
        arguments,
        approved_after,
    } = order;
    let cx = ToolContext::new(cx, agent, tool.name().clone(), call_id, arguments);
    (ToolCall::new(&tool, cx), approved_after)
}

/// Calls the function of a handoff, and finds out what the next agent is told.
pub(super) async fn hand_off(cx: RunContext, order: HandoffRequest) -> MachineInput {
    let call_id = order.call.call_id.clone();
    let tool = order.call.tool.name().clone();
    let result = match call_tool(cx.clone(), order.call).await {
        ToolCallResult::Output { .. } => order.to.brief(&cx).await.map_err(|error| {
            ToolCallResult::Fatal(ToolError::CallbackFailed {
                tool,
                callback: format!("the briefing of agent `{}`", order.to.name()),
                source: Box::new(error),
            })
        }),
        failed => Err(failed),
    };
    MachineInput::HandoffEnded { call_id, result }
}

/// Asks all guardrails of an agent; one that fails stops the answer like one that trips.
pub(super) async fn check_guardrails(cx: RunContext, order: GuardrailCheck) -> MachineInput {
    let GuardrailCheck {
        response,
        item_id,
        agent,
        text,
    } = order;
    let output: Arc<str> = text.into();
    let mut results = Vec::new();
    for guardrail in agent.output_guardrails() {
        let shown = GuardrailOutput {
            cx: cx.clone(),
            agent: agent.shared_name(),
            output: Arc::clone(&output),
        };
        let checked = AssertUnwindSafe(guardrail.check(shown))
            .catch_unwind()
            .await;
        let verdict = match checked {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Verdict::trip(format!("the guardrail failed: {error}")),
            Err(_) => Verdict::trip(Value::from("the guardrail panicked")),
        };
        let stage = GuardrailStage::Output;
        results.push(GuardrailResult::new(
            guardrail.name(),
            stage,
            agent.name(),
            verdict,
        ));
    }
    MachineInput::GuardrailsChecked {
        response,
        item_id,
        results,
    }
}

impl Drop for Driver {
    /// Also when the task is aborted or panics: nobody is to wait for an event for ever.
    fn drop(&mut self) {
        self.events.finish();
        self.cx.control().end();
    }
}
