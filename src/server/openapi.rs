//! `/openapi.json`: the description of all routes; `tests/it/server_openapi` checks real answers against it.

/// The document, as it is served at `/openapi.json`.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");
