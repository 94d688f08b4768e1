//! The context of a tool call that nobody made.

use crate::context::RunContext;
use crate::tools::{ToolContext, ToolName};

/// Makes a context for calling a tool's function in a test.
///
/// It has the state of the run.
///
/// The call is of a tool `test`, by an agent `Test`, with the id `call_test` and no arguments; [`ToolContext::new`] takes others.
///
/// ```
/// use openai_agents::testing::tool_context;
/// use openai_agents::context::{MissingState, States};
/// use openai_agents::{RunContext, ToolContext, tool};
///
/// struct Stock {
///     n_pots: u32,
/// }
///
/// /// Counts the pots of tea.
/// #[tool]
/// fn count_pots(cx: &ToolContext) -> Result<u32, MissingState> {
///     Ok(cx.state::<Stock>()?.n_pots)
/// }
///
/// let mut states = States::new();
/// states.insert(Stock { n_pots: 3 });
/// let cx = tool_context(RunContext::new(states));
/// assert_eq!(count_pots(&cx)?, 3);
/// # Ok::<(), MissingState>(())
/// ```
pub fn tool_context(run: RunContext) -> ToolContext {
    ToolContext::new(run, "Test", ToolName::test(), "call_test", "{}")
}
