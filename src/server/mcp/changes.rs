//! Tells clients what changed: in their session if they have one, else by subscription.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, RoleServer, SubscriptionContext, SubscriptionSendError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// How many changes a slow client may be behind before it misses some.
const MAX_BEHIND: usize = 256;

/// Where changes are told.
pub(super) struct Changes {
    sender: broadcast::Sender<Change>,
    clients: Arc<Mutex<Clients>>,
}

#[derive(Debug, Clone)]
enum Change {
    /// The resource at this address.
    Resource(Arc<str>),
    /// The lists of tools and prompts.
    Lists,
}

/// The clients with a session.
#[derive(Default)]
struct Clients {
    next: u64,
    peers: HashMap<u64, Peer<RoleServer>>,
}

/// What one client with a session hears; nothing more once this is dropped.
#[derive(Default)]
pub(super) struct Hearing {
    place: OnceLock<ClientSlot>,
    watched: Arc<Mutex<HashSet<String>>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

/// A place among the clients.
struct ClientSlot {
    key: u64,
    clients: Arc<Mutex<Clients>>,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(MAX_BEHIND),
            clients: Arc::default(),
        }
    }

    pub(super) fn resource(&self, uri: &str) {
        // Nobody may be listening.
        self.sender.send(Change::Resource(Arc::from(uri))).ok();
    }

    /// Tells all clients, in the background: one that does not listen holds up nobody.
    pub(super) fn lists(&self) {
        // Nobody may be listening.
        self.sender.send(Change::Lists).ok();
        for peer in lock(&self.clients).peers.values() {
            let peer = peer.clone();
            tokio::spawn(async move {
                // A client that is gone needs no lists.
                peer.notify_tool_list_changed().await.ok();
                peer.notify_prompt_list_changed().await.ok();
            });
        }
    }

    /// What of a client's wishes is told.
    pub(super) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = SubscriptionFilter::new();
        accepted
            .resource_subscriptions
            .clone_from(&requested.resource_subscriptions);
        accepted.tools_list_changed = requested.tools_list_changed;
        accepted.prompts_list_changed = requested.prompts_list_changed;
        accepted
    }

    /// Tells a subscriber, for as long as it listens.
    pub(super) async fn tell(&self, context: &SubscriptionContext) {
        let mut changes = self.sender.subscribe();
        let watched = context.accepted().resource_subscriptions.clone();
        let watched = watched.unwrap_or_default();
        let tell = async {
            loop {
                let told = match changes.recv().await {
                    Ok(Change::Resource(uri)) if watched.iter().any(|it| **it == *uri) => {
                        context.sink().notify_resource_updated(&*uri).await
                    }
                    Ok(Change::Resource(_)) => Ok(()),
                    // The lists may be among what it missed.
                    Ok(Change::Lists) | Err(RecvError::Lagged(_)) => lists_changed(context).await,
                    Err(RecvError::Closed) => return,
                };
                if told.is_err() {
                    return;
                }
            }
        };
        context.request_context().ct.run_until_cancelled(tell).await;
    }
}

async fn lists_changed(context: &SubscriptionContext) -> Result<(), SubscriptionSendError> {
    let (accepted, sink) = (context.accepted(), context.sink());
    if accepted.tools_list_changed == Some(true) {
        sink.notify_tool_list_changed().await?;
    }
    if accepted.prompts_list_changed == Some(true) {
        sink.notify_prompt_list_changed().await?;
    }
    Ok(())
}

impl Hearing {
    /// Lets a client hear of the lists; one that is there already is.
    pub(super) fn begin(&self, changes: &Changes, peer: Peer<RoleServer>) {
        self.place.get_or_init(|| {
            let mut clients = lock(&changes.clients);
            let key = clients.next;
            clients.next += 1;
            clients.peers.insert(key, peer);
            ClientSlot {
                key,
                clients: Arc::clone(&changes.clients),
            }
        });
    }

    /// Lets it hear of a resource too.
    pub(super) fn watch(&self, changes: &Changes, uri: String, peer: Peer<RoleServer>) {
        lock(&self.watched).insert(uri);
        let mut watcher = lock(&self.watcher);
        if watcher.is_some() {
            return;
        }
        let mut changes = changes.sender.subscribe();
        let watched = Arc::clone(&self.watched);
        *watcher = Some(tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(Change::Resource(uri)) if lock(&watched).contains(&*uri) => {
                        let params = ResourceUpdatedNotificationParam::new(&*uri);
                        if peer.notify_resource_updated(params).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }));
    }

    pub(super) fn unwatch(&self, uri: &str) {
        lock(&self.watched).remove(uri);
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(watcher) = lock(&self.watcher).take() {
            watcher.abort();
        }
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        lock(&self.clients).peers.remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
