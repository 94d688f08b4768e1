//! What an agent offers to its model.

use std::sync::Arc;

use crate::model::ToolSet;
use crate::tools::{FunctionTool, HostedTool, ToolRegistry, ToolSpec};

/// Makes the set of the tools that are offered: functions, then `more`, and those of the provider.
///
/// What is offered as a tool of the Responses API is not offered as a function too, since the model would have to choose; and not at all
/// while the function that answers it is not.
pub(super) fn tool_set(
    (functions, hosted): (&ToolRegistry, &[HostedTool]),
    is_offered: impl Fn(&FunctionTool) -> bool,
    more: impl Iterator<Item = ToolSpec>,
) -> Arc<ToolSet> {
    let answered_by = |function| hosted.iter().any(|tool| tool.is_answered_by(function));
    let specs = functions
        .iter()
        .filter(|function| is_offered(function) && !answered_by(*function))
        .map(|function| function.spec().clone());
    let set = ToolSet::new(specs.chain(more).collect());
    let hosted = hosted.iter().filter(|tool| {
        let mut functions = functions.iter();
        let function = functions.find(|function| tool.is_answered_by(function));
        function.is_none_or(&is_offered)
    });
    Arc::new(set.with_hosted(hosted.cloned().collect()))
}
