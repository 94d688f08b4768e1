//! Response items into planned work; pure.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::UnknownTool;
use super::model_request::ToolOffer;
use super::options::UnknownToolText;
use super::state::MachineState;
use super::tool_search::find_tools;
use super::turn::{
    CallAction, CallStatus, HostedQuestion, IGNORED_HANDOFF, PendingTurn, Permission, Resolution,
    TurnCall, invoke,
};
use crate::agent::run_state::{Decision, ExecutionCertainty};
use crate::agent::{Agent, OutputType};
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::item::{CallItem, FunctionCall, Item, ItemKind, Message, Role};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::limits::{LimitReached, Limits};
use crate::model::ModelError;
use crate::tools::{FunctionTool, McpApprovalRequest, NOT_APPROVED, SEARCH_TOOL};

/// Calls that someone on this side has to answer, beside those of functions. The tools of a workspace answer those of a shell and of a
/// patch, and nobody answers the others.
const NEED_OUTPUT: [&str; 5] = [
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
];

/// What a response is understood by.
pub(super) struct ResolveContext<'a> {
    pub(super) state: &'a MachineState,
    pub(super) cx: &'a RunContext,
    pub(super) unknown: UnknownTool,
    /// What the model is told of a tool that is not there, in place of the usual words.
    pub(super) unknown_text: Option<&'a UnknownToolText>,
    /// Whether the model was offered its tools.
    pub(super) offer: ToolOffer,
    pub(super) limits: &'a Limits,
}

/// Says what a response asks for.
///
/// Text beside a tool call never ends a run; otherwise the last message does.
pub(super) fn resolve(cx: &ResolveContext<'_>, items: &[Item]) -> Result<Resolution, RunFailure> {
    let agent = &cx.state.agent;
    // Nothing is called here. Each call gets a status, which `advance` and `ToolPool` act on.
    //
    // First what has to be answered, in the order of the items. Only a response without any of it
    // can be the final output.
    let mut turn = PendingTurn::default();
    check_ids(items)?;
    for item in items {
        match item.kind() {
            ItemKind::FunctionCall(call) => {
                let status = cx.plan(call, &turn.calls)?;
                let call = CallItem::new(item);
                turn.calls
                    .extend(call.map(|call| TurnCall { call, status }));
            }
            ItemKind::Unknown { type_name } if type_name == "mcp_approval_request" => {
                turn.questions.push(question(cx.state, item)?);
            }
            ItemKind::Unknown { type_name }
                if NEED_OUTPUT.contains(&type_name.as_str())
                    && !has_output(items, type_name, item) =>
            {
                let call = cx.plan_built_in(item)?;
                let call = call.ok_or_else(|| not_offered(cx.state, type_name, item))?;
                turn.calls.push(call);
            }
            ItemKind::Message(_)
            | ItemKind::FunctionCallOutput(_)
            | ItemKind::Reasoning(_)
            | ItemKind::Unknown { .. } => {}
        }
    }
    if !turn.is_empty() {
        return Ok(Resolution::Work(turn));
    }
    // The last message, since a model may write a preamble before it works on.
    let message = items.iter().rev().find_map(|item| match item.kind() {
        ItemKind::Message(message) if message.role == Role::Assistant => Some(message),
        _ => None,
    });
    let text = message.map(|message| message.text("")).unwrap_or_default();
    let is_other = |item: &Item| matches!(item.kind(), ItemKind::Unknown { .. });
    match message.and_then(Message::refusal) {
        Some(refusal) => Err(RunFailure::Refusal {
            refusal: refusal.to_owned(),
        }),
        // Tools of the provider were at work, and the model has not spoken yet.
        None if text.is_empty() && items.iter().any(is_other) => Ok(Resolution::Work(turn)),
        None if text.is_empty() => Err(RunFailure::EmptyResponse),
        None => checked(agent, text).map(Resolution::Final),
    }
}

/// Finds two calls of one response with one id.
fn check_ids(items: &[Item]) -> Result<(), RunFailure> {
    let calls = || items.iter().filter_map(CallItem::new);
    if calls().nth(1).is_none() {
        return Ok(());
    }
    let mut ids = HashSet::new();
    match calls().find(|call| !ids.insert(call.call_id.clone())) {
        Some(call) => Err(RunFailure::Model(twice(&call))),
        None => Ok(()),
    }
}

