//! The clients with a session, to tell them that the lists have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::service::{Peer, RoleServer};

/// The clients that are there.
#[derive(Default)]
pub(super) struct Clients(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    next: u64,
    peers: HashMap<u64, Peer<RoleServer>>,
}

/// A client, until this is dropped.
pub(super) struct Client {
    key: u64,
    known: Arc<Mutex<Known>>,
}

impl Clients {
    pub(super) fn add(&self, peer: Peer<RoleServer>) -> Client {
        let mut known = lock(&self.0);
        let key = known.next;
        known.next += 1;
        known.peers.insert(key, peer);
        Client {
            key,
            known: Arc::clone(&self.0),
        }
    }

    /// Tells all of them, in the background: one that does not listen holds up nobody.
    pub(super) fn tell_lists_changed(&self) {
        for peer in lock(&self.0).peers.values() {
            let peer = peer.clone();
            tokio::spawn(async move {
                // A client that is gone needs no lists.
                peer.notify_tool_list_changed().await.ok();
                peer.notify_prompt_list_changed().await.ok();
            });
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.known).peers.remove(&self.key);
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
