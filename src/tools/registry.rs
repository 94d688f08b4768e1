//! Tools by name, in the order in which they were registered.

use std::collections::HashMap;
use std::slice;

use super::{FunctionTool, IntoTool, ToolDefinitionError, ToolName, ToolSpec};

/// Holds tools in order, each name once.
///
/// ```
/// use openai_agents::tools::ToolOptions;
/// use openai_agents::{FunctionTool, ToolRegistry};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Addends {
///     a: i64,
///     b: i64,
/// }
///
/// let add = FunctionTool::new("add", "Adds two numbers.", async |_cx, addends: Addends| {
///     addends.a.checked_add(addends.b).ok_or("too large")
/// })?;
/// let mut tools = ToolRegistry::new();
/// tools.register(add.clone())?;
///
/// assert!(tools.get("add").is_some());
/// assert!(tools.register(add).is_err());
/// # Ok::<(), openai_agents::tools::ToolDefinitionError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ToolRegistry {
    tools: Vec<FunctionTool>,
    positions: HashMap<ToolName, usize>,
}

/// The names of so few tools are compared for less than a hash costs.
const MAX_COMPARED: usize = 8;

impl ToolRegistry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool at the end.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the tool cannot be offered to a model, or its name is taken.
    pub fn register(&mut self, tool: impl IntoTool) -> Result<&mut Self, ToolDefinitionError> {
        self.add(tool.into_tool()?)?;
        Ok(self)
    }

    /// Finds a tool by its name.
    pub fn get(&self, name: &str) -> Option<&FunctionTool> {
        if self.tools.len() <= MAX_COMPARED {
            return self.tools.iter().find(|tool| tool.name().as_str() == name);
        }
        self.tools.get(*self.positions.get(name)?)
    }

    /// Iterates over the tools in order.
    pub fn iter(&self) -> slice::Iter<'_, FunctionTool> {
        self.tools.iter()
    }

    /// Iterates over the descriptions of the tools in order.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &ToolSpec> {
        self.tools.iter().map(FunctionTool::spec)
    }

    /// Counts the tools.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there is no tool.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    fn add(&mut self, tool: FunctionTool) -> Result<(), ToolDefinitionError> {
        let spec = tool.spec();
        if let Some(registered) = self.get(&spec.name) {
            return Err(ToolDefinitionError::duplicate(registered.spec(), spec));
        }
        self.positions.insert(spec.name.clone(), self.tools.len());
        self.tools.push(tool);
        Ok(())
    }
}

impl<'a> IntoIterator for &'a ToolRegistry {
    type Item = &'a FunctionTool;
    type IntoIter = slice::Iter<'a, FunctionTool>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