/// Two calls of one response with one id: neither a decision nor an outcome could be told to be the one's or the other's.
///
/// The drivers of this crate find it themselves; other models may not.
fn twice(call: &FunctionCall) -> ModelError {
    let message = format!(
        "two tool calls of one answer have the id {:?}",
        call.call_id
    );
    ModelError::new(ErrorKind::DuplicateToolCallId, message)
}

/// Takes a text as the final output if it is of the agent's output type.
pub(super) fn checked(agent: &Agent, text: String) -> Result<String, RunFailure> {
    let checked = agent
        .output_type()
        .map_or(Ok(()), |output| output.check(&text));
    match checked {
        Ok(()) => Ok(text),
        Err(error) => Err(RunFailure::InvalidOutput {
            agent: agent.name().to_owned(),
            error,
            text,
        }),
    }
}

/// The provider asks whether a hosted MCP server may be called.
fn question(state: &MachineState, item: &Item) -> Result<HostedQuestion, RunFailure> {
    let request = McpApprovalRequest::from_item(item.to_json()).ok_or_else(|| {
        // Without name and arguments nobody could know what is asked.
        not_offered(state, "mcp_approval_request", item)
    })?;
    let decided = state
        .agent
        .hosted_tools()
        .iter()
        .find_map(|tool| tool.decide(&request));
    Ok(HostedQuestion {
        decision: decided.map(|approve| {
            if approve {
                Decision::Approved
            } else {
                Decision::Rejected {
                    message: NOT_APPROVED.to_owned(),
                }
            }
        }),
        request,
    })
}

/// The item that answers a question.
pub(super) fn answer(question: &HostedQuestion) -> Option<Item> {
    let approve = *question.decision.as_ref()? == Decision::Approved;
    let fields = Map::from_iter([
        (
            "approval_request_id".to_owned(),
            Value::from(question.request.id.as_str()),
        ),
        ("approve".to_owned(), Value::from(approve)),
    ]);
    Some(Item::other("mcp_approval_response", fields))
}

/// Says whether the provider answered a call itself.
pub(super) fn has_output(items: &[Item], type_name: &str, call: &Item) -> bool {
    let call_id = |item: &Item| field(item, "call_id");
    let answer = format!("{type_name}_output");
    items.iter().any(|item| {
        matches!(item.kind(), ItemKind::Unknown { type_name } if *type_name == answer)
            && call_id(item) == call_id(call)
    })
}

fn not_offered(state: &MachineState, type_name: &str, item: &Item) -> RunFailure {
    let tool = field(item, "name").map_or_else(
        || type_name.to_owned(),
        |name| format!("{name} ({type_name})"),
    );
    RunFailure::UnknownTool {
        tool,
        agent: state.agent.name().to_owned(),
        known: names(state, |_| true).map(str::to_owned).collect(),
    }
}

