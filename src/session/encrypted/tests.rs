//! What must not be decrypted is not.

use super::*;
use crate::secret::Secret;
use crate::session::MemorySession;

fn id(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

fn key(id: &str, letter: char) -> SessionKey {
    let secret = Secret::new(String::from(letter).repeat(32));
    SessionKey::new(id, &secret).unwrap()
}

fn keys(id: &str, letter: char) -> SessionKeys {
    SessionKeys::new(key(id, letter))
}

async fn stored(session: &str, keys: &SessionKeys, text: &str) -> (MemorySession, Item) {
    let store = MemorySession::new(id(session));
    let encrypted = EncryptedSession::new(store.clone(), keys);
    let turn = SessionTurn::new([Item::user(text)]);
    encrypted.append(turn).await.unwrap();
    let item = store.items(None).await.unwrap().items.remove(0);
    (store, item)
}

/// Reads an item that stands in the store of session `s`, under the key `k` of `a`s.
async fn read(item: Item) -> Result<Vec<Item>, SessionError> {
    let store = MemorySession::new(id("s"));
    store.append(SessionTurn::new([item])).await.unwrap();
    let session = EncryptedSession::new(store.clone(), &keys("k", 'a'));
    let read = session.items(None).await.map(|read| read.items);
    if read.is_err() {
        // What cannot be read is not taken away either.
        assert!(session.pop().await.is_err());
        assert_eq!(store.items(None).await.unwrap().items.len(), 1);
    }
    read
}

#[track_caller]
fn assert_undecryptable(read: Result<Vec<Item>, SessionError>, what: &str) {
    match read {
        Err(SessionError::Undecryptable {
            item: 0, detail, ..
        }) => {
            assert!(detail.contains(what), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn item_encrypted_for_another_session_is_refused() {
    let (_, item) = stored("s", &keys("k", 'a'), "hi").await;
    assert_eq!(read(item.clone()).await.unwrap(), [Item::user("hi")]);
    // Another key of the same name, another session.
    let (_, other) = stored("s", &keys("k", 'b'), "hi").await;
    assert_undecryptable(read(other).await, "the key is another");
    let (_, other) = stored("t", &keys("k", 'a'), "hi").await;
    assert_undecryptable(read(other).await, "moved");
    assert_undecryptable(read(Item::user("hi")).await, "not encrypted");
    let json = item.to_json();
    for (from, to, what) in [
        ("\"version\":1", "\"version\":2", "newer"),
        ("\"key_id\":\"k\",", "", "missing"),
        ("\"data\":\"", "\"data\":\"AAAA", "changed"),
        ("\"data\":\"", "\"data\":\"?", "changed"),
        ("\"data\":\"", "\"data\":\"\",\"rest\":\"", "changed"),
    ] {
        let edited = json.replacen(from, to, 1);
        assert_ne!(edited, json);
        assert_undecryptable(read(Item::from_json(&edited).unwrap()).await, what);
    }
}

#[tokio::test]
async fn no_bit_can_be_changed() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let (_, item) = stored("s", &keys("k", 'a'), "hi").await;
    let sealed: serde_json::Value = serde_json::from_str(item.to_json()).unwrap();
    let data = engine.decode(sealed["data"].as_str().unwrap()).unwrap();
    for at in 0..data.len() {
        let mut data = data.clone();
        data[at] ^= 1;
        let mut sealed = sealed.clone();
        sealed["data"] = engine.encode(data).into();
        let edited = Item::from_json(&sealed.to_string()).unwrap();
        assert_undecryptable(read(edited).await, "changed");
    }
}

#[tokio::test]
async fn an_old_key_still_reads_and_a_missing_one_is_named() {
    let (store, _) = stored("s", &keys("old", 'a'), "first").await;
    let both = keys("new", 'b').old(key("old", 'a'));
    let session = EncryptedSession::new(store.clone(), &both);
    session
        .append(SessionTurn::new([Item::user("second")]))
        .await
        .unwrap();
    let texts = [Item::user("first"), Item::user("second")];
    assert_eq!(session.items(None).await.unwrap().items, texts);
    let only = EncryptedSession::new(store, &keys("old", 'a'));
    let error = only.items(None).await.unwrap_err();
    assert!(
        matches!(&error, SessionError::UnknownKey { item: 1, key_id, .. } if key_id == "new"),
        "{error:?}"
    );
}

#[tokio::test]
async fn equal_items_do_not_look_equal_and_nothing_shows() {
    let (_, first) = stored("s", &keys("k", 'a'), "the code is 1234").await;
    let (_, second) = stored("s", &keys("k", 'a'), "the code is 1234").await;
    assert_ne!(first, second);
    let key = key("k", 'a');
    let session =
        EncryptedSession::new(MemorySession::new(id("s")), &SessionKeys::new(key.clone()));
    for text in [
        first.to_json(),
        &format!("{session:?} {key:?} {:?}", SessionKeys::new(key.clone())),
    ] {
        assert!(
            !text.contains("1234") && !text.contains("user") && !text.contains("aaa"),
            "{text}"
        );
    }
}

#[test]
fn a_key_has_an_id_and_a_long_secret() {
    let check = |id: &str, n_bytes: usize| SessionKey::new(id, &Secret::new("x".repeat(n_bytes)));
    assert!(check("2026-11.a_B", 32).is_ok());
    for bad in ["", "a b", "é", &"x".repeat(65)] {
        assert!(
            matches!(check(bad, 32), Err(SessionKeyError::Id { .. })),
            "{bad}"
        );
    }
    let error = check("k", 31).unwrap_err();
    assert!(
        matches!(error, SessionKeyError::TooShort { n_bytes: 31, .. }),
        "{error:?}"
    );
    assert!(!error.to_string().contains("xxx"));
}
