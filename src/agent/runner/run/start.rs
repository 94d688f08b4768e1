//! How a run begins: its parts, its session, the guardrails that are asked first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Awaited, Checks, Next, Run};
use crate::agent::run_state::{AskedCall, ExecutionCertainty, HistoryOwner, RunId, SavedSession};
use crate::agent::runner::graph::Graph;
use crate::agent::runner::layer::{Layers, RunIdentity};
use crate::agent::runner::model_request::{RequestTemplate, ToolOffer};
use crate::agent::runner::options::RunOptions;
use crate::agent::runner::request::{RunSetup, RunStart};
use crate::agent::runner::session::{
    SessionChangeStep, SessionClaim, SessionReadStep, SessionWriter,
};
use crate::agent::runner::session_writes::SessionWrites;
use crate::agent::runner::snapshot::{Restored, missing, restore};
use crate::agent::runner::state::MachineState;
use crate::agent::runner::step::{Holds, InputCheck, Step};
use crate::agent::runner::tool_sources::SourcedTools;
use crate::agent::runner::turn::{CallStatus, Permission, invoke};
use crate::agent::{Agent, StateError};
use crate::context::{Ledger, RunContext};
use crate::error::{RunFailure, SetupError};
use crate::guardrail::{GuardrailInput, GuardrailTiming, InputGuardrail};
use crate::item::{CallItem, FunctionCall, Item};
use crate::journal::Effect;
use crate::session::{MergedInput, SessionError, SessionItems, SessionVersion};
use crate::tools::FunctionTool;

