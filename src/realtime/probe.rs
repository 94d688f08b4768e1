//! Plays the events of a server to the machine of a session, without a socket and with a clock that is set by hand: for fuzzing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use super::agent::{Briefing, RealtimeAgent};
use super::event::RealtimeEvent;
use super::machine::{
    CallDecision, GuardrailCheck, Machine, MachineInput, MachineStep, Setup, ToolRequest, UserInput,
};
use crate::context::RunContext;
use crate::guardrail::{GuardrailResult, GuardrailStage, Verdict};
use crate::model::realtime::{
    ClientEvent, ConnectionEnd, NewItem, Playback, RealtimeSettings, ReceivedEvent, ResponseEnd,
    ResponseStatus, ServerEvent,
};
use crate::tools::ToolCallResult;

/// The tool of a probe that needs an approval.
const NEEDS_APPROVAL: &str = "pay";

/// One thing that happens to a session.
#[derive(Debug)]
pub(crate) enum ProbeInput {
    /// The server says something.
    Server(ReceivedEvent),
    /// Time passes.
    Pass(Duration),
    /// The user writes, and wants an answer.
    Text(String),
    /// The user speaks this many bytes of silence.
    Audio(usize),
    /// The user has finished speaking.
    Commit,
    /// The user stops the agent.
    Interrupt,
    /// The application reports what was played.
    Played(String, Duration),
    /// The call, handoff or check that has run longest comes to its end.
    EndOldest,
    /// The one that began last does.
    EndNewest,
    /// The user approves all calls that wait, or refuses them.
    Decide { is_approved: bool },
    /// The connection closes with this code.
    Close(u16),
}

/// What a session did.
#[derive(Debug, Default)]
pub(crate) struct ProbeResult {
    /// All that it sent and told, and its history.
    pub(crate) log: String,
    /// What it must not do, whatever a server sends.
    pub(crate) complaints: Vec<String>,
}

/// Plays all inputs, and then lets everything that is under way come to its end.
///
/// The session begins with the first agent. A tool gives its own name, `pay` needs an approval, and a guardrail trips at `secret`.
pub(crate) fn play(
    agents: &[RealtimeAgent],
    inputs: impl IntoIterator<Item = ProbeInput>,
) -> ProbeResult {
    let Some(agent) = agents.first() else {
        return ProbeResult::default();
    };
    let mut probe = Probe::new(agent.clone(), agents.to_vec());
    let opened = probe.opened();
    probe.accept(opened);
    for input in inputs {
        if probe.is_over {
            break;
        }
        probe.happen(input);
    }
    probe.finish();
    probe.result
}

/// How far the server is with an answer.
#[derive(Debug, PartialEq, Eq)]
enum AnswerPhase {
    None,
    Asked,
    Active,
}

struct Probe {
    machine: Machine,
    now: Duration,
    /// What is under way.
    work: VecDeque<MachineInput>,
    waiting: Vec<String>,
    is_over: bool,
    result: ProbeResult,
    /// How many bytes of audio came of each item.
    received: HashMap<String, u64>,
    truncated: HashSet<String>,
    /// There may be no second answer.
    answer: AnswerPhase,
    called: HashSet<String>,
    /// The calls that the server has on this connection: it made them, or was told of them.
    called_here: HashSet<String>,
    /// Whether there is a connection: without one no server says anything.
    is_connected: bool,
    /// The calls that were made, each with whether it was approved before.
    made: HashSet<(String, bool)>,
    answered: HashSet<String>,
    answered_here: HashSet<String>,
}

impl Probe {
    fn new(agent: RealtimeAgent, agents: Vec<RealtimeAgent>) -> Self {
        let machine = Machine::new(Setup {
            agent,
            agents,
            cx: RunContext::default(),
            settings: RealtimeSettings::default(),
            playback: Playback::Client,
            max_reconnects: 2,
        });
        Self {
            machine,
            now: Duration::ZERO,
            work: VecDeque::new(),
            waiting: Vec::new(),
            is_over: false,
            result: ProbeResult::default(),
            received: HashMap::new(),
            truncated: HashSet::new(),
            answer: AnswerPhase::None,
            called: HashSet::new(),
            called_here: HashSet::new(),
            is_connected: false,
            made: HashSet::new(),
            answered: HashSet::new(),
            answered_here: HashSet::new(),
        }
    }

    fn opened(&self) -> MachineInput {
        MachineInput::Opened(Briefing {
            agent: self.machine.agent().clone(),
            instructions: None,
        })
    }

