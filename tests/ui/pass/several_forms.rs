#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unnameable_types)]

//! Tools that are public, private, local and recursive make no warning.

use openai_agents::{ToolContext, ToolRegistry, tool};

/// Adds two numbers.
#[tool]
pub async fn add(a: i64, b: i64) -> Result<i64, String> {
    a.checked_add(b).ok_or_else(|| "too large".to_owned())
}

/// Says who calls.
#[tool]
pub(crate) fn caller(cx: &ToolContext) -> String {
    cx.agent().to_owned()
}

#[tool(description = "Multiplies.")]
pub fn multiply(a: i64, #[default(2)] b: i64) -> i64 {
    a * b
}

fn main() {
    /// Is local.
    #[tool]
    fn local() {}

    let mut tools = ToolRegistry::new();
    tools.register(add).unwrap();
    tools.register(caller).unwrap();
    tools.register(multiply).unwrap();
    tools.register(local).unwrap();
}
