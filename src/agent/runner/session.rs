//! The session of a run as the run knows it: what it has, what it does not have yet, and which change comes next.

use std::sync::Arc;

use super::session_writes::SessionWrites;
use crate::agent::StateError;
use crate::agent::run_state::SavedSession;
use crate::error::RunFailure;
use crate::item::Item;
use crate::journal::Effect;
use crate::session::{
    MergedInput, Session, SessionItems, SessionSettings, SessionTurn, SessionVersion,
};

/// The reading of a session, and the key under which a journal keeps it.
pub(super) struct SessionReadStep {
    pub(super) session: Arc<dyn Session>,
    pub(super) turn: u32,
    pub(super) effect: Effect,
    /// How much is read, and what of it can be sent; a claim looks at all that is there.
    pub(super) settings: Option<SessionSettings>,
}

/// A change of a session, and the key under which a journal keeps it.
pub(super) struct SessionChangeStep {
    pub(super) session: Arc<dyn Session>,
    pub(super) turn: u32,
    pub(super) effect: Effect,
    pub(super) change: SessionTurn,
}

/// The session of a run, and the version of it that the run knows.
pub(super) struct SessionWriter {
    session: Arc<dyn Session>,
    version: SessionVersion,
    /// How many items of the run's history are in the session, or were to begin with.
    n_saved: usize,
    /// The run's own input, until it is written with what comes first: the end of a turn, a pause, or a failure.
    ///
    /// It waits so that of two runs that began at once the one that loses has written nothing. Only a run that a journal continues
    /// writes it at once: what it wrote is remembered by turns, and must be the same however often it is begun.
    waiting_input: Vec<Item>,
    written: SessionWrites,
}

/// A saved run that goes on, as far as it is about its session.
pub(super) struct SessionClaim {
    session: Arc<dyn Session>,
    saved: SavedSession,
    /// What the run has written.
    own: Vec<Item>,
    /// What it added and has not written, its input first if that waits.
    unsaved: Vec<Item>,
}

impl SessionWriter {
    /// Begins behind what the session has; the input of the run waits to be written.
    pub(super) fn begin(
        session: Arc<dyn Session>,
        version: SessionVersion,
        written: SessionWrites,
        merged: &MergedInput,
    ) -> Self {
        Self {
            session,
            version,
            n_saved: merged.items.len(),
            waiting_input: merged.new.clone(),
            written,
        }
    }

    /// Takes a saved run's place without looking, because nothing will be done.
    pub(super) fn unclaimed(session: Arc<dyn Session>, saved: SavedSession) -> Self {
        Self {
            session,
            version: saved.version,
            n_saved: saved.n_saved,
            waiting_input: Vec::new(),
            written: SessionWrites::default(),
        }
    }

    /// The part of a history that is not in the session.
    pub(super) fn unsaved<'a>(&self, history: &'a [Item]) -> &'a [Item] {
        history.get(self.n_saved..).unwrap_or_default()
    }

    pub(super) fn id(&self) -> String {
        self.session.id().to_string()
    }

    /// Whether the session does not have the run's input yet.
    pub(super) const fn has_waiting_input(&self) -> bool {
        !self.waiting_input.is_empty()
    }

    /// Lets the session never have the run's input.
    pub(super) fn drop_input(&mut self) {
        self.waiting_input.clear();
    }

    /// The change that writes items behind what the run knows to be there, and before them its input if that waits.
    pub(super) fn append(&self, turn: u32, added: &[Item]) -> SessionChangeStep {
        // Written under the version that the run knows. If anybody else has written since, the
        // session refuses with a conflict.
        let items = self.waiting_input.iter().chain(added).cloned();
        SessionChangeStep {
            session: Arc::clone(&self.session),
            // Without anything of a turn it is the input alone, which belongs to no turn.
            turn: if added.is_empty() { 0 } else { turn },
            effect: Effect::SessionWrite,
            change: SessionTurn::new(items).after(self.version.clone()),
        }
    }

    /// Notes that [`append`](Self::append) has happened.
    pub(super) fn appended(&mut self, version: SessionVersion, added: Vec<Item>) {
        self.version = version;
        self.n_saved += added.len();
        let mut items = std::mem::take(&mut self.waiting_input);
        items.extend(added);
        self.written.add(items);
    }

    /// Returns the session and what the run has written to it.
    pub(super) fn into_written(self) -> (Arc<dyn Session>, SessionWrites) {
        (self.session, self.written)
    }

    /// What a saved state says of the session.
    pub(super) fn saved(&self, input: &[Item]) -> SavedSession {
        SavedSession {
            id: self.id(),
            version: self.version.clone(),
            n_saved: self.n_saved,
            input: input.to_vec(),
            input_waits: self.has_waiting_input(),
        }
    }
}

impl SessionClaim {
    /// Begins to find out whether a saved run may go on; the parts of its history are its input and what it added.
    pub(super) fn new(
        session: Arc<dyn Session>,
        saved: SavedSession,
        (own, unsaved): (Vec<Item>, &[Item]),
    ) -> Result<Self, RunFailure> {
        if session.id().as_str() != saved.id {
            let what = format!("the session `{}`", saved.id);
            return Err(RunFailure::State(StateError::Missing { what }));
        }
        let waiting: &[Item] = if saved.input_waits { &saved.input } else { &[] };
        Ok(Self {
            unsaved: [waiting, unsaved].concat(),
            session,
            saved,
            own,
        })
    }

    pub(super) fn read(&self, turn: u32) -> SessionReadStep {
        SessionReadStep {
            session: Arc::clone(&self.session),
            turn,
            effect: Effect::ClaimRead(self.saved.version.clone()),
            settings: None,
        }
    }

    /// Looks whether nobody else has changed the session, and puts its items in their own place.
    ///
    /// That changes the version and nothing else: whoever comes second with the same state finds another version.
    pub(super) fn take(
        self,
        turn: u32,
        read: SessionItems,
    ) -> Result<(SessionWriter, SessionChangeStep), RunFailure> {
        let Self {
            session,
            saved,
            mut own,
            unsaved,
        } = self;
        let mut writer = SessionWriter {
            version: read.version.clone(),
            n_saved: saved.n_saved,
            waiting_input: if saved.input_waits {
                saved.input
            } else {
                Vec::new()
            },
            written: SessionWrites::default(),
            session,
        };
        // Somebody has written since the run was saved, or this run has, and the answer to that
        // write was lost.
        if read.version != saved.version {
            // A write whose answer was lost has happened all the same if what was to be written is the last that is there.
            if unsaved.is_empty() || !read.items.ends_with(&unsaved) {
                return Err(writer.taken());
            }
            // The lost write did happen. The input is no part of `n_saved`, which counts it from
            // the beginning.
            writer.n_saved += unsaved.len() - writer.waiting_input.len();
            writer.waiting_input.clear();
            own.extend(unsaved);
        }
        writer.written = SessionWrites::earlier(&read.items, own);
        let change = SessionChangeStep {
            session: Arc::clone(&writer.session),
            turn,
            effect: Effect::ClaimWrite(saved.version),
            change: SessionTurn::new(read.items).after(read.version),
        };
        Ok((writer, change))
    }
}

impl SessionWriter {
    /// Notes that the claim has happened.
    pub(super) fn claimed(&mut self, version: SessionVersion) {
        self.version = version;
    }

    /// Someone went on with the session.
    pub(super) fn taken(&self) -> RunFailure {
        RunFailure::AlreadyResumed { session: self.id() }
    }
}
