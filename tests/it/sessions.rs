//! Sessions: every back end and wrapper keeps the same promises.

use std::sync::Arc;

use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{SessionShelf, session_conformance};

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
