//! The description of the routes that is served; `tests/it/server_openapi` holds it to what is answered.

/// The document, as it is served at `/openapi.json`.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");
