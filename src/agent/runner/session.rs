//! The session before and after a turn, never twice.

use std::sync::Arc;

use super::options::RunOptions;
use super::request::RunScope;
use super::session_writes::SessionWrites;
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

/// How often a run that lost its session tries to take out what it wrote; each time it fails, somebody else's change has succeeded.
const MAX_RETRACTIONS: u32 = 100;

/// The session of a run, and the version of it that the run knows.
pub(super) struct SessionWriter {
    access: Access,
    version: SessionVersion,
    /// How many items of the run's history are in the session, or were to begin with.
    n_saved: usize,
    /// The run's own input, until it is written with what comes first: the end of a turn, a pause, or a failure.
    waiting_input: Vec<Item>,
    written: SessionWrites,
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
    pub(super) keeper: SessionWriter,
}

impl Access {
    pub(super) fn of(options: &RunOptions, scope: &RunScope) -> Option<Self> {
        Some(Self {
            session: Arc::clone(options.session.as_ref()?),
            settings: options.session_settings.clone(),
            input: options.session_input.clone(),
            journal: Arc::clone(&options.journal),
            path: scope.path.clone(),
        })
    }

    /// Reads the conversation so far.
    ///
    /// The new input is written later, so that of two runs that began at once the one that loses has written nothing. Only a run that a
    /// journal continues writes it now: what it wrote is remembered by turns, and must be the same however often it is begun.
    pub(super) async fn load(self, new: Vec<Item>) -> Result<Loaded, SessionError> {
        let (session, settings) = (Arc::clone(&self.session), self.settings.clone());
        let read = Box::pin(async move { settings.read(&*session).await });
        let read = self.read(0, Effect::SessionRead, read).await?;
        let written = SessionWrites::behind(&read.items);
        let merged = merge(read.items, new, self.input.as_ref());
        let mut keeper = SessionWriter {
            version: read.version,
            n_saved: merged.items.len(),
            waiting_input: merged.new.clone(),
            written,
            access: self,
        };
        if keeper.access.journal.continues() && keeper.has_waiting_input() {
            keeper.append(0, Vec::new()).await?;
        }
        Ok(Loaded { merged, keeper })
    }

    /// Takes a saved run's place without looking, because nothing will be done.
    pub(super) fn resume(self, saved: SavedSession) -> SessionWriter {
        SessionWriter {
            access: self,
            version: saved.version,
            n_saved: saved.n_saved,
            waiting_input: Vec::new(),
            written: SessionWrites::default(),
        }
    }

    /// Finds out whether a saved run may go on, and lets no other go on with the same state.
    ///
    /// The items are put in their own place, which changes the version and nothing else: whoever comes second finds another version.
    pub(super) async fn claim(
        self,
        turn: u32,
        saved: SavedSession,
        parts: ClaimParts,
    ) -> Result<SessionWriter, Claim> {
        let mut waiting_input = if saved.input_waits {
            saved.input.clone()
        } else {
            Vec::new()
        };
        let unsaved = [waiting_input.as_slice(), &parts.unsaved].concat();
        let mut own = parts.own;
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
            n_saved += parts.unsaved.len();
            waiting_input.clear();
            own.extend(unsaved);
        }
        let written = SessionWrites::earlier(&read.items, own);
        let change = SessionTurn::new(read.items).after(read.version);
        let effect = Effect::ClaimWrite(saved.version);
        let version = match self.write(turn, effect, change).await {
            Ok(version) => version,
            Err(SessionError::Conflict { .. }) => return Err(Claim::Taken(id)),
            Err(error) => return Err(Claim::Session(error)),
        };
        Ok(SessionWriter {
            access: self,
            version,
            n_saved,
            waiting_input,
            written,
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

/// What of a saved run is in its session, and what is not.
pub(super) struct ClaimParts {
    /// What the run has written.
    pub(super) own: Vec<Item>,
    /// What it added and has not written, beside its input.
    pub(super) unsaved: Vec<Item>,
}

/// Why a saved run does not go on.
pub(super) enum Claim {
    /// Someone went on with the session.
    Taken(String),
    /// The state is that of another session.
    Other(String),
    Session(SessionError),
}

impl SessionWriter {
    /// The part of a history that is not in the session.
    pub(super) fn unsaved<'a>(&self, history: &'a [Item]) -> &'a [Item] {
        history.get(self.n_saved..).unwrap_or_default()
    }

    pub(super) fn id(&self) -> String {
        self.access.session.id().to_string()
    }

    /// Whether the session does not have the run's input yet.
    pub(super) const fn has_waiting_input(&self) -> bool {
        !self.waiting_input.is_empty()
    }

    /// Lets the session never have the run's input.
    pub(super) fn drop_input(&mut self) {
        self.waiting_input.clear();
    }

    /// Writes items behind what the run knows to be there, and before them its input if that waits.
    pub(super) async fn append(&mut self, turn: u32, added: Vec<Item>) -> Result<(), SessionError> {
        // Without anything of a turn it is the input alone, which belongs to no turn.
        let turn = if added.is_empty() { 0 } else { turn };
        let n_added = added.len();
        let items = [self.waiting_input.clone(), added].concat();
        let change = SessionTurn::new(items.iter().cloned()).after(self.version.clone());
        self.version = self
            .access
            .write(turn, Effect::SessionWrite, change)
            .await?;
        self.n_saved += n_added;
        self.waiting_input.clear();
        self.written.add(items);
        Ok(())
    }

    /// Takes out of the session what this run has written to it, because another has written since.
    ///
    /// It passes no journal: it depends on nothing but the session, and done twice it does nothing.
    pub(super) async fn retract(&self) -> Result<(), SessionError> {
        let session = &self.access.session;
        let mut n_tries = 0;
        while !self.written.is_empty() {
            let SessionItems { mut items, version } = session.items(None).await?;
            let Some(own) = self.written.find(&items) else {
                break;
            };
            items.drain(own);
            n_tries += 1;
            match session
                .replace(SessionTurn::new(items).after(version))
                .await
            {
                Err(SessionError::Conflict { .. }) if n_tries < MAX_RETRACTIONS => {}
                replaced => return replaced.map(drop),
            }
        }
        Ok(())
    }

    pub(super) fn saved(&self, input: &[Item]) -> SavedSession {
        SavedSession {
            id: self.access.session.id().to_string(),
            version: self.version.clone(),
            n_saved: self.n_saved,
            input: input.to_vec(),
            input_waits: self.has_waiting_input(),
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
