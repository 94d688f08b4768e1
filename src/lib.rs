//! Agents that call OpenAI-compatible models, with strict, explicit errors.

mod kind;
mod secret;
mod usage;
pub mod future;
pub mod schema;

pub use kind::ErrorKind;
pub use secret::Secret;
pub use usage::Usage;
