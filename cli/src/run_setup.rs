//! Everything around a run: configuration, session, journal, and where it is saved if it pauses or
//! fails.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use openai_agents::config::Config;
use openai_agents::journal::FileJournal;
use openai_agents::model::Delivery;
use openai_agents::session::{Session, SessionId};
use openai_agents::{
    Agent, ErrorKind, Item, Limits, RunError, RunFailure, RunRequest, RunState, Runner,
};
use serde_json::{Map, Value};

use crate::answer_file::AnswerFile;
use crate::durable::Durable;
use crate::exit::Exit;
use crate::failure::{Failure, Usage, is_conflict};
use crate::output;
use crate::pause::{Pause, Saved};
use crate::recorder::LocalStore;
use crate::render::Renderer;
use crate::state_file::{self, Claim, StateFiles};
use crate::store::Store;

/// Everything around a run.
pub(crate) struct RunSetup {
    pub(crate) config: Config,
    pub(crate) files: StateFiles,
    /// The file for the run if it pauses; without one, a new file of the program.
    pub(crate) save_state: Option<PathBuf>,
    /// The file that the run was resumed from.
    pub(crate) claim: Option<Claim>,
    /// The flags that resume it.
    pub(crate) flags: Vec<String>,
    /// The durable run, with --durable.
    pub(crate) durable: Option<Durable>,
    /// The recording of the run.
    pub(crate) recording: Option<FileJournal>,
    /// The file for a second copy of the answer.
    pub(crate) answer_file: Option<AnswerFile>,
    /// Whether the run is recorded even if the configuration does not say so.
    pub(crate) local_store: LocalStore,
    /// Whether the run is a replay, which is never saved.
    pub(crate) is_replay: bool,
    /// Whether --model was given.
    pub(crate) names_model: bool,
    /// The session that the run continues.
    pub(crate) session: Option<SessionId>,
}

impl RunSetup {
    pub(crate) fn new(config: Config, flags: Vec<String>) -> Result<Self> {
        Ok(Self {
            files: StateFiles::new(&config)?,
            config,
            save_state: None,
            claim: None,
            flags,
            durable: None,
            recording: None,
            answer_file: None,
            local_store: LocalStore::IfConfigured,
            is_replay: false,
            names_model: false,
            session: None,
        })
    }

    /// Makes the agent answer in JSON of a schema, and checks the configuration with it.
    pub(crate) fn demand(
        &mut self,
        agent: &str,
        schema: Option<&Map<String, Value>>,
    ) -> Result<()> {
        if let Some(schema) = schema {
            self.config.set_output_schema(agent, schema.clone())?;
        }
        Ok(self.config.check()?)
    }

    pub(crate) fn check_model(&self, agent: &str) -> Result<()> {
        let described = self.config.agent_config(agent)?;
        if self.names_model && described.model.is_some() {
            let (name, origin) = (&described.name, &described.origin);
            let message = format!(
                "agent `{name}` ({origin}) has a model of its own, which --model does not replace: change it there"
            );
            return Err(Usage(message).into());
        }
        Ok(())
    }

    /// Returns the limits of the configuration for a run that begins with this agent.
    pub(crate) fn limits(&self, agent: &str) -> Result<Limits> {
        let of_all = self.config.limits().over(Limits::default());
        Ok(self.config.agent_config(agent)?.limits.over(of_all))
    }

    /// Prepares a run from its input, with its MCP servers connected.
    pub(crate) async fn ask(
        &self,
        agent: &str,
        input: Vec<Item>,
        delivery: Delivery,
    ) -> Result<RunRequest> {
        let (runner, built) = self.connected(agent).await?;
        Ok(runner.run(&built, input).delivery(delivery))
    }

    /// Prepares a run from its state, with its MCP servers connected.
    pub(crate) async fn resume(
        &self,
        agent: &str,
        state: RunState,
        delivery: Delivery,
    ) -> Result<RunRequest> {
        let (runner, built) = self.connected(agent).await?;
        Ok(runner.resume(&built, state).delivery(delivery))
    }

    /// Returns an agent and its runner, with its MCP servers connected.
    async fn connected(&self, agent: &str) -> Result<(Runner, Agent)> {
        let built = self.config.agent(agent)?;
        let runner = self.config.runner_for(agent)?;
        let needs = self.config.agent_config(agent)?;
        self.config.connect_mcp(needs).await?;
        Ok((runner, built))
    }

    pub(crate) async fn open_session(
        &self,
        branch: Option<&str>,
    ) -> Result<Option<Arc<dyn Session>>> {
        let Some(id) = &self.session else {
            return Ok(None);
        };
        let store = Store::open(&self.config).await?;
        Ok(Some(store.session(id, branch).await?))
    }

    /// Finishes a run with an answer. Gives what failed in that, which takes nothing from the
    /// answer.
    pub(crate) async fn answered(&self, final_output: &str) -> Option<Failure> {
        let consumed = self.consume();
        let kept = match &self.durable {
            Some(durable) => durable.ended(Ok(final_output)).await,
            None => Ok(()),
        };
        let written = match &self.answer_file {
            Some(file) => file.write(final_output),
            None => Ok(()),
        };
        let failures = [consumed, kept, written]
            .into_iter()
            .filter_map(Result::err)
            .map(|error| Failure::after_run(&error));
        let failures = failures.chain(self.recording_failed());
        failures.reduce(|first, other| first.noting(other.message))
    }

