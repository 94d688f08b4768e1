//! Postgres keeps what a session promises, also when it is killed.

use openai_agents::Secret;
use openai_agents::session::{PostgresSessions, SessionError, SessionId};
use openai_agents::testing::session_conformance;

use crate::killed::survives_kills;
use crate::listing::lists_the_latest_first;
use crate::tls::trusts_what_is_named;
use crate::url;

// One test: the server cannot be killed while another uses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres() {
    at_once().await;
    let sessions = PostgresSessions::connect(&url("POSTGRES_URL"))
        .await
        .unwrap();
    session_conformance("t/", async |id| sessions.session(id))
        .await
        .unwrap();
    session_conformance("", async |id| {
        let sessions = PostgresSessions::connect(&url("POSTGRES_URL")).await;
        sessions.unwrap().session(id)
    })
    .await
    .unwrap();
    lists_the_latest_first(&sessions).await;
    refused().await;
    trusts_what_is_named("postgres").await;
    survives_kills(
        "postgres",
        sessions.session(SessionId::new("killed").unwrap()),
    )
    .await;
}

/// All find no tables and make them.
async fn at_once() {
    let starts = (0..20).map(|_| {
        tokio::spawn(async {
            PostgresSessions::connect(&url("POSTGRES_URL"))
                .await
                .map(drop)
        })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

async fn refused() {
    let right = url("POSTGRES_URL");
    let wrong = Secret::new(right.expose().replace(":loopback-test@", ":wrong@"));
    let error = PostgresSessions::connect(&wrong).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    let nobody = Secret::new("postgres://a:b@127.0.0.1:1/c");
    let error = PostgresSessions::connect(&nobody).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Unavailable { .. }),
        "{error:?}"
    );
}
