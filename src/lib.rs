//! Agents that call OpenAI-compatible models, with strict, explicit errors.

mod kind;
mod secret;
mod usage;
pub mod future;
mod memo;
pub mod item;
pub mod schema;
#[cfg(feature = "bundled-tools")]
pub mod tools;

pub use item::Item;
pub use kind::ErrorKind;
pub use secret::Secret;
pub use usage::Usage;
