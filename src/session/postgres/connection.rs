//! The one connection to Postgres, opened when it is first needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, Socket};

use super::tls::PostgresTls;
use super::{failure, statement};
use crate::future::BoxFuture;
use crate::secret::Secret;
use crate::session::SessionError;
use crate::session::tls::StoreTls;

/// A parameter of a statement with its Postgres type. Naming the type saves a round trip: the
/// server need not be asked for it first.
pub(super) type QueryParameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How long one attempt to connect may take, unless the URL sets `connect_timeout`.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged before the connection counts as broken.
///
/// Without it a statement waits as long as the operating system retries, often a quarter of an
/// hour, when the other machine has vanished without closing the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

pub(super) struct PostgresConnection {
    config: Config,
    store: String,
    security: ConnectionSecurity,
    // Locked for as long as connecting takes: callers that arrive meanwhile need the same connection
    // and would otherwise each open one.
    live: Mutex<Option<Live>>,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionSecurity {
    Tls,
    /// Not encrypted: the server is on this machine, or the URL says `sslmode=disable`.
    Plain,
}

struct Live {
    client: Arc<Client>,
    driver: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl PostgresConnection {
    pub(super) fn new(url: &Secret) -> Result<Self, SessionError> {
        // tokio-postgres does not know `verify-full`. It asks for what `require` already does here: the
        // certificate's chain and its host name are always checked.
        let url = url
            .expose()
            .replace("sslmode=verify-full", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error| {
            let store = "with this URL".to_owned();
            failure::refused(error, &store)
        })?;
        let store = name(&config);
        // `hostaddr` is where libpq really connects to, whatever `host` says, so both must be
        // local.
        let is_local = config.get_hosts().iter().all(is_local)
            && config
                .get_hostaddrs()
                .iter()
                .all(std::net::IpAddr::is_loopback);
        let security = match config.get_ssl_mode() {
            SslMode::Disable => ConnectionSecurity::Plain,
            // `prefer` is also the default. It falls back to plain text when TLS is refused, which anybody
            // between the two machines can bring about. So only a server on this machine gets it.
            SslMode::Prefer if is_local => ConnectionSecurity::Plain,
            _ => ConnectionSecurity::Tls,
        };
        config.ssl_mode(match security {
            ConnectionSecurity::Plain => SslMode::Disable,
            ConnectionSecurity::Tls => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        Ok(Self {
            config,
            store,
            security,
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
    pub(super) async fn client(&self) -> Result<Arc<Client>, SessionError> {
        let mut live = self.live.lock().await;
        if let Some(live) = &*live
            && !live.client.is_closed()
        {
            return Ok(Arc::clone(&live.client));
        }
        let made = self.connect().await?;
        let client = Arc::clone(&made.client);
        *live = Some(made);
        Ok(client)
    }

    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[QueryParameter<'_>],
    ) -> Result<Vec<Row>, SessionError> {
        let client = self.client().await?;
        let rows = client.query_typed(sql, parameters).await;
        let error = match rows {
            Ok(rows) => return Ok(rows),
            Err(error) => failure::of_answer(error, &self.store),
        };
        // The statement is not repeated: whether it was carried out is unknown, and the caller
        // decides.
        if matches!(error, SessionError::Interrupted { .. }) {
            self.forget(&client).await;
        }
        Err(error)
    }

    /// Drops a broken connection, so that the next statement opens a new one.
    ///
    /// A server that shuts down says so before it closes the connection. Until then `is_closed` is
    /// false, and a statement sent in between would fail.
    async fn forget(&self, broken: &Arc<Client>) {
        let mut live = self.live.lock().await;
        // Another task may have replaced it already; a connection that works must stay.
        live.take_if(|live| Arc::ptr_eq(&live.client, broken));
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// The error for an answer without rows: every statement here returns at least one.
    pub(super) fn strange(&self) -> SessionError {
        failure::refused("the answer has no rows", &self.store)
    }

    async fn connect(&self) -> Result<Live, SessionError> {
        let live = match self.security {
            ConnectionSecurity::Plain => self.dial(NoTls).await?,
            ConnectionSecurity::Tls => {
                // ALPN: a server that starts with TLS at once (`sslnegotiation=direct`) insists on this name.
                let tls = StoreTls::new(&[b"postgresql"]);
                let tls = tls.map_err(|error| failure::unavailable(error, &self.store))?;
                self.dial(PostgresTls(tls)).await?
            }
        };
        let failed = |error| failure::of_answer(error, &self.store);
        // Asked first, because a user without the right to create tables may still use those that
        // exist.
        let has_tables = live.client.query_typed(statement::HAS_TABLES, &[]).await;
        let has_tables = has_tables.map_err(failed)?;
        if !matches!(has_tables.first().map(|row| row.try_get(0)), Some(Ok(true))) {
            live.client
                .batch_execute(statement::TABLES)
                .await
                .map_err(failed)?;
        }
        Ok(live)
    }

    async fn dial<T>(&self, tls: T) -> Result<Live, SessionError>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static, TlsConnect: Send> + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let connected = self.config.connect(tls).await;
        let (client, connection) =
            connected.map_err(|error| failure::unavailable(error, &self.store))?;
        let driver = tokio::spawn(async move {
            // The error is not lost: every statement that waits on the connection gets it.
            drop(connection.await);
        });
        Ok(Live {
            client: Arc::new(client),
            driver,
        })
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// The address of the database for messages, without user and password.
fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{host}:{port}/{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    use ConnectionSecurity::{Plain, Tls};

    #[track_caller]
    fn check(url: &str, expect: Result<(&str, ConnectionSecurity), &str>) {
        let made = PostgresConnection::new(&Secret::new(url));
        let found = made.map(|made| (made.store, made.security));
        let found = found.map_err(|error| crate::error_chain::error_chain(&error));
        match (&found, expect) {
            (Ok((store, security)), Ok(expect)) => {
                assert_eq!((store.as_str(), *security), expect);
            }
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            _ => panic!("{url}: {found:?}"),
        }
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }

    #[test]
    fn url_to_another_machine_means_tls_unless_it_says_none() {
        let here = "postgres://127.0.0.1:1234/b";
        let there = "postgres://db.example:5432/b";
        check("postgres://a:hunter2@127.0.0.1:1234/b", Ok((here, Plain)));
        check(
            "postgres://a:hunter2@localhost/b",
            Ok(("postgres://localhost:5432/b", Plain)),
        );
        check(
            "postgres://a:hunter2@127.0.0.1:1234/b?sslmode=require",
            Ok((here, Tls)),
        );
        for (mode, expect) in [
            ("", Tls),
            ("?sslmode=prefer", Tls),
            ("?sslmode=require", Tls),
            ("?sslmode=verify-full", Tls),
            ("?sslmode=disable", Plain),
        ] {
            check(
                &format!("postgres://a:hunter2@db.example/b{mode}"),
                Ok((there, expect)),
            );
        }
        check(
            "host=127.0.0.1 hostaddr=10.1.1.1 password=hunter2",
            Ok(("postgres://127.0.0.1:5432/", Tls)),
        );
        check(
            "postgres://a:hunter2@127.0.0.1/b?nonsense=1",
            Err("with this URL refused"),
        );
        check("nonsense hunter2", Err("with this URL refused"));
    }
}
