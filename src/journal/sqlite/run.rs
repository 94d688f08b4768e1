//! One run in a journal: the gate of its side effects.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::digest::RequestDigest;
use super::effects::{EffectId, EffectStatus, Execution};
use super::{JournalFailure, RunId, RunStatus, runs};
use crate::agent::RunState;
use crate::error::{RunError, RunFailure};
use crate::journal::stored::{StoredItems, StoredResponse, store_response};
use crate::journal::{
    EffectKey, Journal, JournalError, ModelEffect, OnUncertain, RunBeginning, SessionChange,
    SessionRead, SessionReadEffect, SessionWrite, SessionWriteEffect, ToolCallEffect, ToolEffect,
    ToolOutcome,
};
use crate::model::{ModelError, ModelRequest};
use crate::session::{SessionError, SessionItems, SessionVersion};
use crate::sqlite::Worker;
use crate::tools::ToolError;

/// The journal of one run in a [`SqliteJournal`](super::SqliteJournal); a cheap handle.
///
/// What each effect does when a run is continued:
///
/// - A model's answer that was complete is given again, without its deltas. Whoever continues with another prompt, other tools or another
///   input gets [`JournalError::Changed`], because the answer belongs to another question. A call that was under way when the process
///   ended is made again, and one that failed as well: an error is no answer, and the run that it ended is continued to try again.
/// - A tool call is noted before it is made. If its outcome is kept, that is given, a failure of which the model was told among them.
///   If not, it is made again if the tool is [idempotent](crate::tools::ToolOptions::idempotent); any other is in doubt, so that the
///   run pauses for someone who decides. That holds for a call that was dropped in the middle and for one whose failure ended the run.
/// - What was read from the session is kept. A writing that has begun and may have happened is looked for in the session. The session has to
///   outlive the process as well.
/// - Runs of agents as tools are part of the run.
///
/// While a run is continued, the session is not told of half a turn that ended by an error, since the turn may yet be completed.
///
/// # Cancel safety
///
/// Dropping a run does not undo what it noted: it can be continued as after a crash.
#[derive(Clone)]
pub struct DurableRun(Arc<JournalRunInner>);

struct JournalRunInner {
    worker: Arc<Worker>,
    id: RunId,
    run: i64,
    /// The number of this execution.
    number: AtomicI64,
    beginning: RunBeginning,
}

impl DurableRun {
    pub(super) fn new(
        worker: Arc<Worker>,
        execution: &Execution,
        beginning: RunBeginning,
    ) -> Result<Self, JournalError> {
        let id = execution.run_id.parse();
        let id = id.map_err(|error| JournalFailure::refused(Box::new(error)).at(worker.store()))?;
        Ok(Self(Arc::new(JournalRunInner {
            worker,
            id,
            run: execution.run,
            number: AtomicI64::new(execution.number),
            beginning,
        })))
    }

    /// Names the run.
    pub fn id(&self) -> &RunId {
        &self.0.id
    }

    /// Returns what the run is to begin with.
    ///
    /// It is the run's state if it has one, else its input.
    pub fn beginning(&self) -> &RunBeginning {
        &self.0.beginning
    }

    /// Notes how the run ended.
    ///
    /// Its pause and the state to go on from are among the ends.
    ///
    /// # Errors
    ///
    /// When it cannot be kept, or another execution has begun since.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the end may have been noted.
    pub async fn ended(&self, end: Result<&str, &RunError>) -> Result<(), JournalError> {
        let (status, state) = match end.map_err(RunError::failure) {
            Ok(final_output) => {
                let final_output = final_output.to_owned();
                (RunStatus::Done { final_output }, None)
            }
            Err(RunFailure::ApprovalRequired { state }) => {
                (RunStatus::Paused, Some(self.json(state)?))
            }
            Err(failure) => {
                let kind = failure.kind().to_string();
                let message = failure.to_string();
                (RunStatus::Failed { kind, message }, None)
            }
        };
        let execution = self.execution();
        let end = move |db: &mut _| runs::end(db, &execution, &status, state.as_deref());
        self.0.worker.run(end).await
    }

