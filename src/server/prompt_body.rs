//! Bodies of requests that must come in time: who sends nothing for long holds a connection that others need.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::LengthLimitError;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::error::ApiError;

/// How long the next bytes may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that fails where nothing comes for too long.
struct PromptBody {
    body: Body,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing of the body came for {} seconds", PATIENCE.as_secs())]
struct Late;

/// Makes a body fail where nothing comes for too long.
pub(super) fn in_time(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(PromptBody {
        body,
        waiting: None,
    })
}

/// Says what became of a body that could not be read.
pub(super) fn failure(error: &axum::Error, max_bytes: usize) -> ApiError {
    if is_caused_by::<LengthLimitError>(error) {
        return too_large(max_bytes);
    }
    if is_caused_by::<Late>(error) {
        return ApiError::new(408, "request_timeout", error.to_string());
    }
    ApiError::new(400, "broken_body", format!("the body broke off: {error}"))
}

pub(super) fn too_large(max_bytes: usize) -> ApiError {
    let message = format!("the body has more than {max_bytes} bytes");
    ApiError::new(413, "request_too_large", message)
}

fn is_caused_by<E: Error + 'static>(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl HttpBody for PromptBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame);
        }
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(axum::Error::new(Late)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
