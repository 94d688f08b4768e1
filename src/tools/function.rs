//! The tool that registries, agents and runs hold, whatever it was made from.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::arguments::ArgumentRules;
use super::deferral::Deferral;
use super::handler::{self, Fault, Handler, ReadCall};
use super::invocation::{Approval, ToolCall, Unobserved};
use super::policy::{ApprovalCondition, FailureText, Policy};
use super::{
    IntoToolOutput, Tool, ToolCallResult, ToolContext, ToolDefinitionError, ToolError,
    ToolGuardrail, ToolName, ToolNamespace, ToolOffer, ToolOptions, ToolOutput, ToolSpec,
};
use crate::context::{RunContext, StateType};
use crate::future::{BoxError, IntoOutcome};
use crate::item::{BuiltInTool, FunctionCall};
use crate::schema;

/// Calls application code by name, with JSON arguments that were checked against its schema.
///
/// A cheap handle: clones share one tool.
///
/// With a strict schema (the default, see [`ToolOptions::strict`]) the model is told that every parameter is required; one that may
/// be absent, because its type is an [`Option`] or because it has a `#[serde(default)]`, may then arrive as `null`. A `null` for a
/// parameter that may be absent and whose type has no `null` counts as absent, at every level.
///
/// ```
/// use openai_agents::tools::ToolName;
/// use openai_agents::{FunctionTool, RunContext, ToolContext, ToolOutput};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct TwoNumbers {
///     a: i64,
///     b: i64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let add = FunctionTool::new("add", "Adds two numbers.", async |_cx, numbers: TwoNumbers| {
///     numbers.a.checked_add(numbers.b).ok_or("too large")
/// })?;
///
/// let arguments = r#"{"a": 1, "b": 2}"#;
/// let cx = ToolContext::new(RunContext::default(), "Guide", ToolName::new("add")?, "call_1", arguments);
/// assert_eq!(add.invoke(cx).await.into_output()?, ToolOutput::from("3"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FunctionTool {
    definition: Arc<Definition>,
    policy: Arc<Policy>,
}

pub(super) struct Definition {
    spec: ToolSpec,
    /// That of the spec, for whoever keeps it longer than the tool.
    description: OnceLock<Arc<str>>,
    options: ToolOptions,
    rules: ArgumentRules,
    handler: Box<Handler>,
}