fn field(item: &Item, key: &str) -> Option<String> {
    let value: Value = serde_json::from_str(item.to_json()).ok()?;
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

impl ResolveContext<'_> {
    /// Says what becomes of a call that comes after others of its turn.
    fn plan(&self, call: &FunctionCall, earlier: &[TurnCall]) -> Result<CallStatus, RunFailure> {
        // The last turn offered no tools, and the model called one all the same. There is no
        // further turn in which it could see an output.
        if self.offer == ToolOffer::Nothing {
            let limit = self.limits.max_turns.unwrap_or(self.state.turn);
            return Err(RunFailure::Limit(LimitReached::Turns { limit }));
        }
        let agent = &self.state.agent;
        // Looked for in this order: handoffs, the output, the search for tools, tools.
        let handoffs = agent.bound_handoffs().iter().enumerate();
        let handoff = handoffs
            .clone()
            .find(|(_, handoff)| handoff.tool_name().as_str() == call.name);
        if let Some((n, handoff)) = handoff {
            let is_handoff = |call: &TurnCall| matches!(call.status, CallStatus::Handoff(_));
            return match self.state.is_offered(&handoff.tool, self.cx) {
                true if earlier.iter().any(is_handoff) => Ok(answered(IGNORED_HANDOFF)),
                true => Ok(CallStatus::Handoff(n)),
                false => self.without_tool(call, Missing::Disabled(&handoff.tool)),
            };
        }
        if agent
            .output_type()
            .and_then(OutputType::tool)
            .is_some_and(|tool| tool.name.as_str() == call.name)
        {
            return Ok(CallStatus::Output);
        }
        if let Some(found) = find_tools(self.state, self.cx, call) {
            return Ok(CallStatus::Ready(CallAction::Answer(found.outcome)));
        }
        match self.state.tools().get(&call.name) {
            Some(tool) => self.call_of(tool, call),
            None => self.without_tool(call, Missing::Unknown),
        }
    }

    /// Says what becomes of a call of a tool that the Responses API defines; nothing if the agent has no tool that does the same.
    fn plan_built_in(&self, item: &Item) -> Result<Option<TurnCall>, RunFailure> {
        let Some(call) = CallItem::new(item) else {
            return Ok(None);
        };
        let Some(tool) = self.state.tool_for(&call) else {
            return Ok(None);
        };
        let status = if self.offer == ToolOffer::Nothing {
            let limit = self.limits.max_turns.unwrap_or(self.state.turn);
            return Err(RunFailure::Limit(LimitReached::Turns { limit }));
        } else {
            self.call_of(&tool, &call)?
        };
        Ok(Some(TurnCall { call, status }))
    }

    /// A call of a tool that there is.
    pub(super) fn call_of(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
    ) -> Result<CallStatus, RunFailure> {
        if !self.state.is_offered(tool, self.cx) {
            return self.without_tool(call, Missing::Disabled(tool));
        }
        let (standing, changed) = self.state.standing_decision(tool, call);
        let permission = Permission::Open { standing, changed };
        Ok(invoke(tool, permission, ExecutionCertainty::Certain))
    }

    /// A call of a tool that there is not.
    fn without_tool(
        &self,
        call: &FunctionCall,
        missing: Missing<'_>,
    ) -> Result<CallStatus, RunFailure> {
        let agent = &self.state.agent;
        match (self.unknown, missing) {
            (UnknownTool::TellModel, Missing::Unknown) => Ok(answered(&self.not_found(call))),
            (UnknownTool::TellModel, Missing::Disabled(tool)) => {
                let message = self.not_found(call);
                Ok(invoke(
                    tool,
                    Permission::Disabled { message },
                    ExecutionCertainty::Certain,
                ))
            }
            (UnknownTool::Fail, Missing::Disabled(_)) => Err(RunFailure::DisabledTool {
                tool: call.name.clone(),
                agent: agent.name().to_owned(),
            }),
            (UnknownTool::Fail, Missing::Unknown) => Err(RunFailure::UnknownTool {
                tool: call.name.clone(),
                agent: agent.name().to_owned(),
                known: names(self.state, |_| true).map(str::to_owned).collect(),
            }),
        }
    }
}

impl ResolveContext<'_> {
    fn not_found(&self, call: &FunctionCall) -> String {
        let is_offered = |tool: &FunctionTool| self.state.is_offered(tool, self.cx);
        let known: Vec<&str> = names(self.state, is_offered).collect();
        if let Some(words) = self.unknown_text {
            return words(&call.name, &known);
        }
        let there_is = if known.is_empty() {
            "There are no tools.".to_owned()
        } else {
            format!("The tools are: {}.", known.join(", "))
        };
        format!("Tool '{}' not found. {there_is}", call.name)
    }
}

/// Why there is no tool for a call.
#[derive(Clone, Copy)]
enum Missing<'a> {
    Unknown,
    Disabled(&'a FunctionTool),
}

/// A call that is answered with a text in place of being made.
fn answered(text: &str) -> CallStatus {
    CallStatus::Ready(CallAction::Answer(ToolOutcome::by_runner(text)))
}

/// The names of the tools and handoffs that an agent's model is shown.
fn names<'a>(
    state: &'a MachineState,
    is_named: impl Fn(&FunctionTool) -> bool + 'a,
) -> impl Iterator<Item = &'a str> {
    let handoffs = state
        .agent
        .bound_handoffs()
        .iter()
        .map(|handoff| &handoff.tool);
    let tools = state.tools().iter().filter(|tool| state.is_loaded(tool));
    let searches = state.agent.deferral().searches(state.tools());
    tools
        .chain(handoffs)
        .filter(move |tool| is_named(tool))
        .map(|tool| tool.name().as_str())
        .chain(searches.then_some(SEARCH_TOOL))
}
