//! Sessions of a test, by their ids.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::session::SessionId;

/// Gives the same session for the same id, for back ends that know no others.
pub struct SessionShelf<S> {
    make: Box<dyn Fn(SessionId) -> S + Send + Sync>,
    sessions: Mutex<HashMap<SessionId, S>>,
}

impl<S: Clone> SessionShelf<S> {
    /// Makes an empty shelf; `make` makes a session that is not there yet.
    pub fn new(make: impl Fn(SessionId) -> S + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            sessions: Mutex::default(),
        }
    }

    /// Returns a clone of the session of the id.
    pub fn open(&self, id: SessionId) -> S {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions
            .entry(id.clone())
            .or_insert_with(|| (self.make)(id));
        session.clone()
    }
}

impl<S> fmt::Debug for SessionShelf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionShelf").finish_non_exhaustive()
    }
}
