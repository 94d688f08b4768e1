//! What an agent offers to its model.

use std::sync::Arc;

use crate::model::ToolSet;
use crate::tools::{
    DeferralRule, FunctionTool, HostedTool, ToolName, ToolRegistry, ToolSpec, search_spec,
};

/// Makes the set of the tools that are offered: functions, then `more`, and those of the provider.
///
/// Of functions that the model has to look for it has those that it found, last and behind the search, since a list that goes on as it
/// began is found in the prompt caches of servers.
///
/// What is offered as a tool of the Responses API is not offered as a function too, since the model would have to choose; and not at all
/// while the function that answers it is not.
pub(super) fn tool_set(
    (functions, hosted): (&ToolRegistry, &[HostedTool]),
    (deferral, found): (DeferralRule, &[ToolName]),
    is_offered: impl Fn(&FunctionTool) -> bool,
    more: impl Iterator<Item = ToolSpec>,
) -> Arc<ToolSet> {
    let answered_by = |function| hosted.iter().any(|tool| tool.is_answered_by(function));
    let (withheld, shown): (Vec<_>, Vec<_>) = functions
        .iter()
        .filter(|function| is_offered(function) && !answered_by(*function))
        .partition(|function| deferral.withholds(function));
    let search = (!withheld.is_empty()).then(|| search_spec(withheld.iter().copied()));
    let found = found.iter().filter_map(|name| {
        let mut withheld = withheld.iter();
        withheld.find(|function| function.name() == name)
    });
    let specs = shown
        .into_iter()
        .map(|function| deferral.spec(function))
        .chain(more)
        .chain(search)
        .chain(found.map(|function| function.spec().clone()));
    let set = ToolSet::new(specs.collect());
    let hosted = hosted.iter().filter(|tool| {
        let mut functions = functions.iter();
        let function = functions.find(|function| tool.is_answered_by(function));
        function.is_none_or(&is_offered)
    });
    Arc::new(set.with_hosted(hosted.cloned().collect()))
}