impl FunctionTool {
    /// Makes a tool of a closure over its arguments, with the default options.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name is not allowed or the arguments have no strict schema.
    pub fn new<Args, F, R, O, E>(
        name: impl AsRef<str>,
        description: impl Into<String>,
        function: F,
    ) -> Result<Self, ToolDefinitionError>
    where
        Args: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(ToolContext, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, E>> + Send + 'static,
        O: IntoToolOutput,
        E: Into<BoxError>,
    {
        Self::with_options(name, description, ToolOptions::default(), function)
    }

    /// Makes a tool of a closure over its arguments.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name is not allowed or the arguments have no schema such as the options ask for.
    pub fn with_options<Args, F, R, O, E>(
        name: impl AsRef<str>,
        description: impl Into<String>,
        options: ToolOptions,
        function: F,
    ) -> Result<Self, ToolDefinitionError>
    where
        Args: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(ToolContext, Args) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, E>> + Send + 'static,
        O: IntoToolOutput,
        E: Into<BoxError>,
    {
        Self::define(
            ToolName::new(name)?,
            description.into(),
            options,
            schema_of::<Args>(),
            handler::of_closure(function),
        )
    }

    /// Makes a tool of a schema and a closure over the arguments as JSON.
    ///
    /// The schema is known at run time only.
    ///
    /// With [`ToolOptions::strict`] the schema is put into its strict form. The arguments that arrive are an object without unknown
    /// and double fields; beyond that the closure checks them itself.
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name is not allowed, or the schema is not that of an object or has no strict form.
    pub fn dynamic<F, R, O, E>(
        name: impl AsRef<str>,
        description: impl Into<String>,
        parameters: Value,
        options: ToolOptions,
        function: F,
    ) -> Result<Self, ToolDefinitionError>
    where
        F: Fn(ToolContext, Map<String, Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, E>> + Send + 'static,
        O: IntoToolOutput,
        E: Into<BoxError>,
    {
        Self::define(
            ToolName::new(name)?,
            description.into(),
            options,
            parameters,
            handler::of_closure(function),
        )
    }

    /// Makes a tool of a [`Tool`].
    ///
    /// # Errors
    ///
    /// [`ToolDefinitionError`] when the name is not allowed or the arguments have no schema such as the options ask for.
    pub fn from_tool(tool: impl Tool) -> Result<Self, ToolDefinitionError> {
        let tool = Arc::new(tool);
        let mut defined = Self::define(
            ToolName::new(tool.name())?,
            tool.description().to_owned(),
            tool.options(),
            schema_of_tool(&*tool),
            handler::of_tool(Arc::clone(&tool)),
        )?;
        Arc::make_mut(&mut defined.policy).required_state = tool.required_state();
        Ok(defined.needs_approval_if(move |cx, call| tool.needs_approval(cx, call)))
    }

    /// Makes a tool that someone else answers: it is described as given, and each call waits for them.
    #[cfg(feature = "server")]
    pub(crate) fn answered_elsewhere(spec: ToolSpec) -> Self {
        // Whoever answers it judges what the model wrote.
        let nobody = || Fault::Fatal("the tool is not answered here".into());
        let definition = Definition {
            spec,
            description: OnceLock::new(),
            options: ToolOptions::default(),
            rules: ArgumentRules::none(),
            handler: Box::new(move |_, _| Ok(Box::pin(async move { Err(nobody()) }))),
        };
        let tool = Self {
            definition: Arc::new(definition),
            policy: Arc::default(),
        };
        tool.needs_approval()
    }

    /// Requires application state of this type: a run without it ends before anything is sent.
    ///
    /// A `#[tool]` function requires it by a parameter of type [`State`](crate::State). For a tool with a condition this is not checked
    /// before the run; its call fails then.
    #[must_use]
    pub fn requires_state<T: Send + Sync + 'static>(mut self) -> Self {
        let needed = StateType::of::<T>();
        Arc::make_mut(&mut self.policy).required_state.push(needed);
        self
    }

    /// Returns the types of application state without which the tool cannot be called.
    pub fn required_state(&self) -> &[StateType] {
        &self.policy.required_state
    }

    /// Adds what others require, such as the tools of an agent that is a tool.
    pub(crate) fn requires_too(mut self, needed: impl IntoIterator<Item = StateType>) -> Self {
        let required = &mut Arc::make_mut(&mut self.policy).required_state;
        for needed in needed {
            if !required.contains(&needed) {
                required.push(needed);
            }
        }
        self
    }

    /// Whether every run may see and call the tool.
    pub(crate) fn is_unconditional(&self) -> bool {
        self.policy.is_unconditional()
    }

    /// Offers the tool only while a condition holds, in addition to earlier conditions.
    ///
    /// The condition is asked before every turn and again before a call, so it should be quick. If it has to wait for something, use
    /// [`enabled_when`](Self::enabled_when).
    #[must_use]
    pub fn enabled_if(
        mut self,
        condition: impl Fn(&RunContext) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.policy).add_condition(Arc::new(condition));
        self
    }

    /// Offers the tool only while an asynchronous condition holds, in addition to earlier conditions.
    ///
    /// It is given the agent and the run, and is asked before every turn and again before a call. Its error ends the run with the error
    /// `callback_failed`.
    #[must_use]
    pub fn enabled_when<F, R>(mut self, condition: F) -> Self
    where
        F: Fn(ToolOffer) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<bool>> + Send + 'static,
    {
        Arc::make_mut(&mut self.policy).add_awaited_condition(Arc::new(move |offer| {
            let answer = condition(offer);
            Box::pin(async move { answer.await.into_outcome() })
        }));
        self
    }

    /// Whether the quick conditions let a run see and call the tool; [`is_offered`](Self::is_offered) asks all.
    pub fn is_enabled(&self, cx: &RunContext) -> bool {
        self.policy.is_enabled(cx)
    }

