//! A server that is killed while turns are appended keeps every turn that it acknowledged, and every turn whole.

use openai_agents::Item;
use openai_agents::session::{Session, SessionError, SessionTurn};

use crate::control::control;

const N_ITEMS: usize = 40;
const N_KILLS: usize = 5;

pub(crate) async fn survives_kills<S>(server: &str, session: S)
where
    S: Session + Clone + 'static,
{
    session.clear().await.unwrap();
    let mut n_acknowledged = 0;
    let mut n_turns = 0;
    for round in 0..N_KILLS {
        let n_before_kill = 20 + 7 * round;
        let (begun, ready) = tokio::sync::oneshot::channel();
        let mut begun = Some(begun);
        let writer = session.clone();
        let first = n_turns;
        let writing = tokio::spawn(async move {
            let mut turn = first;
            loop {
                if turn == first + n_before_kill {
                    begun.take().map(|begun| begun.send(()));
                }
                match writer.append(numbered(turn)).await {
                    Ok(_) => turn += 1,
                    Err(error) => return (turn, error),
                }
            }
        });
        ready.await.unwrap();
        let name = server.to_owned();
        tokio::task::spawn_blocking(move || control("kill", &name))
            .await
            .unwrap();
        let (n_done, error) = writing.await.unwrap();
        assert!(
            matches!(
                error,
                SessionError::Interrupted { .. } | SessionError::Unavailable { .. }
            ),
            "{error:?}"
        );
        let error = session.items(None).await.unwrap_err();
        assert!(
            matches!(error, SessionError::Unavailable { .. }),
            "{error:?}"
        );
        n_acknowledged += n_done - first;
        let name = server.to_owned();
        tokio::task::spawn_blocking(move || control("start", &name))
            .await
            .unwrap();
        n_turns = check(&session, n_acknowledged).await;
        // The turn whose answer was lost may be there.
        assert!(
            n_turns - n_acknowledged <= 1,
            "{n_turns} turns, {n_acknowledged} acknowledged"
        );
        n_acknowledged = n_turns;
    }
    session.clear().await.unwrap();
}

fn numbered(turn: usize) -> SessionTurn {
    let item = |n| Item::user(format!("{turn}/{n} {}", "x".repeat(2_000)));
    SessionTurn::new((0..N_ITEMS).map(item))
}

/// Counts the turns, which must be whole and in order.
async fn check(session: &impl Session, n_acknowledged: usize) -> usize {
    let items = session.items(None).await.unwrap().items;
    assert_eq!(
        items.len() % N_ITEMS,
        0,
        "a partial turn: {} items",
        items.len()
    );
    let n_turns = items.len() / N_ITEMS;
    assert!(
        n_turns >= n_acknowledged,
        "{n_turns} turns of {n_acknowledged} acknowledged"
    );
    for (turn, found) in items.chunks(N_ITEMS).enumerate() {
        assert_eq!(found, numbered(turn).items);
    }
    n_turns
}
