//! The session before and after a turn, never twice.

use std::sync::Arc;

use super::options::RunOptions;
use super::request::Place;
use crate::agent::run_state::SavedSession;
use crate::error::RunFailure;
use crate::item::Item;
use crate::journal::{
    Effect, EffectKey, Journal, SessionChange, SessionRead, SessionReadEffect, SessionWriteEffect,
};
use crate::session::{
    MergedInput, Session, SessionError, SessionInput, SessionItems, SessionSettings, SessionTurn,
    SessionVersion, merge,
};

/// The session of a run, and the version of it that the run knows.
pub(super) struct Keeper {
    access: Access,
    version: SessionVersion,
    /// How many items of the run's history are in the session, or were to begin with.
    n_saved: usize,
}

/// What is needed to reach a session.
#[derive(Clone)]
pub(super) struct Access {
    session: Arc<dyn Session>,
    settings: SessionSettings,
    input: Option<SessionInput>,
    journal: Arc<dyn Journal>,
    path: Vec<Arc<str>>,
}

/// A session that was read, with the input of the run already in it.
pub(super) struct Loaded {
    pub(super) merged: MergedInput,
    pub(super) keeper: Keeper,
}

impl Access {
    pub(super) fn of(options: &RunOptions, place: &Place) -> Option<Self> {
        Some(Self {
            session: Arc::clone(options.session.as_ref()?),
            settings: options.session_settings.clone(),
            input: options.session_input.clone(),
            journal: Arc::clone(&options.journal),
            path: place.path.clone(),
        })
    }

    /// Reads the conversation so far and writes the new input behind it.
    pub(super) async fn load(self, new: Vec<Item>) -> Result<Loaded, SessionError> {
        let (session, settings) = (Arc::clone(&self.session), self.settings.clone());
        let read = Box::pin(async move { settings.read(&*session).await });
        let read = self.read(0, Effect::SessionRead, read).await?;
        let merged = merge(read.items, new, self.input.as_ref());
        let mut keeper = Keeper {
            version: read.version,
            n_saved: merged.items.len(),
            access: self,
        };
        if !merged.new.is_empty() {
            keeper.append(0, merged.new.clone()).await?;
        }
        Ok(Loaded { merged, keeper })
    }

    /// Takes a saved run's place without looking, because nothing will be done.
    pub(super) fn resume(self, saved: SavedSession) -> Keeper {
        Keeper {
            access: self,
            version: saved.version,
            n_saved: saved.n_saved,
        }
    }

    /// Finds out whether a saved run may go on, and lets no other go on with the same state.
    ///
    /// The items are put in their own place, which changes the version and nothing else: whoever comes second finds another version.
    pub(super) async fn claim(
        self,
        turn: u32,
        saved: SavedSession,
        unsaved: Vec<Item>,
    ) -> Result<Keeper, Claim> {
        let id = self.session.id().to_string();
        if id != saved.id {
            return Err(Claim::Other(saved.id));
        }
        let session = Arc::clone(&self.session);
        let read = Box::pin(async move { session.items(None).await });
        let effect = Effect::ClaimRead(saved.version.clone());
        let read = self
            .read(turn, effect, read)
            .await
            .map_err(Claim::Session)?;
        let mut n_saved = saved.n_saved;
        if read.version != saved.version {
            // A write whose answer was lost has happened all the same if what was to be written is the last that is there.
            if unsaved.is_empty() || !read.items.ends_with(&unsaved) {
                return Err(Claim::Taken(id));
            }
            n_saved += unsaved.len();
        }
        let change = SessionTurn::new(read.items).after(read.version);
        let effect = Effect::ClaimWrite(saved.version);
        let version = match self.write(turn, effect, change).await {
            Ok(version) => version,
            Err(SessionError::Conflict { .. }) => return Err(Claim::Taken(id)),
            Err(error) => return Err(Claim::Session(error)),
        };
        Ok(Keeper {
            access: self,
            version,
            n_saved,
        })
    }

    async fn read(
        &self,
        turn: u32,
        effect: Effect,
        read: SessionRead,
    ) -> Result<SessionItems, SessionError> {
        let read = SessionReadEffect {
            key: EffectKey::new(turn, effect).within(&self.path),
            session: Arc::clone(&self.session),
            effect: read,
        };
        self.journal.session_read(read).await
    }

    async fn write(
        &self,
        turn: u32,
        effect: Effect,
        change: SessionTurn,
    ) -> Result<SessionVersion, SessionError> {
        let write = SessionWriteEffect {
            change: match effect {
                Effect::ClaimWrite(_) => SessionChange::Replace,
                _ => SessionChange::Append,
            },
            key: EffectKey::new(turn, effect).within(&self.path),
            session: Arc::clone(&self.session),
            turn: change,
        };
        self.journal.session_write(write).await
    }
}

/// Why a saved run does not go on.
pub(super) enum Claim {
    /// Someone went on with the session.
    Taken(String),
    /// The state is that of another session.
    Other(String),
    Session(SessionError),
}

impl Keeper {
    /// The part of a history that is not in the session.
    pub(super) fn unsaved<'a>(&self, history: &'a [Item]) -> &'a [Item] {
        history.get(self.n_saved..).unwrap_or_default()
    }

    /// Writes items behind what the run knows to be there.
    pub(super) async fn append(&mut self, turn: u32, items: Vec<Item>) -> Result<(), SessionError> {
        let n_items = items.len();
        let change = SessionTurn::new(items).after(self.version.clone());
        self.version = self
            .access
            .write(turn, Effect::SessionWrite, change)
            .await?;
        if turn > 0 {
            self.n_saved += n_items;
        }
        Ok(())
    }

    pub(super) fn saved(&self, input: &[Item]) -> SavedSession {
        SavedSession {
            id: self.access.session.id().to_string(),
            version: self.version.clone(),
            n_saved: self.n_saved,
            input: input.to_vec(),
        }
    }
}

/// What a run is told when its session cannot be claimed.
pub(super) fn refused(claim: Claim) -> Result<RunFailure, SessionError> {
    match claim {
        Claim::Taken(session) => Ok(RunFailure::AlreadyResumed { session }),
        Claim::Other(id) => Ok(RunFailure::State(crate::agent::StateError::Missing {
            what: format!("the session `{id}`"),
        })),
        Claim::Session(error) => Err(error),
    }
}
