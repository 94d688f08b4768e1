//! JSON Schema from Rust types, and the strict form that models are held to.
//!
//! [`of`] describes a type. [`strict`] closes a schema, so that a model can neither leave out nor invent a property. Both are
//! pure functions on JSON.
//!
//! ```
//! use openai_agents::schema;
//! use serde_json::json;
//!
//! #[derive(schemars::JsonSchema)]
//! struct ShopQuery {
//!     /// What to look for.
//!     query: String,
//!     limit: Option<u8>,
//! }
//!
//! let strict = schema::strict(schema::of::<ShopQuery>())?;
//! assert_eq!(strict["required"], json!(["query", "limit"]));
//! assert_eq!(strict["additionalProperties"], json!(false));
//! # Ok::<(), schema::SchemaError>(())
//! ```

mod derive;
mod strict;
mod all_of;
mod reference;
mod graph;
mod path;
mod error;
#[cfg(feature = "schema-validation")]
mod check;

#[cfg(feature = "mcp-server")]
pub(crate) use reference::percent_decode;

#[cfg(feature = "schema-validation")]
pub(crate) use check::SchemaCheck;
pub use derive::of;
pub use error::SchemaError;
pub use path::SchemaPath;
pub use strict::strict;

#[cfg(test)]
mod tests;
