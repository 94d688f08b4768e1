//! Calls of tools, beside the audio: made once, answered once.

use std::collections::HashSet;

use serde_json::json;

use super::{CallDecision, HandoffRequest, Machine, MachineStep, ToolRequest};
use crate::error::error_chain;
use crate::guardrail::GuardrailResult;
use crate::kind::ErrorKind;
use crate::model::Deviation;
use crate::model::realtime::{ClientEvent, ConversationItem, NewItem, ResponseOptions};
use crate::realtime::agent::{Briefing, RealtimeAgent, Target};
use crate::realtime::event::{RealtimeEvent, ToolFault};
use crate::tools::{
    FunctionTool, NOT_APPROVED, ToolCallResult, ToolContent, ToolError, ToolOutput,
};

/// What a model is told of a call that failed in a way that would end a run; a session lives on.
const FAILURE_TEXT: &str = "An error occurred while running the tool. Please try again.";

/// The Python SDK's words.
const SECOND_HANDOFF: &str = "Multiple handoffs detected, ignoring this one.";

/// The most calls that are open at once; a model has a handful, and one that loops has no end.
const MAX_OPEN_CALLS: usize = 256;

/// The most bytes of the ids of all calls of a session.
const MAX_ID_BYTES: usize = 4 * 1024 * 1024;

/// The calls that are not answered yet, in their order.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    open: Vec<OpenCall>,
    /// The ids of all calls, so that none is made twice.
    seen: HashSet<String>,
    n_id_bytes: usize,
}

#[derive(Debug)]
struct OpenCall {
    id: String,
    name: String,
    arguments: String,
    /// Whose tool it is: the agent that spoke when the model called.
    agent: RealtimeAgent,
    /// The answer that called.
    response: u64,
    state: CallState,
    /// Whether the server has the call: not after the connection was lost.
    is_in_conversation: bool,
}

#[derive(Debug)]
enum CallState {
    Running,
    /// Someone has to approve it; these are the verdicts before.
    Waiting(FunctionTool, Vec<GuardrailResult>),
    /// This is what the model is told.
    Ended(String),
}

impl OpenCalls {
    /// The open calls are no part of the conversation that begins, and those that it is told are answered.
    pub(super) fn on_connection_lost(&mut self, told: &[NewItem]) {
        for call in &mut self.open {
            call.is_in_conversation = false;
        }
        for item in told {
            if let NewItem::FunctionCall { call_id, .. } = item
                && self.seen.insert(call_id.clone())
            {
                self.n_id_bytes += call_id.len();
            }
        }
    }

    /// Whether a call is not answered yet. A server may have shown an output of it all the same.
    pub(super) fn is_open(&self, call_id: &str) -> bool {
        self.open.iter().any(|call| call.id == call_id)
    }

    fn find(&mut self, call_id: &str) -> Option<&mut OpenCall> {
        self.open.iter_mut().find(|call| call.id == call_id)
    }
}

