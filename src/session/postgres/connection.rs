//! The connection to Postgres, which is made when it is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{failure, statement};
use crate::future::BoxFuture;
use crate::secret::Secret;
use crate::session::SessionError;

/// What a statement is about, and its type, which saves asking the server.
pub(super) type QueryParameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How long to wait for an answer to a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay without acknowledgement, as when the other machine is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

pub(super) struct PostgresConnection {
    config: Config,
    store: String,
    // Held while a connection is made: those who come meanwhile need it too.
    live: Mutex<Option<Live>>,
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
        let mut config: Config = url.expose().parse().map_err(|error| {
            let store = "with this URL".to_owned();
            failure::refused(error, &store)
        })?;
        let store = name(&config);
        let is_local = config.get_hosts().iter().all(is_local)
            && config
                .get_hostaddrs()
                .iter()
                .all(std::net::IpAddr::is_loopback);
        if config.get_ssl_mode() == SslMode::Require
            || (!is_local && config.get_ssl_mode() != SslMode::Disable)
        {
            return Err(failure::refused(
                "TLS is not supported; `sslmode=disable` in the URL says that none is wanted",
                &store,
            ));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        Ok(Self {
            config,
            store,
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
        let unavailable = |error| failure::of_connect(error, &self.store);
        let (client, connection) = self.config.connect(NoTls).await.map_err(unavailable)?;
        let driver = tokio::spawn(async move {
            // How a connection ends is told to the statements that wait for it.
            drop(connection.await);
        });
        let live = Live {
            client: Arc::new(client),
            driver,
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

    #[track_caller]
    fn check(url: &str, expect: Result<&str, &str>) {
        let made = PostgresConnection::new(&Secret::new(url));
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
    fn without_tls_a_server_elsewhere_must_be_asked_for() {
        check(
            "postgres://a:hunter2@127.0.0.1:1234/b",
            Ok("postgres://127.0.0.1:1234/b"),
        );
        check(
            "postgres://a:hunter2@localhost/b",
            Ok("postgres://localhost:5432/b"),
        );
        check(
            "postgres://a:hunter2@db.example/b",
            Err("TLS is not supported"),
        );
        check(
            "postgres://a:hunter2@127.0.0.1/b?sslmode=require",
            Err("TLS is not supported"),
        );
        check(
            "postgres://a:hunter2@db.example/b?sslmode=disable",
            Ok("postgres://db.example:5432/b"),
        );
        check(
            "host=127.0.0.1 hostaddr=10.1.1.1 password=hunter2",
            Err("TLS is not supported"),
        );
        check(
            "postgres://a:hunter2@127.0.0.1/b?nonsense=1",
            Err("with this URL refused"),
        );
        check("nonsense hunter2", Err("with this URL refused"));
    }
}
