//! The machine of a session: what happened goes in, what is to be done comes out; no socket, no clock, no task.
//!
//! [`Machine::accept`] takes an input and the time, and [`Machine::next`] gives the steps that follow from it. Everything that a
//! session decides is decided here; the driver only does it.

mod calls;
mod guard;
mod interruption;
mod responses;
mod server_events;
mod user;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::agent::{Briefing, RealtimeAgent};
use super::audio::Frames;
use super::conversation::{RealtimeItem, SessionHistory};
use super::event::{InterruptedBy, RealtimeEvent, SessionEnd};
use super::retelling::{UnconfirmedItems, keep_answered_calls};
use crate::context::RunContext;
use crate::guardrail::GuardrailResult;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::realtime::{
    ClientEvent, ConnectionEnd, NewItem, Outgoing, Playback, RealtimeSettings, ReceivedEvent,
    ResponseOptions,
};
use crate::tools::{FunctionTool, ToolCallResult};
use calls::OpenCalls;
use guard::GuardrailState;
use responses::Responses;
pub(super) use user::{CallDecision, UserInput};

/// What happened.
#[derive(Debug)]
pub(super) enum MachineInput {
    /// The connection stands, and this is what the agent is told.
    Opened(Briefing),
    /// The server said something.
    Server(ReceivedEvent),
    /// The application reports how much of an item was played.
    Played { item_id: String, position: Duration },
    /// A call is over, or waits for an approval.
    ToolEnded {
        call_id: String,
        result: ToolCallResult,
    },
    /// A handoff is over; on success with what the next agent is told.
    HandoffEnded {
        call_id: String,
        result: Result<Briefing, ToolCallResult>,
    },
    /// Guardrails have looked at an answer.
    GuardrailsChecked {
        response: u64,
        item_id: String,
        results: Vec<GuardrailResult>,
    },
    /// The connection is over.
    Lost(ConnectionEnd),
    /// The application closes the session.
    Close,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum MachineStep {
    /// Send this.
    Send(Outgoing),
    /// Tell the application.
    Emit(RealtimeEvent),
    /// Call a tool.
    RunTool(ToolRequest),
    /// Call a handoff's function, and find out what the next agent is told.
    HandOff(HandoffRequest),
    /// Answer a call without making it.
    RefuseTool { order: ToolRequest, message: String },
    /// Ask guardrails.
    CheckGuardrails(GuardrailCheck),
    /// Open another connection.
    Reconnect,
    /// Close the connection; the session is over.
    Close,
}

/// A call that is to be made.
#[derive(Debug, Clone)]
pub(super) struct ToolRequest {
    pub(super) call_id: String,
    pub(super) agent: Arc<str>,
    pub(super) tool: FunctionTool,
    pub(super) arguments: String,
    /// What the input guardrails said before the call was approved.
    pub(super) approved_after: Option<Vec<GuardrailResult>>,
}

/// A handoff that is to be made.
#[derive(Debug, Clone)]
pub(super) struct HandoffRequest {
    pub(super) call: ToolRequest,
    pub(super) to: RealtimeAgent,
}

/// An answer that guardrails are to look at.
#[derive(Debug, Clone)]
pub(super) struct GuardrailCheck {
    pub(super) response: u64,
    pub(super) item_id: String,
    pub(super) agent: RealtimeAgent,
    pub(super) text: String,
}

/// What a machine begins with.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) agent: RealtimeAgent,
    /// All agents that the session can come to.
    pub(super) agents: Vec<RealtimeAgent>,
    pub(super) cx: RunContext,
    pub(super) settings: RealtimeSettings,
    pub(super) playback: Playback,
    /// How many losses in a row are answered by a connection.
    pub(super) max_reconnects: u32,
}

/// The state of a session.
#[derive(Debug)]
pub(super) struct Machine {
    agent: RealtimeAgent,
    agents: Vec<RealtimeAgent>,
    cx: RunContext,
    settings: RealtimeSettings,
    playback: Playback,
    max_reconnects: u32,
    /// The losses since the last answer: a server that takes every connection and closes it at once must come to an end.
    n_losses: u32,
    connection: Connection,
    /// Whether an error of the server said that the session is too old; the close comes behind it.
    is_expired: bool,
    now: Duration,
    conversation: SessionHistory,
    /// Until when a player that never pauses plays what it was given.
    plays_until: Duration,
    /// Whether the application reports what was played; then only that counts.
    has_playback_reports: bool,
    responses: Responses,
    calls: OpenCalls,
    guard: GuardrailState,
    /// Whether the server must be told the settings before it is asked for an answer.
    must_update: bool,
    speech: Speech,
    /// Whether the server said that its turn detection lets speech interrupt.
    server_interrupts: Option<bool>,
    /// Audio of the user that is not a whole frame yet.
    input_frames: Frames,
    /// Audio of the user that was sent and not committed, in bytes.
    n_uncommitted: u64,
    unconfirmed: UnconfirmedItems,
    /// What the new connection is told first.
    rebuilt: Vec<NewItem>,
    n_events: u64,
    steps: VecDeque<MachineStep>,
}