impl Machine {
    /// Begins a call that the model has finished writing.
    pub(super) fn start_call(&mut self, item: ConversationItem) {
        let ConversationItem::FunctionCall {
            call_id,
            name,
            arguments,
            ..
        } = item
        else {
            return;
        };
        if !self.calls.seen.insert(call_id.clone()) {
            return;
        }
        self.calls.n_id_bytes += call_id.len();
        if self.calls.open.len() >= MAX_OPEN_CALLS || self.calls.n_id_bytes > MAX_ID_BYTES {
            return self.end_by_limit(format!(
                "the model has more than {MAX_OPEN_CALLS} calls open"
            ));
        }
        // The agent that spoke when the model called: a handoff may follow before the call is over.
        let (agent, response, has_handed_off) = match self.responses.active() {
            Some(active) => (active.agent.clone(), active.number, active.has_handed_off),
            None => (self.agent.clone(), self.responses.number(), false),
        };
        let order = |tool: &FunctionTool| ToolRequest {
            call_id: call_id.clone(),
            agent: agent.shared_name(),
            tool: tool.clone(),
            arguments: arguments.clone(),
            approved_after: None,
        };
        let step = if let Some(handoff) = agent.handoff(&name) {
            match self.find_agent(&handoff.target) {
                Some(_) if has_handed_off => Err((SECOND_HANDOFF.to_owned(), None)),
                Some(to) => {
                    if let Some(active) = self.responses.active() {
                        active.has_handed_off = true;
                    }
                    // Small models write a reason where nothing is asked for; the handoff happens all the same.
                    let call = ToolRequest {
                        arguments: "{}".to_owned(),
                        ..order(&handoff.tool)
                    };
                    Ok(MachineStep::HandOff(HandoffRequest { call, to }))
                }
                None => Err(unknown(&agent, &name)),
            }
        } else {
            match agent.tools().get(&name) {
                Some(tool) => Ok(MachineStep::RunTool(order(tool))),
                None => Err(unknown(&agent, &name)),
            }
        };
        self.emit(RealtimeEvent::ToolCalled {
            agent: agent.shared_name(),
            tool: name.clone(),
            call_id: call_id.clone(),
            arguments: arguments.clone(),
        });
        self.calls.open.push(OpenCall {
            id: call_id.clone(),
            name,
            arguments,
            agent,
            response,
            state: CallState::Running,
            is_in_conversation: true,
        });
        match step {
            Ok(step) => self.steps.push_back(step),
            Err((output, failure)) => self.end_call(&call_id, output, failure),
        }
    }

    fn find_agent(&self, target: &Target) -> Option<RealtimeAgent> {
        match target {
            Target::Agent(agent) => Some(agent.clone()),
            Target::Name(name) => {
                let mut agents = self.agents.iter();
                agents.find(|agent| agent.name() == &**name).cloned()
            }
        }
    }

    pub(super) fn on_tool_ended(&mut self, call_id: &str, result: ToolCallResult) {
        let fault = |error: &ToolError| ToolFault {
            kind: error.kind(),
            message: error_chain(error),
        };
        let (output, failure) = match result {
            ToolCallResult::Output { output, .. } => (self.output_text(&output), None),
            ToolCallResult::Refused {
                message, failure, ..
            } => (message, failure.as_ref().map(fault)),
            ToolCallResult::ApprovalRequired { guardrails, .. } => {
                return self.wait_for_approval(call_id, guardrails);
            }
            // What ends a run is an answer here: the user is still on the line.
            ToolCallResult::Fatal(error) => (FAILURE_TEXT.to_owned(), Some(fault(&error))),
            result @ (ToolCallResult::Paused { .. } | ToolCallResult::InDoubt { .. }) => {
                let error = result.into_output().err();
                (FAILURE_TEXT.to_owned(), error.as_ref().map(fault))
            }
        };
        self.end_call(call_id, output, failure);
    }

    /// Function outputs are text here; that a picture was left out is told to the model and to the application.
    fn output_text(&mut self, output: &ToolOutput) -> String {
        let ToolOutput::Parts(parts) = output else {
            return output.text();
        };
        let n_parts = parts.len();
        let text = output.text();
        let is_text = |part: &&ToolContent| matches!(part, ToolContent::Text(_));
        let n_texts = parts.iter().filter(is_text).count();
        if n_texts == n_parts {
            return text;
        }
        let left_out = n_parts - n_texts;
        self.emit(RealtimeEvent::Deviation {
            deviation: Deviation::new(
                "tool_output_left_out",
                format!("{left_out} images or files of a tool's output cannot be passed on"),
            ),
        });
        format!(
            "{text}\n({left_out} images or files were left out: a realtime model takes text from tools.)"
        )
    }

    fn wait_for_approval(&mut self, call_id: &str, guardrails: Vec<GuardrailResult>) {
        let Some(call) = self.calls.find(call_id) else {
            return;
        };
        let Some(tool) = call.agent.tools().get(&call.name).cloned() else {
            return;
        };
        call.state = CallState::Waiting(tool, guardrails);
        let event = RealtimeEvent::ApprovalRequired {
            agent: call.agent.shared_name(),
            tool: call.name.clone(),
            call_id: call.id.clone(),
            arguments: call.arguments.clone(),
        };
        self.emit(event);
    }

