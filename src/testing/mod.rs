//! What tests of programs that use this library need (feature `testing`).
//!
//! Put the feature into the development dependencies only:
//!
//! ```toml
//! [dev-dependencies]
//! openai-agents-kit = { version = "0.1", features = ["testing"] }
//! ```
//!
//! [`FakeServer`] stands in for a model server on a loopback port: it plays the bytes that a test scripts, with the
//! timing, framing and breakage that it scripts, and keeps what it was sent. Use it for whatever is about the wire.
//! [`ScriptedModel`] stands in for the model itself: no socket, no JSON. Use it for what agents and tools do.
//! [`session_conformance`] checks a [`Session`](crate::session::Session) of your own, [`model_conformance`] a
//! [`Model`](crate::model::Model). A `#[tool]` function is called by its name like any other; [`tool_context`] makes the context for one
//! that takes it.

mod fake_server;
mod scripted_model;
mod conformance;
mod shelf;
mod tool_context;
#[cfg(feature = "realtime")]
pub mod realtime;
#[cfg(feature = "voice")]
mod voice;

pub use conformance::{NonConformance, model_conformance, session_conformance};
pub use fake_server::{CapturedRequest, FakeServer, Framing, Reply};
pub use scripted_model::{ScriptedModel, ScriptedTurn};
pub use shelf::SessionShelf;
pub use tool_context::tool_context;
#[cfg(feature = "voice")]
pub use voice::{ScriptedStt, ScriptedTts};