    /// Returns the failure of a recording that is incomplete.
    fn recording_failed(&self) -> Option<Failure> {
        let error = self.recording.as_ref()?.failure()?;
        Some(Failure::of_recording(error))
    }

    /// Shows how a run ended without an answer.
    pub(crate) async fn ended(&self, error: RunError, renderer: &mut Renderer) -> Result<Exit> {
        let shown = match &self.durable {
            Some(durable) => self.end_durable(durable, &error).await,
            None => self.end(error),
        };
        match (shown, self.recording_failed()) {
            (Ok(pause), None) => renderer.paused(&pause),
            (Ok(pause), Some(failure)) => {
                failure.report();
                renderer.paused(&pause)
            }
            (Err(failure), None) => Ok(renderer.failed(&failure)),
            (Err(failure), Some(other)) => Ok(renderer.failed(&failure.noting(other.message))),
        }
    }

    fn end(&self, error: RunError) -> Result<Pause, Box<Failure>> {
        if self.is_replay {
            return Err(Failure::of_run(&error, &self.config).into());
        }
        if error.kind() == ErrorKind::Session {
            return Err(self.session_failed(error).into());
        }
        match error.into_state() {
            Ok(state) => self.save(&state),
            Err(error) => {
                let failure = Failure::of_run(&error, &self.config);
                // A run that never began has used nothing of its saved state, so that the file gets
                // its name back and can be resumed again.
                let has_begun =
                    !matches!(error.failure(), RunFailure::State(_) | RunFailure::Setup(_));
                if has_begun {
                    return Err(self.unfinished(failure).into());
                }
                let given_back = self.claim.as_ref().map_or(Ok(()), Claim::give_back);
                let failure = match given_back {
                    Ok(()) => failure,
                    Err(error) => failure.noting(format!("{error:#}")),
                };
                Err(failure.into())
            }
        }
    }

    /// Ends a durable run. It is in the journal, and needs no file.
    async fn end_durable(
        &self,
        durable: &Durable,
        error: &RunError,
    ) -> Result<Pause, Box<Failure>> {
        let kept = durable.ended(Err(error)).await;
        if let (ErrorKind::ApprovalRequired, Ok(())) = (error.kind(), &kept) {
            return Ok(Pause {
                calls: error.interruptions(),
                saved: Saved::Run(durable.id().to_owned()),
                command: self.flags.clone(),
            });
        }
        let failure = Failure::of_run(error, &self.config);
        let failure = match kept {
            Ok(()) => self.unfinished(failure),
            Err(error) => {
                failure.noting(format!("the end of the run could not be saved: {error:#}"))
            }
        };
        Err(failure.into())
    }

    /// Saves a run whose session could not be written, so that the work of its turn is not lost. A
    /// run that did nothing, or lost a conflict, is not saved.
    fn session_failed(&self, error: RunError) -> Failure {
        let failure = Failure::of_run(&error, &self.config);
        let did_nothing = error.progress().turns == 0 && self.claim.is_none();
        if did_nothing || is_conflict(&error) {
            return self.unfinished(failure);
        }
        let saved = error.into_state().map(|state| self.save(&state));
        match saved {
            Ok(Ok(pause)) => {
                let note = format!(
                    "the work of the run is saved; resume it when the session can be written again: {}",
                    pause.go_on()
                );
                failure.noting(note).saved_in(pause.saved)
            }
            Ok(Err(unsaved)) => failure
                .noting(unsaved.message)
                .with_unsaved(unsaved.unsaved),
            Err(_) => self.unfinished(failure),
        }
    }

    /// Saves a run that waits: in the file that was named or, if that cannot be written, in one of
    /// the program.
    ///
    /// Decisions and finished work must not be lost with a full disk. If no file can be written,
    /// the state goes out with the failure.
    fn save(&self, state: &RunState) -> Result<Pause, Box<Failure>> {
        let named = self
            .save_state
            .clone()
            .map(|file| self.files.write(file, state));
        let saved = match named {
            Some(Ok(file)) => Ok(file),
            Some(Err(error)) => {
                let elsewhere = self.write_elsewhere(state);
                if elsewhere.is_ok() {
                    output::note(format_args!("error: {error:#}"));
                }
                elsewhere.map_err(|other| error.context(format!("{other:#}")))
            }
            None => self.write_elsewhere(state),
        };
        let saved = saved.and_then(|file| {
            self.consume()?;
            Ok(self.pause(state, Saved::File(file)))
        });
        saved.map_err(|error| {
            let failure = Failure::after_run(&error);
            let failure = failure.with_unsaved(self.files.json(state).ok());
            self.unfinished(failure).into()
        })
    }

    fn write_elsewhere(&self, state: &RunState) -> Result<PathBuf> {
        self.files.write(state_file::default_path()?, state)
    }

    pub(crate) fn pause(&self, state: &RunState, saved: Saved) -> Pause {
        Pause {
            calls: state.interruptions(),
            saved,
            command: self.flags.clone(),
        }
    }

    /// Marks the file of a saved run as used, after the run has continued.
    fn consume(&self) -> Result<()> {
        self.claim.as_ref().map_or(Ok(()), Claim::consume)
    }

    /// Adds to a failure how the run can be resumed.
    pub(crate) fn unfinished(&self, failure: Failure) -> Failure {
        match (&self.claim, &self.durable) {
            (Some(claim), _) => failure.noting(claim.note()),
            (None, Some(durable)) => failure
                .noting(durable.note(&self.flags))
                .saved_in(Saved::Run(durable.id().to_owned())),
            (None, None) => failure,
        }
    }
}
