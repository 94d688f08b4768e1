//! Serving until it is to end, and ending in order.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{self, Either};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::front::Server;
use crate::context::Cancel;

/// How long connections may take to end once no run goes on.
const LINGER: Duration = Duration::from_millis(500);

/// Says why a server does not serve, or serves no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Other machines can reach the address, and no token keeps anyone out.
    #[error("{address} can be reached from other machines; set a token, or use a loopback address")]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The listener failed.
    #[error("the listener failed")]
    Listener {
        /// What it said.
        source: io::Error,
    },
}

impl Server {
    /// Serves until `shutdown` is ready, and then ends in order.
    ///
    /// No new run begins then and no connection is taken. Runs end after the turn that they are in, whose items go to their session; those
    /// that take longer than the [grace](super::ServerBuilder::grace) are cancelled. Connections end with their answers.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoToken`] at once when the listener is not on a loopback address and there is no token.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops listening; open connections go on for as long as the runtime does.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let failed = |source| ServeError::Listener { source };
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() && self.0.access.token.is_none() {
            return Err(ServeError::NoToken { address });
        }
        let runs = std::sync::Arc::clone(&self.0.runs);
        let closing = async move { runs.closing().await };
        let served = axum::serve(listener, self.application()).with_graceful_shutdown(closing);
        let served = Box::pin(async move { served.await });
        match future::select(served, Box::pin(shutdown)).await {
            Either::Left((ended, _)) => ended.map_err(failed),
            Either::Right(((), served)) => {
                self.close();
                match future::select(served, Box::pin(self.ended())).await {
                    // Runs go on without a connection too.
                    Either::Left((_, ended)) => ended.await,
                    // The last words are on their way.
                    Either::Right(((), served)) => drop(timeout(LINGER, served).await),
                }
                Ok(())
            }
        }
    }

    /// Lets no more runs begin; those that go on end after their turn.
    ///
    /// For an application of your own: call it in the future that is given to `with_graceful_shutdown`.
    pub fn close(&self) {
        self.0.runs.close();
        #[cfg(feature = "mcp-server")]
        if let Some(mcp) = &self.0.mcp {
            mcp.close();
        }
    }

    /// Waits until no run goes on, and ends those that take too long.
    async fn ended(&self) {
        let runs = &self.0.runs;
        if timeout(self.0.grace, runs.idle()).await.is_err() {
            runs.cancel(Cancel::Now);
        }
        timeout(LINGER, runs.idle()).await.ok();
    }
}
