//! Changes have one order, and a change that comes too late is refused.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::{join, join_all};

use super::{Bench, NonConformance, OrFail, append, differs, holds};
use crate::item::Item;
use crate::session::{Session, SessionError, SessionId, SessionTurn, SessionVersion};

pub(super) async fn check<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    versions(bench).await?;
    two_writers(bench).await?;
    many_writers(bench).await?;
    dropped(bench).await
}

async fn versions<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let session = bench.open_empty("versions").await?;
    let [a, b, c] = ["a", "b", "c"].map(Item::user);
    let empty = version(&session).await?;
    let turn = SessionTurn::new([a.clone()]).after(empty.clone());
    let first = session.append(turn.clone()).await;
    let first = first.or_fail("a turn after the latest version is appended")?;
    differs(
        "append gives the version that is then read",
        &first,
        &version(&session).await?,
    )?;
    conflicts(session.append(turn).await, &empty, &first)?;
    let late = SessionTurn::new([c.clone()]).after(empty.clone());
    conflicts(session.replace(late).await, &empty, &first)?;
    holds(
        "a refused turn leaves no trace",
        &session,
        None,
        std::slice::from_ref(&a),
    )
    .await?;
    // Every change makes another version, also one that ends with as many items.
    session
        .pop()
        .await
        .or_fail("the latest item can be popped")?;
    append(&session, [b.clone()]).await?;
    let late = SessionTurn::new([c.clone()]).after(first.clone());
    let found = version(&session).await?;
    conflicts(session.append(late.clone()).await, &first, &found)?;
    session.clear().await.or_fail("a session can be cleared")?;
    append(&session, [b.clone()]).await?;
    let found = version(&session).await?;
    conflicts(session.append(late).await, &first, &found)?;
    let check = SessionTurn::new([]).after(found.clone());
    session
        .append(check)
        .await
        .or_fail("a version can be checked without adding items")?;
    let check = SessionTurn::new([]).after(first.clone());
    conflicts(
        session.append(check).await,
        &first,
        &version(&session).await?,
    )?;
    let turn = SessionTurn::new([c.clone(), a.clone()]).after(version(&session).await?);
    let replaced = session.replace(turn).await;
    let replaced = replaced.or_fail("the latest version can be replaced")?;
    differs(
        "replace gives the version that is then read",
        &replaced,
        &version(&session).await?,
    )?;
    // The version of one session says nothing about another.
    let other = bench.open_empty("versions of another").await?;
    append(&other, [b]).await?;
    holds("sessions are kept apart", &session, None, &[c, a]).await?;
    other.clear().await.or_fail("a session can be cleared")?;
    session.clear().await.or_fail("a session can be cleared")
}

async fn two_writers<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "of two turns after one version, one is appended and the other a conflict";
    let session = bench.open_empty("two writers").await?;
    let (left, right) = (
        bench.open("two writers").await?,
        bench.open("two writers").await?,
    );
    for n in 0..20 {
        let seen = version(&session).await?;
        let turn = |who: &str| {
            let items = [
                Item::user(format!("{who} {n}")),
                Item::assistant(format!("{who} {n}")),
            ];
            SessionTurn::new(items).after(seen.clone())
        };
        let (a, b) = join(left.append(turn("left")), right.append(turn("right"))).await;
        let n_items = session.items(None).await.or_fail(promise)?.items.len();
        differs(promise, &(2 * (n + 1)), &n_items)?;
        match (a, b) {
            (Ok(found), late) | (late, Ok(found)) => conflicts(late, &seen, &found)?,
            (Err(source), Err(_)) => return Err(NonConformance::Failed { promise, source }),
        }
    }
    session.clear().await.or_fail("a session can be cleared")
}

const N_WRITERS: usize = 8;
const N_TURNS: usize = 10;

async fn many_writers<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "turns of many writers stand whole, one after the other";
    let session = bench.open_empty("many writers").await?;
    let writers = (0..N_WRITERS).map(|writer| async move {
        let session = bench.open("many writers").await?;
        for turn in 0..N_TURNS {
            let item = |part: &str| Item::user(format!("{writer} {turn} {part}"));
            append(&session, ["a", "b", "c"].map(item)).await?;
        }
        Ok(())
    });
    let written: Result<Vec<()>, NonConformance> = join_all(writers).await.into_iter().collect();
    written?;
    let items = session.items(None).await.or_fail(promise)?.items;
    differs(
        "no turn of many writers is lost",
        &(3 * N_WRITERS * N_TURNS),
        &items.len(),
    )?;
    for turn in items.chunks(3) {
        let parts: Vec<_> = turn.iter().map(|item| item.to_json().to_owned()).collect();
        let whole = parts.first().map_or_else(Vec::new, |first| {
            ["a", "b", "c"]
                .map(|part| first.replace(" a\"", &format!(" {part}\"")))
                .to_vec()
        });
        differs(promise, &whole, &parts)?;
    }
    session.clear().await.or_fail("a session can be cleared")
}

/// A dropped future has changed all, or nothing.
async fn dropped<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "a turn whose future is dropped is there whole or not at all";
    let session = bench.open_empty("dropped").await?;
    let turn = || SessionTurn::new(["a", "b", "c"].map(Item::user));
    drop(session.append(turn()));
    holds(
        "nothing happens before a future is polled",
        &session,
        None,
        &[],
    )
    .await?;
    let mut append = session.append(turn());
    // Polled once, then given up.
    let polled = poll_fn(|cx| Poll::Ready(append.as_mut().poll(cx))).await;
    drop(append);
    // What was given up may still happen, but not after a change that was begun later.
    session.append(turn()).await.or_fail(promise)?;
    let n_items = session.items(None).await.or_fail(promise)?.items.len();
    let is_whole = n_items == 6 || (n_items == 3 && polled.is_pending());
    differs(promise, &true, &is_whole)?;
    session.clear().await.or_fail("a session can be cleared")
}

async fn version(session: &impl Session) -> Result<SessionVersion, NonConformance> {
    let read = session.items(Some(0)).await;
    Ok(read.or_fail("a session says its version")?.version)
}

/// The change must have been refused, with the version that it wanted and the one that it found.
fn conflicts(
    changed: Result<SessionVersion, SessionError>,
    wanted: &SessionVersion,
    there: &SessionVersion,
) -> Result<(), NonConformance> {
    let promise = "a turn after a version that is not the latest is a conflict";
    match changed {
        Ok(version) => Err(NonConformance::Differs {
            promise,
            expected: "a conflict".to_owned(),
            found: format!("version {version:?}"),
        }),
        Err(SessionError::Conflict {
            expected, found, ..
        }) => differs(promise, &(wanted, there), &(&expected, &found)),
        Err(source) => Err(NonConformance::Failed { promise, source }),
    }
}
