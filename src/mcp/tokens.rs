//! Keeps what an authorization server granted, in memory, for as long as it is good by a clock that nobody sets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rmcp::transport::auth::{AuthError, CredentialStore, StoredCredentials};
use tokio::time::Instant;

use crate::future::BoxFuture;

/// The tokens of one server.
///
/// rmcp (3.11) compares the time of day at which a token came with that at which it is used: a clock that is set an hour forward would
/// end all tokens at once, and one that is set back would keep those that are over. So the time since the token came is measured, and
/// told as the time of day that rmcp counts from.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Option<Granted>>);

struct Granted {
    credentials: StoredCredentials,
    since: Instant,
}

impl Tokens {
    fn granted(&self) -> MutexGuard<'_, Option<Granted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: SystemTime) -> Option<StoredCredentials> {
        let granted = self.granted();
        let Granted { credentials, since } = granted.as_ref()?;
        let mut credentials = credentials.clone();
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let received = since_1970.saturating_sub(since.elapsed());
        credentials.token_received_at = Some(received.as_secs());
        Some(credentials)
    }
}

impl CredentialStore for Tokens {
    fn load<'a, 'b>(&'a self) -> BoxFuture<'b, Result<Option<StoredCredentials>, AuthError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(self.at(SystemTime::now())) })
    }

    fn save<'a, 'b>(
        &'a self,
        credentials: StoredCredentials,
    ) -> BoxFuture<'b, Result<(), AuthError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let since = Instant::now();
        *self.granted() = Some(Granted { credentials, since });
        Box::pin(async { Ok(()) })
    }

    fn clear<'a, 'b>(&'a self) -> BoxFuture<'b, Result<(), AuthError>>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.granted() = None;
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn token_clock_that_is_set_does_not_change_its_age() {
        let tokens = Tokens::default();
        let credentials = StoredCredentials::new("client".to_owned(), None, Vec::new(), Some(1));
        tokens.save(credentials).await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        for hours in [0, 1, 24] {
            let now = UNIX_EPOCH + Duration::from_secs(1_000_000 + hours * 3600);
            let received = tokens.at(now).unwrap().token_received_at.unwrap();
            assert_eq!(1_000_000 + hours * 3600 - received, 60);
        }
    }
}
