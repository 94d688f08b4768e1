//! The connection to Postgres, which is made when it is needed.

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

/// What a statement is about, and its type, which saves asking the server.
pub(super) type QueryParameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How long to wait for an answer to a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay without acknowledgement, as when the other machine is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

pub(super) struct PostgresConnection {
    config: Config,
    store: String,
    security: ConnectionSecurity,
    // Held while a connection is made: those who come meanwhile need it too.
    live: Mutex<Option<Live>>,
}

/// Whether what passes can be read on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionSecurity {
    Tls,
    /// To this machine, or because the URL asks for it.
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
        // What other clients have two words for, the check of the chain and that of the name, is always done here.
        let url = url
            .expose()
            .replace("sslmode=verify-full", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error| {
            let store = "with this URL".to_owned();
            failure::refused(error, &store)
        })?;
        let store = name(&config);
        let is_local = config.get_hosts().iter().all(is_local)
            && config
                .get_hostaddrs()
                .iter()
                .all(std::net::IpAddr::is_loopback);
        let security = match config.get_ssl_mode() {
            SslMode::Disable => ConnectionSecurity::Plain,
            // `prefer`, also what no word means: to another machine it would go on in the open if somebody on the way refuses TLS.
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

    /// Makes sure that the server is there. Boxed, so that the driver is compiled here and not by whoever polls this.
    pub(super) fn reach(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { self.client().await.map(drop) })
    }

    /// Gives the connection, and makes one if there is none or the last one broke.
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
        if matches!(error, SessionError::Interrupted { .. }) {
            self.forget(&client).await;
        }
        Err(error)
    }

    /// Gives up a connection that broke: a server that ends says so before it closes, and nothing may be sent on it in between.
    async fn forget(&self, broken: &Arc<Client>) {
        let mut live = self.live.lock().await;
        live.take_if(|live| Arc::ptr_eq(&live.client, broken));
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// The server answered something that no statement asks for.
    pub(super) fn strange(&self) -> SessionError {
        failure::refused("the answer has no rows", &self.store)
    }

    async fn connect(&self) -> Result<Live, SessionError> {
        let live = match self.security {
            ConnectionSecurity::Plain => self.dial(NoTls).await?,
            ConnectionSecurity::Tls => {
                // The name of the protocol is for servers that begin with TLS (`sslnegotiation=direct`).
                let tls = StoreTls::new(&[b"postgresql"]);
                let tls = tls.map_err(|error| failure::unavailable(error, &self.store))?;
                self.dial(PostgresTls(tls)).await?
            }
        };
        let failed = |error| failure::of_answer(error, &self.store);
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
            // How a connection ends is told to the statements that wait for it.
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

/// Where the database is, without user and password.
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
