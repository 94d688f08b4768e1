//! Which model an agent's turn is for: the run's, the agent's own, or the runner's; some are only named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::options::RunOptions;
use crate::agent::{Agent, AgentModel};
use crate::error::RunFailure;
use crate::model::{Model, Providers};

/// The models that were found by name; clones share them, so that all runs of a runner share each model's connections.
#[derive(Clone, Default)]
pub(super) struct NamedModels {
    providers: Providers,
    found: Arc<Mutex<Found>>,
}

type Found = BTreeMap<Arc<str>, Arc<dyn Model>>;

impl NamedModels {
    pub(super) fn new(providers: Providers) -> Self {
        Self {
            providers,
            found: Arc::default(),
        }
    }

    fn find(&self, name: &Arc<str>) -> Result<Arc<dyn Model>, RunFailure> {
        // The lock is held while the provider makes the model. So two runs that ask at once get the
        // same model, and share its connections.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = found.get(name) {
            return Ok(Arc::clone(model));
        }
        let model = self.providers.model(name).map_err(RunFailure::Model)?;
        found.insert(Arc::clone(name), Arc::clone(&model));
        Ok(model)
    }
}

impl RunOptions {
    /// Returns the model of an agent: that of the run before the agent's own, and the runner's if there is neither.
    pub(super) fn model_of(
        &self,
        agent: &Agent,
        runners: &Arc<dyn Model>,
    ) -> Result<Arc<dyn Model>, RunFailure> {
        match self.model.as_ref().or(agent.chosen_model()) {
            None => Ok(Arc::clone(runners)),
            Some(AgentModel::Model(model)) => Ok(Arc::clone(model)),
            Some(AgentModel::Named(name)) => self.named_models.find(name),
        }
    }

    /// Finds the models that are only named, before anything is asked.
    pub(super) fn check_models<'a>(
        &'a self,
        agents: impl Iterator<Item = &'a Agent>,
    ) -> Result<(), RunFailure> {
        let own = agents.filter_map(Agent::chosen_model);
        for model in self.model.iter().chain(own) {
            if let AgentModel::Named(name) = model {
                self.named_models.find(name)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for NamedModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.providers.fmt(f)
    }
}
