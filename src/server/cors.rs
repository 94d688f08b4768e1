//! CORS: tells browsers that pages of listed origins may send requests and read the answers.
//!
//! A page of the server itself needs none of it, and any other page was refused before.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::allowed_hosts::Caller;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// The headers of answers that clients read; without this a page sees only the usual ones.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-request-id, x-should-retry, retry-after, mcp-session-id");
/// How long a browser may remember the answer to its question, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ASKS_PRIVATE: &str = "access-control-request-private-network";
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Answers the question of a browser whether a page of a listed origin may send a request; `None` if the request is none.
///
/// Browsers ask it without the token, so it is answered before that is looked for.
pub(super) fn preflight(
    caller: &Caller,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let is_asked =
        *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let (Caller::Listed(_), true) = (caller, is_asked) else {
        return None;
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let told = response.headers_mut();
    told.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    told.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // Clients have headers of their own, which nobody can list; a page of a listed origin may send all of them.
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        told.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    // From a public page to a machine in a private network.
    if headers.contains_key(ASKS_PRIVATE) {
        told.insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
    }
    Some(response)
}

/// Tells the browser that a page of a listed origin may read the answer; caches, that other callers are told otherwise.
pub(super) fn tell(caller: &Caller, headers: &mut HeaderMap) {
    // On every answer, also on those without `Origin`, or a cache would give one to a page that it
    // was not meant for.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Caller::Listed(origin) = caller {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
