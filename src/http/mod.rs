//! HTTP as this crate needs it: server-sent events, and a client that does nothing unasked.
//!
//! This module moves bytes and reports what went wrong. It does not know what a model, an agent or a body means.
//!
//! - [`SseDecoder`] turns the bytes of a `text/event-stream` into events; it needs no feature and does no I/O.
//! - `HttpClient` (feature `http`) sends one request per call. It never retries, never follows a redirect, asks for no
//!   compression, takes proxies from the environment only when told to, and sets up TLS at the first `https` URL.

mod sse;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod url;
#[cfg(feature = "http")]
mod headers;
#[cfg(feature = "http")]
mod body;
#[cfg(feature = "http")]
mod proxy;
#[cfg(feature = "http")]
mod error;
#[cfg(feature = "http")]
mod timer;
#[cfg(feature = "http")]
mod addresses;
#[cfg(feature = "http")]
mod connector;
#[cfg(feature = "http")]
mod pool;
#[cfg(feature = "http")]
mod tls;
#[cfg(feature = "http")]
mod certificate;
#[cfg(test)]
mod tests;

#[cfg(feature = "realtime")]
pub(crate) use client::UpgradeResponse;
pub use sse::{SseDecoder, SseError, SseEvent};
#[cfg(feature = "config")]
pub(crate) use timer::Timeouts;
#[cfg(feature = "http")]
pub use {
    body::HttpBody,
    client::{HttpClient, HttpClientBuilder, HttpResponse},
    error::HttpError,
    headers::Headers,
    proxy::Proxies,
    url::{BaseUrl, Url},
};
#[cfg(feature = "http")]
pub(crate) use {body::WholeBody, client::HttpMethod, timer::IdleTimer};
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) use {certificate::certificate_problem_of, tls::tls_config};
