//! Runs that are kept in the file of the sessions, and go on after their process has ended.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use openai_agents::config::Config;
use openai_agents::item::Message;
use openai_agents::journal::{DurableRun, Journal, RunBeginning, RunId, RunSummary, SqliteJournal};
use openai_agents::{Limits, RunError, RunState};
use serde_json::{Value, json};

use crate::failure::Usage;
use crate::pause::Saved;
use crate::store::Store;

/// A run in the journal.
pub(crate) struct Durable(DurableRun);

/// What a run needs to go on, beside its agent and input.
pub(crate) struct Place {
    pub(crate) session: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) limits: Limits,
}

/// The journal of the program, in the file of the sessions.
async fn journal(config: &Config) -> Result<SqliteJournal> {
    let store = Store::open(config).await?;
    Ok(SqliteJournal::beside(store.sqlite("durable runs")?).await?)
}

/// Lists the runs, the latest changed first.
pub(crate) async fn list(config: &Config) -> Result<Vec<RunSummary>> {
    Ok(journal(config).await?.runs(None).await?)
}

impl Durable {
    /// Begins a run.
    pub(crate) async fn start(
        config: &Config,
        agent: &str,
        message: Message,
        place: &Place,
    ) -> Result<Self> {
        let beginning = RunBeginning::new(agent, [message.into()]).settings(place.to_json());
        Ok(Self(journal(config).await?.start(beginning).await?))
    }

    /// Takes a run up again.
    pub(crate) async fn proceed(config: &Config, id: &str) -> Result<Self> {
        let wrong = |error| Usage(format!("{id:?} names no run: {error}"));
        let id: RunId = id.parse().map_err(wrong)?;
        Ok(Self(journal(config).await?.proceed(&id).await?))
    }

    pub(crate) fn id(&self) -> &str {
        self.0.id().as_str()
    }

    pub(crate) fn beginning(&self) -> &RunBeginning {
        self.0.beginning()
    }

    pub(crate) fn place(&self) -> Result<Place> {
        Place::from_json(&self.0.beginning().settings)
    }

    pub(crate) fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(self.0.clone())
    }

    /// Notes how the run ended.
    pub(crate) async fn ended(&self, end: Result<&str, &RunError>) -> Result<()> {
        Ok(self.0.ended(end).await?)
    }

    /// Notes what was decided about the calls of the run.
    pub(crate) async fn decided(&self, state: &RunState) -> Result<()> {
        Ok(self.0.decided(state).await?)
    }

    /// Says how the run can go on.
    pub(crate) fn note(&self, flags: &[String]) -> String {
        let saved = Saved::Run(self.id().to_owned());
        format!("the run is kept; to go on: {}", saved.line(flags, &[]))
    }
}

impl Place {
    fn to_json(&self) -> Value {
        json!({ "session": self.session, "branch": self.branch, "limits": self.limits })
    }

    fn from_json(settings: &Value) -> Result<Self> {
        let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
        let limits = settings.get("limits").cloned().unwrap_or_default();
        let limits = serde_json::from_value(limits).context("the limits of the kept run")?;
        Ok(Self {
            session: text("session"),
            branch: text("branch"),
            limits,
        })
    }
}
