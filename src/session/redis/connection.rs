//! The connection to Redis, which is made when it is needed.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, ScriptInvocation};
use tokio::sync::Mutex;

use super::failure;
use crate::future::BoxFuture;
use crate::secret::Secret;
use crate::session::SessionError;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait for an answer; the client's own half a second is too short for a disk that is busy.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) struct RedisConnection {
    client: Client,
    store: String,
    // Held while a connection is made: those who come meanwhile need it too.
    live: Mutex<Option<MultiplexedConnection>>,
}

impl RedisConnection {
    pub(super) fn new(url: &Secret) -> Result<Self, SessionError> {
        let client =
            Client::open(url.expose()).map_err(|error| failure::of_url(error, "with this URL"))?;
        let settings = client.get_connection_info();
        let (addr, db) = (settings.addr(), settings.redis_settings().db());
        Ok(Self {
            store: format!("redis://{addr}/{db}"),
            client,
            live: Mutex::new(None),
        })
    }

    /// Makes sure that the server is there. Boxed, so that the driver is compiled here and not by whoever polls this.
    pub(super) fn reach(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { self.client().await.map(drop) })
    }

    /// Gives the connection, and makes one if there is none or the last one broke.
    pub(super) async fn client(&self) -> Result<MultiplexedConnection, SessionError> {
        let mut live = self.live.lock().await;
        if let Some(live) = &*live {
            return Ok(live.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let made = made
            .await
            .map_err(|error| failure::of_connect(error, &self.store))?;
        Ok(live.insert(made).clone())
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, SessionError> {
        let mut client = self.client().await?;
        let answer = script.invoke_async(&mut client).await;
        match answer.map_err(|error| failure::of_answer(error, &self.store)) {
            Err(error @ SessionError::Interrupted { .. }) => {
                *self.live.lock().await = None;
                Err(error)
            }
            answer => answer,
        }
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Result<&str, &str>) {
        let made = RedisConnection::new(&Secret::new(url));
        let found = made.map(|connection| connection.store).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        });
        match (&found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            _ => panic!("{url}: {found:?}"),
        }
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }

    #[test]
    fn the_store_is_named_without_its_password() {
        check(
            "redis://a:hunter2@db.example:1234/5",
            Ok("redis://db.example:1234/5"),
        );
        check("redis://:hunter2@127.0.0.1", Ok("redis://127.0.0.1:6379/0"));
        check("rediss://:hunter2@db.example", Err("with this URL refused"));
        check("hunter2", Err("with this URL refused"));
    }
}
