//! Being asked to end.

use std::io;

/// Waits for Ctrl-C or, on Unix, SIGTERM.
///
/// # Cancel safety
///
/// A signal that comes while nobody waits is not heard, and ends nothing.
pub(crate) async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
