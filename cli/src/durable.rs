//! `run --durable`: a run whose steps are saved in the session database, so that another process can finish it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use openai_agents::config::{Config, SessionStore};
use openai_agents::item::Message;
use openai_agents::journal::{DurableRun, Journal, RunBeginning, RunId, RunSummary, SqliteJournal};
use openai_agents::{Limits, RunError, RunState};
use serde_json::{Map, Value, json};

use crate::failure::Usage;
use crate::pause::Saved;
use crate::run_lock::RunLock;
use crate::store::Store;

/// A run in the journal, locked against other processes.
pub(crate) struct Durable {
    run: DurableRun,
    _lock: Option<RunLock>,
}

/// A kept run that nobody executes. Nothing of it was changed yet.
pub(crate) struct KeptRun {
    journal: SqliteJournal,
    id: RunId,
    pub(crate) beginning: RunBeginning,
    lock: Option<RunLock>,
}

/// What a run needs to resume, beside its agent and input.
pub(crate) struct DurableSettings {
    pub(crate) session: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) limits: Limits,
    /// The schema of the answer, if --schema named one.
    pub(crate) schema: Option<Map<String, Value>>,
}

/// Opens the journal, in the file of the sessions.
async fn journal(config: &Config) -> Result<SqliteJournal> {
    let store = Store::open(config).await?;
    Ok(SqliteJournal::sharing_store(store.sqlite("durable runs")?).await?)
}

/// Lists the runs, the latest changed first.
pub(crate) async fn list(config: &Config) -> Result<Vec<RunSummary>> {
    Ok(journal(config).await?.runs(None).await?)
}

/// Takes the lock of a run. A journal in memory belongs to this process and needs none.
fn lock(config: &Config, run: &RunId) -> Result<Option<RunLock>> {
    let memory = Path::new(":memory:");
    match &config.sessions().store {
        Some(SessionStore::Sqlite { path, .. }) if path != memory => {
            RunLock::take(path, run.as_str()).map(Some)
        }
        _ => Ok(None),
    }
}

impl KeptRun {
    /// Finds a run, unless another process executes it.
    pub(crate) async fn find(config: &Config, id: &str) -> Result<Self> {
        let wrong = |error| {
            Usage(format!(
                "{id:?} is not the id of a run: {error}; `openai-agents resume` lists them"
            ))
        };
        let id: RunId = id.parse().map_err(wrong)?;
        let journal = journal(config).await?;
        // Before the run is read: another process could still change it.
        let lock = lock(config, &id)?;
        let beginning = journal.beginning(&id).await?;
        Ok(Self {
            journal,
            id,
            beginning,
            lock,
        })
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(crate) fn place(&self) -> Result<DurableSettings> {
        DurableSettings::from_json(&self.beginning.settings)
    }

    /// Resumes the run.
    pub(crate) async fn resume(self) -> Result<Durable> {
        Ok(Durable {
            run: self.journal.resume(&self.id).await?,
            _lock: self.lock,
        })
    }
}

impl Durable {
    /// Starts a run.
    pub(crate) async fn start(
        config: &Config,
        agent: &str,
        message: Message,
        place: &DurableSettings,
    ) -> Result<Self> {
        let beginning = RunBeginning::new(agent, [message.into()]).settings(place.to_json());
        let run = journal(config).await?.start(beginning).await?;
        // Nobody else knows the new id yet, so that the lock can come after the start.
        let lock = lock(config, run.id())?;
        Ok(Self { run, _lock: lock })
    }

    pub(crate) fn id(&self) -> &str {
        self.run.id().as_str()
    }

    pub(crate) fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(self.run.clone())
    }

    /// Records how the run ended.
    pub(crate) async fn ended(&self, end: Result<&str, &RunError>) -> Result<()> {
        Ok(self.run.ended(end).await?)
    }

    /// Records the decisions about calls of the run.
    pub(crate) async fn decided(&self, state: &RunState) -> Result<()> {
        Ok(self.run.decided(state).await?)
    }

    /// Says how the run can be resumed.
    pub(crate) fn note(&self, flags: &[String]) -> String {
        let saved = Saved::Run(self.id().to_owned());
        format!("the run is kept; to resume it: {}", saved.line(flags, &[]))
    }
}

/// Returns the schema of the answer in the settings of a run.
pub(crate) fn schema_of(settings: &Value) -> Option<Map<String, Value>> {
    settings.get("schema")?.as_object().cloned()
}

impl DurableSettings {
    fn to_json(&self) -> Value {
        json!({
            "session": self.session,
            "branch": self.branch,
            "limits": self.limits,
            "schema": self.schema,
        })
    }

    fn from_json(settings: &Value) -> Result<Self> {
        let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
        let limits = settings.get("limits").cloned().unwrap_or_default();
        let limits = serde_json::from_value(limits).context("the limits of the kept run")?;
        Ok(Self {
            session: text("session"),
            branch: text("branch"),
            limits,
            schema: schema_of(settings),
        })
    }
}