    fn happen(&mut self, input: ProbeInput) {
        match input {
            ProbeInput::Server(_) if !self.is_connected => {}
            ProbeInput::Server(received) => {
                self.note(&received.event);
                self.accept(MachineInput::Server(received));
            }
            ProbeInput::Pass(time) => self.now = self.now.saturating_add(time),
            ProbeInput::Text(text) => self.ask(UserInput::Item {
                item: NewItem::user(text),
                is_answered: true,
            }),
            ProbeInput::Audio(n_bytes) => self.ask(UserInput::Audio(vec![0; n_bytes].into())),
            ProbeInput::Commit => self.ask(UserInput::Commit),
            ProbeInput::Interrupt => self.ask(UserInput::Interrupt),
            ProbeInput::Played(item_id, position) => {
                self.accept(MachineInput::Played { item_id, position });
            }
            ProbeInput::EndOldest => {
                if let Some(ended) = self.work.pop_front() {
                    self.accept(ended);
                }
            }
            ProbeInput::EndNewest => {
                if let Some(ended) = self.work.pop_back() {
                    self.accept(ended);
                }
            }
            ProbeInput::Decide { is_approved } => {
                for call_id in std::mem::take(&mut self.waiting) {
                    let decision = if is_approved {
                        CallDecision::Approve
                    } else {
                        CallDecision::Reject(None)
                    };
                    self.ask(UserInput::Decide { call_id, decision });
                }
            }
            ProbeInput::Close(code) => {
                let (code, reason) = (Some(code), String::new());
                self.accept(MachineInput::Lost(ConnectionEnd::Closed { code, reason }));
            }
        }
    }

