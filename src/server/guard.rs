//! The checks that every request passes before its route: host, origin, token, capacity.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Method, Response};
use axum::middleware::Next;

use super::allowed_hosts::Caller;
use super::error::ApiError;
use super::in_flight::InFlightGuard;
use super::state::AppState;
use super::{cors, id, page, token};
use crate::trace::TraceScope;

/// Where browsers send the token as a protocol of a WebSocket: they cannot set a header there.
const REALTIME: &str = "/v1/realtime";

/// Refuses what may not pass, then counts and numbers the answer.
///
/// The order is that of what an answer gives away. `Host` and `Origin` come first: a stranger's page must not learn even whether a token is
/// needed. The preflight of CORS comes before the token, because browsers send none with it. Capacity comes before the body is read, so that
/// a full server buffers nothing; and the body is read before the route runs, so that no run begins for a client that is gone.
pub(super) async fn guard(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    // Every answer comes by here, refusals too, so each is counted and has an id.
    let mut response = match app.allowed_hosts.check(request.uri(), request.headers()) {
        Ok(caller) => {
            let mut response = answer(&app, &caller, request, next).await;
            cors::tell(&caller, response.headers_mut());
            response
        }
        Err(foreign) => refuse(&app, request, ApiError::foreign(&foreign)).await,
    };
    app.runs.metrics.answered(response.status().as_u16());
    let headers = response.headers_mut();
    if app.runs.is_closing() {
        // Otherwise a client would send its next request over a connection that is about to end.
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

async fn answer(app: &AppState, caller: &Caller, request: Request, next: Next) -> Response<Body> {
    if let Some(response) = cors::preflight(caller, request.method(), request.headers()) {
        return response;
    }
    match admit(app, &request) {
        Err(refusal) => refuse(app, request, refusal).await,
        Ok(None) => traced(request, next).await,
        Ok(Some(in_flight)) => respond(app, in_flight, request, next).await,
    }
}

/// Decides by the head of a request alone; what does something is counted.
fn admit(app: &AppState, request: &Request) -> Result<Option<InFlightGuard>, ApiError> {
    let (path, headers) = (request.uri().path(), request.headers());
    let is_open = path == "/healthz" || page::is_file(app, request.method(), path);
    if !is_open
        && let Some(token) = &app.token
        && !token::is_brought(token, headers)
        && !(path == REALTIME && token::is_in_protocols(token, headers))
    {
        return Err(ApiError::no_token());
    }
    // What is only looked at or listened to is no work.
    // So a full server still answers health checks, metrics and those who watch a run.
    if *request.method() != Method::POST {
        return Ok(None);
    }
    let ends_something = path.starts_with("/cancel/") || path.ends_with("/cancel");
    // Ending something helps the server to close.
    if app.runs.is_closing() && !ends_something {
        return Err(ApiError::closing());
    }
    let in_flight = app.in_flight.begin();
    in_flight.map(Some).ok_or_else(ApiError::busy)
}

/// Reads the body, and lets the route answer; both count as work.
async fn respond(
    app: &AppState,
    in_flight: InFlightGuard,
    request: Request,
    next: Next,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let read = match app.bodies.read(&parts.headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refusal.into_response(),
    };
    let mut request = Request::from_parts(parts, Body::from(read.bytes));
    // For a run that goes on when the request has its answer.
    request.extensions_mut().insert(read.share.clone());
    // The place and the memory of the body are given back with the last byte of the answer. A
    // stream counts for as long as it goes on.
    let in_flight = in_flight.with_body(read.share);
    let response = traced(request, next).await;
    response.map(|body| in_flight.until_end_of(body))
}

/// Lets the route answer within the trace of whoever asks, if the request names one: runs that it begins are a part of that.
async fn traced(request: Request, next: Next) -> Response<Body> {
    let parent = request.headers().get("traceparent");
    let parent = parent.and_then(|parent| parent.to_str().ok()?.parse().ok());
    match parent {
        Some(parent) => TraceScope::remote(parent).run(next.run(request)).await,
        // What cannot be read is ignored, as the specification asks for.
        None => next.run(request).await,
    }
}

/// Answers with an error, once the client can hear it.
async fn refuse(app: &AppState, request: Request, refusal: ApiError) -> Response<Body> {
    let (parts, body) = request.into_parts();
    app.bodies.discard(&parts.headers, body).await;
    refusal.into_response()
}
