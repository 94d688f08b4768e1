//! Building an agent, and what can be wrong with one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::offer::tool_set;
use super::{
    Agent, AgentModel, AgentParts, BoundHandoff, DynHooks, Handoff, Hooks, Instructions,
    OutputMode, OutputType, ToolUseBehavior,
};
use crate::context::RunContext;
use crate::future::IntoOutcome;
use crate::guardrail::{InputGuardrail, OutputGuardrail};
use crate::limits::Limits;
use crate::model::{Model, ModelSettings, Prompt};
use crate::schema::SchemaError;
use crate::tools::{
    DeferralRule, FunctionTool, HostedTool, IntoTool, IntoTools, ToolDefinitionError, ToolRegistry,
    ToolSearch, ToolSource, search_spec,
};

/// Builds an [`Agent`]; begun by [`Agent::builder`].
#[must_use = "an agent is made by build()"]
pub struct AgentBuilder {
    name: String,
    handoff_description: Option<String>,
    instructions: Option<Instructions>,
    prompt: Option<Arc<Prompt>>,
    model: Option<AgentModel>,
    settings: ModelSettings,
    limits: Option<Limits>,
    tools: ToolRegistry,
    hosted: Vec<HostedTool>,
    sources: Vec<Arc<dyn ToolSource>>,
    handoffs: Vec<Handoff>,
    input_guardrails: Vec<InputGuardrail>,
    output_guardrails: Vec<OutputGuardrail>,
    hooks: Vec<Arc<dyn DynHooks>>,
    tool_use_behavior: ToolUseBehavior,
    output: Option<Result<OutputType, SchemaError>>,
    keeps_tool_choice: bool,
    defers_tools: bool,
    /// The first mistake, which `build` returns.
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
    #[error(
        "the output type of agent `{agent}` has no strict schema (`output_non_strict` asks for none)"
    )]
    Output {
        /// The agent.
        agent: String,
        /// What is wrong.
        #[source]
        source: SchemaError,
    },
    /// [`ToolUseBehavior::StopAtTools`] names a tool that the agent does not have.
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
            handoff_description: None,
            instructions: None,
            prompt: None,
            model: None,
            settings: ModelSettings::default(),
            limits: None,
            tools: ToolRegistry::default(),
            hosted: Vec::new(),
            sources: Vec::new(),
            handoffs: Vec::new(),
            input_guardrails: Vec::new(),
            output_guardrails: Vec::new(),
            hooks: Vec::new(),
            tool_use_behavior: ToolUseBehavior::default(),
            output: None,
            keeps_tool_choice: false,
            defers_tools: false,
            mistake: None,
        }
    }

    /// Takes over all that an agent is made of.
    pub(super) fn like(agent: &AgentParts) -> Self {
        Self {
            name: agent.name.to_string(),
            handoff_description: agent.handoff_description.clone(),
            instructions: agent.instructions.clone(),
            prompt: agent.prompt.clone(),
            model: agent.model.clone(),
            settings: (*agent.settings).clone(),
            limits: agent.limits,
            tools: agent.tools.clone(),
            hosted: agent.hosted.clone(),
            sources: agent.sources.clone(),
            handoffs: agent
                .handoffs
                .iter()
                .map(|handoff| handoff.declared.clone())
                .collect(),
            input_guardrails: agent.input_guardrails.clone(),
            output_guardrails: agent.output_guardrails.clone(),
            hooks: agent.hooks.clone(),
            tool_use_behavior: agent.tool_use_behavior.clone(),
            output: agent.output.clone().map(Ok),
            keeps_tool_choice: agent.keeps_tool_choice,
            defers_tools: agent.deferral.by_default,
            mistake: None,
        }
    }

    /// Sets the name, in place of the one that the builder began with.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Removes all tools: the agent's own, those of sources, and those that the provider runs.
    ///
    /// Use it on a [copy of another agent](Agent::to_builder).
    pub fn without_tools(mut self) -> Self {
        self.tools = ToolRegistry::default();
        self.hosted.clear();
        self.sources.clear();
        self
    }

    /// Removes the handoffs.
    pub fn without_handoffs(mut self) -> Self {
        self.handoffs.clear();
        self
    }

    /// Removes the guardrails of input and output.
    pub fn without_guardrails(mut self) -> Self {
        self.input_guardrails.clear();
        self.output_guardrails.clear();
        self
    }

    /// Makes the final output text, whatever the type was.
    pub fn text_output(mut self) -> Self {
        self.output = None;
        self
    }

    /// Sets the instructions, sent before the conversation.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(Instructions::Fixed(instructions.into().into()));
        self
    }

    /// Computes the instructions before each model call, from the run and its application state.
    ///
    /// An error ends the run with the error `callback_failed`.
    ///
    /// ```
    /// use openai_agents::Agent;
    ///
    /// struct User(String);
    ///
    /// let agent = Agent::builder("Guide").instructions_from(async |cx, _agent| {
    ///     Ok::<_, openai_agents::context::MissingState>(format!("You talk with {}.", cx.state::<User>()?.0))
    /// });
    /// # let _ = agent;
    /// ```
    pub fn instructions_from<F, R>(mut self, compute: F) -> Self
    where
        F: Fn(RunContext, Agent) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<String>> + Send + 'static,
    {
        self.instructions = Some(Instructions::Computed(Arc::new(move |cx, agent| {
            let text = compute(cx, agent);
            Box::pin(async move { text.await.into_outcome() })
        })));
        self
    }

    /// Uses a prompt that the provider stores (Responses API); other back ends refuse it.
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(Arc::new(prompt));
        self
    }

    /// Sets the text that tells other agents' models when to hand off to this one.
    pub fn handoff_description(mut self, description: impl Into<String>) -> Self {
        self.handoff_description = Some(description.into());
        self
    }

    /// Lets the agent hand the conversation off to another: `&agent`, or a [`Handoff`] with options.
    pub fn handoff(mut self, handoff: impl Into<Handoff>) -> Self {
        self.handoffs.push(handoff.into());
        self
    }

    /// Checks the input of runs that begin with this agent.
    pub fn input_guardrail(mut self, guardrail: InputGuardrail) -> Self {
        self.input_guardrails.push(guardrail);
        self
    }

    /// Checks the final output of runs that end with this agent.
    pub fn output_guardrail(mut self, guardrail: OutputGuardrail) -> Self {
        self.output_guardrails.push(guardrail);
        self
    }

    /// Adds hooks that are called while this agent is at work.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks.push(Arc::new(hooks));
        self
    }

    /// Sets the agent's own model. Without one the runner's is used.
    pub fn model(mut self, model: impl Model + 'static) -> Self {
        self.model = Some(AgentModel::Model(Arc::new(model)));
        self
    }

    /// Sets the agent's own model, which others share.
    pub fn shared_model(mut self, model: Arc<dyn Model>) -> Self {
        self.model = Some(AgentModel::Model(model));
        self
    }

    /// Sets the name of the agent's own model.
    ///
    /// The runner's [providers](crate::Runner::providers) find it when a run begins.
    ///
    /// A run whose runner has no provider for the name ends with the error `config`, before anything is asked.
    pub fn model_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.model = Some(AgentModel::Named(name.into()));
        self
    }

    /// Sets the model settings of the agent.
    pub fn model_settings(mut self, settings: ModelSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the limits of runs that begin with this agent.
    ///
    /// They replace those of the runner, and are replaced by those of the run.
    ///
    /// After a handoff the run keeps the limits that it began with.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Adds a tool.
    pub fn tool(mut self, tool: impl IntoTool) -> Self {
        if self.mistake.is_none() {
            self.mistake = self.tools.register(tool).err();
        }
        self
    }

    /// Adds several tools.
    ///
    /// They are a tuple of any, a list of tools of one type, or those of a registry.
    ///
    /// ```
    /// use openai_agents::{Agent, tool};
    ///
    /// /// Adds two numbers.
    /// #[tool]
    /// fn add(a: i64, b: i64) -> Option<i64> {
    ///     a.checked_add(b)
    /// }
    ///
    /// /// Multiplies two numbers.
    /// #[tool]
    /// fn multiply(a: i64, b: i64) -> Option<i64> {
    ///     a.checked_mul(b)
    /// }
    ///
    /// let agent = Agent::builder("Counter").tools((add, multiply)).build()?;
    /// assert_eq!(agent.tools().len(), 2);
    /// # Ok::<(), openai_agents::agent::AgentError>(())
    /// ```
    pub fn tools(mut self, tools: impl IntoTools) -> Self {
        if self.mistake.is_none() {
            match tools.into_tools() {
                Ok(tools) => return tools.into_iter().fold(self, Self::tool),
                Err(mistake) => self.mistake = Some(mistake),
            }
        }
        self
    }

    /// Adds a source of tools that may change, such as an MCP server.
    ///
    /// It is asked before each turn.
    ///
    /// A name that the agent has already is an error, which a run finds when it asks the source.
    pub fn tool_source(mut self, source: impl ToolSource + 'static) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// Adds a tool that the provider runs (Responses API).
    pub fn hosted_tool(mut self, tool: HostedTool) -> Self {
        self.hosted.push(tool);
        self
    }

    /// Hides tools from the model until it searches for them.
    ///
    /// So 500 tools cost no more tokens than 10.
    ///
    /// All tools are deferred, also those of sources and agents as tools, except tools that [`never_defer`](FunctionTool::never_defer).
    /// [`FunctionTool::defer_loading`] defers a single tool. Handoffs are always shown. There are two ways to search:
    ///
    /// - Usually the run searches, with every model. The model is shown the tool `search_tools`, which finds tools by words. From the next
    ///   turn to the end of the run it is shown what it found. If it calls a tool that it has not found, the tool is not called, but shown
    ///   from then on. Hooks and [`ToolUseBehavior`] do not see the search as a tool call, but limits count it as one. A
    ///   [`RunState`](crate::RunState) keeps what was found.
    /// - With [`HostedTool::tool_search`] the provider searches (Responses API, models that can do it). It is sent all tools. The model sees
    ///   [namespaces](FunctionTool::namespace), or names and descriptions, until it has searched.
    ///
    /// A realtime session shows all tools from the beginning. If the `tool_choice` of the settings names a tool, that tool should
    /// [never](FunctionTool::never_defer) be deferred, because servers refuse the name of a tool that they were not sent.
    ///
    /// ```
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::{Agent, Runner, tool};
    /// use serde_json::json;
    ///
    /// /// Adds two numbers.
    /// #[tool]
    /// fn add(a: i64, b: i64) -> Option<i64> {
    ///     a.checked_add(b)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let agent = Agent::builder("Counter").tool(add).defer_tools().build()?;
    /// let model = ScriptedModel::new([
    ///     ScriptedTurn::tool_call("search_tools", json!({ "query": "add numbers" })),
    ///     ScriptedTurn::tool_call("add", json!({ "a": 1, "b": 2 })),
    ///     ScriptedTurn::text("3"),
    /// ]);
    /// Runner::new(model.clone()).run(&agent, "1 + 2?").await?;
    /// assert_eq!(model.requests()[0].tools.specs().len(), 1);
    /// assert_eq!(model.requests()[1].tools.specs().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn defer_tools(mut self) -> Self {
        self.defers_tools = true;
        self
    }

    /// Sets what happens after tools gave their outputs.
    pub fn tool_use_behavior(mut self, tool_use_behavior: ToolUseBehavior) -> Self {
        self.tool_use_behavior = tool_use_behavior;
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

    /// Makes the final output a value of this type.
    ///
    /// The mode sets how the model is told.
    pub fn output_by<T: DeserializeOwned + JsonSchema>(mut self, mode: OutputMode) -> Self {
        self.output = Some(OutputType::of::<T>(mode));
        self
    }

    /// Makes the final output a value of a type that has no strict schema.
    ///
    /// A map is such a type.
    ///
    /// The server does not enforce the schema. The answer is still read as the type.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use openai_agents::Agent;
    ///
    /// assert!(Agent::builder("Counter").output::<BTreeMap<String, u32>>().build().is_err());
    /// Agent::builder("Counter").output_non_strict::<BTreeMap<String, u32>>().build()?;
    /// # Ok::<(), openai_agents::agent::AgentError>(())
    /// ```
    pub fn output_non_strict<T: DeserializeOwned + JsonSchema>(mut self) -> Self {
        self.output = Some(Ok(OutputType::of_non_strict::<T>(OutputMode::Native)));
        self
    }

    /// Sets the type of the final output.
    ///
    /// It can come from a schema that is known only at run time.
    pub fn output_type(mut self, output: OutputType) -> Self {
        self.output = Some(Ok(output));
        self
    }

    /// Makes the final output JSON of this schema.
    ///
    /// An output that does not fit ends the run with the error `invalid_output`.
    ///
    /// The model is held to the strict form of the schema. [`OutputType::of_schema_non_strict`] is for schemas that have none.
    #[cfg(feature = "schema-validation")]
    pub fn output_schema(mut self, schema: serde_json::Value) -> Self {
        self.output = Some(OutputType::of_schema(schema, OutputMode::Native));
        self
    }

    /// Keeps the tool choice of the settings after the agent's first tool call.
    ///
    /// Without this it is dropped then, because a model that must call a tool in every turn never answers.
    pub fn keep_tool_choice(mut self) -> Self {
        self.keeps_tool_choice = true;
        self
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// When the name is empty, a tool or handoff is wrong or its name is taken, or the agent is to stop at a tool that it does not have.
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
        if let ToolUseBehavior::StopAtTools(names) = &self.tool_use_behavior
            && self.sources.is_empty()
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
        let handoffs = bind(&self.name, self.handoffs, &self.tools, output.as_ref())?;
        let deferral = DeferralRule {
            by_default: self.defers_tools,
            search: ToolSearch::of(&self.hosted),
        };
        check_search(&self.name, deferral, &self.tools, &handoffs)?;
        let is_always_alike =
            !handoffs.iter().any(BoundHandoff::is_open) && !deferral.searches(&self.tools);
        let tool_set = is_always_alike.then(|| {
            let handoffs = handoffs.iter().map(|handoff| handoff.tool.spec().clone());
            let output = output.as_ref().and_then(OutputType::tool);
            let own = (&self.tools, self.hosted.as_slice());
            tool_set(own, (deferral, &[]), |_| true, handoffs.chain(output))
        });
        Ok(Agent(Arc::new(AgentParts {
            name: self.name.into(),
            handoff_description: self.handoff_description,
            instructions: self.instructions,
            prompt: self.prompt,
            model: self.model,
            settings: Arc::new(self.settings),
            limits: self.limits,
            tools: self.tools,
            hosted: self.hosted,
            sources: self.sources,
            handoffs,
            input_guardrails: self.input_guardrails,
            output_guardrails: self.output_guardrails,
            hooks: self.hooks,
            tool_set,
            tool_use_behavior: self.tool_use_behavior,
            output,
            keeps_tool_choice: self.keeps_tool_choice,
            deferral,
        })))
    }
}

/// Makes the handoffs ready, and finds names that the model could not tell apart.
fn bind(
    agent: &str,
    handoffs: Vec<Handoff>,
    tools: &ToolRegistry,
    output: Option<&OutputType>,
) -> Result<Vec<BoundHandoff>, AgentError> {
    let wrong = |source| AgentError::Tool {
        agent: agent.to_owned(),
        source,
    };
    let output = output.and_then(OutputType::tool);
    if let Some(spec) = &output
        && let Some(tool) = tools.get(&spec.name)
    {
        return Err(wrong(ToolDefinitionError::duplicate(tool.spec(), spec)));
    }
    let mut bound: Vec<BoundHandoff> = Vec::with_capacity(handoffs.len());
    for handoff in handoffs {
        let handoff = handoff.bind().map_err(wrong)?;
        let spec = handoff.tool.spec();
        let tool = tools.get(&spec.name).map(FunctionTool::spec);
        let other = bound.iter().map(|other| other.tool.spec());
        let taken = tool.into_iter().chain(other).chain(&output);
        if let Some(taken) = taken.into_iter().find(|taken| taken.name == spec.name) {
            return Err(wrong(ToolDefinitionError::duplicate(taken, spec)));
        }
        bound.push(handoff);
    }
    Ok(bound)
}

/// Makes sure that nothing is called like the search among deferred tools, if there is one.
fn check_search(
    agent: &str,
    deferral: DeferralRule,
    tools: &ToolRegistry,
    handoffs: &[BoundHandoff],
) -> Result<(), AgentError> {
    if !deferral.searches(tools) {
        return Ok(());
    }
    let search = search_spec(tools.iter());
    let own = tools
        .iter()
        .chain(handoffs.iter().map(|handoff| &handoff.tool));
    let taken = own
        .map(FunctionTool::spec)
        .find(|spec| spec.name == search.name);
    taken.map_or(Ok(()), |taken| {
        Err(AgentError::Tool {
            agent: agent.to_owned(),
            source: ToolDefinitionError::duplicate(taken, &search),
        })
    })
}

impl std::fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
