//! Application state, found by its type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Holds application state by type, at most one value of each.
///
/// Clones share the values: one set serves any number of runs. What must change goes behind a lock or an atomic of the
/// application's choice.
#[derive(Clone, Default)]
pub struct States(HashMap<TypeId, StateEntry>);

#[derive(Clone)]
struct StateEntry {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl States {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value, in place of an earlier one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, state: T) -> &mut Self {
        let state = StateEntry {
            type_name: type_name::<T>(),
            value: Arc::new(state),
        };
        self.0.insert(TypeId::of::<T>(), state);
        self
    }

    /// Finds the value of a type.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when there is none.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        let found = self.0.get(&TypeId::of::<T>());
        found
            .and_then(|state| state.value.downcast_ref())
            .ok_or(StateType::of::<T>().missing())
    }

    /// Finds the value of a type, to keep it.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when there is none.
    pub fn shared<T: Send + Sync + 'static>(&self) -> Result<State<T>, MissingState> {
        let found = self.0.get(&TypeId::of::<T>());
        found
            .and_then(|state| Arc::clone(&state.value).downcast().ok())
            .map(State)
            .ok_or(StateType::of::<T>().missing())
    }

    /// Checks that there is a value of a type.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when there is none.
    pub fn check(&self, needed: StateType) -> Result<(), MissingState> {
        if self.0.contains_key(&needed.id) {
            Ok(())
        } else {
            Err(needed.missing())
        }
    }
}

/// Application state of one type, as a tool takes it.
///
/// It is a parameter of a `#[tool]` function that the model does not see.
///
/// A run that was given no state of the type ends before anything is sent. The value is that of
/// [`Runner::state`](crate::Runner::state) or [`RunRequest::state`](crate::RunRequest::state), shared by all who take it.
///
/// ```
/// use openai_agents::{Agent, ErrorKind, Runner, State, tool};
/// use openai_agents::testing::ScriptedModel;
///
/// struct Stock {
///     n_pots: u32,
/// }
///
/// /// Counts the pots of tea.
/// #[tool]
/// async fn count_pots(stock: State<Stock>) -> u32 {
///     stock.n_pots
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder("Guide").tool(count_pots).build()?;
/// let model = ScriptedModel::text("never asked");
/// let error = Runner::new(model.clone()).run(&agent, "How many?").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert!(model.requests().is_empty());
///
/// assert_eq!(count_pots(State::new(Stock { n_pots: 3 })).await, 3);
/// # Ok(())
/// # }
/// ```
pub struct State<T>(Arc<T>);

impl<T: Send + Sync + 'static> State<T> {
    /// Wraps a value, for a call of the function in a test.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Returns the type by which it is found.
    pub fn state_type() -> StateType {
        StateType::of::<T>()
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Prints the type only: the value is the application's.
impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State<{}>(..)", type_name::<T>())
    }
}

/// A type of application state, as tools say which they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateType {
    id: TypeId,
    name: &'static str,
}

impl StateType {
    /// Names a type.
    pub fn of<T: 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        }
    }

    /// Returns the name of the type.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    const fn missing(self) -> MissingState {
        MissingState {
            type_name: self.name,
        }
    }
}

/// Prints the types only: the values are the application's.
impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.values().map(|state| state.type_name).collect();
        names.sort_unstable();
        f.debug_tuple("States").field(&names).finish()
    }
}

/// Says which application state the run was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no state of type `{type_name}` was given to the run")]
pub struct MissingState {
    type_name: &'static str,
}

impl MissingState {
    /// Returns the name of the missing type.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}
