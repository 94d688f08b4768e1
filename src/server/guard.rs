//! What every request passes before it reaches a route.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Method, Response};
use axum::middleware::Next;

use super::error::ApiError;
use super::front::Shared;
use super::work::UnderWay;
use super::{id, prompt_body, token};

/// Lets nothing pass that may not; counts and names what was answered.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut response = match admit(&shared, &request) {
        Ok(under_way) => {
            let response = next.run(request.map(prompt_body::in_time)).await;
            match under_way {
                Some(under_way) => response.map(|body| under_way.until_end_of(body)),
                None => response,
            }
        }
        Err(refusal) => refusal.into_response(),
    };
    shared.runs.metrics.answered(response.status().as_u16());
    let headers = response.headers_mut();
    if shared.runs.is_closing() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let id = id::random()
        .ok()
        .and_then(|id| HeaderValue::from_str(&format!("req_{id}")).ok());
    if let Some(id) = id {
        headers.insert("x-request-id", id);
    }
    response
}

/// Decides by the head of a request alone; what does something is counted.
fn admit(shared: &Shared, request: &Request) -> Result<Option<UnderWay>, ApiError> {
    let (path, headers) = (request.uri().path(), request.headers());
    let known = shared.names.check(request.uri(), headers);
    known.map_err(ApiError::foreign)?;
    if path != "/healthz"
        && let Some(token) = &shared.token
        && !token::is_brought(token, headers)
    {
        return Err(ApiError::no_token());
    }
    // What is only looked at or listened to is no work.
    if *request.method() != Method::POST {
        return Ok(None);
    }
    let ends_something = path.starts_with("/cancel/") || path.ends_with("/cancel");
    if shared.runs.is_closing() && !ends_something {
        return Err(ApiError::closing());
    }
    let under_way = shared.work.begin();
    under_way.map(Some).ok_or_else(ApiError::busy)
}
