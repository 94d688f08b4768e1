//! Redis keeps what a session promises, also when it is killed.

use std::time::Duration;

use openai_agents::session::{RedisSessions, Session, SessionError, SessionId, SessionTurn};
use openai_agents::testing::session_conformance;
use openai_agents::{Item, Secret};

use crate::killed::survives_kills;
use crate::listing::lists_the_latest_first;
use crate::tls::trusts_what_is_named;
use crate::url;

// One test: the server cannot be killed while another uses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis() {
    let sessions = RedisSessions::connect(&url("REDIS_URL")).await.unwrap();
    session_conformance("t/", async |id| sessions.session(id))
        .await
        .unwrap();
    session_conformance("", async |id| {
        let sessions = RedisSessions::connect(&url("REDIS_URL")).await.unwrap();
        sessions.namespace("another: one").session(id)
    })
    .await
    .unwrap();
    lists_the_latest_first(&sessions).await;
    namespaces(&sessions).await;
    forgets_what_nobody_changes(&sessions).await;
    refused().await;
    trusts_what_is_named("redis").await;
    survives_kills("redis", sessions.session(SessionId::new("killed").unwrap())).await;
}

async fn namespaces(sessions: &RedisSessions) {
    let open = |namespace: &str, id: &str| {
        let id = SessionId::new(id).unwrap();
        sessions.clone().namespace(namespace).session(id)
    };
    let (left, right) = (open("a:b", "c"), open("a", "b:c"));
    left.append(SessionTurn::new([Item::user("left")]))
        .await
        .unwrap();
    assert_eq!(right.items(None).await.unwrap().items, []);
    right.clear().await.unwrap();
    assert_eq!(left.items(None).await.unwrap().items, [Item::user("left")]);
    let of = |namespace: &str| sessions.clone().namespace(namespace);
    assert_eq!(of("a").list(None).await.unwrap(), []);
    let listed = of("a:b").list(None).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["c"]);
    left.clear().await.unwrap();
}

async fn forgets_what_nobody_changes(sessions: &RedisSessions) {
    let id = SessionId::new("forgotten").unwrap();
    let lasting = sessions.session(id.clone());
    let brief = sessions.clone().time_to_live(Duration::from_millis(1));
    let turn = SessionTurn::new([Item::user("hi")]);
    let written = brief.session(id).append(turn).await.unwrap();
    while lasting.items(None).await.unwrap().version == written {
        tokio::task::yield_now().await;
    }
    assert_eq!(lasting.items(None).await.unwrap().items, []);
    let late = SessionTurn::new([Item::user("late")]).after(written);
    let error = lasting.append(late).await.unwrap_err();
    assert!(matches!(error, SessionError::Conflict { .. }), "{error:?}");
}

async fn refused() {
    let right = url("REDIS_URL");
    let wrong = Secret::new(right.expose().replace(":loopback-test@", ":wrong-one@"));
    for bad in [wrong, Secret::new("redis://127.0.0.1:1")] {
        let error = RedisSessions::connect(&bad).await.unwrap_err();
        assert!(
            matches!(error, SessionError::Unavailable { .. }),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("wrong-one"), "{error:?}");
    }
}
