//! Small tools for demos and first steps: a [calculator](calculator()) and a [clock](current_time).
//!
//! Each is a plain function in a module of its own, and a [`FunctionTool`] over it for a model.
//!
//! ```
//! use openai_agents::Agent;
//! use openai_agents::tools::bundled;
//!
//! let agent = Agent::builder("Guide").tool(bundled::calculator()).build()?;
//! assert!(agent.tools().get("calculator").is_some());
//! # Ok::<(), openai_agents::agent::AgentError>(())
//! ```

pub mod calculator;
pub mod clock;

use schemars::JsonSchema;
use serde::Deserialize;

use self::calculator::{CalculatorError, calculate, format_number};
use self::clock::{ClockError, now_in};
use super::constant::always_valid;
use super::{FunctionTool, ToolFailure, ToolOptions, ToolRegistry};

/// Returns the tool `calculator`, which evaluates an arithmetic expression.
///
/// It takes `expression`, as [`calculate`] reads it. The model is told what is wrong with an expression, so that it can
/// correct it.
pub fn calculator() -> FunctionTool {
    always_valid(FunctionTool::with_options(
        "calculator",
        "Calculates an arithmetic expression, such as 4 * 5",
        options(),
        async |_cx, Calculation { expression }: Calculation| {
            let value = calculate(&expression)?;
            Ok::<_, CalculatorError>(format_number(value))
        },
    ))
}

/// Returns the tool `current_time`, which tells date, time and weekday in a time zone.
///
/// It takes `time_zone`, an IANA name such as `Europe/Rome`, or `null` for UTC.
pub fn current_time() -> FunctionTool {
    always_valid(FunctionTool::with_options(
        "current_time",
        "Tells the current date and time in a time zone",
        options(),
        async |_cx, ClockArguments { time_zone }: ClockArguments| {
            let time = now_in(time_zone.as_deref())?;
            Ok::<_, ClockError>(time.to_string())
        },
    ))
}

/// Returns all bundled tools.
pub fn registry() -> ToolRegistry {
    let mut tools = ToolRegistry::new();
    for tool in [calculator(), current_time()] {
        always_valid(tools.register(tool).map(|_| ()));
    }
    tools
}

#[derive(Deserialize, JsonSchema)]
struct Calculation {
    /// Numbers with + - * / % ^, parentheses and functions such as sqrt; no words.
    expression: String,
}

#[derive(Deserialize, JsonSchema)]
struct ClockArguments {
    /// The IANA name of the time zone, such as Europe/Rome; null means UTC.
    time_zone: Option<String>,
}

/// Both tools can be called again with better arguments, and their errors say how.
fn options() -> ToolOptions {
    ToolOptions::default().failure(ToolFailure::TellModelDetail)
}

#[cfg(test)]
mod tests;
