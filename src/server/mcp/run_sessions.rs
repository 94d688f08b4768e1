//! The sessions of the agents behind `ask_<agent>`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::error_chain;
use crate::item::Item;
use crate::server::sessions::{InMemory, ListSessions, OpenSession};
use crate::session::{Session, SessionError, SessionId};

/// The argument that names a session.
pub(super) const ARGUMENT: &str = "session";

/// Where sessions are.
pub(super) enum RunSessions {
    /// Here, the latest of them.
    Memory(InMemory),
    /// Where the application says.
    Given {
        open: Arc<OpenSession>,
        list: Option<Arc<ListSessions>>,
    },
}

impl RunSessions {
    /// Opens the session that a call names, if it names one; says why it cannot.
    pub(super) async fn of_call(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<Option<Arc<dyn Session>>, String> {
        let id = match arguments.get(ARGUMENT) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(id)) => SessionId::new(id),
            Some(_) => return Err(format!("the argument `{ARGUMENT}` must be a text")),
        };
        let id = id.map_err(|error| format!("session: {error}"))?;
        let opened = self.open(id).await;
        opened
            .map(Some)
            .map_err(|error| format!("{}: {}", error.kind(), error_chain(&error)))
    }

    async fn open(&self, id: SessionId) -> Result<Arc<dyn Session>, SessionError> {
        match self {
            Self::Memory(kept) => kept.open(&id),
            Self::Given { open, .. } => open(id).await,
        }
    }

    /// Reads a session; `None` if nobody has written to it, which is the same as that there is none.
    pub(super) async fn read(&self, id: SessionId) -> Result<Option<Vec<Item>>, SessionError> {
        let items = match self {
            Self::Memory(kept) => match kept.find(&id) {
                Some(session) => session.items(None).await?.items,
                None => return Ok(None),
            },
            Self::Given { open, .. } => open(id).await?.items(None).await?.items,
        };
        Ok((!items.is_empty()).then_some(items))
    }

    /// Names those that there are, as far as that can be known.
    pub(super) async fn ids(&self) -> Result<Vec<SessionId>, SessionError> {
        match self {
            Self::Memory(kept) => Ok(kept.ids()),
            Self::Given { list: None, .. } => Ok(Vec::new()),
            Self::Given {
                list: Some(list), ..
            } => list().await,
        }
    }
}