    /// Whether all conditions let an agent in a run see and call the tool.
    ///
    /// # Errors
    ///
    /// [`ToolError::CallbackFailed`] when a condition fails.
    pub async fn is_offered(&self, offer: &ToolOffer) -> Result<bool, ToolError> {
        let answer = self.policy.allows(offer).await;
        answer.map_err(|source| ToolError::CallbackFailed {
            tool: self.name().clone(),
            callback: "the condition".to_owned(),
            source,
        })
    }

    /// Whether a condition has to be awaited.
    pub(crate) fn awaits_conditions(&self) -> bool {
        self.policy.awaits_conditions()
    }

    /// Requires someone to approve each call before it is made.
    ///
    /// A run pauses at such a call: it ends with the error `approval_required`, which has a [`RunState`](crate::RunState) to resume from. A
    /// client of the MCP server is asked. The input guardrails of the tool check a call before anyone is asked about it.
    #[must_use]
    pub fn needs_approval(self) -> Self {
        self.needs_approval_if(|_, _| true)
    }

    /// Asks for approval of the calls for which a condition holds.
    ///
    /// The condition takes the place of an earlier one.
    #[must_use]
    pub fn needs_approval_if(
        self,
        condition: impl Fn(&RunContext, &FunctionCall) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.needs_approval_when(move |cx| {
            let call = FunctionCall::new(cx.call_id(), cx.tool_name().as_str(), cx.arguments());
            let is_needed = condition(cx.run(), &call);
            async move { Ok::<_, BoxError>(is_needed) }
        })
    }

    /// Asks for approval of the calls for which an asynchronous condition holds.
    ///
    /// The condition takes the place of an earlier one.
    ///
    /// It sees the call with its agent and its run. Its error ends the run with the error `callback_failed`.
    #[must_use]
    pub fn needs_approval_when<F, R>(mut self, condition: F) -> Self
    where
        F: Fn(ToolContext) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<bool>> + Send + 'static,
    {
        Arc::make_mut(&mut self.policy).approval = Some(Arc::new(move |cx| {
            let answer = condition(cx);
            Box::pin(async move { answer.await.into_outcome() })
        }));
        self
    }

    /// Whether this call must be approved.
    ///
    /// # Errors
    ///
    /// [`ToolError::CallbackFailed`] when the condition fails.
    pub async fn asks_approval(&self, cx: &ToolContext) -> Result<bool, ToolError> {
        ToolCall::new(self, cx.clone()).needs_approval().await
    }

    pub(super) fn approval(&self) -> Option<&ApprovalCondition> {
        self.policy.approval.as_deref()
    }

