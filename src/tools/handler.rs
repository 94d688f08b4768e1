//! The one form in which the code of every tool is stored.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::arguments::Arguments;
use super::{IntoToolOutput, Tool, ToolContext, ToolOutput};
use crate::future::{BoxError, BoxFuture};

/// Reads the arguments, or says what is wrong with them, and starts the call.
pub(super) type Handler = dyn Fn(ToolContext, Arguments<'_>) -> Result<Call, String> + Send + Sync;
pub(super) type Call = BoxFuture<'static, Result<ToolOutput, BoxError>>;

/// Says why a call has no output, without naming the tool.
pub(super) enum Fault {
    BadArguments(String),
    /// A field was given twice.
    Ambiguous(String),
    Failed(BoxError),
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
    Args: DeserializeOwned,
    F: Fn(ToolContext, Args) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: IntoToolOutput,
    E: Into<BoxError>,
{
    Box::new(move |cx, arguments| {
        let args = arguments.decode::<Args>()?;
        let answer = function(cx, args);
        Ok(Box::pin(async move { finish(answer.await) }))
    })
}

fn finish<O: IntoToolOutput, E: Into<BoxError>>(
    result: Result<O, E>,
) -> Result<ToolOutput, BoxError> {
    let output = result.map_err(Into::into)?;
    Ok(output.into_tool_output()?)
}
