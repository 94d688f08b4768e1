//! What tests of programs that use this library need (feature `testing`).
//!
//! Put the feature into the development dependencies only:
//!
//! ```toml
//! [dev-dependencies]
//! openai-agents-rust = { version = "0.1", features = ["testing"] }
//! ```
//!
//! [`FakeServer`] stands in for a model server on a loopback port: it plays the bytes that a test scripts, with the
//! timing, framing and breakage that it scripts, and keeps what it was sent. Use it for whatever is about the wire.

mod fake_server;

pub use fake_server::{CapturedRequest, FakeServer, Framing, Reply};
