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

/// Opens sessions in one Redis database; clones share one connection.
///
/// A session is a list of items, a version and two times, under keys that begin with a namespace.
/// Every operation is one script, which Redis runs whole or not at all. A connection that broke is
/// opened again at the next operation.
///
/// How durable an acknowledged change is depends on the settings of Redis: with `appendonly yes`
/// and `appendfsync always` it is on the disk. A URL that begins with `rediss://` means TLS.
/// Trusted are the certificates that the operating system trusts, or those that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name.
#[derive(Clone)]
pub struct RedisSessions {
    namespace: Arc<str>,
    time_to_live: Option<Duration>,
    connection: Arc<RedisConnection>,
}

/// One conversation in Redis, opened by [`RedisSessions::session`]; a cheap handle.
///
/// # Cancel safety
///
/// Dropping the future of an operation does not stop a script that was already sent: Redis runs it.
/// A script that still waits for the connection is never sent.
#[derive(Clone)]
pub struct RedisSession {
    id: SessionId,
    keys: Keys,
    time_to_live: Option<Duration>,
    connection: Arc<RedisConnection>,
}

impl RedisSessions {
    /// Connects; the URL looks like `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Refused`] when the URL is invalid, [`SessionError::Unavailable`] when
    /// nothing answers or the certificate is not trusted.
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

    /// Sets the prefix of all keys, `openai-agents` by default.
    ///
    /// Namespaces do not see each other's sessions.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<str>) -> Self {
        self.namespace = Arc::from(namespace.as_ref());
        self
    }

    /// Lets Redis delete a session that nobody has changed for this long.
    ///
    /// By default sessions stay.
    ///
    /// Each change starts the time anew, reading does not. A run that returns to a session that has
    /// expired meanwhile fails with `session_conflict`. Times below a millisecond count as one.
    #[must_use]
    pub const fn time_to_live(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }

    /// Opens the session with this id; nothing is stored until something is appended.
    pub fn session(&self, id: SessionId) -> RedisSession {
        RedisSession {
            keys: Keys::new(&self.namespace, &id),
            id,
            time_to_live: self.time_to_live,
            connection: Arc::clone(&self.connection),
        }
    }

    /// Lists the sessions of the namespace, most recently written first.
    ///
    /// It lists all of them without a limit.
    ///
    /// Redis has no index of them, so every key of the database is looked at. That happens a
    /// thousand keys at a time, so that Redis can serve others in between. Sessions without a time,
    /// last written by an old version of this library, come last.
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
        // `SCAN` may return a key twice when the database changes meanwhile.
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

/// A session as the scan finds it: its version key, number of items, first and last change.
type FoundSession = (String, u64, String, String);

/// Writes a time in microseconds as the other stores do, to the second; 0 means unknown.
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

/// What a script that changes a session did.
enum ScriptOutcome {
    Done { version: SessionVersion },
    Stale { found: SessionVersion },
}

impl RedisSession {
    async fn read(&self, limit: Option<usize>) -> Result<SessionItems, SessionError> {
        // One more than the maximum is asked for, to tell a session that is too long from a full one.
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
        // Redis runs nothing else during a script, so nobody can write between the look at the version
        // and the change.
        let mut script = self.invoke(script);
        // A version is never empty, so an empty text can mean that any version will do.
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
            // Read before deleting: an item that cannot be read must not be lost without a word.
            let mut read = self.read(Some(1)).await?;
            let Some(item) = read.items.pop() else {
                return Ok(None);
            };
            let popped = self.attempt(&script::POP, &[], Some(&read.version));
            // Otherwise somebody changed the session in between: look at its new latest item.
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