    /// Sets a function that writes what the model is told of a failed call.
    ///
    /// The function takes the place of the usual text.
    ///
    /// It is called for every failure that the model is told, time-outs and bad arguments included. It is not called for a failure that
    /// ends the run ([`ToolFailure::Raise`](crate::tools::ToolFailure::Raise)).
    #[must_use]
    pub fn failure_text(
        mut self,
        words: impl Fn(&ToolContext, &ToolError) -> String + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.policy).failure_text = Some(Arc::new(words));
        self
    }

    pub(super) fn words_of_failure(&self) -> Option<&FailureText> {
        self.policy.failure_text.as_deref()
    }

    /// Hides the tool from the model until the model searches for it.
    ///
    /// So hundreds of tools cost no tokens before.
    ///
    /// [`AgentBuilder::defer_tools`](crate::agent::AgentBuilder::defer_tools) defers all tools of an agent, and describes the search.
    #[must_use]
    pub fn defer_loading(mut self) -> Self {
        Arc::make_mut(&mut self.policy).deferral = Deferral::Deferred;
        self
    }

    /// Shows the tool to the model from the beginning.
    ///
    /// It does so even if its agent defers its tools.
    #[must_use]
    pub fn never_defer(mut self) -> Self {
        Arc::make_mut(&mut self.policy).deferral = Deferral::Never;
        self
    }

    /// Puts the tool into a group.
    ///
    /// A model finds the tool by the group if it is deferred.
    #[must_use]
    pub fn namespace(mut self, namespace: ToolNamespace) -> Self {
        Arc::make_mut(&mut self.policy).namespace = Some(Arc::new(namespace));
        self
    }

    /// Returns the group that the tool is in.
    pub fn tool_namespace(&self) -> Option<&ToolNamespace> {
        self.policy.namespace.as_deref()
    }

    pub(super) fn deferral(&self) -> Deferral {
        self.policy.deferral
    }

    /// Adds a guardrail that checks each call before it is made, after earlier ones.
    #[must_use]
    pub fn input_guardrail(mut self, guardrail: ToolGuardrail) -> Self {
        Arc::make_mut(&mut self.policy).input.push(guardrail);
        self
    }

    /// Adds a guardrail that checks the output of a call.
    ///
    /// After earlier guardrails, it checks every text that the model would get as the output.
    ///
    /// That is the output, or what the model is told of a failure or a rejection.
    #[must_use]
    pub fn output_guardrail(mut self, guardrail: ToolGuardrail) -> Self {
        Arc::make_mut(&mut self.policy).output.push(guardrail);
        self
    }

    pub(super) fn input_guardrails(&self) -> &[ToolGuardrail] {
        &self.policy.input
    }

    pub(super) fn output_guardrails(&self) -> &[ToolGuardrail] {
        &self.policy.output
    }

    /// Makes a tool of the engine, whose arguments must also be those of another tool: its effects pass the journal one by one, not the call as a whole, and its calls can pause.
    pub(crate) fn composite<F, R>(
        (name, description): (&str, String),
        parameters: Value,
        (options, reads): (ToolOptions, Self),
        function: F,
    ) -> Result<Self, ToolDefinitionError>
    where
        F: Fn(ToolContext, Map<String, Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ToolOutput, Fault>> + Send + 'static,
    {
        let name = ToolName::new(name)?;
        let call = handler::of_engine(function);
        let handler: Box<Handler> = Box::new(move |cx, arguments| {
            reads.read(cx.clone(), &arguments.to_text()).map(drop)?;
            call(cx, arguments)
        });
        let mut tool = Self::define(name, description, options, parameters, handler)?;
        Arc::make_mut(&mut tool.policy).is_composite = true;
        Ok(tool)
    }

    /// Notes the MCP server whose tool it is.
    #[cfg(feature = "mcp-client")]
    pub(crate) fn of_server(mut self, server: &str) -> Self {
        Arc::make_mut(&mut self.policy).server = Some(server.into());
        self
    }

    /// Has another tool's code answer the calls of a tool that the Responses API defines; what stands around this tool holds for them.
    #[cfg(all(feature = "workspace", unix))]
    pub(crate) fn answers(mut self, built_in: BuiltInTool, tool: &Self) -> Self {
        let definition = Arc::clone(&tool.definition);
        let policy = Arc::make_mut(&mut self.policy);
        policy.built_in.push((built_in, definition));
        self
    }

    /// This tool as it answers the calls of a tool that the Responses API defines, if it does.
    pub(crate) fn for_built_in(&self, built_in: BuiltInTool) -> Option<Self> {
        let mut answers = self.policy.built_in.iter();
        let (_, definition) = answers.find(|(tool, _)| *tool == built_in)?;
        Some(Self {
            definition: Arc::clone(definition),
            policy: Arc::clone(&self.policy),
        })
    }

    pub(super) fn server(&self) -> Option<&str> {
        self.policy.server.as_deref()
    }

    pub(crate) fn is_composite(&self) -> bool {
        self.policy.is_composite
    }

    /// Returns what the model is told about the tool.
    pub fn spec(&self) -> &ToolSpec {
        &self.definition.spec
    }

    /// Returns the description, shared.
    pub(crate) fn shared_description(&self) -> Arc<str> {
        let made = || self.spec().description.as_str().into();
        Arc::clone(self.definition.description.get_or_init(made))
    }

    /// Returns the tool's name.
    pub fn name(&self) -> &ToolName {
        &self.definition.spec.name
    }

    /// Returns the options.
    pub fn options(&self) -> &ToolOptions {
        &self.definition.options
    }

    /// Calls the tool once, with everything that belongs to a call.
    ///
    /// The arguments are those of the context.
    ///
    /// The tool's guardrails, time-out, output limit and failure policy hold, as they do in a run. A call that needs approval is not
    /// made: the result is [`ToolCallResult::ApprovalRequired`]; [`invoke_approved`](Self::invoke_approved) makes it. Empty arguments
    /// count as `{}`, since several models write that for a tool without parameters.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops that of the tool, at whichever `.await` it stands.
    pub async fn invoke(&self, cx: ToolContext) -> ToolCallResult {
        let call = ToolCall::new(self, cx);
        let approval = match call.needs_approval().await {
            Ok(true) => Approval::Required,
            Ok(false) => Approval::Given,
            Err(error) => return ToolCallResult::Fatal(error),
        };
        call.make(approval, Unobserved).await
    }

    /// Calls the tool once, as [`invoke`](Self::invoke) does, for a caller who has approved the call.
    ///
    /// # Cancel safety
    ///
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_approved(&self, cx: ToolContext) -> ToolCallResult {
        let call = ToolCall::new(self, cx);
        call.make(Approval::Given, Unobserved).await
    }

    /// Reads the arguments of a call, or says what is wrong with them.
    pub(super) fn read(&self, cx: ToolContext, arguments: &str) -> Result<ReadCall, String> {
        (self.definition.handler)(cx, self.definition.rules.check(arguments)?)
    }

    fn define(
        name: ToolName,
        description: String,
        options: ToolOptions,
        mut declared: Value,
        handler: Box<Handler>,
    ) -> Result<Self, ToolDefinitionError> {
        // There are two schemas. The model is shown the strict one, where every field is required.
        // Calls are checked with both: the declared one tells which fields may be absent.
        require_object(&name, &mut declared)?;
        let parameters = if options.strict {
            schema::strict(declared.clone()).map_err(|source| ToolDefinitionError::Schema {
                tool: name.clone(),
                source,
            })?
        } else {
            declared.clone()
        };
        let rules = ArgumentRules::new(declared, &parameters);
        let mut spec = ToolSpec::new(name, description, parameters);
        spec.strict = options.strict;
        Ok(Self {
            definition: Arc::new(Definition {
                spec,
                description: OnceLock::new(),
                options,
                rules,
                handler,
            }),
            policy: Arc::default(),
        })
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool")
            .field("spec", self.spec())
            .field("options", self.options())
            .finish_non_exhaustive()
    }
}

