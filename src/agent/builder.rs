//! Building an agent, and what can be wrong with one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Agent, OutputMode, OutputType, Parts, ToolUse};
use crate::model::{Model, ModelSettings, ToolSet};
use crate::schema::SchemaError;
use crate::tools::{HostedTool, IntoTool, ToolDefinitionError, ToolRegistry};

/// Builds an [`Agent`]; begun by [`Agent::builder`].
#[must_use = "an agent is made by build()"]
pub struct AgentBuilder {
    name: String,
    instructions: Option<Arc<str>>,
    model: Option<Arc<dyn Model>>,
    settings: ModelSettings,
    tools: ToolRegistry,
    hosted: Vec<HostedTool>,
    tool_use: ToolUse,
    output: Option<Result<OutputType, SchemaError>>,
    keeps_tool_choice: bool,
    /// The first mistake; it is told by `build`.
    mistake: Option<ToolDefinitionError>,
}

/// Says why an agent cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The name is empty or only white space.
    #[error("an agent needs a name")]
    NoName,
    /// A tool is wrong or its name is taken.
    #[error("agent `{agent}` cannot have this tool")]
    Tool {
        /// The agent.
        agent: String,
        /// What is wrong.
        #[source]
        source: ToolDefinitionError,
    },
    /// The type of the final output has no strict schema.
    #[error("the output type of agent `{agent}` has no strict schema")]
    Output {
        /// The agent.
        agent: String,
        /// What is wrong.
        #[source]
        source: SchemaError,
    },
    /// [`ToolUse::StopAtTools`] names a tool that the agent does not have.
    #[error("agent `{agent}` is to stop at the tool `{tool}`, which it does not have")]
    UnknownStopTool {
        /// The agent.
        agent: String,
        /// The tool.
        tool: String,
    },
}

impl AgentBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            instructions: None,
            model: None,
            settings: ModelSettings::default(),
            tools: ToolRegistry::default(),
            hosted: Vec::new(),
            tool_use: ToolUse::default(),
            output: None,
            keeps_tool_choice: false,
            mistake: None,
        }
    }

    /// Sets the instructions, sent before the conversation.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into().into());
        self
    }

    /// Gives the agent a model of its own; otherwise the runner's is used.
    pub fn model(mut self, model: impl Model + 'static) -> Self {
        self.model = Some(Arc::new(model));
        self
    }

    /// Gives the agent a model that others share.
    pub fn shared_model(mut self, model: Arc<dyn Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets how the model is to answer.
    pub fn model_settings(mut self, settings: ModelSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a tool.
    pub fn tool(mut self, tool: impl IntoTool) -> Self {
        if self.mistake.is_none() {
            self.mistake = self.tools.register(tool).err();
        }
        self
    }

    /// Adds all tools of a registry.
    pub fn tools(mut self, tools: &ToolRegistry) -> Self {
        for tool in tools {
            self = self.tool(tool.clone());
        }
        self
    }

    /// Adds a tool that the provider runs (Responses API).
    pub fn hosted_tool(mut self, tool: HostedTool) -> Self {
        self.hosted.push(tool);
        self
    }

    /// Sets what happens after tools gave their outputs.
    pub fn tool_use(mut self, tool_use: ToolUse) -> Self {
        self.tool_use = tool_use;
        self
    }

    /// Makes the final output a value of this type, which [`RunResult::output`](crate::RunResult::output) gives.
    ///
    /// ```
    /// use openai_agents::Agent;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Report {
    ///     /// One sentence.
    ///     summary: String,
    ///     n_findings: u32,
    /// }
    ///
    /// let analyst = Agent::builder("Analyst").output::<Report>().build()?;
    /// # Ok::<(), openai_agents::agent::AgentError>(())
    /// ```
    pub fn output<T: DeserializeOwned + JsonSchema>(self) -> Self {
        self.output_by::<T>(OutputMode::Native)
    }

    /// Makes the final output a value of this type, and sets how the model is told.
    pub fn output_by<T: DeserializeOwned + JsonSchema>(mut self, mode: OutputMode) -> Self {
        self.output = Some(OutputType::of::<T>(mode));
        self
    }

    /// Makes the final output JSON of this schema.
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output = Some(OutputType::of_schema(schema, OutputMode::Native));
        self
    }

    /// Keeps the tool choice of the settings after the agent's first tool call.
    ///
    /// Otherwise it is sent until a tool was called and then no more, since `required` would call tools for ever.
    pub fn keep_tool_choice(mut self) -> Self {
        self.keeps_tool_choice = true;
        self
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// When the name is empty, a tool is wrong or its name is taken, or the agent is to stop at a tool that it does not have.
    pub fn build(self) -> Result<Agent, AgentError> {
        if self.name.trim().is_empty() {
            return Err(AgentError::NoName);
        }
        if let Some(source) = self.mistake {
            return Err(AgentError::Tool {
                agent: self.name,
                source,
            });
        }
        if let ToolUse::StopAtTools(names) = &self.tool_use
            && let Some(tool) = names.iter().find(|name| self.tools.get(name).is_none())
        {
            return Err(AgentError::UnknownStopTool {
                tool: tool.clone(),
                agent: self.name,
            });
        }
        let output = self.output.transpose();
        let output = output.map_err(|source| AgentError::Output {
            agent: self.name.clone(),
            source,
        })?;
        let specs = self.tools.iter().map(|tool| tool.spec().clone()).collect();
        let tool_set = Arc::new(ToolSet::new(specs).with_hosted(self.hosted.clone()));
        Ok(Agent(Arc::new(Parts {
            name: self.name.into(),
            instructions: self.instructions,
            model: self.model,
            settings: self.settings,
            tools: self.tools,
            hosted: self.hosted,
            tool_set,
            tool_use: self.tool_use,
            output,
            keeps_tool_choice: self.keeps_tool_choice,
        })))
    }
}

impl std::fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
