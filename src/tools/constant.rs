//! Tools whose names and schemas are constants of this crate.

use super::ToolDefinitionError;

/// Gives a tool that is made of constants; a test in each room makes all of its own.
#[expect(
    clippy::expect_used,
    reason = "names and schemas are constants, and a test makes each"
)]
pub(super) fn always_valid<T>(made: Result<T, ToolDefinitionError>) -> T {
    made.expect("a tool of this crate has a valid name and schema")
}
