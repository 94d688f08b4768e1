//! TLS to a server: with the certificate that is trusted, and with one that is not.
//!
//! What is trusted is read from the environment, which a test does not change: each case is `tls_case` in a process of its own. The
//! servers' own tests begin it, since they know when nobody kills them.

use std::env;
use std::process::Command;

use openai_agents::error::error_chain;
use openai_agents::session::{
    PostgresSessions, RedisSessions, Session, SessionError, SessionId, SessionTurn,
};
use openai_agents::{Item, Secret};

use crate::{url, variable};

/// Says which server is meant, in the processes that have a case.
const SERVER: &str = "DATABASES_TLS_SERVER";

/// Checks that a server is reached over TLS where its certificate is trusted, and not reached otherwise.
pub(crate) async fn trusts_what_is_named(server: &'static str) {
    let checked = tokio::task::spawn_blocking(move || {
        let certificate = variable("DATABASES_CERTIFICATE");
        for trusted in [Some(certificate), None] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "tls::tls_case"]);
            command.env(SERVER, server);
            for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
                command.env_remove(name);
            }
            if let Some(path) = &trusted {
                command.env("SSL_CERT_FILE", path);
            }
            let output = command.output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            // A filter that finds no test succeeds, too.
            let was_run = told.contains("1 passed");
            assert!(output.status.success() && was_run, "{server}: {told}");
        }
    });
    checked.await.unwrap();
}

/// Has nothing to do but in the processes of [`trusts_what_is_named`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_case() {
    let Ok(server) = env::var(SERVER) else {
        return;
    };
    let trusted = env::var_os("SSL_CERT_FILE").is_some();
    let url = match server.as_str() {
        "postgres" => Secret::new(format!("{}?sslmode=require", url("POSTGRES_URL").expose())),
        _ => url("REDIS_TLS_URL"),
    };
    if trusted {
        connect(&server, &url).await.unwrap();
        // The certificate is for the address, not for the name.
        let by_name = Secret::new(url.expose().replace("127.0.0.1", "localhost"));
        assert_untrusted(connect(&server, &by_name).await, "it is for other names");
    } else {
        assert_untrusted(connect(&server, &url).await, "it is self-signed");
    }
}

/// Connects, and writes and reads more than fits into one record of TLS.
async fn connect(server: &str, url: &Secret) -> Result<(), SessionError> {
    let id = SessionId::new("over TLS").unwrap();
    match server {
        "postgres" => keeps_items(&PostgresSessions::connect(url).await?.session(id)).await,
        _ => keeps_items(&RedisSessions::connect(url).await?.session(id)).await,
    }
}

async fn keeps_items(session: &impl Session) -> Result<(), SessionError> {
    session.clear().await?;
    let items = [Item::user("x".repeat(1_000_000)), Item::assistant("y")];
    session.append(SessionTurn::new(items.clone())).await?;
    assert_eq!(session.items(None).await?.items, items);
    session.clear().await
}

#[track_caller]
fn assert_untrusted(connected: Result<(), SessionError>, expected: &str) {
    let error = connected.unwrap_err();
    assert!(
        matches!(error, SessionError::Unavailable { .. }),
        "{error:?}"
    );
    let chain = error_chain(&error);
    assert!(
        chain.contains("cannot be trusted: ") && chain.contains(expected),
        "{chain}"
    );
    assert!(!chain.contains("loopback-test"), "{chain}");
}
