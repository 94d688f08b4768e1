//! Application state, found by its type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
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
        self.0
            .get(&TypeId::of::<T>())
            .and_then(|state| state.value.downcast_ref())
            .ok_or(MissingState {
                type_name: type_name::<T>(),
            })
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
    /// Gives the name of the missing type.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}
