//! Tools that the client runs: the model may call them beside the agent's own, and such calls end the answer.

use serde_json::{Map, Value, json};

use super::request_fields::Api;
use crate::agent::{Agent, ChoiceHolds, Interruption};
use crate::error::RunError;
use crate::model::ToolChoice;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::tools::{FunctionTool, ToolName, ToolSpec};

/// The tools of a request, in order.
#[derive(Debug, Default)]
pub(super) struct ClientTools {
    tools: Vec<FunctionTool>,
    /// As they came; they are told again.
    asked: Vec<Value>,
}

impl ClientTools {
    /// Reads the tools of a request.
    ///
    /// # Errors
    ///
    /// When one is no function: what the model's provider would run is the agent's matter.
    pub(super) fn take(fields: &mut BodyFields, api: Api) -> Result<Self, ApiError> {
        let asked: Vec<Value> = fields.take("tools")?.unwrap_or_default();
        let mut tools = Vec::with_capacity(asked.len());
        for (n, tool) in asked.iter().enumerate() {
            let tool = FunctionTool::answered_elsewhere(spec(tool, api, &format!("tools[{n}]"))?);
            let mut others = tools.iter().map(FunctionTool::name);
            if others.any(|name| name == tool.name()) {
                let message = format!("two tools are named `{}`", tool.name().as_str());
                return Err(ApiError::invalid(format!("tools[{n}]"), message));
            }
            tools.push(tool);
        }
        Ok(Self { tools, asked })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| tool.name().as_str())
    }

    pub(super) fn to_json(&self) -> Value {
        Value::from(self.asked.clone())
    }

    /// Gives the agent these tools beside its own.
    ///
    /// # Errors
    ///
    /// When the agent has a tool of one of the names.
    pub(super) fn given_to(
        &self,
        agent: &Agent,
        choice: Option<&ToolChoice>,
    ) -> Result<Agent, ApiError> {
        if self.tools.is_empty() {
            return Ok(agent.clone());
        }
        let holds = match choice {
            Some(ToolChoice::Required) => ChoiceHolds::EveryTurn,
            Some(ToolChoice::Function(name)) if self.names().any(|own| own == name) => {
                ChoiceHolds::EveryTurn
            }
            Some(
                ToolChoice::Function(_)
                | ToolChoice::Hosted(_)
                | ToolChoice::Auto
                | ToolChoice::None,
            )
            | None => ChoiceHolds::Once,
        };
        let given = agent.with_client_tools(self.tools.clone(), holds);
        given.map_err(|name| {
            let agent = agent.name();
            let message = format!(
                "the agent `{agent}` has a tool named `{name}` of its own; give yours another name"
            );
            ApiError::unsupported("tools", message)
        })
    }

    /// The calls for which a run has ended, if they are for the client to answer and nothing else waits.
    pub(super) fn calls_of(&self, error: &RunError, agent: &str) -> Option<Vec<Interruption>> {
        let waiting = error.interruptions();
        let is_clients = |call: &Interruption| {
            // A tool of the same name inside an agent that is a tool, or of an agent behind a handoff, is not the client's.
            call.path.is_empty()
                && call.agent == agent
                && self.names().any(|name| name == call.tool)
        };
        (!waiting.is_empty() && waiting.iter().all(is_clients)).then_some(waiting)
    }
}

fn spec(tool: &Value, api: Api, param: &str) -> Result<ToolSpec, ApiError> {
    let mut fields = BodyFields::of(tool.clone(), param)?;
    let kind: String = fields.need("type")?;
    if kind != "function" {
        let message = format!(
            "tools of the type `{kind}` are not supported: an agent has its own, and of a client it takes functions"
        );
        return Err(ApiError::unsupported(format!("{param}.type"), message));
    }
    let (function, param): (Map<String, Value>, _) = match api {
        Api::Chat => (fields.need("function")?, format!("{param}.function")),
        Api::Responses => (fields.take_rest(), param.to_owned()),
    };
    let mut fields = BodyFields::of(Value::Object(function.clone()), &*param)?;
    let name: String = fields.need("name")?;
    let name = ToolName::new(name)
        .map_err(|error| ApiError::invalid(format!("{param}.name"), error.to_string()))?;
    let description: Option<String> = fields.take("description")?;
    let parameters: Option<Value> = fields.take("parameters")?;
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let mut spec = ToolSpec::new(name, description.unwrap_or_default(), parameters);
    spec.strict = fields.take("strict")?.unwrap_or(false);
    spec.verbatim = Some(function);
    Ok(spec)
}
