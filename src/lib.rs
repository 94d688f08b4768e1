//! Agents that call OpenAI-compatible models, with strict, explicit errors.

mod kind;
mod secret;
mod usage;
pub mod future;
#[cfg(feature = "config")]
pub mod config;

pub use kind::ErrorKind;
pub use secret::Secret;
pub use usage::Usage;