    /// Makes or refuses a call that waits; says whether there is one.
    pub(super) fn decide(&mut self, call_id: &str, decision: CallDecision) -> bool {
        let Some(call) = self.calls.find(call_id) else {
            return false;
        };
        let CallState::Waiting(tool, guardrails) = &call.state else {
            return false;
        };
        let order = ToolRequest {
            call_id: call.id.clone(),
            agent: call.agent.shared_name(),
            tool: tool.clone(),
            arguments: call.arguments.clone(),
            approved_after: Some(guardrails.clone()),
        };
        call.state = CallState::Running;
        self.steps.push_back(match decision {
            CallDecision::Approve => MachineStep::RunTool(order),
            CallDecision::Reject(message) => MachineStep::RefuseTool {
                order,
                message: message.unwrap_or_else(|| NOT_APPROVED.to_owned()),
            },
        });
        true
    }

    pub(super) fn on_handoff_ended(
        &mut self,
        call_id: &str,
        result: Result<Briefing, ToolCallResult>,
    ) {
        let briefing = match result {
            Ok(briefing) => briefing,
            Err(failed) => return self.on_tool_ended(call_id, failed),
        };
        if self.calls.find(call_id).is_none() {
            return;
        }
        let from = self.agent.shared_name();
        self.set_agent(briefing);
        self.must_update = true;
        let to = self.agent.shared_name();
        // As in a run: the next agent is told who it is.
        let output = json!({ "assistant": &*to }).to_string();
        self.emit(RealtimeEvent::HandedOff { from, to });
        self.end_call(call_id, output, None);
    }

    fn end_call(&mut self, call_id: &str, output: String, failure: Option<ToolFault>) {
        let Some(call) = self.calls.find(call_id) else {
            return;
        };
        call.state = CallState::Ended(output.clone());
        let tool = call.name.clone();
        self.emit(RealtimeEvent::ToolEnded {
            tool,
            call_id: call_id.to_owned(),
            output,
            failure,
        });
    }

    /// Tells the model what calls gave, in the order of the calls; asks for an answer when those of one answer are all over.
    ///
    /// Outputs wait for the end of an answer: the server would put them behind what is being said.
    pub(super) fn deliver_outputs(&mut self) {
        let mut delivered = HashSet::new();
        let mut at = 0;
        while let Some(call) = self.calls.open.get(at) {
            let CallState::Ended(output) = &call.state else {
                at += 1;
                continue;
            };
            let output = NewItem::FunctionCallOutput {
                call_id: call.id.clone(),
                output: output.clone(),
            };
            let call = self.calls.open.remove(at);
            delivered.insert(call.response);
            // The connection was lost meanwhile. The new one does not know the call, so it is told
            // of it before the output.
            if !call.is_in_conversation {
                self.send_call_part(NewItem::FunctionCall {
                    call_id: call.id,
                    name: call.name,
                    arguments: call.arguments,
                });
            }
            self.send_call_part(output);
        }
        // A call that waits for a person holds nobody up: the model can say that it waits.
        let is_running = |response: &u64| {
            let mut open = self.calls.open.iter();
            open.any(|call| call.response == *response && matches!(call.state, CallState::Running))
        };
        if delivered.iter().any(|response| !is_running(response)) {
            self.request_response(ResponseOptions::default());
        }
    }

    fn send_call_part(&mut self, item: NewItem) {
        self.conversation.put_sent(&item);
        self.send(ClientEvent::CreateItem(item));
    }
}

fn unknown(agent: &RealtimeAgent, name: &str) -> (String, Option<ToolFault>) {
    let tools = agent.tools().specs().map(|spec| spec.name.as_str());
    let handoffs = agent
        .bound_handoffs()
        .iter()
        .map(|handoff| handoff.tool.name().as_str());
    let known: Vec<&str> = tools.chain(handoffs).collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    let output = format!("Tool '{name}' not found. Known tools: {known}.");
    let failure = ToolFault {
        kind: ErrorKind::UnknownTool,
        message: format!(
            "agent `{}` has no tool `{name}` (it has: {known})",
            agent.name()
        ),
    };
    (output, Some(failure))
}
