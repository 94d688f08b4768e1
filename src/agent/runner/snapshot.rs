//! Converts run state to and from `RunState`.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::graph::Graph;
use super::resolve::has_output;
use super::state::{FilteredView, MachineState};
use super::turn::{CallAction, CallStatus, HostedQuestion, PendingTurn, Permission, TurnCall};
use crate::agent::Agent;
use crate::agent::run_state::{
    AskedCall, ExecutionCertainty, HistoryOwner, RunState, SavedCall, SavedQuestion, SavedSession,
    SavedStatus, SavedView, Standing, StandingDecision, StateError, question_at,
};
use crate::context::Ledger;
use crate::error::RunFailure;
use crate::item::{CallItem, FunctionCall, Item, ItemKind};
use crate::journal::OnUncertain;
use crate::limits::Limits;

/// Saves a run between two steps.
pub(super) fn save(
    state: &MachineState,
    (limits, ledger, history_owner): (Limits, Ledger, &HistoryOwner),
    session: Option<SavedSession>,
) -> RunState {
    let pending = state.pending.as_ref();
    RunState {
        run: Some(state.run),
        // The number is part of the state's id, so that two states of one run can be told apart.
        n_saved: state.n_saved + 1,
        start: state.start.to_string(),
        agent: state.agent.name().to_owned(),
        limits,
        ledger,
        history_owner: history_owner.clone(),
        history: state.history.to_vec(),
        view: state.view.as_ref().map(|view| SavedView {
            items: view.items.to_vec(),
            n_filtered: view.n_filtered,
        }),
        n_input: state.n_input,
        n_known: state.n_known,
        n_before_turn: state.n_before_turn,
        turn: state.turn,
        responses: state.responses.clone(),
        // Sorted, so that the same run gives the same state, to the byte.
        used_tools: sorted(state.used_tools.iter().map(ToString::to_string)),
        guardrails: state.guardrails.clone(),
        standing: state.standing.iter().map(stand).collect(),
        n_asked_again: state.n_asked_again,
        calls: pending
            .map(|turn| save_calls(turn, state))
            .unwrap_or_default(),
        questions: pending
            .map(|turn| save_questions(turn, state))
            .unwrap_or_default(),
        input_unjudged: state.is_input_unjudged,
        added_input: state.added_input.clone(),
        loaded_tools: state.loaded.clone(),
        fresh: state.is_fresh,
        final_output: state.final_output.as_deref().map(str::to_owned),
        session,
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The calls of the turn are those that the provider did not answer itself, in order.
fn save_calls(turn: &PendingTurn, state: &MachineState) -> Vec<SavedCall> {
    let items_of_turn = state.history.get(state.n_before_turn..).unwrap_or_default();
    let items = places(state, |item| match item.kind() {
        ItemKind::FunctionCall(_) => true,
        ItemKind::Unknown { type_name } => {
            CallItem::new(item).is_some() && !has_output(items_of_turn, type_name, item)
        }
        ItemKind::Message(_) | ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) => false,
    });
    let save = |(item, call): (usize, &TurnCall)| SavedCall {
        item,
        status: match &call.status {
            CallStatus::Asked(asked) => SavedStatus::Asked(asked.clone()),
            CallStatus::Paused { state, guardrails } => SavedStatus::Paused {
                state: state.clone(),
                guardrails: guardrails.clone(),
            },
            CallStatus::Done(outcome) => SavedStatus::Done {
                outcome: outcome.clone(),
            },
            CallStatus::Handoff(n) => SavedStatus::Handoff { n: *n },
            CallStatus::Output => SavedStatus::Output,
            CallStatus::Planned => SavedStatus::Planned,
            CallStatus::Ready(action) => save_ready(action),
            // The call has begun, and nobody will see its end. It may have done its work, so a
            // person has to decide whether it is made again.
            CallStatus::Running => SavedStatus::Asked(Box::new(match state.tool_for(&call.call) {
                Some(tool) => AskedCall::new(&tool, ExecutionCertainty::MayHaveRun),
                None => AskedCall::unbound(ExecutionCertainty::MayHaveRun),
            })),
        },
    };
    items.zip(&turn.calls).map(save).collect()
}

/// A call that has not begun: what somebody decided about it stays, and all else is found again.
fn save_ready(action: &CallAction) -> SavedStatus {
    let (tool, permission, on_uncertain) = match action {
        // Nothing is called for it: it is as good as done.
        CallAction::Answer(outcome) => {
            let outcome = outcome.clone();
            return SavedStatus::Done { outcome };
        }
        CallAction::Invoke {
            tool,
            permission,
            on_uncertain,
        } => (tool, permission, on_uncertain),
    };
    let certainty = match on_uncertain {
        // Somebody approved one more attempt, which has not begun. The doubt of before still
        // stands.
        OnUncertain::Once => ExecutionCertainty::MayHaveRun,
        OnUncertain::Ask | OnUncertain::Again => ExecutionCertainty::Certain,
    };
    let asked = AskedCall::new(tool, certainty);
    match permission {
        Permission::Open { .. } | Permission::Disabled { .. } => SavedStatus::Planned,
        Permission::Decided {
            decision,
            guardrails,
        } => SavedStatus::Asked(Box::new(AskedCall {
            decision: Some(decision.clone()),
            guardrails: guardrails.clone(),
            ..asked
        })),
        Permission::AskAgain { changed } => SavedStatus::Asked(Box::new(AskedCall {
            changed: Some(changed.clone()),
            ..asked
        })),
        Permission::GoesOn { state, guardrails } => SavedStatus::Paused {
            state: state.clone(),
            guardrails: guardrails.clone(),
        },
    }
}

fn save_questions(turn: &PendingTurn, state: &MachineState) -> Vec<SavedQuestion> {
    let items = places(state, |item| {
        item.kind().type_name() == "mcp_approval_request"
    });
    let save = |(item, question): (usize, &HostedQuestion)| SavedQuestion {
        item,
        decision: question.decision.clone(),
    };
    items.zip(&turn.questions).map(save).collect()
}

/// Where the items of this turn of some kind stand in the history.
fn places<'a>(
    state: &'a MachineState,
    is_one: impl Fn(&Item) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    let turn = state.history.iter().enumerate().skip(state.n_before_turn);
    turn.filter(move |(_, item)| is_one(item)).map(|(n, _)| n)
}

