//! Sessions: every back end and wrapper keeps the same promises.

use std::sync::Arc;

use openai_agents::session::{
    EncryptedSession, MemorySession, Session, SessionId, SessionKey, SessionKeys, SessionTurn,
    SqliteSessions,
};
use openai_agents::testing::{SessionShelf, session_conformance};
use openai_agents::{Item, Secret};

use crate::folder::Folder;

#[tokio::test]
async fn memory_conforms() {
    let shelf = SessionShelf::new(MemorySession::new);
    session_conformance("t/", async |id| shelf.open(id))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_shared_session_conforms() {
    let shelf =
        SessionShelf::new(|id: SessionId| Arc::new(MemorySession::new(id)) as Arc<dyn Session>);
    session_conformance("", async |id| shelf.open(id))
        .await
        .unwrap();
}

#[tokio::test]
async fn sqlite_conforms() {
    let folder = Folder::new();
    let sessions = SqliteSessions::open(folder.path("a.db")).await.unwrap();
    session_conformance("t/", async |id| sessions.session(id))
        .await
        .unwrap();
    assert_eq!(sessions.list(None).await.unwrap(), []);
    // The same with a connection for every handle.
    let path = folder.path("b.db");
    let open = async |id| SqliteSessions::open(&path).await.unwrap().session(id);
    session_conformance("", open).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_files_can_be_opened_by_many_at_once() {
    let folder = Folder::new();
    let path = folder.path("cold.db");
    let starts = (0..20).map(|n| {
        let path = path.clone();
        tokio::spawn(async move {
            let sessions = SqliteSessions::open(path).await?;
            let session = sessions.session(SessionId::new(format!("{}", n % 4)).unwrap());
            session
                .append(SessionTurn::new([Item::user("a"), Item::assistant("b")]))
                .await
        })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    let sessions = SqliteSessions::open(&path).await.unwrap();
    let list = sessions.list(None).await.unwrap();
    assert_eq!(
        list.iter()
            .map(|session| session.n_items)
            .collect::<Vec<_>>(),
        [10; 4]
    );
    let newest = sessions.list(Some(1)).await.unwrap();
    assert_eq!(newest, list[..1]);
    assert_eq!(
        sessions.find(&newest[0].id).await.unwrap().as_ref(),
        newest.first()
    );
    assert_eq!(
        sessions
            .find(&SessionId::new("none").unwrap())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn an_encrypted_session_conforms() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let keys = SessionKeys::new(SessionKey::new("k", &secret).unwrap());
    let folder = Folder::new();
    let sessions = SqliteSessions::open(folder.path("a.db")).await.unwrap();
    let open = async |id| EncryptedSession::new(sessions.session(id), &keys);
    session_conformance("t/", open).await.unwrap();
}
