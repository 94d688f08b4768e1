//! Bodies of answers: JSON, and streams of events.

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use futures_util::Stream;
use serde::Serialize;

use super::comments::Commented;

/// Writes a JSON body; what is written is data that always serialises.
pub(super) fn json(status: u16, value: &impl Serialize) -> Response<Body> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    text(status, "application/json", body)
}

pub(super) fn text(
    status: u16,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Sends what a stream gives, and a comment where it gives nothing for long; dropping the body drops the stream.
pub(super) fn events(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    use futures_util::StreamExt;
    let stream = Commented::new(stream).map(Ok::<_, std::convert::Infallible>);
    let mut response = text(
        200,
        "text/event-stream; charset=utf-8",
        Body::from_stream(stream),
    );
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Otherwise nginx would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