fn schema_of_tool<T: Tool>(_: &T) -> Value {
    schema_of::<T::Args>()
}

/// Generates the schema of arguments, without what describes the Rust type and not the call.
fn schema_of<Args: JsonSchema>() -> Value {
    let mut schema = schema::of::<Args>();
    if let Value::Object(object) = &mut schema {
        for key in ["$schema", "title", "description"] {
            object.shift_remove(key);
        }
    }
    schema
}

/// Makes sure that a schema says `object` and has `properties`, without which some servers refuse it.
fn require_object(tool: &ToolName, schema: &mut Value) -> Result<(), ToolDefinitionError> {
    let refuse = |found: &Value| {
        Err(ToolDefinitionError::NotAnObject {
            tool: tool.clone(),
            found: found.to_string(),
        })
    };
    let Value::Object(object) = schema else {
        return refuse(schema);
    };
    match object.get("type") {
        Some(kind) if kind == "object" => {}
        Some(kind) => return refuse(kind),
        None if object.is_empty() || object.contains_key("properties") => {
            object.insert("type".to_owned(), json!("object"));
        }
        None => return refuse(schema),
    }
    object.entry("properties").or_insert_with(|| json!({}));
    Ok(())
}

pub(super) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        return (*message).to_owned();
    }
    match payload.downcast_ref::<String>() {
        Some(message) => message.clone(),
        None => "no message".to_owned(),
    }
}
