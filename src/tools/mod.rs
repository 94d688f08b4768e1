//! What a model can call.

#[cfg(feature = "bundled-tools")]
pub mod bundled;
