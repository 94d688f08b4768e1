//! A journal in a SQLite file: its runs survive their process.

mod id;
mod schema;
mod digest;
mod effects;
mod runs;
mod run;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JournalError, RunBeginning};
use crate::session::SqliteSessions;
use crate::sqlite::{self, Access, StoreError, Trouble, Worker};

pub use id::{RunId, RunIdError};
pub use run::DurableRun;

/// Why a job failed, before it is known where.
type JournalFailure = sqlite::Failure<JournalError>;

/// Keeps the outcomes of runs in a SQLite file.
///
/// So a run goes on in another process after its own has ended.
///
/// [`start`](Self::start) gives the journal of one run, to be given to [`RunRequest::journal`](crate::RunRequest::journal). If the process
/// ends, [`resume`](Self::resume) gives it again, with the input to run again: everything that was kept is used and nothing of it is
/// asked again, and the run goes on where it was. See [`DurableRun`] for what that means for each effect.
///
/// The file can be that of the sessions. It can be used by many processes at once; an outcome is on the disk before the run learns of
/// it. A file that is made here can be read and written by its owner only: it holds conversations, but no keys.
///
/// ```
/// use std::sync::Arc;
///
/// use openai_agents::journal::{RunBeginning, RunStatus, SqliteJournal};
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Item, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let journal = SqliteJournal::open(":memory:").await?;
/// let agent = Agent::builder("Guide").build()?;
/// let run = journal.start(RunBeginning::new("Guide", [Item::user("Where is Paris?")])).await?;
/// let runner = Runner::new(ScriptedModel::text("In France."));
/// let result = runner.run(&agent, run.beginning().input.clone()).journal(Arc::new(run.clone())).await;
/// run.ended(result.as_ref().map(|result| result.final_output())).await?;
///
/// let found = journal.find(run.id()).await?.ok_or("it is there")?;
/// assert_eq!(found.status, RunStatus::Done { final_output: "In France.".to_owned() });
///
/// // Another process would do this; the model that knows nothing is not asked.
/// let again = journal.resume(run.id()).await?;
/// let runner = Runner::new(ScriptedModel::new([]));
/// let result = runner.run(&agent, again.beginning().input.clone()).journal(Arc::new(again)).await?;
/// assert_eq!(result.final_output(), "In France.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteJournal(Arc<Worker>);

/// What a list of runs says about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// The agent that it began with.
    pub agent: String,
    /// How far it is.
    pub status: RunStatus,
    /// How many turns the model has answered.
    pub turns: u32,
    /// How often it was begun or continued.
    pub n_executions: u32,
    /// When it was begun, in UTC, as `2026-11-24 15:26:41`.
    pub created_at: String,
    /// When the journal last learned something of it, in UTC.
    pub updated_at: String,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunStatus {
    /// It runs, or its process has ended without a word.
    Running,
    /// It waits for decisions about calls.
    Paused,
    /// It is over.
    Done {
        /// Its final output.
        final_output: String,
    },
    /// It failed; continued, it asks again for what failed.
    Failed {
        /// The kind of the error.
        kind: String,
        /// The error.
        message: String,
    },
}

impl SqliteJournal {
    /// Opens the file, and makes it and its tables if they are not there.
    ///
    /// `:memory:` is a journal without a file.
    ///
    /// # Errors
    ///
    /// [`JournalError::Unavailable`] when the file cannot be opened or made, [`JournalError::Refused`] when it is not a database,
    /// [`JournalError::Newer`] when a newer version of this library made it.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the file may have been made.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::start_worker(path.as_ref(), Access::ReadWrite).await
    }

    /// Opens a file that must be there, to list its runs only.
    ///
    /// A change is [`JournalError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); [`JournalError::Refused`] when the file has no journal.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::start_worker(path.as_ref(), Access::ReadOnly).await
    }

    /// Keeps runs in the file of these sessions, through the same connection.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the tables may have been made.
    pub async fn sharing_store(sessions: &SqliteSessions) -> Result<Self, JournalError> {
        let worker = Arc::clone(sessions.worker());
        let path = PathBuf::from(worker.store());
        let prepare = move |db: &mut _| schema::prepare(db, &path, Access::ReadWrite);
        worker.run(prepare).await?;
        Ok(Self(worker))
    }

    async fn start_worker(path: &Path, access: Access) -> Result<Self, JournalError> {
        let worker = Worker::start(path.to_owned(), access, schema::prepare).await?;
        Ok(Self(Arc::new(worker)))
    }

    /// Begins a run; its id is new.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the run may have been noted.
    pub async fn start(&self, beginning: RunBeginning) -> Result<DurableRun, JournalError> {
        let run = beginning.clone();
        let execution = self.0.run(move |db| runs::start(db, &run)).await?;
        DurableRun::new(Arc::clone(&self.0), &execution, beginning)
    }

    /// Continues a run, whatever became of it; whoever still executes it elsewhere gets [`JournalError::TakenOver`].
    ///
    /// A run that is over gives its result again.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoRun`], or when the file cannot be written or what it says of the run cannot be read.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, another execution may have begun.
    pub async fn resume(&self, id: &RunId) -> Result<DurableRun, JournalError> {
        let (id, store) = (id.clone(), self.0.store().to_owned());
        let resume = move |db: &mut _| runs::resume(db, &id, &store);
        let (execution, beginning) = self.0.run(resume).await?;
        DurableRun::new(Arc::clone(&self.0), &execution, beginning)
    }

    /// Returns what a run is to be continued with, and changes nothing.
    ///
    /// Nobody who executes the run elsewhere notices.
    ///
    /// # Errors
    ///
    /// As for [`resume`](Self::resume).
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn beginning(&self, id: &RunId) -> Result<RunBeginning, JournalError> {
        let (id, store) = (id.clone(), self.0.store().to_owned());
        self.0.run(move |db| runs::beginning(db, &id, &store)).await
    }

    /// Lists the runs, the latest changed first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn runs(&self, limit: Option<usize>) -> Result<Vec<RunSummary>, JournalError> {
        self.0.run(move |db| runs::list(db, limit)).await
    }

    /// Says how far a run is; `None` when it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn find(&self, id: &RunId) -> Result<Option<RunSummary>, JournalError> {
        let id = id.clone();
        self.0.run(move |db| runs::find(db, &id)).await
    }

    /// Forgets a run and all that was kept of it.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoRun`], or when the file cannot be written.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the run may have been forgotten.
    pub async fn forget(&self, id: &RunId) -> Result<(), JournalError> {
        let (id, store) = (id.clone(), self.0.store().to_owned());
        self.0.run(move |db| runs::delete(db, &id, &store)).await
    }
}

impl RunStatus {
    /// Returns the status as one word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

impl StoreError for JournalError {
    fn at(store: &str, trouble: Trouble) -> Self {
        let store = store.to_owned();
        match trouble {
            Trouble::Unavailable(source) => Self::Unavailable { store, source },
            Trouble::Full(source) => Self::Full { store, source },
            Trouble::ReadOnly(source) => Self::ReadOnly { store, source },
            Trouble::Refused(source) => Self::Refused { store, source },
            Trouble::Newer { found, known } => Self::Newer {
                store,
                found,
                known,
            },
            Trouble::Closed => Self::Closed { store },
        }
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteJournal")
            .field(&self.0.store())
            .finish()
    }
}

#[cfg(test)]
mod tests;
