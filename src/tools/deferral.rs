//! Tools that a model is not shown before it has looked for them: which they are, and what it is shown in their place.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{FunctionTool, HostedTool, ToolName, ToolNameError, ToolRegistry, ToolSpec};

/// By what a model looks for tools, where it is the run that searches.
pub(crate) const SEARCH_TOOL: &str = "search_tools";

/// A group of tools that a model knows by its name and description.
///
/// The model knows no more until it looks for one of the tools.
///
/// The tools of an MCP server are one. A tool has its name by itself: two tools of one agent differ in it also where they are of two groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolNamespace {
    /// The name.
    pub name: ToolName,
    /// What its tools are for, in words for the model.
    pub description: String,
}

impl ToolNamespace {
    /// Describes a group.
    ///
    /// # Errors
    ///
    /// [`ToolNameError`] when the name is none that every provider takes.
    pub fn new(
        name: impl AsRef<str>,
        description: impl Into<String>,
    ) -> Result<Self, ToolNameError> {
        Ok(Self {
            name: ToolName::new(name)?,
            description: description.into(),
        })
    }
}

/// Whether a model is shown a tool before it has looked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Deferral {
    /// As its agent says.
    #[default]
    ByAgent,
    Deferred,
    Never,
}

/// The deferred tools of an agent, and who searches among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeferralRule {
    /// Whether all tools of the agent are deferred that do not say otherwise.
    pub(crate) by_default: bool,
    pub(crate) search: ToolSearch,
}

/// Who searches among deferred tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolSearch {
    /// The run: the model calls the tool `search_tools`, and is shown what it found from the next turn on.
    Run,
    /// The provider, which is sent all tools and shows the model what it looks for.
    Provider,
}

impl ToolSearch {
    pub(crate) fn of(hosted: &[HostedTool]) -> Self {
        let is_search = |tool: &HostedTool| tool.type_name() == HostedTool::TOOL_SEARCH;
        if hosted.iter().any(is_search) {
            Self::Provider
        } else {
            Self::Run
        }
    }
}

impl DeferralRule {
    /// Whether the model is not shown the tool before it has looked for it.
    pub(crate) fn defers(self, tool: &FunctionTool) -> bool {
        match tool.deferral() {
            Deferral::Never => false,
            Deferral::Deferred => true,
            Deferral::ByAgent => self.by_default,
        }
    }

    /// Whether the run is to withhold the tool until the model has looked for it.
    pub(crate) fn withholds(self, tool: &FunctionTool) -> bool {
        self.search == ToolSearch::Run && self.defers(tool)
    }

    /// Whether the run searches among any of the tools.
    pub(crate) fn searches(self, tools: &ToolRegistry) -> bool {
        tools.iter().any(|tool| self.withholds(tool))
    }

    /// What a request says of a tool that it has.
    pub(crate) fn spec(self, tool: &FunctionTool) -> ToolSpec {
        let mut spec = tool.spec().clone();
        if self.search == ToolSearch::Provider && self.defers(tool) {
            spec.defer_loading = true;
            spec.namespace = tool.tool_namespace().cloned();
        }
        spec
    }
}

/// Describes the search among tools, of which it names the groups and no tool: 500 cost no more than 10.
pub(crate) fn search_spec<'a>(tools: impl Iterator<Item = &'a FunctionTool>) -> ToolSpec {
    let mut groups: Vec<&ToolNamespace> = Vec::new();
    for group in tools.filter_map(FunctionTool::tool_namespace) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut description = "Finds tools that are not shown here, of which there are more. \
        The tools that it finds can be called from the next turn on."
        .to_owned();
    if !groups.is_empty() {
        description += " Among them are:";
    }
    for group in groups {
        description.extend(["\n- ", &*group.name, ": ", &*group.description]);
    }
    let query = "What is to be done, in a few words, or the name of a tool.";
    let parameters = json!({
        "type": "object",
        "properties": {"query": {"type": "string", "description": query}},
        "required": ["query"],
        "additionalProperties": false,
    });
    ToolSpec::new(ToolName::search(), description, parameters)
}
