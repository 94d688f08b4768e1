//! Sends the head of a stream soon, however long the model takes: clients time out on a silent server.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::future::Either;
use futures_util::{Stream, StreamExt, stream};

use crate::server::error::ApiError;
use crate::server::reply;

/// How long a stream may take to begin before its head goes out.
///
/// What fails sooner, such as a request that the model's server refuses, is an answer with a status, by which clients tell errors apart.
const PATIENCE: Duration = Duration::from_millis(250);

/// Answers with a stream that is being begun; an error that comes after the head is an event.
pub(super) async fn in_time<S>(
    begin: impl Future<Output = Result<S, ApiError>> + Send + 'static,
    error_event: fn(&ApiError) -> Bytes,
) -> Result<Response<Body>, ApiError>
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let mut begin = Box::pin(begin);
    if let Ok(begun) = tokio::time::timeout(PATIENCE, &mut begin).await {
        return Ok(reply::events(begun?));
    }
    let events = stream::once(begin).flat_map(move |begun| match begun {
        Ok(events) => Either::Left(events),
        Err(error) => Either::Right(stream::iter([error_event(&error)])),
    });
    Ok(reply::events(events))
}