impl Run {
    /// Starts or restores a run. Set-up errors surface at the first step.
    pub(in crate::agent::runner) fn new(agent: &Agent, start: RunStart, setup: RunSetup) -> Self {
        let options = &setup.options;
        // A run is given out as a stream, so what is wrong here cannot be returned. It is kept for
        // the first step, and the run is built from an empty state meanwhile. The first failure is
        // kept, since later ones may only follow from it.
        let (graph, mut failure) = match Graph::new(agent, &options.agents) {
            Ok(graph) => (graph, None),
            Err(error) => (Graph::default(), Some(RunFailure::Setup(error))),
        };
        let restored = match start {
            RunStart::Input(input) => {
                let owner = options.history_owner.clone();
                Ok(fresh(setup.id, agent, input, owner))
            }
            RunStart::State(state) => restore(*state, agent, &graph),
        };
        let restored = restored.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            fresh(setup.id, agent, Vec::new(), HistoryOwner::Run)
        });
        // The last agent of the path is this run's own. If it stands further out as well, it would
        // call itself through its tools, one run inside the other.
        let outer = setup.scope.agents.split_last();
        let outer = outer.map_or(&[][..], |(_, outer)| outer);
        let is_recursive = outer.iter().any(|outer| outer.is_same(agent));
        let recursive = is_recursive.then_some(agent);
        if let Err(error) = check(&graph, options, &restored.history_owner, recursive) {
            failure.get_or_insert(RunFailure::Setup(error));
        }
        if let Err(error) = options.check_models(graph.agents()) {
            failure.get_or_insert(error);
        }
        Self::assembled(setup, graph, restored, failure)
    }

    fn assembled(
        setup: RunSetup,
        graph: Graph,
        restored: Restored,
        failure: Option<RunFailure>,
    ) -> Self {
        let Restored {
            state,
            ledger,
            history_owner,
            session,
        } = restored;
        let options = &setup.options;
        let cx = RunContext::of_run(
            options.states.clone(),
            options.limits,
            ledger,
            (setup.scope.parent.clone(), setup.scope.call_ids()),
        );
        let identity = RunIdentity {
            cx: &cx,
            agent: &state.agent,
            path: &setup.scope.path,
            session: options.session.as_ref().map(|session| session.id()),
            durable_run: options.journal.as_ref().and_then(|kept| kept.run_name()),
            has_journal: options.journal.is_some(),
            state: &state,
        };
        Self {
            layers: Layers::begin(options, &graph, &identity),
            template: RequestTemplate::new(&state, &graph, options, setup.delivery),
            setup: Arc::new(setup),
            state,
            graph,
            history_owner,
            cx,
            next: Next::SetUp(failure),
            awaited: None,
            checks: Checks::default(),
            // Most go out as they come, and one that grows by itself has room for four, a kilobyte in each run.
            events: VecDeque::with_capacity(1),
            is_watched: true,
            holds_output: false,
            must_stop: false,
            state_request: None,
            requested_cancel: None,
            offer: ToolOffer::Tools,
            handing_to: None,
            filtering: None,
            session: None,
            saved_session: session,
        }
    }

    /// What does not fit together ends the run before anything is asked.
    ///
    /// Calls of an earlier execution wait for tools that have to be found first, those of sources among them.
    pub(super) fn set_up(
        &mut self,
        failure: Option<RunFailure>,
    ) -> Result<Option<Step>, RunFailure> {
        if let Some(failure) = failure {
            return Err(failure);
        }
        if self.state.pending.is_some() {
            if let Some(step) = self.list_tools() {
                self.next = Next::SetUp(None);
                return Ok(Some(step));
            }
            self.resume()?;
        }
        self.next = Next::OpenSession;
        Ok(None)
    }

    /// Resumes the calls that now have a decision.
    fn resume(&mut self) -> Result<(), RunFailure> {
        // Taken out, because `resumed` reads the rest of the state while the calls change.
        let Some(mut turn) = self.state.pending.take() else {
            return Ok(());
        };
        for call in &mut turn.calls {
            let status = std::mem::replace(&mut call.status, CallStatus::Running);
            call.status = self.resumed(&call.call, status)?;
        }
        self.state.pending = Some(turn);
        Ok(())
    }

    fn resumed(&self, call: &CallItem, status: CallStatus) -> Result<CallStatus, RunFailure> {
        let agent = &self.state.agent;
        let what = || format!("the tool `{}` of agent `{}`", call.name, agent.name());
        let tool = || {
            let tool = self.state.tool_for(call);
            tool.ok_or_else(|| missing(what()))
        };
        Ok(match status {
            CallStatus::Planned => self.resume_planned(&tool()?, call)?,
            CallStatus::Asked(asked) => self.resume_asked(&tool()?, call, asked),
            CallStatus::Paused { state, guardrails } => {
                let permission = Permission::GoesOn { state, guardrails };
                invoke(&tool()?, permission, ExecutionCertainty::Certain)
            }
            other => other,
        })
    }

    /// A call that was not begun when the run was saved is understood anew, as if the response came now.
    fn resume_planned(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
    ) -> Result<CallStatus, RunFailure> {
        self.resolve_context().call_of(tool, call)
    }

    fn resume_asked(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
        asked: Box<AskedCall>,
    ) -> CallStatus {
        // What was decided about is not what would be called.
        if let Some(changed) = asked.changes(tool) {
            return match asked.certainty {
                ExecutionCertainty::Certain => invoke(
                    tool,
                    Permission::AskAgain { changed },
                    ExecutionCertainty::Certain,
                ),
                certainty @ ExecutionCertainty::MayHaveRun => {
                    let mut again = AskedCall::new(tool, certainty);
                    again.changed = Some(changed);
                    CallStatus::Asked(Box::new(again))
                }
            };
        }
        // What holds for all calls of a tool holds for those that wait, too.
        let (standing, _) = self.state.standing_decision(tool, call);
        let standing = standing.filter(|_| asked.certainty == ExecutionCertainty::Certain);
        let Some(decision) = asked.decision.clone().or(standing) else {
            return CallStatus::Asked(asked);
        };
        let guardrails = asked.guardrails;
        let permission = Permission::Decided {
            decision,
            guardrails,
        };
        invoke(tool, permission, asked.certainty)
    }

    /// Asks the agent's sources for their tools, unless they were asked for this turn or there are none.
    pub(super) fn list_tools(&mut self) -> Option<Step> {
        let sources = self.state.agent.tool_sources();
        let is_current = |sourced: &SourcedTools| sourced.is_current;
        if sources.is_empty() || self.state.sourced.as_ref().is_some_and(is_current) {
            return None;
        }
        self.awaited = Some(Awaited::ToolLists);
        Some(Step::ListTools(sources.into()))
    }

    /// Takes the tools of the sources.
    pub(super) fn accept_tools(
        &mut self,
        lists: Vec<Arc<[FunctionTool]>>,
    ) -> Result<(), RunFailure> {
        match &mut self.state.sourced {
            Some(sourced) if sourced.is_of(&lists) => sourced.is_current = true,
            _ => {
                self.state.sourced = Some(SourcedTools::new(&self.state.agent, lists)?);
                self.template.offer(&self.state, &self.graph);
            }
        }
        Ok(())
    }

    /// Reads the session, or makes sure that a run that goes on is the only one to do so.
    pub(super) fn open_session(&mut self) -> Result<Option<Step>, RunFailure> {
        self.next = Next::CheckInput;
        let session = self.options().session.clone();
        let missing = |what: String| Err(RunFailure::State(StateError::Missing { what }));
        match (session, self.saved_session.take()) {
            (None, None) => Ok(None),
            // A new run. Its input comes behind what the session has.
            (Some(session), None) if self.state.turn == 0 => {
                self.awaited = Some(Awaited::Session);
                Ok(Some(Step::LoadSession(SessionReadStep {
                    session,
                    turn: 0,
                    effect: Effect::SessionRead,
                    settings: Some(self.options().session_settings.clone()),
                })))
            }
            // State and request do not agree about a session. The run would go on without the
            // conversation that it began with.
            (None, Some(saved)) => missing(format!("the session `{}`", saved.id)),
            (Some(_), None) => missing("a session that it was begun with".to_owned()),
            // Nothing was decided, so the run only pauses again. A claim would change the version
            // of the session, and then the state that the caller holds could not be resumed any
            // more.
            (Some(session), Some(saved)) if self.is_undecided() && !saved.input_waits => {
                self.session = Some(SessionWriter::unclaimed(session, saved));
                Ok(None)
            }
            (Some(session), Some(saved)) => {
                // A claim is two steps, a read and a write: `SessionClaim::take` says why.
                let claim = SessionClaim::new(session, saved.clone(), self.claim_parts(&saved))?;
                let read = claim.read(self.state.turn);
                self.awaited = Some(Awaited::ClaimRead(claim));
                Ok(Some(Step::LoadSession(read)))
            }
        }
    }

    /// Whether calls wait and nothing was decided about any, so that the run pauses again at once.
    fn is_undecided(&self) -> bool {
        let turn = self.state.pending.as_ref();
        turn.is_some_and(|turn| !turn.has_ready() && turn.is_waiting())
    }

    /// What the run has written to its session, and what it added since.
    fn claim_parts(&self, saved: &SavedSession) -> (Vec<Item>, &[Item]) {
        let history = &self.state.history;
        let own = if saved.input_waits {
            Vec::new()
        } else {
            let added = history.get(self.state.n_input..saved.n_saved);
            [self.state.own_input(), added.unwrap_or_default()].concat()
        };
        // A session gets a turn when the turn is whole, so an unfinished turn is not missing from
        // it.
        let is_inside_turn = self.state.pending.is_some();
        let unsaved = if is_inside_turn {
            &[]
        } else {
            history.get(saved.n_saved..).unwrap_or_default()
        };
        (own, unsaved)
    }

    /// Puts the input behind what the session had, unless the application puts them together.
    pub(super) fn loaded(&mut self, read: SessionItems) {
        if self.options().session_input.is_some() {
            self.next = Next::MergeInput(read);
            return;
        }
        let SessionItems { items, version } = read;
        let written = SessionWrites::behind(&items);
        let merged = MergedInput::appended(items, self.state.own_input().to_vec());
        self.begin_behind(written, version, merged);
    }

    /// Lets the application put the input and what the session had together.
    pub(super) fn merge_input(&mut self, read: SessionItems) -> Option<Step> {
        self.next = Next::CheckInput;
        let merge = self.options().session_input.clone()?;
        let (history, new) = (read.items.clone(), self.state.own_input().to_vec());
        self.awaited = Some(Awaited::MergedInput(read));
        Some(Step::MergeInput(merge, history, new))
    }

    /// Takes what the application made of both.
    pub(super) fn merged(&mut self, read: SessionItems, items: Vec<Item>) {
        let merged = MergedInput::judged(items, &read.items, self.state.own_input());
        self.begin_behind(SessionWrites::behind(&read.items), read.version, merged);
    }

    fn begin_behind(
        &mut self,
        written: SessionWrites,
        version: SessionVersion,
        merged: MergedInput,
    ) {
        let Some(session) = self.options().session.clone() else {
            return;
        };
        let writer = SessionWriter::begin(session, version, written, &merged);
        // Usually the input waits and is written with the first turn: a run that loses against
        // another then leaves nothing behind.
        let writes_at_once = self.is_continued() && writer.has_waiting_input();
        self.state.begin_with(merged.items, merged.new);
        self.session = Some(writer);
        if writes_at_once {
            // What a continued run has written is remembered by turns, and must be the same however often it is begun.
            self.next = Next::SaveInput;
        }
    }

    /// Goes on if nobody else went on with the session.
    pub(super) fn claim(
        &mut self,
        claim: SessionClaim,
        read: SessionItems,
    ) -> Result<(), RunFailure> {
        let (writer, change) = claim.take(self.state.turn, read)?;
        self.next = Next::ClaimSession(Box::new((writer, change)));
        Ok(())
    }

    pub(super) fn claim_session(
        &mut self,
        (writer, change): (SessionWriter, SessionChangeStep),
    ) -> Step {
        self.next = Next::CheckInput;
        self.awaited = Some(Awaited::ClaimWrite(writer));
        Step::ClaimSession(change)
    }

    pub(super) fn claimed(&mut self, mut writer: SessionWriter, version: SessionVersion) {
        writer.claimed(version);
        self.session = Some(writer);
    }

    pub(super) fn claim_failed(&self, writer: &SessionWriter, error: SessionError) -> RunFailure {
        match error {
            SessionError::Conflict { .. } => writer.taken(),
            error => self.session_failed(error, None),
        }
    }

    /// Asks the guardrails that come before everything else, unless the run is past its beginning.
    pub(super) fn check_blocking(&mut self) -> Option<Step> {
        // The first turn, or wherever a saved run was left.
        self.advance();
        // A run that failed before all guardrails had let its input pass (its session could not be written then) asks all of them before
        // it goes on: its first turn, beside which they are asked, is over.
        let is_unjudged = std::mem::take(&mut self.state.is_input_unjudged) && self.state.turn > 0;
        if self.state.turn > 0 && !is_unjudged {
            return None;
        }
        let checks = self.input_checks(|timing| is_unjudged || timing == GuardrailTiming::Blocking);
        (!checks.is_empty()).then_some(Step::CheckInput(checks))
    }

    /// The guardrails that are asked about the input at one of these times; their verdicts are waited for from now on.
    pub(super) fn input_checks(
        &mut self,
        is_asked: impl Fn(GuardrailTiming) -> bool,
    ) -> Vec<InputCheck> {
        let lists = [
            self.state.agent.input_guardrails(),
            &self.setup.options.input_guardrails,
        ];
        let asked = lists
            .into_iter()
            .flatten()
            .filter(|guardrail| is_asked(guardrail.when()));
        let mut asked = asked.peekable();
        if asked.peek().is_none() {
            return Vec::new();
        }
        let (items, new) = (
            self.state.seen(),
            Arc::<[Item]>::from(self.state.own_input()),
        );
        let check = |guardrail: &InputGuardrail| InputCheck {
            guardrail: guardrail.clone(),
            subject: GuardrailInput {
                cx: self.cx.clone(),
                agent: self.state.agent.shared_name(),
                items: items.clone(),
                n_earlier: items.len().saturating_sub(new.len()),
                new: Arc::clone(&new),
            },
        };
        let checks: Vec<InputCheck> = asked.map(check).collect();
        let holds = checks
            .iter()
            .filter(|check| check.holds() == Holds::Everything);
        self.checks.n_holding += holds.count();
        self.checks.n_asked += checks.len();
        checks
    }
}

fn fresh(id: RunId, agent: &Agent, input: Vec<Item>, history_owner: HistoryOwner) -> Restored {
    Restored {
        state: MachineState::new(id, agent.clone(), input),
        ledger: Ledger::default(),
        history_owner,
        session: None,
    }
}

/// Finds what could not work, before anything is asked.
fn check(
    graph: &Graph,
    options: &RunOptions,
    history_owner: &HistoryOwner,
    recursive: Option<&Agent>,
) -> Result<(), SetupError> {
    if let Some(agent) = recursive {
        let agent = agent.name().to_owned();
        return Err(SetupError::Cycle { agent });
    }
    graph.check_state(&options.states)?;
    if *history_owner == HistoryOwner::Run {
        return Ok(());
    }
    if let Some(session) = &options.session {
        let session = session.id().to_string();
        return Err(SetupError::SessionOnServer { session });
    }
    let by_run = options
        .handoff_filter
        .as_ref()
        .and_then(|_| graph.first_with_handoffs());
    match graph.with_filter().or(by_run) {
        Some(agent) => Err(SetupError::FilterOnServer {
            agent: agent.name().to_owned(),
        }),
        None => Ok(()),
    }
}