    /// Notes what the server said, by other means than the machine does.
    fn note(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::AudioDelta(audio) => {
                *self.received.entry(audio.item_id.clone()).or_default() +=
                    audio.content.len() as u64;
            }
            ServerEvent::ItemDeleted { item_id } => {
                self.truncated.remove(item_id);
            }
            ServerEvent::ResponseCreated { .. } => {
                self.answer = AnswerPhase::Active;
            }
            ServerEvent::ResponseDone(_) if self.answer == AnswerPhase::Active => {
                self.answer = AnswerPhase::None;
            }
            // Which of its events a server refuses is its own matter.
            ServerEvent::Error(_) => self.answer = AnswerPhase::None,
            _ => {}
        }
    }

    fn accept(&mut self, input: MachineInput) {
        self.is_connected |= matches!(input, MachineInput::Opened(_));
        self.machine.accept(self.now, input);
        self.perform();
    }

    fn ask(&mut self, input: UserInput) {
        if let Err(error) = self.machine.ask(self.now, input) {
            writeln!(self.result.log, "refused: {error}").ok();
        }
        self.perform();
    }

    fn perform(&mut self) {
        while !self.is_over
            && let Some(step) = self.machine.next()
        {
            match step {
                MachineStep::Send(outgoing) => {
                    writeln!(self.result.log, "-> {:?}", outgoing.event).ok();
                    self.on_sent(&outgoing.event);
                }
                MachineStep::Emit(event) => self.on_event(&event),
                MachineStep::RunTool(order) => self.call(&order),
                MachineStep::RefuseTool { order, message } => {
                    self.work.push_back(refused(order.call_id, message));
                }
                MachineStep::HandOff(order) => self.work.push_back(MachineInput::HandoffEnded {
                    call_id: order.call.call_id,
                    result: Ok(Briefing {
                        agent: order.to,
                        instructions: Some("Go on.".into()),
                    }),
                }),
                MachineStep::CheckGuardrails(order) => self.work.push_back(checked(order)),
                MachineStep::Reconnect => self.reconnect(),
                MachineStep::Close => self.is_over = true,
            }
        }
    }

    fn on_sent(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::CreateResponse(_) => {
                // The checks follow the protocol and not the code of the machine, or both would
                // have the same mistakes.
                let before = std::mem::replace(&mut self.answer, AnswerPhase::Asked);
                let is_second = before != AnswerPhase::None;
                self.complain_if(is_second, || "asked for a second answer".to_owned());
            }
            ClientEvent::TruncateItem {
                item_id,
                audio_end_ms,
                ..
            } => {
                let is_second = !self.truncated.insert(item_id.clone());
                self.complain_if(is_second, || format!("truncated `{item_id}` twice"));
                // 48 bytes are a millisecond of PCM.
                let n_bytes = self.received.get(item_id).copied().unwrap_or_default();
                self.complain_if(*audio_end_ms > n_bytes / 48, || {
                    format!("truncated `{item_id}` at {audio_end_ms} ms of {n_bytes} bytes")
                });
            }
            ClientEvent::CreateItem(NewItem::FunctionCall { call_id, .. }) => {
                let is_second = !self.called_here.insert(call_id.clone());
                self.complain_if(is_second, || format!("told of `{call_id}` twice"));
            }
            ClientEvent::CreateItem(NewItem::FunctionCallOutput { call_id, .. }) => {
                self.complain_if(!self.called_here.contains(call_id), || {
                    format!("answered `{call_id}`, which nobody called")
                });
                let is_second = !self.answered_here.insert(call_id.clone());
                self.complain_if(is_second, || format!("answered `{call_id}` twice"));
                self.answered.insert(call_id.clone());
            }
            _ => {}
        }
    }

    fn on_event(&mut self, event: &RealtimeEvent) {
        writeln!(self.result.log, "{event}").ok();
        match event {
            RealtimeEvent::Audio { item_id, audio } => {
                let is_part = !audio.len().is_multiple_of(2);
                self.complain_if(is_part, || format!("plays part of a sample of `{item_id}`"));
            }
            RealtimeEvent::ToolCalled { call_id, .. } => {
                let is_second = !self.called.insert(call_id.clone());
                self.complain_if(is_second, || format!("called `{call_id}` twice"));
                self.called_here.insert(call_id.clone());
            }
            RealtimeEvent::ApprovalRequired { call_id, .. } => self.waiting.push(call_id.clone()),
            _ => {}
        }
    }

    fn call(&mut self, order: &ToolRequest) {
        let is_approved = order.approved_after.is_some();
        let call_id = order.call_id.clone();
        let is_second = !self.made.insert((call_id.clone(), is_approved));
        self.complain_if(is_second, || format!("made `{call_id}` twice"));
        let tool = order.tool.name();
        let guardrails = Vec::new();
        let result = if tool.as_str() == NEEDS_APPROVAL && !is_approved {
            let tool = tool.clone();
            ToolCallResult::ApprovalRequired { tool, guardrails }
        } else {
            let output = tool.as_str().into();
            ToolCallResult::Output { output, guardrails }
        };
        self.work
            .push_back(MachineInput::ToolEnded { call_id, result });
    }

    fn reconnect(&mut self) {
        self.answer = AnswerPhase::None;
        self.truncated.clear();
        self.answered_here.clear();
        self.called_here.clear();
        self.is_connected = false;
        let opened = self.opened();
        self.work.push_back(opened);
    }

    /// Lets everything come to its end: then no call is without its output.
    fn finish(&mut self) {
        self.happen(ProbeInput::Decide { is_approved: true });
        while !self.is_over
            && let Some(ended) = self.work.pop_front()
        {
            self.accept(ended);
            self.happen(ProbeInput::Decide { is_approved: true });
        }
        // Outputs wait for the end of an answer.
        for _ in 0..2 {
            for event in [ServerEvent::ResponseCreated { response_id: None }, done()] {
                if !self.is_over {
                    self.happen(ProbeInput::Server(ReceivedEvent {
                        event,
                        deviations: Vec::new(),
                        n_bytes: 0,
                        json: None,
                    }));
                }
            }
        }
        if !self.is_over {
            let unanswered = self.called.difference(&self.answered);
            let here = self.called_here.difference(&self.answered_here);
            let mut unanswered: Vec<String> = unanswered.chain(here).cloned().collect();
            unanswered.sort();
            let complaint = format!("never answered {unanswered:?}");
            self.complain_if(!unanswered.is_empty(), || complaint);
        }
        self.check_history();
    }

    fn check_history(&mut self) {
        let mut ids = HashSet::new();
        for item in self.machine.history(self.now) {
            writeln!(self.result.log, "history: {item}").ok();
            let n_bytes = self.received.get(&item.id).copied().unwrap_or_default();
            // As nanoseconds of whole samples; 24 samples are a millisecond.
            let most = Duration::from_nanos((n_bytes / 2).saturating_mul(1_000_000) / 24 + 1);
            let is_more = item.heard.is_some_and(|heard| heard > most);
            self.complain_if(is_more, || format!("heard more of `{}` than came", item.id));
            let is_second = !ids.insert(item.id.clone());
            self.complain_if(is_second, || {
                format!("has `{}` in the history twice", item.id)
            });
        }
    }

    fn complain_if(&mut self, is_wrong: bool, complaint: impl FnOnce() -> String) {
        self.result.complaints.extend(is_wrong.then(complaint));
    }
}

fn done() -> ServerEvent {
    ServerEvent::ResponseDone(Box::new(ResponseEnd {
        response_id: None,
        status: ResponseStatus::Completed,
        reason: None,
        error: None,
        output: Vec::new(),
        usage: None,
        usage_json: None,
    }))
}

fn refused(call_id: String, message: String) -> MachineInput {
    let (failure, guardrails) = (None, Vec::new());
    let result = ToolCallResult::Refused {
        message,
        failure,
        guardrails,
    };
    MachineInput::ToolEnded { call_id, result }
}

fn checked(check: GuardrailCheck) -> MachineInput {
    let guardrails = check.agent.output_guardrails().iter();
    let results = guardrails.map(|guardrail| {
        let verdict = if check.text.contains("secret") {
            Verdict::trip("a secret")
        } else {
            Verdict::pass()
        };
        let (name, agent) = (guardrail.name(), check.agent.name());
        GuardrailResult::new(name, GuardrailStage::Output, agent, verdict)
    });
    MachineInput::GuardrailsChecked {
        response: check.response,
        results: results.collect(),
        item_id: check.item_id,
    }
}
