//! A bound on what a server can make this side do at once.

use std::sync::Arc;

use rmcp::service::{RoleClient, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::Semaphore;

/// How many messages may be on their way out before nothing more is taken in.
///
/// Far more than a server has reason to ask at once, and so few that a server which asks and does not read the answers
/// holds little memory.
const MAX_SENDING: usize = 1024;

/// A transport that stops reading while a server does not read.
pub(super) struct Bounded<T> {
    transport: T,
    sending: Arc<Semaphore>,
}

impl<T> Bounded<T> {
    pub(super) fn new(transport: T) -> Self {
        Self {
            transport,
            sending: Arc::new(Semaphore::new(MAX_SENDING)),
        }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Bounded<T> {
    type Error = T::Error;

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
        drop(self.sending.acquire().await.ok());
        self.transport.receive().await
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
