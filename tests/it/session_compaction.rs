//! A history that has become long is made shorter, or stays as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::Item;
use openai_agents::session::{
    CompactingSession, MemorySession, Session, SessionError, SessionId, SessionTurn,
    SummaryCompactor,
};
use openai_agents::testing::{ScriptedModel, ScriptedTurn, SessionShelf, session_conformance};

use crate::support::call;

fn store() -> MemorySession {
    MemorySession::new(SessionId::new("s").unwrap())
}

fn turn(n: usize) -> SessionTurn {
    SessionTurn::new([
        Item::user(format!("q{n}")),
        Item::assistant(format!("a{n}")),
    ])
}

#[tokio::test]
async fn a_session_that_never_compacts_conforms() {
    let shelf = SessionShelf::new(MemorySession::new);
    let never = async |_: Vec<Item>| Err("it was asked".into());
    session_conformance("t/", async |id| {
        CompactingSession::new(shelf.open(id), usize::MAX, never)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_summary_of_the_model_takes_the_place_of_what_is_old() {
    let model = ScriptedModel::new([ScriptedTurn::text("They count."), ScriptedTurn::text("")]);
    let store = store();
    let session =
        CompactingSession::new(store.clone(), 6, SummaryCompactor::new(model.clone())).keep(2);
    for n in 0..4 {
        session.append(turn(n)).await.unwrap();
    }
    let mut expected = vec![Item::user(
        "The conversation so far, in summary:\n\nThey count.",
    )];
    expected.extend((2..4).flat_map(|n| turn(n).items));
    assert_eq!(store.items(None).await.unwrap().items, expected);
    let request = &model.requests()[0];
    let transcript = "user: q0\nassistant: a0\nuser: q1\nassistant: a1\n";
    assert_eq!(request.items[..], [Item::user(transcript)]);
    assert!(request.instructions.is_some());
    // A summary without a word is none, and then nothing has changed.
    session.append(turn(4)).await.unwrap();
    let before = store.items(None).await.unwrap();
    let error = session.append(turn(5)).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Compaction { .. }),
        "{error:?}"
    );
    assert_eq!(store.items(None).await.unwrap(), before);
    // Nor when the model fails.
    let error = session.append(turn(5)).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Compaction { .. }),
        "{error:?}"
    );
    assert_eq!(store.items(None).await.unwrap(), before);
}

#[tokio::test]
async fn compaction_that_is_not_shorter_is_refused() {
    let same = async |items: Vec<Item>| Ok(items);
    let session = CompactingSession::new(store(), 2, same);
    session.append(turn(0)).await.unwrap();
    let error = session.append(turn(1)).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Compaction { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_call_that_waits_for_its_output_is_waited_for() {
    let forget = async |_: Vec<Item>| Ok(Vec::new());
    let store = store();
    let session = CompactingSession::new(store.clone(), 2, forget);
    let open = SessionTurn::new([Item::user("q"), call("c", "f", "{}")]);
    session.append(open).await.unwrap();
    session
        .append(SessionTurn::new([crate::support::output("c", "x")]))
        .await
        .unwrap();
    assert_eq!(store.items(None).await.unwrap().items.len(), 3);
    session.append(turn(1)).await.unwrap();
    assert_eq!(store.items(None).await.unwrap().items, turn(1).items);
}

#[tokio::test]
async fn compaction_keeps_concurrent_writes() {
    let store = store();
    let n_calls = Arc::new(AtomicUsize::new(0));
    let (other, counted) = (store.clone(), Arc::clone(&n_calls));
    let session = CompactingSession::new(store.clone(), 2, move |_| {
        let other = other.clone();
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            other
                .append(SessionTurn::new([Item::user("meanwhile")]))
                .await?;
            Ok(vec![])
        }
    });
    session.append(turn(0)).await.unwrap();
    let version = store.items(None).await.unwrap().version;
    let late = turn(1).after(version);
    let error = session.append(late.clone()).await.unwrap_err();
    assert!(matches!(error, SessionError::Conflict { .. }), "{error:?}");
    assert_eq!(store.items(None).await.unwrap().items.len(), 3);
    // A turn that is late anyway does not cost a summary.
    let error = session.append(late).await.unwrap_err();
    assert!(matches!(error, SessionError::Conflict { .. }), "{error:?}");
    assert_eq!(n_calls.load(Ordering::Relaxed), 1);
    session.append(turn(2)).await.unwrap();
    let items = store.items(None).await.unwrap().items;
    let all = [
        turn(0).items,
        vec![Item::user("meanwhile"); 2],
        turn(2).items,
    ]
    .concat();
    assert_eq!(items, all);
}