    /// Notes the decisions about a run that paused, before it [goes on](crate::Runner::resume).
    ///
    /// The run is continued from this state.
    ///
    /// A decision to make a call that was in doubt is for once, and counts only after it was noted here. If the process ends again in the
    /// middle of that call, it is in doubt again.
    ///
    /// # Errors
    ///
    /// When they cannot be kept, or another execution has begun since.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the decisions may have been noted, and this handle can be out of date.
    pub async fn decided(&self, state: &RunState) -> Result<(), JournalError> {
        let (execution, state) = (self.execution(), self.json(state)?);
        let decide = move |db: &mut _| runs::decide(db, &execution, &state);
        // Deciding begins another execution. So a decision to repeat a call in doubt counts only
        // for calls that had begun before it: see `OnUncertain::Once` in `effects`.
        let number = self.0.worker.run(decide).await?;
        self.0.number.store(number, Ordering::Release);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn worker(&self) -> &Worker {
        &self.0.worker
    }

    fn json(&self, state: &RunState) -> Result<String, JournalError> {
        let json = state.to_json();
        json.map_err(|error| JournalFailure::refused(Box::new(error)).at(self.0.worker.store()))
    }

    fn execution(&self) -> Execution {
        Execution {
            run: self.0.run,
            run_id: self.0.id.to_string(),
            number: self.0.number.load(Ordering::Acquire),
        }
    }

    async fn outcome<T: DeserializeOwned>(
        &self,
        place: &EffectId,
    ) -> Result<Option<T>, JournalError> {
        let (execution, place) = (self.execution(), place.clone());
        let name = place.name().to_owned();
        let find = move |db: &mut _| execution.outcome(db, &place);
        let found = self.0.worker.run(find).await?;
        found.map(|outcome| self.read(&outcome, &name)).transpose()
    }

    async fn begin(
        &self,
        place: &EffectId,
        on_uncertain: OnUncertain,
    ) -> Result<EffectStatus, JournalError> {
        let (execution, place) = (self.execution(), place.clone());
        let begin = move |db: &mut _| execution.begin(db, &place, on_uncertain);
        self.0.worker.run(begin).await
    }

    async fn finish(&self, place: EffectId, outcome: &impl Serialize) -> Result<(), JournalError> {
        let store = self.0.worker.store();
        let json = serde_json::to_string(outcome);
        let json = json.map_err(|error| JournalFailure::refused(error).at(store))?;
        let execution = self.execution();
        let finish = move |db: &mut _| execution.finish(db, &place, &json);
        // Kept although the run may be dropped meanwhile: what has happened would be asked for, or done, again.
        self.0.worker.keep(finish).await
    }

    async fn undo(&self, place: EffectId) -> Result<(), JournalError> {
        let execution = self.execution();
        let undo = move |db: &mut _| execution.undo(db, &place);
        self.0.worker.keep(undo).await
    }

    /// The version of the session after the latest change that this run made.
    async fn latest(&self, place: &EffectId) -> Result<Option<SessionVersion>, JournalError> {
        let (execution, place) = (self.execution(), place.clone());
        let name = place.name().to_owned();
        let find = move |db: &mut _| execution.latest_write(db, &place);
        let found = self.0.worker.run(find).await?;
        found.map(|outcome| self.read(&outcome, &name)).transpose()
    }

    fn read<T: DeserializeOwned>(&self, outcome: &str, effect: &str) -> Result<T, JournalError> {
        serde_json::from_str(outcome).map_err(|error| JournalError::Corrupt {
            store: self.0.worker.store().to_owned(),
            place: format!("the outcome of {effect} of the run `{}`", self.0.id),
            source: error.into(),
        })
    }

    async fn ask(self, place: EffectId, call: ModelEffect) -> ModelEffect {
        // A model call is looked up and not noted as begun. If it is cut off it is simply made
        // again: asking a model twice costs money and does no harm.
        match self.outcome::<StoredResponse>(&place).await {
            Ok(Some(answer)) => answer.into_events(),
            Ok(None) => store_response(call, move |answer| {
                Box::pin(async move { self.finish(place, &answer).await })
            }),
            Err(error) => Box::pin(stream::iter([Err(ModelError::from(error))])),
        }
    }

    async fn call(&self, place: EffectId, call: ToolCallEffect) -> Result<ToolOutcome, ToolError> {
        let ToolCallEffect {
            tool,
            on_uncertain,
            effect,
            ..
        } = call;
        let failed = |error: JournalError| error.of_tool(tool.clone());
        // A tool call is noted before it is made, because its effect cannot be asked for
        // afterwards.
        match self.begin(&place, on_uncertain).await.map_err(failed)? {
            EffectStatus::Done(outcome) => {
                return self.read(&outcome, place.name()).map_err(failed);
            }
            EffectStatus::Uncertain => return Err(ToolError::InDoubt { tool }),
            EffectStatus::New => {}
        }
        match effect.await {
            Ok(outcome) => {
                self.finish(place, &outcome).await.map_err(failed)?;
                Ok(outcome)
            }
            Err(error) => {
                // A call that was refused before it began is in no doubt.
                if !was_called(&error) {
                    self.undo(place).await.map_err(failed)?;
                }
                Err(error)
            }
        }
    }

    async fn load(
        &self,
        place: EffectId,
        read: SessionReadEffect,
    ) -> Result<SessionItems, SessionError> {
        let failed = |error: JournalError| error.of_session(read.session.id().clone());
        // The session as the first execution read it. Read again it would have what the run has
        // written since.
        if let Some(kept) = self.outcome::<StoredItems>(&place).await.map_err(failed)? {
            return Ok(kept.into());
        }
        // A failure is not remembered: the run that goes on tries again.
        let kept = StoredItems::from(read.effect.await?);
        self.finish(place, &kept).await.map_err(failed)?;
        Ok(kept.into())
    }

    async fn change(
        &self,
        place: EffectId,
        mut write: SessionWriteEffect,
    ) -> Result<SessionVersion, SessionError> {
        let session = Arc::clone(&write.session);
        let failed = |error: JournalError| error.of_session(session.id().clone());
        let known = self.begin(&place, OnUncertain::Ask).await.map_err(failed)?;
        if let EffectStatus::Done(version) = &known {
            return self.read(version, place.name()).map_err(failed);
        }
        // A saved run that went on has claimed the session, of which one that begins at the beginning knows nothing.
        if write.change == SessionChange::Append
            && let Some(latest) = self.latest(&place).await.map_err(failed)?
        {
            write.turn.after = write.turn.after.map(|_| latest);
        }
        // A session can be looked at, unlike a tool. So a write in doubt is not asked about: see
        // whether its items are there.
        let found = match known {
            EffectStatus::Uncertain => version_after(&write).await?,
            // Not begun before, so there is nothing to look for. `Done` has returned above.
            EffectStatus::New | EffectStatus::Done(_) => None,
        };
        let version = match found {
            Some(version) => version,
            None => write.make().await?,
        };
        self.finish(place, &version).await.map_err(failed)?;
        Ok(version)
    }
}

/// Whether a tool that gave this error was called.
const fn was_called(error: &ToolError) -> bool {
    match error {
        ToolError::BadArguments { .. } | ToolError::Disabled { .. } => false,
        ToolError::GuardrailTripped { is_output, .. } => *is_output,
        _ => true,
    }
}

/// Looks whether a change has happened: then what was to be written is there, and the version is another.
async fn version_after(write: &SessionWriteEffect) -> Result<Option<SessionVersion>, SessionError> {
    let turn = &write.turn;
    let limit = match write.change {
        SessionChange::Append => Some(turn.items.len()),
        SessionChange::Replace => None,
    };
    let read = write.session.items(limit).await?;
    let is_new = turn.after.as_ref() != Some(&read.version);
    // Both must hold. The same items under the old version are those of an earlier turn that said
    // the same.
    Ok((is_new && read.items == turn.items).then_some(read.version))
}

impl Journal for DurableRun {
    fn model_call(&self, key: EffectKey, request: &ModelRequest, call: ModelEffect) -> ModelEffect {
        let place = EffectId::new(&key, RequestDigest::of_model(request));
        let asked = self.clone().ask(place, call);
        // The lookup is part of the stream, so it happens when the run polls it and not when the
        // call is handed over.
        Box::pin(stream::once(asked).flatten())
    }

    fn run_name(&self) -> Option<&str> {
        Some(self.0.id.as_str())
    }

    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect {
        let place = EffectId::new(&call.key, RequestDigest::of_call(&call));
        let run = self.clone();
        Box::pin(async move { run.call(place, call).await })
    }

    fn session_read(&self, read: SessionReadEffect) -> SessionRead {
        let place = EffectId::new(&read.key, RequestDigest::of_read());
        let run = self.clone();
        Box::pin(async move { run.load(place, read).await })
    }

    fn session_write(&self, write: SessionWriteEffect) -> SessionWrite {
        let place = EffectId::new(&write.key, RequestDigest::of_write(&write));
        let run = self.clone();
        Box::pin(async move { run.change(place, write).await })
    }

    fn continues(&self) -> bool {
        true
    }
}

impl fmt::Debug for DurableRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableRun")
            .field("id", &self.0.id)
            .field("store", &self.0.worker.store())
            .finish_non_exhaustive()
    }
}
