//! Another model, other instructions or fewer tools for one run of an agent.

use crate::agent::Agent;
use crate::server::AppState;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::tools::FunctionTool;

/// What of an agent is other in a run than it is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AgentOverrides {
    model: Option<String>,
    instructions: Option<String>,
    /// The names of the tools that it has, of those that it is served with.
    tools: Option<Vec<String>>,
}

impl AgentOverrides {
    pub(super) fn parse(fields: Option<BodyFields>) -> Result<Self, ApiError> {
        let Some(mut fields) = fields else {
            return Ok(Self::default());
        };
        let overrides = Self {
            model: fields.take("model")?,
            instructions: fields.take("instructions")?,
            tools: fields.take("tools")?,
        };
        fields.finish()?;
        Ok(overrides)
    }

    /// Returns the agent as it is to run; it is the served one where nothing is other.
    pub(super) async fn apply(&self, app: &AppState, agent: &Agent) -> Result<Agent, ApiError> {
        if *self == Self::default() {
            return Ok(agent.clone());
        }
        let mut builder = agent.to_builder();
        if let Some(name) = &self.model {
            let models = app.models.as_ref().ok_or_else(|| {
                let message = "this server has no models to choose from";
                ApiError::unsupported("overrides.model", message)
            })?;
            let model = models.model(name);
            let model =
                model.map_err(|error| ApiError::invalid("overrides.model", error.to_string()))?;
            builder = builder.shared_model(model);
        }
        if let Some(instructions) = &self.instructions {
            builder = builder.instructions(instructions.as_str());
        }
        if let Some(names) = &self.tools {
            builder = builder.without_tools();
            let chosen = chosen(agent, names).await?;
            for hosted in agent.hosted_tools() {
                // One that a function answers goes with it.
                let is_answered = chosen.iter().any(|tool| hosted.is_answered_by(tool));
                if is_answered || hosted.answered_here().is_none() {
                    builder = builder.hosted_tool(hosted.clone());
                }
            }
            for tool in chosen {
                builder = builder.tool(tool);
            }
        }
        let built = builder.build();
        built.map_err(|error| ApiError::invalid("overrides", error.to_string()))
    }
}

/// Finds the tools of these names among those of the agent, as its sources have them now.
async fn chosen(agent: &Agent, names: &[String]) -> Result<Vec<FunctionTool>, ApiError> {
    let mut all: Vec<FunctionTool> = agent.tools().iter().cloned().collect();
    for source in agent.tool_sources() {
        let found = source
            .tools()
            .await
            .map_err(|error| ApiError::new(502, error.kind().as_str(), error.to_string()))?;
        all.extend(found.iter().cloned());
    }
    let found = names.iter().map(|name| {
        let tool = all.iter().find(|tool| tool.name().as_str() == name);
        tool.cloned().ok_or_else(|| {
            let message = format!("the agent `{}` has no tool `{name}`", agent.name());
            ApiError::invalid("overrides.tools", message)
        })
    });
    found.collect()
}
