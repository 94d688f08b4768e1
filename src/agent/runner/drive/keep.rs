//! The session of a run in progress: read at its beginning, written after each turn.

use futures_util::FutureExt;

use super::{After, Phase, RunStream, Waited};
use crate::agent::StateError;
use crate::agent::run_state::SavedSession;
use crate::agent::runner::session::{Access, Claim, ClaimParts, Loaded, SessionWriter, refused};
use crate::error::RunFailure;
use crate::item::Item;
use crate::session::SessionError;

impl RunStream {
    /// Reads the session, or makes sure that a run that goes on is the only one to do so.
    pub(super) fn begin_session(&mut self) -> Result<(), RunFailure> {
        let access = Access::of(self.run.options(), &self.scope);
        let missing = |what: String| Err(RunFailure::State(StateError::Missing { what }));
        match (access, self.run.take_session()) {
            (None, None) => {}
            (Some(access), None) if self.run.turn() == 0 => {
                let loaded = access.load(self.run.input().to_vec());
                let loaded = loaded.map(|loaded| Ok(Waited::Loaded(loaded.map(Box::new))));
                self.phase = Phase::Wait(Box::pin(loaded));
            }
            (None, Some(saved)) => return missing(format!("the session `{}`", saved.id)),
            (Some(_), None) => return missing("a session that it was begun with".to_owned()),
            (Some(access), Some(saved)) if self.run.is_paused() && !saved.input_waits => {
                self.keeper = Some(access.resume(saved));
            }
            (Some(access), Some(saved)) => {
                let parts = self.claim_parts(&saved);
                let claimed = access.claim(self.run.turn(), saved, parts);
                self.phase = Phase::Wait(Box::pin(
                    claimed.map(|claimed| Ok(Waited::Claimed(claimed))),
                ));
            }
        }
        Ok(())
    }

    fn claim_parts(&self, saved: &SavedSession) -> ClaimParts {
        let history = self.run.history();
        let own = if saved.input_waits {
            Vec::new()
        } else {
            let added = history.get(self.run.n_input()..saved.n_saved);
            [self.run.input(), added.unwrap_or_default()].concat()
        };
        let unsaved = if self.run.is_inside_turn() {
            &[]
        } else {
            history.get(saved.n_saved..).unwrap_or_default()
        };
        ClaimParts {
            own,
            unsaved: unsaved.to_vec(),
        }
    }

    /// Whether the run is about to pause, and its session does not have the question yet.
    ///
    /// Who goes on with the run claims the session by a change of it, for which something has to be there.
    pub(super) fn must_save_input(&self) -> bool {
        let waits = self
            .keeper
            .as_ref()
            .is_some_and(SessionWriter::has_waiting_input);
        waits && self.run.is_paused()
    }

    /// Writes what the session does not have yet, if there is a session and something to write, and goes on.
    pub(super) fn save_then(&mut self, items: Vec<Item>, after: After) {
        match self.keeper.take() {
            Some(mut keeper) if !items.is_empty() || keeper.has_waiting_input() => {
                let turn = self.run.turn();
                self.phase = Phase::Wait(Box::pin(async move {
                    let saved = keeper.append(turn, items).await;
                    Ok(Waited::Saved(keeper, saved, after))
                }));
            }
            keeper => {
                self.keeper = keeper;
                self.go_on(after);
            }
        }
    }

    fn go_on(&mut self, after: After) {
        match after {
            After::GoOn => {}
            After::Done(output) => self.over(output),
            After::Fail(failure) => self.end_with(*failure),
        }
    }

    pub(super) fn unsaved(&self) -> Vec<Item> {
        let unsaved = self
            .keeper
            .as_ref()
            .map(|keeper| keeper.unsaved(self.run.history()));
        unsaved.unwrap_or_default().to_vec()
    }

    fn session_failed(&self, error: SessionError, after: Option<Box<RunFailure>>) -> RunFailure {
        let session = self.saved_session();
        RunFailure::Session {
            error,
            state: Box::new(self.run.save(session)),
            after,
        }
    }

    pub(super) fn saved(
        &mut self,
        keeper: SessionWriter,
        saved: Result<(), SessionError>,
        after: After,
    ) -> Result<(), RunFailure> {
        let Err(error) = saved else {
            self.keeper = Some(keeper);
            self.go_on(after);
            return Ok(());
        };
        if matches!(error, SessionError::Conflict { .. }) {
            self.retract(keeper, after);
            return Ok(());
        }
        self.keeper = Some(keeper);
        let failure = match after {
            After::GoOn => None,
            After::Done(output) => {
                self.run.finish_with(output);
                None
            }
            After::Fail(failure) => Some(failure),
        };
        Err(self.session_failed(error, failure))
    }

    /// Ends the run, which has lost its session to another writer, when nothing of it is left there.
    fn retract(&mut self, keeper: SessionWriter, after: After) {
        self.is_closing = true;
        let before = match after {
            After::Fail(failure) => Some(failure),
            After::GoOn | After::Done(_) => None,
        };
        self.phase = Phase::Wait(Box::pin(async move {
            let retracted = keeper.retract().await;
            Err(RunFailure::SessionConflict {
                session: keeper.id(),
                left: retracted.err(),
                after: before,
            })
        }));
    }

    /// Takes the session that was read, with the input in it.
    pub(super) fn loaded(
        &mut self,
        loaded: Result<Box<Loaded>, SessionError>,
    ) -> Result<(), RunFailure> {
        let loaded = loaded.map_err(|error| self.session_failed(error, None))?;
        let Loaded { merged, keeper } = *loaded;
        self.run.begin_with(merged.items, merged.new);
        self.keeper = Some(keeper);
        self.begun();
        Ok(())
    }

    /// Takes whether a run that goes on is the only one to do so.
    pub(super) fn claimed(
        &mut self,
        claimed: Result<SessionWriter, Claim>,
    ) -> Result<(), RunFailure> {
        match claimed {
            Ok(keeper) => self.keeper = Some(keeper),
            Err(claim) => {
                let failure = refused(claim);
                return Err(failure.unwrap_or_else(|error| self.session_failed(error, None)));
            }
        }
        Ok(())
    }

    /// What a saved state says of the session.
    pub(super) fn saved_session(&self) -> Option<SavedSession> {
        let keeper = self.keeper.as_ref()?;
        Some(keeper.saved(self.run.input()))
    }
}
