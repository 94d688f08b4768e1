//! The one form in which the code of every tool is stored.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::arguments::CheckedArguments;
use super::{IntoToolOutput, Tool, ToolContext, ToolOutput};
use crate::context::MissingState;
use crate::future::{BoxError, BoxFuture};

/// Reads the arguments, or says what is wrong with them; nothing of the tool runs before the call is polled.
pub(super) type Handler =
    dyn Fn(ToolContext, CheckedArguments<'_>) -> Result<ReadCall, String> + Send + Sync;
/// A call whose arguments were read, and that has not begun.
pub(super) type ReadCall = BoxFuture<'static, Result<ToolOutput, Fault>>;

/// Says why a call that was made has no output.
pub(crate) enum Fault {
    /// The tool's own error.
    Failed(BoxError),
    /// The run inside the call waits for decisions; whoever made the call has its state.
    Paused,
    /// A tool of the run inside the call needs application state that was not given.
    MissingState(MissingState),
    /// The failure is none of the tool and ends what made the call, whatever the tool's options say.
    Fatal(BoxError),
}

pub(super) fn of_tool<T: Tool>(tool: Arc<T>) -> Box<Handler> {
    Box::new(move |cx, arguments| {
        let args = arguments.decode::<T::Args>()?;
        let tool = Arc::clone(&tool);
        Ok(Box::pin(async move { finish(tool.call(&cx, args).await) }))
    })
}

pub(super) fn of_closure<Args, F, R, O, E>(function: F) -> Box<Handler>
where
    Args: DeserializeOwned + Send + 'static,
    F: Fn(ToolContext, Args) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: IntoToolOutput,
    E: Into<BoxError>,
{
    of_engine(move |cx, args| {
        let answer = function(cx, args);
        async move { finish(answer.await) }
    })
}

/// As [`of_closure`], for a tool of the engine, whose calls can pause.
pub(super) fn of_engine<Args, F, R>(function: F) -> Box<Handler>
where
    Args: DeserializeOwned + Send + 'static,
    F: Fn(ToolContext, Args) -> R + Send + Sync + 'static,
    R: Future<Output = Result<ToolOutput, Fault>> + Send + 'static,
{
    let function = Arc::new(function);
    Box::new(move |cx, arguments| {
        let args = arguments.decode::<Args>()?;
        let function = Arc::clone(&function);
        // What a closure does before it gives its future belongs to the call, too.
        Ok(Box::pin(async move { function(cx, args).await }))
    })
}

fn finish<O: IntoToolOutput, E: Into<BoxError>>(result: Result<O, E>) -> Result<ToolOutput, Fault> {
    let output = result.map_err(|error| Fault::Failed(error.into()))?;
    output
        .into_tool_output()
        .map_err(|error| Fault::Failed(error.into()))
}
