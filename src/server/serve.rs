//! Serves until told to stop, then closes in order: no new work, finish what runs, close connections.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, Either};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::connections::Connections;
use super::state::Server;
use crate::context::Cancel;

/// How long connections may take to end once no run goes on.
const LINGER: Duration = Duration::from_millis(500);

/// How often it is looked whether something is too old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

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
    /// The address of the listener cannot be read.
    #[error("the address of the listener cannot be read")]
    Listener {
        /// What it said.
        source: io::Error,
    },
}

impl Server {
    /// Serves HTTP/1.1 until `shutdown` is ready, and then ends in order.
    ///
    /// Nothing new begins then: what would begin something is answered 503, and so is `/healthz`. Runs end after the turn that they are
    /// in, whose items go to their session; those that take longer than the [grace](super::ServerBuilder::grace) are cancelled, and so are
    /// the calls of MCP clients. Connections end with their answers.
    ///
    /// A connection on which no whole head of a request comes for 30 seconds is closed, and a body that takes longer than
    /// [its time](super::ServerBuilder::body_timeout) is answered 408.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoToken`] at once when the listener is not on a loopback address and there is no token.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops listening and closes all connections, which cancels the runs of those who wait for them; runs that
    /// `/run` began go on for as long as there is the server.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let failed = |source| ServeError::Listener { source };
        let address = listener.local_addr().map_err(failed)?;
        // Asked of the listener and not of a setting: this is the address that others can reach.
        if !address.ip().is_loopback() && self.0.token.is_none() {
            return Err(ServeError::NoToken { address });
        }
        let max_connections = self.0.max_connections;
        let connections = Connections::new(listener, self.application(), max_connections);
        {
            let (taking, sweeping) = (pin!(connections.accept()), pin!(self.sweep()));
            let accepting = future::select(taking, sweeping);
            let mut accepting = pin!(accepting.map(|either| either.factor_first().0));
            let shutdown = Box::pin(shutdown);
            if let Either::Left((never, _)) = future::select(accepting.as_mut(), shutdown).await {
                match never {}
            }
            self.close();
            // Who waits for the end of a run may ask how it goes.
            if let Either::Left((never, _)) =
                future::select(accepting, Box::pin(self.ended())).await
            {
                match never {}
            }
        }
        connections.close(LINGER).await;
        Ok(())
    }

    /// Forgets what is too old when nobody asks for anything.
    async fn sweep(&self) -> Infallible {
        loop {
            sleep(SWEEP_INTERVAL).await;
            self.0.keeper.sweep();
        }
    }

    /// Lets nothing more begin; runs that go on end after their turn.
    ///
    /// For an application of your own: call it when the application is to end, and then [`ended`](Self::ended).
    pub fn close(&self) {
        self.0.runs.close();
    }

    /// Waits until a server that was [closed](Self::close) does nothing more.
    ///
    /// It ends what takes longer than the [grace](super::ServerBuilder::grace).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends nothing.
    pub async fn ended(&self) {
        let idle = async {
            self.0.in_flight.finished().await;
            self.0.runs.idle().await;
        };
        let mut idle = pin!(idle);
        if timeout(self.0.grace, idle.as_mut()).await.is_err() {
            self.0.runs.cancel(Cancel::Now);
            self.close_mcp();
            timeout(LINGER, idle).await.ok();
        }
        // Streams on which clients listen to the server.
        self.close_mcp();
    }

    /// How many requests are being answered, or runs go on, whichever is more.
    pub fn n_in_flight(&self) -> usize {
        self.0.in_flight.n_in_flight().max(self.0.runs.n_active())
    }

    #[cfg(feature = "mcp-server")]
    fn close_mcp(&self) {
        if let Some(mcp) = &self.0.mcp {
            mcp.close();
        }
    }

    #[cfg(not(feature = "mcp-server"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    const fn close_mcp(&self) {}
}
