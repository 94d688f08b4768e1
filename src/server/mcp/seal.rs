//! Seals what a client keeps between two rounds of a call: readable and made by this server only, and for a time.

use std::time::Duration;

use rmcp::model::{RequestStateCodec, SealOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How long a client may take to come back.
pub(super) const TTL: Duration = Duration::from_secs(3600);

/// A key that nobody else has and that ends with the server.
///
/// The codec of rmcp (3.11) has an expiry of its own, by the clock of the machine: where that is set an hour forward, everyone who is being
/// asked would have to begin again. So the time since the key was made stands in what is sealed.
pub(super) struct StateSeal {
    codec: RequestStateCodec,
    since: Instant,
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    after_secs: u64,
    value: T,
}

/// Why what a client brings back is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error("{0}")]
    Codec(String),
    #[error("it is older than {TTL:?}")]
    Old,
}

impl StateSeal {
    pub(super) fn new() -> Result<Self, SealError> {
        let mut key = [0; RequestStateCodec::MIN_KEY_LENGTH];
        getrandom::fill(&mut key).map_err(|error| SealError::Codec(error.to_string()))?;
        Ok(Self {
            codec: RequestStateCodec::try_new(key).map_err(codec)?,
            since: Instant::now(),
        })
    }

    /// Seals a value for the call that it belongs to.
    pub(super) fn seal<T: Serialize>(&self, value: T, subject: &[u8]) -> Result<String, SealError> {
        let sealed = Sealed {
            after_secs: self.since.elapsed().as_secs(),
            value,
        };
        let options = SealOptions::new().associated_data(subject);
        self.codec.seal_json_with(&sealed, &options).map_err(codec)
    }

    /// Opens what was sealed for the same call.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        sealed: &str,
        subject: &[u8],
    ) -> Result<T, SealError> {
        let opened = self.codec.open_json_with::<Sealed<T>>(sealed, subject);
        let Sealed { after_secs, value } = opened.map_err(codec)?;
        let age = self
            .since
            .elapsed()
            .saturating_sub(Duration::from_secs(after_secs));
        if age > TTL {
            return Err(SealError::Old);
        }
        Ok(value)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` takes"
)]
fn codec(error: impl ToString) -> SealError {
    SealError::Codec(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sealed_state_ends_by_the_time_that_passed_and_by_no_clock() {
        let seal = StateSeal::new().unwrap();
        let state = seal.seal(7, b"call").unwrap();
        tokio::time::advance(TTL).await;
        assert_eq!(seal.open(&state, b"call"), Ok(7));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(seal.open::<u32>(&state, b"call"), Err(SealError::Old));
        assert!(matches!(
            seal.open::<u32>(&state, b"other"),
            Err(SealError::Codec(_))
        ));
    }
}
