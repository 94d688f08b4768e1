//! What a run begins with, as journals keep it.

use serde_json::Value;

use crate::agent::RunState;
use crate::item::Item;

/// What a run begins with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunBeginning {
    /// The name of the agent.
    pub agent: String,
    /// The input.
    pub input: Vec<Item>,
    /// What the program needs to know to run it again.
    ///
    /// The model and the session, for example. It is null if the program needs nothing.
    pub settings: Value,
    /// Where a run that paused is to [go on](crate::Runner::resume), in place of the input.
    pub state: Option<RunState>,
}

impl RunBeginning {
    /// Begins with an input.
    pub fn new(agent: impl Into<String>, input: impl IntoIterator<Item = Item>) -> Self {
        Self {
            agent: agent.into(),
            input: input.into_iter().collect(),
            settings: Value::Null,
            state: None,
        }
    }

    /// Notes what the program needs to know to run it again.
    ///
    /// It must hold no keys, since it is kept as it is.
    #[must_use]
    pub fn settings(mut self, settings: impl Into<Value>) -> Self {
        self.settings = settings.into();
        self
    }
}
