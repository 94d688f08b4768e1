//! Sessions in Redis.

mod connection;
mod key;
mod script;
mod failure;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::{
    MAX_ITEMS, Session, SessionError, SessionId, SessionItems, SessionSummary, SessionTurn,
    SessionVersion, Sessions,
};
use crate::future::BoxFuture;
use crate::item::Item;
use crate::secret::Secret;
use crate::trace::time;

use connection::RedisConnection;
use key::Keys;

/// Opens sessions in one Redis database; clones share its one connection.
///
/// A session is a list of items, a version and two times, under keys that begin with a namespace. Every operation is one script, which Redis
/// runs whole or not at all. A connection that broke is made again at the next operation.
///
/// How long Redis keeps what it acknowledged is a setting of Redis: with `appendonly yes` and `appendfsync always` it is on the disk.
/// A URL that begins with `rediss://` means TLS, which trusts what the operating system trusts, or the certificates that `SSL_CERT_FILE`
/// and `SSL_CERT_DIR` name.
#[derive(Clone)]
pub struct RedisSessions {
    namespace: Arc<str>,
    time_to_live: Option<Duration>,
    connection: Arc<RedisConnection>,
}

/// One conversation in Redis; made by [`RedisSessions::session`], and a cheap handle.
///
/// # Cancel safety
///
/// A script that was sent is carried out when its future is dropped; one that waits for the connection is not.
#[derive(Clone)]
pub struct RedisSession {
    id: SessionId,
    keys: Keys,
    time_to_live: Option<Duration>,
    connection: Arc<RedisConnection>,
}

impl RedisSessions {
    /// Connects; the URL is as in `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Refused`] when the URL is none, [`SessionError::Unavailable`] when nobody answers or
    /// the certificate is not trusted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn connect(url: &Secret) -> Result<Self, SessionError> {
        let connection = RedisConnection::new(url)?;
        connection.reach().await?;
        Ok(Self {
            namespace: Arc::from("openai-agents"),
            time_to_live: None,
            connection: Arc::new(connection),
        })
    }

    /// Keeps sessions apart from those of other namespaces; by default it is `openai-agents`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<str>) -> Self {
        self.namespace = Arc::from(namespace.as_ref());
        self
    }

    /// Has Redis forget a session that nobody has changed for so long; without it, sessions stay.
    ///
    /// Each change begins the time anew, reading does not. A run that comes back to a session that was forgotten meanwhile ends with
    /// `session_conflict`. Less than a millisecond counts as one.
    #[must_use]
    pub const fn time_to_live(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }

    /// Gives the session of an id; nothing is stored before something is appended.
    pub fn session(&self, id: SessionId) -> RedisSession {
        RedisSession {
            keys: Keys::new(&self.namespace, &id),
            id,
            time_to_live: self.time_to_live,
            connection: Arc::clone(&self.connection),
        }
    }

    /// Lists the sessions of the namespace, the one that was written to last first.
    ///
    /// Redis has no index of them: all keys of the database are looked at, a thousand at a time, so that it serves others in between. A
    /// session that was last written to by a version of this library that noted no times comes last.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn list(&self, limit: Option<usize>) -> Result<Vec<SessionSummary>, SessionError> {
        let pattern = Keys::versions(&self.namespace);
        let mut cursor = "0".to_owned();
        // A scan may find a session twice.
        let mut found = BTreeMap::new();
        loop {
            let mut scan = script::LIST.prepare_invoke();
            scan.arg(cursor).arg(&pattern);
            let (next, sessions): (String, Vec<FoundSession>) = self.connection.run(&scan).await?;
            for (version, n_items, created, updated) in sessions {
                if let Some(id) = Keys::session_of(&self.namespace, &version) {
                    let updated: u64 = updated.parse().unwrap_or_default();
                    found.insert(id, (updated, n_items, created));
                }
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, (updated, ..))| std::cmp::Reverse(*updated));
        found.truncate(limit.unwrap_or(usize::MAX));
        let summary = |(id, (updated, n_items, created)): (_, (u64, u64, String))| SessionSummary {
            id,
            n_items,
            created_at: second(created.parse().unwrap_or_default()),
            updated_at: second(updated),
        };
        Ok(found.into_iter().map(summary).collect())
    }
}

/// What a scan says of a session: the key of its version, its number of items, when it was first and last changed.
type FoundSession = (String, u64, String, String);