fn stand(((agent, tool), decision): (&(String, String), &StandingDecision)) -> Standing {
    Standing {
        agent: agent.clone(),
        tool: tool.clone(),
        decision: decision.clone(),
    }
}

/// A run that goes on.
pub(super) struct Restored {
    pub(super) state: MachineState,
    pub(super) ledger: Ledger,
    pub(super) history_owner: HistoryOwner,
    pub(super) session: Option<SavedSession>,
}

/// Finds the agents and tools of a saved run.
pub(super) fn restore(
    saved: RunState,
    start: &Agent,
    graph: &Graph,
) -> Result<Restored, RunFailure> {
    if saved.start != start.name() {
        return Err(missing(format!(
            "the agent `{}` to begin with",
            saved.start
        )));
    }
    let agent = graph.agent(&saved.agent);
    let agent = agent
        .ok_or_else(|| missing(format!("the agent `{}`", saved.agent)))?
        .clone();
    let run = saved.run_id();
    let pending = restore_turn(&saved, &agent)?;
    let is_open = !pending.is_empty();
    let name = |name: &String| graph.agent(name).map(Agent::shared_name);
    #[expect(
        clippy::mutable_key_type,
        reason = "a call is found by its id, and what of an item can change is what was made of it"
    )]
    let mut calls = BTreeSet::new();
    // Of calls with one id the latest counts, which `collect` would leave out.
    let own = saved
        .history
        .iter()
        .skip(saved.n_input)
        .filter_map(CallItem::new);
    for call in own {
        calls.replace(call);
    }
    let state = MachineState {
        run,
        n_saved: saved.n_saved,
        start: start.shared_name(),
        is_fresh: saved.fresh,
        n_input: saved.n_input,
        sourced: None,
        withheld: HashSet::new(),
        loaded: saved.loaded_tools,
        own_input: saved.session.as_ref().map(|session| session.input.clone()),
        n_known: saved.n_known,
        n_before_turn: saved.n_before_turn,
        turn: saved.turn,
        responses: saved.responses,
        used_tools: saved.used_tools.iter().filter_map(name).collect(),
        calls,
        guardrails: saved.guardrails,
        standing: standing(saved.standing),
        pending: is_open.then_some(pending),
        n_asked_again: saved.n_asked_again,
        is_input_unjudged: saved.input_unjudged,
        added_input: saved.added_input,
        final_output: saved.final_output.map(Into::into),
        view: saved.view.map(|view| FilteredView {
            items: view.items.into(),
            n_filtered: view.n_filtered,
        }),
        agent,
        history: saved.history.into(),
    };
    Ok(Restored {
        state,
        ledger: saved.ledger,
        history_owner: saved.history_owner,
        session: saved.session,
    })
}

fn restore_turn(saved: &RunState, agent: &Agent) -> Result<PendingTurn, RunFailure> {
    let mut turn = PendingTurn::default();
    for one in &saved.calls {
        let call = saved.history.get(one.item).and_then(CallItem::new);
        let call = call.ok_or_else(|| missing(format!("the call in item {}", one.item)))?;
        turn.calls.push(TurnCall {
            status: restore_status(agent, &call, &one.status)?,
            call,
        });
    }
    for one in &saved.questions {
        let request = question_at(&saved.history, one.item)
            .ok_or_else(|| missing(format!("the question in item {}", one.item)))?;
        turn.questions.push(HostedQuestion {
            request,
            decision: one.decision.clone(),
        });
    }
    Ok(turn)
}

fn restore_status(
    agent: &Agent,
    call: &FunctionCall,
    saved: &SavedStatus,
) -> Result<CallStatus, RunFailure> {
    Ok(match saved {
        SavedStatus::Planned => CallStatus::Planned,
        SavedStatus::Asked(asked) => CallStatus::Asked(asked.clone()),
        SavedStatus::Paused { state, guardrails } => CallStatus::Paused {
            state: state.clone(),
            guardrails: guardrails.clone(),
        },
        SavedStatus::Done { outcome } => CallStatus::Done(outcome.clone()),
        SavedStatus::Handoff { n } => {
            let handoff = agent.bound_handoffs().get(*n);
            // The state has a place in the agent's list. If the program was changed since, another
            // handoff may stand there.
            if handoff.is_none_or(|handoff| handoff.tool_name().as_str() != call.name) {
                return Err(missing(format!("the handoff `{}`", call.name)));
            }
            CallStatus::Handoff(*n)
        }
        SavedStatus::Output => CallStatus::Output,
    })
}

fn standing(saved: Vec<Standing>) -> HashMap<(String, String), StandingDecision> {
    let entry = |one: Standing| ((one.agent, one.tool), one.decision);
    saved.into_iter().map(entry).collect()
}

pub(super) fn missing(what: String) -> RunFailure {
    RunFailure::State(StateError::Missing { what })
}