/// Where the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// It is being made, for the first time or again.
    Opening {
        is_again: bool,
    },
    Open,
    Over,
}

/// Where the user is in a turn that the server listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// Silent.
    Silent,
    /// Speaking: an answer now would be talked over.
    Speaking,
    /// Has spoken: the server begins an answer by itself.
    AwaitingResponse,
}

impl Machine {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup {
            agent,
            agents,
            cx,
            settings,
            playback,
            max_reconnects,
        } = setup;
        Self {
            input_frames: Frames::new(settings.input_format.frame_bytes()),
            agent,
            agents,
            cx,
            settings,
            playback,
            max_reconnects,
            n_losses: 0,
            connection: Connection::Opening { is_again: false },
            is_expired: false,
            now: Duration::ZERO,
            conversation: SessionHistory::default(),
            plays_until: Duration::ZERO,
            has_playback_reports: false,
            responses: Responses::default(),
            calls: OpenCalls::default(),
            guard: GuardrailState::default(),
            must_update: false,
            speech: Speech::Silent,
            server_interrupts: None,
            n_uncommitted: 0,
            unconfirmed: UnconfirmedItems::default(),
            rebuilt: Vec::new(),
            n_events: 0,
            steps: VecDeque::new(),
        }
    }

    /// Takes what happened at a time.
    pub(super) fn accept(&mut self, now: Duration, input: MachineInput) {
        // A clock that goes back would unplay audio.
        self.now = self.now.max(now);
        if self.connection == Connection::Over {
            return;
        }
        match input {
            MachineInput::Opened(briefing) => self.on_opened(briefing),
            MachineInput::Server(received) => self.on_received(received),
            MachineInput::Played { item_id, position } => {
                self.has_playback_reports = true;
                if let Some(audio) = self
                    .conversation
                    .entry(&item_id)
                    .and_then(|entry| entry.audio.as_mut())
                {
                    audio.report(position);
                }
            }
            MachineInput::ToolEnded { call_id, result } => self.on_tool_ended(&call_id, result),
            MachineInput::HandoffEnded { call_id, result } => {
                self.on_handoff_ended(&call_id, result);
            }
            MachineInput::GuardrailsChecked {
                response,
                item_id,
                results,
            } => self.on_guardrail_results(response, &item_id, results),
            MachineInput::Lost(end) => self.on_lost(end),
            MachineInput::Close => self.end(SessionEnd::Closed),
        }
        // After every input, because each may have ended the answer for which something waited.
        self.send_deferred();
    }

    /// Returns what is to be done next.
    pub(super) fn next(&mut self) -> Option<MachineStep> {
        self.steps.pop_front()
    }

    /// Returns the conversation, with what was heard by now.
    pub(super) fn history(&mut self, now: Duration) -> Vec<RealtimeItem> {
        self.now = self.now.max(now);
        self.conversation.items(self.now, self.has_playback_reports)
    }

    pub(super) const fn agent(&self) -> &RealtimeAgent {
        &self.agent
    }

    fn on_opened(&mut self, briefing: Briefing) {
        let is_again = self.connection == Connection::Opening { is_again: true };
        self.connection = Connection::Open;
        // Settings first, then what was said before: the server reads items by the settings that
        // hold when they come.
        self.set_agent(briefing);
        self.update_session();
        for item in std::mem::take(&mut self.rebuilt) {
            self.create_item(item);
        }
        if is_again {
            self.emit(RealtimeEvent::Reconnected);
        }
    }

    /// Gives the conversation to an agent; the server is told when it can be.
    pub(super) fn set_agent(&mut self, briefing: Briefing) {
        self.agent = briefing.agent;
        self.settings.instructions = briefing.instructions;
        self.settings.tools = self.agent.specs(&self.cx);
    }

    fn on_lost(&mut self, end: ConnectionEnd) {
        let end = match end {
            _ if self.is_expired => SessionEnd::Expired,
            ConnectionEnd::Closed { code, reason } => SessionEnd::ServerClosed { code, reason },
            ConnectionEnd::Broken(error) => SessionEnd::Lost(error),
            ConnectionEnd::Protocol(error) => SessionEnd::Protocol(error),
        };
        let is_tried = self.connection == Connection::Open && end.allows_reconnect();
        if !is_tried || self.n_losses >= self.max_reconnects {
            return self.end(end);
        }
        self.n_losses += 1;
        // The order matters. First end the answer under way, so that its item says how much of it
        // was heard. Then take the conversation, which is told to the new connection.
        self.interrupt(InterruptedBy::Connection, None);
        self.connection = Connection::Opening { is_again: true };
        self.is_expired = false;
        let items = self
            .conversation
            .take_items(self.now, self.has_playback_reports)
            .chain(self.unconfirmed.drain())
            .collect();
        self.rebuilt = keep_answered_calls(items, |call_id| self.calls.is_open(call_id));
        self.responses.on_connection_lost();
        self.calls.on_connection_lost(&self.rebuilt);
        self.speech = Speech::Silent;
        self.n_uncommitted = 0;
        self.steps.push_back(MachineStep::Reconnect);
    }

    fn end(&mut self, end: SessionEnd) {
        self.connection = Connection::Over;
        self.emit(RealtimeEvent::Ended { end });
        self.steps.push_back(MachineStep::Close);
    }

    fn end_by_limit(&mut self, message: impl Into<String>) {
        let error = ModelError::new(ErrorKind::LimitExceeded, message);
        self.end(SessionEnd::Protocol(error));
    }

    /// Does what had to wait for the end of an answer: settings, outputs, the next answer.
    fn send_deferred(&mut self) {
        if self.conversation.is_too_large() && self.connection != Connection::Over {
            let max_bytes = super::conversation::MAX_HISTORY_BYTES;
            return self.end_by_limit(format!(
                "the session has more than {max_bytes} bytes of history"
            ));
        }
        // The API refuses a second answer while one is under way, and settings that change in the
        // middle would hold for half of it.
        if self.connection != Connection::Open || !self.responses.is_idle() {
            return;
        }
        if std::mem::take(&mut self.must_update) {
            self.update_session();
        }
        self.deliver_outputs();
        // Not while the user speaks: the answer would be talked over at once.
        if self.speech == Speech::Silent
            && let Some(request) = self.responses.take_pending()
        {
            let options = Box::new(request.options.clone());
            let event_id = self.send(ClientEvent::CreateResponse(options));
            self.responses
                .set_requested(event_id, request, self.agent.clone());
        }
    }

    /// Sends the settings, all of them: see [`RealtimeSettings`].
    fn update_session(&mut self) {
        let settings = Box::new(self.settings.clone());
        self.send(ClientEvent::UpdateSession(settings));
    }

    /// Asks for an answer as soon as there can be one; requests that wait together are one.
    fn request_response(&mut self, options: ResponseOptions) {
        self.responses.request(options);
    }

    /// Adds an item to the conversation.
    fn create_item(&mut self, item: NewItem) {
        self.unconfirmed.push(item.clone());
        self.send(ClientEvent::CreateItem(item));
    }

    fn send(&mut self, event: ClientEvent) -> String {
        self.n_events += 1;
        let event_id = format!("client_{}", self.n_events);
        self.steps.push_back(MachineStep::Send(Outgoing {
            event_id: event_id.clone(),
            event,
        }));
        event_id
    }

    fn emit(&mut self, event: RealtimeEvent) {
        self.steps.push_back(MachineStep::Emit(event));
    }

    fn server_detects_turns(&self) -> bool {
        let detection = self.settings.turn_detection.as_ref();
        detection.is_none_or(crate::model::realtime::TurnDetection::creates_responses)
    }

    fn speech_interrupts(&self) -> bool {
        match &self.settings.turn_detection {
            Some(detection) => detection.interrupts_responses(),
            None => self.server_interrupts.unwrap_or(true),
        }
    }

    fn append(&mut self, audio: Bytes) {
        /// An event may have 8 MiB, and base64 makes four bytes of three.
        const MAX_CHUNK_BYTES: usize = 1024 * 1024;
        if self.connection != Connection::Open {
            // Audio of a moment without a connection is gone, as on any telephone.
            return;
        }
        let mut rest = audio;
        while !rest.is_empty() {
            let chunk = rest.split_to(MAX_CHUNK_BYTES.min(rest.len()));
            self.n_uncommitted += chunk.len() as u64;
            self.send(ClientEvent::AppendAudio(chunk));
        }
    }
}

impl SessionEnd {
    /// Whether another connection can go on: not where the server was not understood, or does not want this client (1008, 4000).
    const fn allows_reconnect(&self) -> bool {
        match self {
            Self::Expired | Self::Lost(_) => true,
            Self::ServerClosed { code, .. } => {
                matches!(code, None | Some(1000 | 1001 | 1006 | 1011..=1014))
            }
            Self::Closed | Self::Protocol(_) => false,
        }
    }
}