/// The second of a time in microseconds, as the other stores write it; 0 is a time that was not noted.
fn second(micros: u64) -> Option<String> {
    let micros = i64::try_from(micros).ok().filter(|micros| *micros > 0)?;
    let time = time::rfc3339(time::of_micros(micros));
    Some(time.get(..19)?.replace('T', " "))
}

impl Sessions for RedisSessions {
    fn open(&self, id: SessionId) -> Arc<dyn Session> {
        Arc::new(self.session(id))
    }

    fn list(
        &self,
        limit: Option<usize>,
    ) -> BoxFuture<'_, Result<Vec<SessionSummary>, SessionError>> {
        Box::pin(self.list(limit))
    }
}

/// What a script did.
enum ScriptOutcome {
    Done { version: SessionVersion },
    Stale { found: SessionVersion },
}

impl RedisSession {
    async fn read(&self, limit: Option<usize>) -> Result<SessionItems, SessionError> {
        // One more than is handed out shows that there is more.
        let n_items = limit.unwrap_or(usize::MAX).min(MAX_ITEMS + 1);
        let mut script = self.invoke(&script::READ);
        script.arg(n_items);
        let (version, texts): (String, Vec<String>) = self.connection.run(&script).await?;
        if texts.len() > MAX_ITEMS {
            return Err(SessionError::TooManyItems {
                session: self.id.clone(),
                max_items: MAX_ITEMS,
            });
        }
        let n_items = texts.len();
        let items = texts.iter().enumerate().map(|(at, json)| {
            Item::from_json(json).map_err(|error| SessionError::Corrupt {
                session: self.id.clone(),
                row: format!("item {} from the end", n_items - at),
                source: Box::new(error),
            })
        });
        let items = items.collect::<Result<_, _>>()?;
        Ok(SessionItems::new(items, SessionVersion::new(version)))
    }

    async fn change(
        &self,
        script: &Script,
        turn: SessionTurn,
    ) -> Result<SessionVersion, SessionError> {
        let changed = self.attempt(script, &turn.items, turn.after.as_ref());
        match (changed.await?, turn.after) {
            (ScriptOutcome::Done { version }, _) => Ok(version),
            (ScriptOutcome::Stale { found }, expected) => Err(SessionError::Conflict {
                session: self.id.clone(),
                expected: expected.unwrap_or_else(|| found.clone()),
                found,
            }),
        }
    }

    async fn attempt(
        &self,
        script: &Script,
        items: &[Item],
        after: Option<&SessionVersion>,
    ) -> Result<ScriptOutcome, SessionError> {
        // A script is one step in Redis: nobody can write between the look at the version and the
        // change.
        let mut script = self.invoke(script);
        // No version is empty, so that an empty text says that none is asked for.
        script.arg(after.map_or("", SessionVersion::as_str));
        script.arg(key::nonce());
        let millis = |time: Duration| time.as_millis().max(1).to_string();
        script.arg(self.time_to_live.map(millis).unwrap_or_default());
        for item in items {
            script.arg(item.to_json());
        }
        let (is_done, version): (bool, String) = self.connection.run(&script).await?;
        let version = SessionVersion::new(version);
        Ok(if is_done {
            ScriptOutcome::Done { version }
        } else {
            ScriptOutcome::Stale { found: version }
        })
    }

    async fn pop_latest(&self) -> Result<Option<Item>, SessionError> {
        loop {
            // Looked at first: an item that cannot be read is not thrown away by the way.
            let mut read = self.read(Some(1)).await?;
            let Some(item) = read.items.pop() else {
                return Ok(None);
            };
            let popped = self.attempt(&script::POP, &[], Some(&read.version));
            // Otherwise somebody was quicker, and there is another latest item to look at.
            if let ScriptOutcome::Done { .. } = popped.await? {
                return Ok(Some(item));
            }
        }
    }

    fn invoke<'script>(&self, script: &'script Script) -> ScriptInvocation<'script> {
        let mut invocation = script.prepare_invoke();
        let Keys {
            items,
            version,
            times,
        } = &self.keys;
        invocation.key(&**items).key(&**version).key(&**times);
        invocation
    }
}

impl Session for RedisSession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        Box::pin(self.read(limit))
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(self.change(&script::APPEND, turn))
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(self.change(&script::REPLACE, turn))
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        Box::pin(self.pop_latest())
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move {
            let cleared = self.change(&script::CLEAR, SessionTurn::new([])).await;
            cleared.map(drop)
        })
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions")
            .field("namespace", &self.namespace)
            .field("store", &self.connection.store())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSession")
            .field("id", &self.id)
            .field("store", &self.connection.store())
            .finish_non_exhaustive()
    }
}
