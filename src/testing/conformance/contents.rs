//! What is written comes back as it was, and only where it was written.

use super::{Bench, NonConformance, OrFail, append, differs, holds};
use crate::item::{FunctionCall, FunctionCallOutput, Item};
use crate::session::{Session, SessionId, SessionTurn};

/// Pairs of ids that a careless store takes for one, or for a part of its own language.
const IDS: [&str; 16] = [
    "a",
    "A",
    "a ",
    " a",
    "a:b",
    "a:b:c",
    "a:messages",
    "a%3Ab",
    "{a}",
    "'; DROP TABLE agent_messages; --",
    "\" OR 1=1",
    "$1 \\ ? %s",
    "../../a",
    "é",
    "e\u{301}",
    "\u{1F600}\r\n\t",
];

pub(super) async fn check<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    items_come_back(bench).await?;
    ids_are_kept_apart(bench).await?;
    limits(bench).await?;
    removal(bench).await
}

async fn items_come_back<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "an item comes back as it was given";
    let session = bench.open_empty("contents").await?;
    holds(
        "a session that nobody wrote to is empty",
        &session,
        None,
        &[],
    )
    .await?;
    let items = hard_items();
    append(&session, items.clone()).await?;
    holds(promise, &session, None, &items).await?;
    holds(
        "two handles of one id see the same",
        &bench.open("contents").await?,
        None,
        &items,
    )
    .await?;
    append(&session, []).await?;
    holds("a turn without items adds none", &session, None, &items).await?;
    session.clear().await.or_fail("a session can be cleared")
}

fn hard_items() -> Vec<Item> {
    let text = |text: &str| Item::user(text);
    let json = [
        // Unknown fields, their order, white space, escapes, numbers that a float cannot hold.
        r#"{"z":1,"role":"user","content":"hi","a":{"y":[1,2],"x":null}}"#,
        r#"{ "type" : "message" , "role":"user", "content":"caf\u00e9 \ud83d\ude00 \/" }"#,
        r#"{"type":"brand_new","n":123456789012345678901234567890.10,"deep":{"a":[[[[{}]]]]}}"#,
        r#"{"type":"function_call","call_id":"","name":"f","arguments":"","id":"__fake_id__"}"#,
    ];
    let mut items: Vec<_> = json
        .iter()
        .filter_map(|json| Item::from_json(json).ok())
        .collect();
    items.extend([
        text(""),
        text("'; DROP TABLE agent_messages; -- \" \\ $1 ? %s {} \u{0}"),
        text("\u{0}\u{1}\u{1b}[31m\r\n\u{2028}\u{feff}\u{fffd}"),
        text("你好 \u{1F468}\u{200D}\u{1F469} e\u{301}"),
        text(&"\u{1F600}x".repeat(200_000)),
        FunctionCall::new("call_0", "f", r#"{"a":"b"}"#).into(),
        FunctionCallOutput::new("call_0", "x".into()).into(),
        // The same again is not a copy to be dropped.
        FunctionCall::new("call_0", "f", r#"{"a":"b"}"#).into(),
    ]);
    items
}

async fn ids_are_kept_apart<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "sessions of different ids are kept apart";
    let longest = "x".repeat(SessionId::MAX_BYTES.saturating_sub(bench.prefix.len()));
    let ids: Vec<_> = IDS.into_iter().chain([longest.as_str()]).collect();
    for id in &ids {
        bench.open_empty(id).await?;
    }
    for id in &ids {
        append(&bench.open(id).await?, [Item::user(*id)]).await?;
    }
    for id in &ids {
        holds(promise, &bench.open(id).await?, None, &[Item::user(*id)]).await?;
    }
    for (n, id) in ids.iter().enumerate() {
        bench.open_empty(id).await?;
        if let Some(next) = ids.get(n + 1) {
            let next_items = [Item::user(*next)];
            holds(promise, &bench.open(next).await?, None, &next_items).await?;
        }
    }
    Ok(())
}

async fn limits<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let promise = "a limit gives the latest items, oldest first";
    let session = bench.open_empty("limits").await?;
    let items: Vec<_> = (0..25).map(|n| Item::user(n.to_string())).collect();
    for turn in items.chunks(2) {
        append(&session, turn.to_vec()).await?;
    }
    for limit in [0, 1, 2, 24, 25, 26, 1_000, usize::MAX] {
        let latest = items.get(items.len().saturating_sub(limit)..);
        holds(promise, &session, Some(limit), latest.unwrap_or_default()).await?;
    }
    let all = session.items(None).await.or_fail(promise)?.version;
    for limit in [0, 3] {
        let some = session.items(Some(limit)).await.or_fail(promise)?.version;
        differs("a limit does not change the version", &all, &some)?;
    }
    session.clear().await.or_fail("a session can be cleared")
}

async fn removal<S, F>(bench: &Bench<'_, F>) -> Result<(), NonConformance>
where
    S: Session,
    F: AsyncFn(SessionId) -> S,
{
    let session = bench.open_empty("removal").await?;
    let pop = async |expected: Option<Item>| {
        let popped = session
            .pop()
            .await
            .or_fail("the latest item can be popped")?;
        differs("pop gives the latest item", &expected, &popped)
    };
    pop(None).await?;
    let [a, b, c] = ["a", "b", "c"].map(Item::user);
    append(&session, [a.clone(), b.clone()]).await?;
    pop(Some(b)).await?;
    append(&session, [c.clone()]).await?;
    holds(
        "what follows a pop comes after the rest",
        &session,
        None,
        &[a.clone(), c.clone()],
    )
    .await?;
    let replace = async |items: &[Item]| {
        let turn = SessionTurn::new(items.to_vec());
        let replaced = session.replace(turn).await;
        replaced.map(drop).or_fail("all items can be replaced")
    };
    replace(&[c.clone(), a.clone()]).await?;
    holds(
        "replace leaves what was given",
        &session,
        None,
        &[c.clone(), a.clone()],
    )
    .await?;
    pop(Some(a.clone())).await?;
    pop(Some(c)).await?;
    pop(None).await?;
    holds(
        "a session whose items are popped is empty",
        &session,
        None,
        &[],
    )
    .await?;
    append(&session, [a]).await?;
    replace(&[]).await?;
    holds("a session can be replaced by nothing", &session, None, &[]).await?;
    session
        .clear()
        .await
        .or_fail("an empty session can be cleared")
}
