//! What a run carries for its tools: the application's state, the usage so far, and whether it is still wanted.

mod states;
mod control;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use control::Cancel;
pub(crate) use control::Control;
pub use states::{MissingState, State, StateType, States};

use crate::limits::{LimitReached, Limits};
use crate::usage::Usage;

/// Gives tools, guardrails, hooks and instructions access to the application and the run.
///
/// A cheap handle: clones share one run. State is found by its type, so that agents and tools need no type parameter. Asking for state that
/// the run was not given is an error.
///
/// ```
/// use openai_agents::context::States;
/// use openai_agents::RunContext;
///
/// struct Database(&'static str);
///
/// let mut states = States::new();
/// states.insert(Database("orders"));
/// let cx = RunContext::new(states);
///
/// assert_eq!(cx.state::<Database>()?.0, "orders");
/// assert!(cx.state::<u32>().is_err());
/// # Ok::<(), openai_agents::context::MissingState>(())
/// ```
#[derive(Clone, Default)]
pub struct RunContext(Arc<ContextInner>);

#[derive(Default)]
struct ContextInner {
    states: States,
    limits: Limits,
    ledger: Mutex<Ledger>,
    /// The run whose tool this run is.
    parent: Option<RunContext>,
    /// The ids of the calls that lead here.
    path: Vec<Arc<str>>,
    control: Arc<Control>,
}

/// What a run and the runs of its tools have used together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) usage: Usage,
    /// The model requests begun.
    pub(crate) n_requests: u64,
    /// The tool calls made.
    pub(crate) n_tool_calls: u64,
}

impl RunContext {
    /// Creates the context of one run.
    pub fn new(states: States) -> Self {
        Self(Arc::new(ContextInner {
            states,
            ..ContextInner::default()
        }))
    }

    /// Creates the context of a run with limits, after what it has used, inside the run whose tool it is.
    pub(crate) fn of_run(
        states: States,
        limits: Limits,
        ledger: Ledger,
        (parent, path): (Option<Self>, Vec<Arc<str>>),
    ) -> Self {
        Self(Arc::new(ContextInner {
            states,
            limits,
            ledger: Mutex::new(ledger),
            parent,
            path,
            control: Arc::default(),
        }))
    }

    /// Finds the application state of a type.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when no state of that type was given to the run.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        self.0.states.get()
    }

    /// Finds the application state of a type, in a form that can be kept.
    ///
    /// So it can outlive the borrow of the context.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when no state of that type was given to the run.
    pub fn shared_state<T: Send + Sync + 'static>(&self) -> Result<State<T>, MissingState> {
        self.0.states.shared()
    }

    /// Returns the ids of the calls of agents as tools that lead to this run.
    ///
    /// The outermost comes first. It is empty if the run was not called as a tool.
    ///
    /// They are those of [`RunEvent::unnested`](crate::RunEvent::unnested).
    pub fn path(&self) -> &[Arc<str>] {
        &self.0.path
    }

    /// Returns the usage of the run so far.
    ///
    /// That of the agents that it calls as tools is included.
    pub fn usage(&self) -> Usage {
        self.ledger().usage
    }

    /// Says whether the run was cancelled or is over.
    ///
    /// Nobody waits then for what is still being done.
    pub fn is_cancelled(&self) -> bool {
        self.0.control.is_cancelled()
    }

    /// Waits until the run is cancelled or over.
    ///
    /// An ordinary tool need not wait for it, since its future is dropped then. It is for work that a tool has moved to another task or
    /// thread.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        self.0.control.cancelled().await;
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.0.control
    }

    /// What was used, to be saved.
    pub(crate) fn ledger(&self) -> Ledger {
        *self.0.lock()
    }

    /// Whether the cost of this run or of one around it is limited.
    pub(crate) fn has_cost_limit(&self) -> bool {
        self.outward().any(|run| run.0.limits.max_cost.is_some())
    }

    /// Counts a model request, unless a limit of this run or of one around it forbids it.
    pub(crate) fn begin_request(&self) -> Result<(), LimitReached> {
        for run in self.outward() {
            let ledger = run.ledger();
            run.0
                .limits
                .check_request(ledger.n_requests, &ledger.usage)?;
        }
        self.outward().for_each(|run| run.0.lock().n_requests += 1);
        Ok(())
    }

    /// Counts tool calls, unless a limit of this run or of one around it forbids them.
    pub(crate) fn begin_tool_calls(&self, n_calls: u64) -> Result<(), LimitReached> {
        for run in self.outward() {
            run.0
                .limits
                .check_tool_calls(run.ledger().n_tool_calls + n_calls)?;
        }
        self.outward()
            .for_each(|run| run.0.lock().n_tool_calls += n_calls);
        Ok(())
    }

    /// Adds the usage of a finished model request.
    pub(crate) fn add_usage(&self, usage: Usage) {
        self.outward().for_each(|run| run.0.lock().usage += usage);
    }

    /// This run and those around it.
    fn outward(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |run| run.0.parent.as_ref())
    }
}

impl ContextInner {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext")
            .field("states", &self.0.states)
            .field("usage", &self.usage())
            .finish()
    }
}
