//! Bounds how many requests of a server are answered at once, and notices when the server ends by itself.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::service::{RoleClient, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::Semaphore;

/// How many messages may be on their way out before nothing more is taken in.
///
/// Far more than a server has reason to ask at once, and so few that a server which asks and does not read the answers
/// holds little memory.
const MAX_SENDING: usize = 1024;

/// Tells the log of a server that ends by itself, once it is used.
#[derive(Debug)]
pub(super) struct Watch {
    server: String,
    is_on: AtomicBool,
    saw_end: AtomicBool,
}

impl Watch {
    pub(super) fn new(server: &str) -> Arc<Self> {
        Arc::new(Self {
            server: server.to_owned(),
            is_on: AtomicBool::new(false),
            saw_end: AtomicBool::new(false),
        })
    }

    /// Begins when the server is ready.
    pub(super) fn begin(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    /// Ends before this side ends the connection.
    pub(super) fn end(&self) {
        self.is_on.store(false, Ordering::Release);
    }

    /// Whether the server has ended by itself, which rmcp says a moment later.
    pub(super) fn saw_end(&self) -> bool {
        self.saw_end.load(Ordering::Acquire)
    }

    fn has_ended(&self) {
        self.saw_end.store(true, Ordering::Release);
        if self.is_on.swap(false, Ordering::AcqRel) {
            tracing::warn!(
                target: "openai_agents::mcp",
                server = self.server,
                "the MCP server ended by itself; calls of its tools fail until it is connected anew"
            );
        }
    }
}

/// A transport that stops reading while a server does not read.
pub(super) struct Bounded<T> {
    transport: T,
    sending: Arc<Semaphore>,
    watch: Arc<Watch>,
}

impl<T> Bounded<T> {
    pub(super) fn new(transport: T, watch: &Arc<Watch>) -> Self {
        Self {
            transport,
            watch: Arc::clone(watch),
            sending: Arc::new(Semaphore::new(MAX_SENDING)),
        }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Bounded<T> {
    type Error = T::Error;

    /// Stands in the protocol library's errors.
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("MCP")
    }

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let sending = Arc::clone(&self.sending);
        let sent = self.transport.send(item);
        async move {
            // The semaphore is never closed.
            let _permit = sending.acquire().await.ok();
            sent.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        // Waits until a place is free. While a server does not read our answers, nothing more is
        // taken in from it.
        drop(self.sending.acquire().await.ok());
        let received = self.transport.receive().await;
        if received.is_none() {
            self.watch.has_ended();
        }
        received
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
