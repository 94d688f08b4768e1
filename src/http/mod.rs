//! HTTP as this crate needs it: server-sent events, and a client that does nothing unasked.
//!
//! The room moves bytes and says what went wrong while it did. It does not know what a model, an agent or a body means.
//!
//! - [`SseDecoder`] turns the bytes of a `text/event-stream` into events; it needs no feature and does no I/O.
//! - `HttpClient` (feature `http`) sends one request per call. It never retries, never follows a redirect, asks for no
//!   compression, reads no environment variable unless told to, and sets up TLS at the first `https` URL.

mod sse;

pub use sse::{SseDecoder, SseError, SseEvent};
