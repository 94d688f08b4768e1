//! Opens the session store that `sessions.url` names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use openai_agents::ErrorKind;
use openai_agents::config::{Config, SessionStore};
#[cfg(feature = "postgres")]
use openai_agents::session::PostgresSessions;
#[cfg(feature = "redis")]
use openai_agents::session::RedisSessions;
use openai_agents::session::{
    EncryptedSession, Session, SessionError, SessionId, SessionKey, SessionKeys, SessionSummary,
    Sessions, SqliteSession, SqliteSessions,
};

use crate::failure::{Unusable, Usage};
use crate::private_folder;

/// The id of the encryption key of the configuration, as it is in stored items.
const KEY_ID: &str = "config";

/// An open store of sessions.
pub(crate) struct Store {
    backend: Backend,
    keys: Option<SessionKeys>,
    /// The name for messages, without a password.
    name: String,
}

enum Backend {
    Sqlite(SqliteSessions),
    Server(Box<dyn Sessions>),
}

impl Store {
    /// Opens the store, and creates what is missing.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        let store = named(config)?;
        if let SessionStore::Sqlite { path, is_default } = store
            && *is_default
            && let Some(folder) = path.parent()
        {
            let unavailable = |source| SessionError::Unavailable {
                store: path.display().to_string(),
                source: Box::new(source),
            };
            private_folder::create(folder).map_err(unavailable)?;
        }
        let backend = match store {
            SessionStore::Sqlite { path, .. } => Backend::Sqlite(SqliteSessions::open(path).await?),
            other => Backend::Server(on_server(other).await?),
        };
        Self::new(config, backend, store)
    }

    /// Opens the store without changing it; `None` if it is a file that does not exist.
    pub(crate) async fn open_to_read(config: &Config) -> Result<Option<Self>> {
        let store = named(config)?;
        let backend = match store {
            SessionStore::Sqlite { path, .. } if path == Path::new(":memory:") => return Ok(None),
            SessionStore::Sqlite { path, .. } => match path.try_exists() {
                Ok(false) => return Ok(None),
                // Opening the file reports what is wrong with the path.
                Ok(true) | Err(_) => Backend::Sqlite(SqliteSessions::open_read_only(path).await?),
            },
            other => Backend::Server(on_server(other).await?),
        };
        Self::new(config, backend, store).map(Some)
    }

    fn new(config: &Config, backend: Backend, store: &SessionStore) -> Result<Self> {
        let key = config.sessions().encryption_key.as_ref();
        let key = key.map(|secret| SessionKey::new(KEY_ID, secret));
        let key = key.transpose().context("the key of the sessions")?;
        Ok(Self {
            backend,
            keys: key.map(SessionKeys::new),
            name: store.to_string(),
        })
    }

    /// Returns the name for messages, without a password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns a session or a branch of it, decrypted.
    pub(crate) async fn session(
        &self,
        id: &SessionId,
        branch: Option<&str>,
    ) -> Result<Arc<dyn Session>> {
        Ok(self.in_clear(self.stored(id, branch).await?))
    }

    /// Returns the main branch of a session, decrypted.
    pub(crate) fn main(&self, id: &SessionId) -> Arc<dyn Session> {
        self.in_clear(self.stored_main(id))
    }

    /// Returns a session as it is stored: encrypted, if there is a key.
    pub(crate) async fn stored(
        &self,
        id: &SessionId,
        branch: Option<&str>,
    ) -> Result<Arc<dyn Session>> {
        if let Some(branch) = branch {
            let session = self.sqlite("branches")?.session(id.clone());
            return Ok(Arc::new(session.switch(branch).await?));
        }
        Ok(self.stored_main(id))
    }

    fn stored_main(&self, id: &SessionId) -> Arc<dyn Session> {
        self.backend.sessions().open(id.clone())
    }

    fn in_clear(&self, session: Arc<dyn Session>) -> Arc<dyn Session> {
        match &self.keys {
            Some(keys) => Arc::new(EncryptedSession::new(session, keys)),
            None => session,
        }
    }

    /// Lists the sessions, the last written to first.
    pub(crate) async fn list(
        &self,
        limit: Option<usize>,
    ) -> Result<Vec<SessionSummary>, SessionError> {
        self.backend.sessions().list(limit).await
    }

    /// Returns the ids of the sessions that were written to last.
    pub(crate) async fn latest(&self, max: usize) -> Result<Vec<SessionId>, SessionError> {
        let listed = self.list(Some(max)).await?;
        Ok(listed.into_iter().map(|session| session.id).collect())
    }

    /// Returns the SQLite store, for what only SQLite supports.
    pub(crate) fn sqlite(&self, what: &str) -> Result<&SqliteSessions> {
        match &self.backend {
            Backend::Sqlite(sessions) => Ok(sessions),
            Backend::Server(_) => Err(Unusable {
                kind: ErrorKind::Unsupported,
                message: format!("the session store {} does not support {what}; set `sessions.url` to a SQLite file", self.name),
                hint: None,
            }
            .into()),
        }
    }

    /// Returns a branch of a session of SQLite.
    pub(crate) async fn branch(&self, id: &SessionId, branch: &str) -> Result<SqliteSession> {
        let session = self.sqlite("branches")?.session(id.clone());
        Ok(session.switch(branch).await?)
    }
}

impl Backend {
    fn sessions(&self) -> &dyn Sessions {
        match self {
            Self::Sqlite(sessions) => sessions,
            Self::Server(sessions) => sessions.as_ref(),
        }
    }
}

/// Connects to a database server.
#[cfg_attr(
    not(any(feature = "postgres", feature = "redis")),
    expect(clippy::unused_async, reason = "there is none to connect to")
)]
async fn on_server(store: &SessionStore) -> Result<Box<dyn Sessions>> {
    #[cfg(feature = "postgres")]
    if let SessionStore::Postgres { url } = store {
        return Ok(Box::new(PostgresSessions::connect(url).await?));
    }
    #[cfg(feature = "redis")]
    if let SessionStore::Redis { url } = store {
        return Ok(Box::new(RedisSessions::connect(url).await?));
    }
    Err(Usage(not_built(store)).into())
}

fn not_built(store: &SessionStore) -> String {
    let feature = match store {
        SessionStore::Postgres { .. } => "postgres",
        SessionStore::Redis { .. } => "redis",
        other => return format!("{other} is an unknown store"),
    };
    format!(
        "{store} needs a program that is built with its feature `{feature}`; \
        `cargo install --path cli --features full` builds one with all stores"
    )
}

fn named(config: &Config) -> Result<&SessionStore> {
    let store = config.sessions().store.as_ref();
    Ok(store.ok_or_else(|| {
        let file = config.file().display();
        let message = format!(
            "sessions are kept below the home directory, and HOME is not set; set OPENAI_AGENTS__SESSIONS__URL, or `sessions.url` in {file}"
        );
        Usage(message)
    })?)
}
