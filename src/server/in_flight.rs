//! Counts the requests in flight: bounded in number, and awaited when the server closes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::BodyShare;

/// Counts the requests in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    places: Arc<Semaphore>,
    max_requests: u32,
}

/// A request in flight, until it is dropped.
pub(super) struct InFlightGuard {
    /// The place.
    _place: OwnedSemaphorePermit,
    /// What its body takes of the memory for bodies.
    _body: Option<BodyShare>,
}

impl InFlight {
    pub(super) fn new(max_requests: u32) -> Self {
        let max_requests =
            max_requests.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            places: Arc::new(Semaphore::new(max_requests as usize)),
            max_requests,
        }
    }

    /// Counts a request; none if there may not be more.
    pub(super) fn begin(&self) -> Option<InFlightGuard> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(InFlightGuard {
            _place: place,
            _body: None,
        })
    }

    /// How many requests are in flight.
    pub(super) fn n_in_flight(&self) -> usize {
        (self.max_requests as usize).saturating_sub(self.places.available_permits())
    }

    /// Waits until none is.
    pub(super) async fn finished(&self) {
        // The semaphore is never closed.
        drop(self.places.acquire_many(self.max_requests).await);
    }
}

impl InFlightGuard {
    pub(super) fn with_body(self, share: BodyShare) -> Self {
        Self {
            _body: Some(share),
            ..self
        }
    }

    /// Lasts until the body has been read, or nobody reads it any more.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        Body::new(Held {
            body,
            _in_flight: self,
        })
    }
}

/// A body with the request that it answers.
struct Held {
    body: Body,
    _in_flight: InFlightGuard,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
