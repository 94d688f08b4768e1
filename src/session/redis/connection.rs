//! The one connection to Redis, opened when it is first needed.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, ScriptInvocation};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::failure;
use crate::future::BoxFuture;
use crate::secret::Secret;
use crate::session::tls::StoreTls;
use crate::session::{SessionCause, SessionError};

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait for an answer. The client's default of half a second is too short for a server
/// that waits for its disk.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) struct RedisConnection {
    client: Client,
    store: String,
    /// Host and port to open TLS to, if the URL asks for TLS.
    tls_target: Option<TlsTarget>,
    // Locked for as long as connecting takes: callers that arrive meanwhile need the same connection
    // and would otherwise each open one.
    live: Mutex<Option<LiveConnection>>,
}

struct TlsTarget {
    host: String,
    port: u16,
}

/// A connection with the task that drives it. Without TLS the client spawns that task itself.
struct LiveConnection {
    connection: MultiplexedConnection,
    driver: Option<JoinHandle<()>>,
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl RedisConnection {
    pub(super) fn new(url: &Secret) -> Result<Self, SessionError> {
        let url = url.expose();
        // The client's own TLS would trust other certificates than the rest of this library does. So
        // TLS is opened here, and the client is given the URL as one without it.
        let over_tls = ["rediss://", "valkeys://"];
        let over_tls = over_tls.iter().find_map(|scheme| url.strip_prefix(scheme));
        if over_tls.is_some_and(|rest| rest.contains('#')) {
            return Err(failure::of_url(
                "a certificate is always checked: remove `#insecure` from the URL",
            ));
        }
        let client = match over_tls {
            Some(rest) => Client::open(format!("redis://{rest}")),
            None => Client::open(url),
        };
        let client = client.map_err(failure::of_url)?;
        let settings = client.get_connection_info();
        let (addr, db) = (settings.addr(), settings.redis_settings().db());
        let (scheme, tls_target) = match (over_tls, addr) {
            (Some(_), ConnectionAddr::Tcp(host, port)) => (
                "rediss",
                Some(TlsTarget {
                    host: host.clone(),
                    port: *port,
                }),
            ),
            _ => ("redis", None),
        };
        Ok(Self {
            store: format!("{scheme}://{addr}/{db}"),
            tls_target,
            client,
            live: Mutex::new(None),
        })
    }

    /// Connects unless there is a connection already.
    ///
    /// Boxed, so that the client's large future is compiled here and not in every crate that awaits
    /// it.
    pub(super) fn reach(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { self.client().await.map(drop) })
    }

    /// Returns the live connection, and opens one if there is none or the last one broke.
    pub(super) async fn client(&self) -> Result<MultiplexedConnection, SessionError> {
        let mut live = self.live.lock().await;
        if let Some(live) = &*live {
            return Ok(live.connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let made = if let Some(target) = &self.tls_target {
            self.connect_over_tls(target, config).await?
        } else {
            let made = self
                .client
                .get_multiplexed_async_connection_with_config(&config);
            let made = made.await;
            LiveConnection {
                connection: made.map_err(|error| failure::unavailable(error, &self.store))?,
                driver: None,
            }
        };
        Ok(live.insert(made).connection.clone())
    }

    async fn connect_over_tls(
        &self,
        target: &TlsTarget,
        config: AsyncConnectionConfig,
    ) -> Result<LiveConnection, SessionError> {
        let unavailable = |cause: SessionCause| failure::unavailable(cause, &self.store);
        let tls = StoreTls::new(&[]).map_err(|error| unavailable(error.into()))?;
        let connecting = async {
            let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
            // A script is one small write whose answer is awaited: Nagle's algorithm would only
            // delay it.
            stream.set_nodelay(true)?;
            let stream = tls.connect(&target.host, stream).await?;
            let settings = self.client.get_connection_info().redis_settings();
            let made = MultiplexedConnection::new_with_config(settings, stream, config).await?;
            Ok::<_, SessionCause>(made)
        };
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let connected = connected.map_err(|elapsed| unavailable(elapsed.into()))?;
        let (connection, driver) = connected.map_err(unavailable)?;
        Ok(LiveConnection {
            connection,
            driver: Some(tokio::spawn(driver)),
        })
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, SessionError> {
        let mut client = self.client().await?;
        let answer = script.invoke_async(&mut client).await;
        match answer.map_err(|error| failure::of_answer(error, &self.store)) {
            Err(error @ SessionError::Interrupted { .. }) => {
                // The next operation connects anew. This one is not repeated: whether Redis ran the
                // script is unknown, and the caller decides.
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
        let found = made
            .map(|connection| connection.store)
            .map_err(|error| crate::error_chain::error_chain(&error));
        match (&found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            _ => panic!("{url}: {found:?}"),
        }
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }

    #[test]
    fn store_of_a_url_is_named_without_its_password() {
        check(
            "redis://a:hunter2@db.example:1234/5",
            Ok("redis://db.example:1234/5"),
        );
        check("redis://:hunter2@127.0.0.1", Ok("redis://127.0.0.1:6379/0"));
        check(
            "rediss://a:hunter2@db.example:1234/5",
            Ok("rediss://db.example:1234/5"),
        );
        check(
            "valkeys://:hunter2@db.example",
            Ok("rediss://db.example:6379/0"),
        );
        check(
            "rediss://:hunter2@db.example/#insecure",
            Err("with this URL refused: a certificate is always checked"),
        );
        check("hunter2", Err("with this URL refused"));
    }
}
