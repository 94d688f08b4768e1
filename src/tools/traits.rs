//! The trait that tools implement.

use std::error::Error;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    FunctionTool, IntoToolOutput, ToolContext, ToolDefinitionError, ToolOptions, ToolRegistry,
};
use crate::context::{RunContext, StateType};
use crate::item::FunctionCall;

/// Does something that a model can ask for.
///
/// # Who implements it
///
/// `#[tool]` does for a plain function, which is the usual way. Write it by hand for a tool with resources of its own, say an HTTP
/// client or a search index: they are fields of the type.
///
/// # Who calls it, and when
///
/// [`name`](Self::name), [`description`](Self::description), [`options`](Self::options) and the schema of
/// [`Args`](Self::Args) are read once, when the tool becomes a [`FunctionTool`]. [`call`](Self::call) is called by the run,
/// once for every call of a model whose arguments fit `Args`; what does not fit never arrives here. Calls of one turn run side by
/// side, so `call` takes `&self` and may be running several times at once. A run that is resumed from a journal does not call again
/// for a call whose outcome was recorded, but after a crash in the middle of a call it cannot know whether the effect took place;
/// give effects that must not happen twice the [`call_id`](ToolContext::call_id) as their key.
///
/// # What it may do
///
/// It may await as long as [`ToolOptions::timeout`] lets it, and must not block the thread: work that blocks goes through
/// [`blocking`](super::blocking). When the run is cancelled or the time-out passes, the future is dropped at an
/// `.await`. A panic is caught and counts as a failure of this one call.
///
/// # What an error means
///
/// Any error type will do, also `String` and `anyhow::Error`. By default the model is told that the tool failed and the run goes
/// on; [`ToolOptions::failure`] can tell the text of the error too, or end the run.
///
/// # Examples
///
/// ```
/// use openai_agents::{Tool, ToolContext};
///
/// struct Dice {
///     n_sides: u32,
/// }
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Roll {
///     /// How many dice to roll.
///     n_dice: u32,
/// }
///
/// impl Tool for Dice {
///     type Args = Roll;
///     type Output = u32;
///     type Error = String;
///
///     fn name(&self) -> &str {
///         "roll_dice"
///     }
///
///     fn description(&self) -> &str {
///         "Rolls dice and adds them up."
///     }
///
///     async fn call(&self, _cx: &ToolContext, roll: Roll) -> Result<u32, String> {
///         roll.n_dice.checked_mul(self.n_sides).ok_or("too many dice".to_owned())
///     }
/// }
/// ```
pub trait Tool: Send + Sync + 'static {
    /// The arguments; a struct whose field docs become the parameters' descriptions.
    type Args: DeserializeOwned + JsonSchema + Send;
    /// What the tool gives back: anything that serialises, or a [`ToolOutput`](super::ToolOutput).
    type Output: IntoToolOutput;
    /// What can go wrong.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns the name by which models call the tool; see [`ToolName`](super::ToolName) for the rules.
    fn name(&self) -> &str;

    /// Says what the tool does and when to use it, in words for the model.
    fn description(&self) -> &str;

    /// Returns the options; the defaults unless overridden.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }

    /// Whether someone must approve this call before it is made; none unless overridden.
    ///
    /// It is asked when the model has called, and should be quick; see [`FunctionTool::needs_approval`].
    fn needs_approval(&self, cx: &RunContext, call: &FunctionCall) -> bool {
        let _ = (cx, call);
        false
    }

    /// Returns the types of application state that the tool cannot do without; none unless overridden.
    ///
    /// A run that was not given one of them ends before anything is sent.
    fn required_state(&self) -> Vec<StateType> {
        Vec::new()
    }

    /// Answers one call.
    ///
    /// # Errors
    ///
    /// Whatever keeps the tool from answering; the run decides what becomes of it.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the run is cancelled or the time-out passes.
    fn call(
        &self,
        cx: &ToolContext,
        args: Self::Args,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// Turns a value into a [`FunctionTool`].
///
/// So agents and registries take any kind of tool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    note = "put `#[tool]` on the function, implement `Tool`, or use `FunctionTool::new` for a closure"
)]
pub trait IntoTool {
    /// Turns the value into a tool.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name or the schema cannot be offered to a model.
    fn into_tool(self) -> Result<FunctionTool, ToolDefinitionError>;
}

impl<T: Tool> IntoTool for T {
    fn into_tool(self) -> Result<FunctionTool, ToolDefinitionError> {
        FunctionTool::from_tool(self)
    }
}

impl IntoTool for FunctionTool {
    fn into_tool(self) -> Result<FunctionTool, ToolDefinitionError> {
        Ok(self)
    }
}

impl IntoTool for &FunctionTool {
    fn into_tool(self) -> Result<FunctionTool, ToolDefinitionError> {
        Ok(self.clone())
    }
}

/// Turns several values into [`FunctionTool`]s.
///
/// They are a tuple of any tools, a list of tools of one type, or a registry.
///
/// Each `#[tool]` function is of a type of its own, so that several of them are a tuple: `.tools((add, multiply))`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collection of tools",
    note = "put tools of different types into a tuple, `.tools((add, multiply))`, and a single one into `.tool(add)`"
)]
pub trait IntoTools {
    /// Turns the values into tools, in order.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name or the schema of one of them cannot be offered to a model.
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError>;
}

impl<T: IntoTool, const N: usize> IntoTools for [T; N] {
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
        self.into_iter().map(IntoTool::into_tool).collect()
    }
}

impl<T: IntoTool> IntoTools for Vec<T> {
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
        self.into_iter().map(IntoTool::into_tool).collect()
    }
}

impl IntoTools for &[FunctionTool] {
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
        Ok(self.to_vec())
    }
}

impl IntoTools for &ToolRegistry {
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
        Ok(self.iter().cloned().collect())
    }
}

impl IntoTools for ToolRegistry {
    fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
        (&self).into_tools()
    }
}

/// Twelve, as the standard library has it for its traits; longer lists are two calls.
macro_rules! into_tools {
    ($($first:ident $($rest:ident)*)?) => {$(
        impl<$first: IntoTool $(, $rest: IntoTool)*> IntoTools for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "the type parameters name the values")]
            fn into_tools(self) -> Result<Vec<FunctionTool>, ToolDefinitionError> {
                let ($first, $($rest,)*) = self;
                Ok(vec![$first.into_tool()? $(, $rest.into_tool()?)*])
            }
        }

        into_tools!($($rest)*);
    )?};
}

into_tools!(A B C D E F G H I J K L);
