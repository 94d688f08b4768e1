//! Reads request bodies whole, bounded in size, in time, and all together in memory.

mod coding;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use self::coding::{BodyDecoder, Coding};
use super::error::ApiError;

/// Bodies up to this size have a part of the memory for themselves, so that a question need not wait for somebody's pictures.
const MAX_SMALL_BYTES: u64 = 64 * 1024;
/// The part, of so many, that is for these.
const SMALL_PART: u32 = 5;
/// How much of a body that is refused is read and thrown away: this many times what a body may have.
const DISCARDED: usize = 8;
/// What the memory for all bodies is counted in.
const UNIT: u64 = 1024;

/// What bodies may be, and the memory that all of them share.
#[derive(Debug)]
pub(super) struct Bodies {
    limits: BodyLimits,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// The most that one may have, decoded.
    pub(super) max_bytes: usize,
    /// The most that all may have that are read, or whose requests are being answered.
    pub(super) max_total_bytes: usize,
    /// How long one may take.
    pub(super) timeout: Duration,
}

/// A body that was read.
pub(super) struct ReadBody {
    pub(super) bytes: Bytes,
    pub(super) share: BodyShare,
}

/// What a body takes of the memory for all, which is given back with the last clone: whoever keeps what the body said holds one.
#[derive(Debug, Clone)]
pub(super) struct BodyShare {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Bodies {
    pub(super) fn new(limits: BodyLimits) -> Self {
        let total = units(limits.max_total_bytes as u64);
        let small = total / SMALL_PART;
        // At least one of the largest has room.
        let large = (total - small).max(units(limits.max_bytes as u64));
        let lane = |units: u32| Arc::new(Semaphore::new(units as usize));
        Self {
            limits,
            small: lane(small.max(units(MAX_SMALL_BYTES))),
            large: lane(large),
        }
    }

    /// Reads a body that must be JSON by its head; what is refused is read on within a bound first, as [`discard`](Self::discard) does.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<ReadBody, ApiError> {
        let read = self.read_within(headers, &mut body).await;
        // A client that is too slow would be so again.
        if read.as_ref().is_err_and(|error| error.status != 408) {
            self.discard(headers, body).await;
        }
        read
    }

    async fn read_within(
        &self,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<ReadBody, ApiError> {
        must_be_json(headers, body)?;
        let coding = Coding::of(headers)?;
        let max_bytes = self.limits.max_bytes;
        let declared = body.size_hint().exact();
        // By the header alone, before memory is reserved for it.
        if declared.is_some_and(|declared| declared > max_bytes as u64) {
            return Err(too_large(max_bytes));
        }
        if declared == Some(0) {
            let share = BodyShare { _permit: None };
            let bytes = Bytes::new();
            return Ok(ReadBody { bytes, share });
        }
        // A body that does not say its size, or is to be decoded, may become as large as any.
        let expected = declared.filter(|_| coding == Coding::Identity);
        let expected = expected.unwrap_or(max_bytes as u64);
        // The memory is reserved before a byte is read: what waits here waits in the client's
        // kernel and not in ours.
        let mut permit = self.reserve(expected).await?;
        let decoder = BodyDecoder::new(coding, expected, max_bytes);
        let bytes = timeout(self.limits.timeout, collect(body, decoder, max_bytes))
            .await
            .map_err(|_| self.late())??;
        let n_surplus =
            permit.num_permits() - (units(bytes.len() as u64) as usize).min(permit.num_permits());
        // Back to the others what the body did not need. A coded body had reserved the most that
        // one may have.
        drop(permit.split(n_surplus));
        let share = BodyShare {
            _permit: Some(Arc::new(permit)),
        };
        Ok(ReadBody { bytes, share })
    }

    /// Waits for memory, first come first served.
    async fn reserve(&self, n_bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
        let lane = match n_bytes {
            ..=MAX_SMALL_BYTES => &self.small,
            _ => &self.large,
        };
        let waiting = Arc::clone(lane).acquire_many_owned(units(n_bytes));
        match timeout(self.limits.timeout, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(ApiError::busy_with_bodies()),
        }
    }

    /// Reads on and throws away, within a bound.
    ///
    /// Most clients send all of a body before they look for the answer; one that comes before, and closes the connection, is a broken
    /// pipe to them and not the reason.
    pub(super) async fn discard(&self, headers: &HeaderMap, mut body: Body) {
        let max_bytes = self.limits.max_bytes.saturating_mul(DISCARDED);
        let is_endless = body.size_hint().lower() > max_bytes as u64;
        // Who asks before it sends does not send.
        if headers.contains_key(EXPECT) || is_endless {
            return;
        }
        let discarding = async {
            let mut n_bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                n_bytes += frame.data_ref().map_or(0, Bytes::len);
                if n_bytes > max_bytes {
                    return;
                }
            }
        };
        timeout(self.limits.timeout, discarding).await.ok();
    }

    fn late(&self) -> ApiError {
        let message = format!(
            "the body was not here within {} seconds (`server.body_timeout_secs`)",
            self.limits.timeout.as_secs()
        );
        ApiError::new(408, "request_timeout", message)
    }

    pub(super) const fn max_bytes(&self) -> usize {
        self.limits.max_bytes
    }
}

/// Refuses what is not said to be JSON, so that a page cannot send a form or a text, for which browsers ask nobody first.
fn must_be_json(headers: &HeaderMap, body: &Body) -> Result<(), ApiError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (found, more) = (types.next(), types.next());
    if found.is_none() && body.is_end_stream() {
        return Ok(());
    }
    let found = found.map(|found| found.to_str().unwrap_or("what is not text"));
    let essence = found.map(|found| found.split(';').next().unwrap_or(found).trim());
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") && more.is_none() => {
            Ok(())
        }
        Some(essence) => {
            let essence: String = essence.chars().take(100).collect();
            Err(ApiError::unsupported_media_type(&format!("`{essence}`")))
        }
        None => Err(ApiError::unsupported_media_type("nothing")),
    }
}

async fn collect(
    body: &mut Body,
    mut decoder: BodyDecoder,
    max_bytes: usize,
) -> Result<Bytes, ApiError> {
    let mut n_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::new(400, "broken_body", format!("the body broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        n_bytes += data.len();
        // A coding can make more of a body than there is.
        if n_bytes > max_bytes {
            return Err(too_large(max_bytes));
        }
        decoder.write(&data)?;
    }
    decoder.finish()
}

fn too_large(max_bytes: usize) -> ApiError {
    let message = format!("the body has more than {max_bytes} bytes (`server.max_body_bytes`)");
    ApiError::new(413, "request_too_large", message)
}

/// The units that a number of bytes takes.
fn units(n_bytes: u64) -> u32 {
    let max = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
    u32::try_from(n_bytes.div_ceil(UNIT))
        .unwrap_or(max)
        .min(max)
}
