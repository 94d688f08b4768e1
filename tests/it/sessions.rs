//! Sessions: every back end and wrapper keeps the same promises.

use std::sync::Arc;

use openai_agents::future::BoxFuture;
use openai_agents::session::{
    EncryptedSession, MAX_ITEMS, MemorySession, Session, SessionError, SessionId, SessionItems,
    SessionKey, SessionKeys, SessionTurn, SessionVersion, SqliteSessions,
};
use openai_agents::testing::{NonConformance, SessionShelf, session_conformance};
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

/// A session with one fault.
#[derive(Clone)]
struct Faulty {
    session: MemorySession,
    fault: SessionFault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum SessionFault {
    ForgetsVersions,
    LosesTheFirstItem,
    GivesTheOldest,
    PopsNothing,
    ReplacesByAppending,
    WritesBeforeItIsPolled,
}

impl Session for Faulty {
    fn id(&self) -> &SessionId {
        self.session.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        Box::pin(async move {
            let mut read = self.session.items(None).await?;
            let n_over = read.items.len().saturating_sub(limit.unwrap_or(usize::MAX));
            match self.fault {
                SessionFault::GivesTheOldest => read.items.truncate(read.items.len() - n_over),
                _ => drop(read.items.drain(..n_over)),
            }
            Ok(read)
        })
    }

    fn append(&self, mut turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        match self.fault {
            SessionFault::ForgetsVersions => turn.after = None,
            SessionFault::LosesTheFirstItem if turn.items.len() > 2 => drop(turn.items.remove(0)),
            SessionFault::WritesBeforeItIsPolled => {
                let done = futures_util::FutureExt::now_or_never(self.session.append(turn));
                return Box::pin(async move { done.unwrap() });
            }
            _ => {}
        }
        self.session.append(turn)
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        match self.fault {
            SessionFault::ReplacesByAppending => self.session.append(turn),
            _ => self.session.replace(turn),
        }
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        match self.fault {
            SessionFault::PopsNothing => Box::pin(async { Ok(None) }),
            _ => self.session.pop(),
        }
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        self.session.clear()
    }
}

#[tokio::test]
async fn session_conformance_finds_each_fault() {
    for fault in [
        SessionFault::ForgetsVersions,
        SessionFault::LosesTheFirstItem,
        SessionFault::GivesTheOldest,
        SessionFault::PopsNothing,
        SessionFault::ReplacesByAppending,
        SessionFault::WritesBeforeItIsPolled,
    ] {
        let shelf = SessionShelf::new(move |id| Faulty {
            session: MemorySession::new(id),
            fault,
        });
        let checked = session_conformance("", async |id| shelf.open(id)).await;
        assert!(
            matches!(checked, Err(NonConformance::Differs { .. })),
            "{fault:?}: {checked:?}"
        );
    }
}

#[tokio::test]
async fn more_than_a_page_is_an_error_and_not_cut() {
    let folder = Folder::new();
    let id = || SessionId::new("s").unwrap();
    let sqlite = SqliteSessions::open(folder.path("a.db")).await.unwrap();
    let sessions: [Arc<dyn Session>; 2] = [
        Arc::new(MemorySession::new(id())),
        Arc::new(sqlite.session(id())),
    ];
    for session in sessions {
        let item = Item::user("a");
        session
            .append(SessionTurn::new(vec![item.clone(); MAX_ITEMS]))
            .await
            .unwrap();
        assert_eq!(session.items(None).await.unwrap().items.len(), MAX_ITEMS);
        session.append(SessionTurn::new([item])).await.unwrap();
        for limit in [None, Some(usize::MAX), Some(MAX_ITEMS + 1)] {
            let error = session.items(limit).await.unwrap_err();
            let is_right = matches!(
                error,
                SessionError::TooManyItems {
                    max_items: MAX_ITEMS,
                    ..
                }
            );
            assert!(is_right, "{error:?}");
        }
        assert_eq!(
            session.items(Some(MAX_ITEMS)).await.unwrap().items.len(),
            MAX_ITEMS
        );
    }
}
