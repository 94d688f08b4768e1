//! The stores of a race, and what can stand around a session of theirs.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use openai_agents::session::{
    CompactingSession, EncryptedSession, MemorySession, PostgresSessions, RedisSessions, Session,
    SessionId, SessionKey, SessionKeys, SqliteSessions,
};
use openai_agents::{Item, Secret};

use crate::BoxedFailure;

/// What stands around a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    Nothing,
    Encrypted,
    Compacting,
}

/// Where the sessions are.
pub(crate) struct Stores {
    /// By this a process opens the same store.
    name: String,
    store: Store,
}

enum Store {
    Memory(Mutex<HashMap<SessionId, MemorySession>>),
    Sqlite(SqliteSessions),
    Postgres(PostgresSessions),
    Redis(RedisSessions),
}

/// What a compacted history begins with, and then how many items it stands for.
const COMPACTED: &str = "compacted ";

/// Histories of so many items are compacted.
const THRESHOLD: usize = 20;

/// So many of the latest items are left as they are: what runs that are under way have written.
const N_KEPT: usize = 8;

/// How many items a message of the compactor stands for.
pub(crate) fn n_compacted(text: &str) -> Option<usize> {
    text.strip_prefix(COMPACTED)?.parse().ok()
}

impl Stores {
    /// Opens a store by its name, or the SQLite file of this path.
    pub(crate) async fn open(name: &str) -> Result<Self, BoxedFailure> {
        let mut name = name.to_owned();
        let url = |variable: &str| -> Result<Secret, BoxedFailure> {
            let url = env::var(variable)
                .map_err(|_| format!("{variable} is not set; `scripts/databases run` sets it"))?;
            Ok(Secret::from(url))
        };
        let store = match name.as_str() {
            "memory" => Store::Memory(Mutex::default()),
            "postgres" => Store::Postgres(PostgresSessions::connect(&url("POSTGRES_URL")?).await?),
            "redis" => Store::Redis(RedisSessions::connect(&url("REDIS_URL")?).await?),
            "sqlite" => {
                let file = format!("session-races-{}.db", std::process::id());
                let path: PathBuf = env::temp_dir().join(file);
                name = path.to_string_lossy().into_owned();
                Store::Sqlite(SqliteSessions::open(path).await?)
            }
            path => Store::Sqlite(SqliteSessions::open(path).await?),
        };
        Ok(Self { name, store })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_shared_by_processes(&self) -> bool {
        !matches!(self.store, Store::Memory(_))
    }

    pub(crate) fn session(
        &self,
        id: &SessionId,
        wrap: Wrap,
    ) -> Result<Arc<dyn Session>, BoxedFailure> {
        let session: Arc<dyn Session> = match &self.store {
            Store::Memory(sessions) => {
                let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
                let session = sessions.entry(id.clone());
                Arc::new(
                    session
                        .or_insert_with(|| MemorySession::new(id.clone()))
                        .clone(),
                )
            }
            Store::Sqlite(sessions) => Arc::new(sessions.session(id.clone())),
            Store::Postgres(sessions) => Arc::new(sessions.session(id.clone())),
            Store::Redis(sessions) => Arc::new(sessions.session(id.clone())),
        };
        Ok(match wrap {
            Wrap::Nothing => session,
            Wrap::Encrypted => {
                let secret = Secret::from("a key of a race that nobody else has".to_owned());
                let keys = SessionKeys::new(SessionKey::new("k", &secret)?);
                Arc::new(EncryptedSession::new(session, &keys))
            }
            Wrap::Compacting => {
                let session = CompactingSession::new(session, THRESHOLD, shorten);
                Arc::new(session.keep(N_KEPT))
            }
        })
    }
}

async fn shorten(items: Vec<Item>) -> Result<Vec<Item>, Box<dyn std::error::Error + Send + Sync>> {
    let n_items = |item: &Item| match item.kind() {
        openai_agents::item::ItemKind::Message(message) => {
            n_compacted(&message.text("")).unwrap_or(1)
        }
        _ => 1,
    };
    let n_items: usize = items.iter().map(n_items).sum();
    Ok(vec![Item::user(format!("{COMPACTED}{n_items}"))])
}

impl Drop for Stores {
    /// The file that this process has made goes with it.
    fn drop(&mut self) {
        let own = format!("session-races-{}.db", std::process::id());
        if self.name.ends_with(&own) {
            for end in ["", "-wal", "-shm"] {
                // What is not there need not go.
                let _gone = std::fs::remove_file(format!("{}{end}", self.name));
            }
        }
    }
}

impl Wrap {
    /// What a session has before the race, so that there is something to compact.
    pub(crate) fn earlier(self) -> Vec<Item> {
        match self {
            Self::Nothing | Self::Encrypted => Vec::new(),
            Self::Compacting => (0..THRESHOLD / 2)
                .flat_map(|_| [Item::user("earlier"), Item::assistant("earlier")])
                .collect(),
        }
    }
}

impl FromStr for Wrap {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "nothing" => Ok(Self::Nothing),
            "encrypted" => Ok(Self::Encrypted),
            "compacting" => Ok(Self::Compacting),
            other => Err(format!(
                "{other:?} is no wrapper: nothing, encrypted, compacting"
            )),
        }
    }
}

impl fmt::Display for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Encrypted => "encrypted",
            Self::Compacting => "compacting",
        })
    }
}
