//! Answers every request of the protocol for one client.
#![expect(
    deprecated,
    reason = "logging and resources/subscribe end with the next version of the protocol; clients of today use them"
)]

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams,
    CompleteResult, CompletionInfo, ErrorCode, ErrorData, GetPromptRequestParams,
    GetPromptResponse, Implementation, InputRequiredResult, InputResponses, JsonObject,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, PromptsCapability, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Reference, ResourcesCapability, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    ToolsCapability, UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::{ErrorData as McpFault, ServerHandler};
use serde_json::{Map, Value, json};

use super::agents::AgentTool;
use super::ask::Ask;
use super::call::{Asking, LogLevel};
use super::call_span::{client_scope, record_call};
use super::catalog::McpCatalog;
use super::changes::{Changes, Hearing};
use super::dynamic_resources::{self, DynamicResource};
use super::elicitation::{ElicitationRounds, Subject};
use super::sessions::ResponseStream;
use super::versions;
use super::{CompletionRequest, McpCall, Served, tools};
use crate::mcp::{McpResourceContent, convert};
use crate::tools::FunctionTool;
use crate::trace::TraceScope;

/// How long a client may keep a list that it is not told of changes of.
const LIST_TTL_MS: u64 = 60_000;

/// Answers one client.
pub(super) struct Handler {
    served: Arc<Served>,
    level: Arc<LogLevel>,
    hearing: Hearing,
}

impl Handler {
    pub(super) fn new(served: Arc<Served>) -> Self {
        Self {
            served,
            level: Arc::default(),
            hearing: Hearing::default(),
        }
    }

    /// Begins or takes up a call that may ask its client.
    fn begin(
        &self,
        subject: &Subject,
        asked: (Option<String>, Option<InputResponses>),
        context: &RequestContext<RoleServer>,
    ) -> Result<(McpCall, Arc<ElicitationRounds>), ErrorData> {
        let (state, responses) = asked;
        let rounds =
            ElicitationRounds::resume(&self.served.seal, subject, state.as_deref(), responses)?;
        let rounds = Arc::new(rounds);
        let asking = if has_session(context) {
            Asking::Session
        } else {
            Asking::Rounds(Arc::clone(&rounds))
        };
        let call = McpCall::new(context.clone(), asking, Arc::clone(&self.level));
        Ok((call, rounds))
    }

    fn end<T>(
        &self,
        rounds: &ElicitationRounds,
        subject: &Subject,
        result: Result<T, ErrorData>,
    ) -> Result<CallEnd<T>, ErrorData> {
        match result {
            Ok(answer) => Ok(CallEnd::Answered(answer)),
            Err(error) => match rounds.end(&self.served.seal, subject) {
                Some(asked) => asked.map(CallEnd::Asked),
                None => Err(error),
            },
        }
    }

    async fn call_function(
        &self,
        tool: &FunctionTool,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let subject = Subject::new("tools/call", &request.name, request.arguments.as_ref());
        let asked = (request.request_state, request.input_responses);
        let (call, rounds) = self.begin(&subject, asked, context)?;
        let arguments = request.arguments.unwrap_or_default();
        let id = context.id.to_string();
        let called = tools::call(tool, &self.served.states, &call, &id, arguments);
        let result = unless_cancelled(context, called).await;
        self.tool_result(deliverable(context, result).await?, &rounds, &subject)
    }

    async fn call_agent(
        &self,
        (catalog, agent): (&McpCatalog, &AgentTool),
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let subject = Subject::new("tools/call", &request.name, request.arguments.as_ref());
        let asked = (request.request_state, request.input_responses);
        let (approver, rounds) = self.begin(&subject, asked, context)?;
        // Two handles on the client. The agent's tools may ask it only over a session, because a
        // question in rounds would begin the run again. Approvals can be asked in both ways, since
        // the paused run is kept.
        let call = if has_session(context) {
            approver.clone()
        } else {
            McpCall::new(context.clone(), Asking::Nobody, Arc::clone(&self.level))
        };
        let ask = Ask {
            served: &self.served,
            catalog,
            agent,
            call: &call,
            approver: &approver,
            rounds: &rounds,
        };
        let arguments = request.arguments.unwrap_or_default();
        let result = unless_cancelled(context, Box::pin(ask.answer(&arguments))).await;
        self.tool_result(deliverable(context, result).await?, &rounds, &subject)
    }

    /// Returns what a tool's call ends with: its result, or the questions for want of whose answers it failed.
    fn tool_result(
        &self,
        result: Result<CallToolResult, CallToolResult>,
        rounds: &ElicitationRounds,
        subject: &Subject,
    ) -> Result<CallToolResponse, ErrorData> {
        match result {
            Ok(result) => Ok(result.into()),
            Err(failed) => match rounds.end(&self.served.seal, subject) {
                Some(asked) => asked.map(Into::into),
                None => Ok(failed.into()),
            },
        }
    }

    async fn read_live(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let resource = DynamicResource::parse(uri).filter(|_| self.served.catalog().has_dynamic());
        let resource = resource.ok_or_else(|| not_found(uri, context))?;
        let read = unless_cancelled(context, resource.read(&self.served, uri)).await?;
        match read.map_err(internal)? {
            Some(content) => read_now(&[content]),
            None => Err(not_found(uri, context)),
        }
    }
}

/// What a call that may ask ends with.
enum CallEnd<T> {
    Answered(T),
    Asked(InputRequiredResult),
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let served = &self.served;
        let catalog = served.catalog();
        let mut capabilities = ServerCapabilities::default();
        // Tools and prompts are announced even where there are none: a reload can bring some, and
        // clients do not ask for what was not announced.
        let mut tools = ToolsCapability::default();
        tools.list_changed = Some(true);
        capabilities.tools = Some(tools);
        capabilities.logging = Some(JsonObject::new());
        let mut prompts = PromptsCapability::default();
        prompts.list_changed = Some(true);
        capabilities.prompts = Some(prompts);
        if served.prompts.complete.is_some() || catalog.has_dynamic() {
            capabilities.completions = Some(JsonObject::new());
        }
        // Resources are fixed when the server is built, so these are announced only if there are
        // any.
        if !served.resources.is_empty() || catalog.has_dynamic() {
            let mut resources = ResourcesCapability::default();
            resources.subscribe = Some(true);
            capabilities.resources = Some(resources);
        }
        let identity = &served.identity;
        let program = Implementation::new(&identity.name, &identity.version);
        let mut config = ServerConfig::new(capabilities)
            .with_server_info(program)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE);
        config.instructions.clone_from(&identity.instructions);
        config
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.hearing.begin(&self.served.changes, context.peer);
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let catalog = self.served.catalog();
        if let Some(tool) = catalog.tools.get(name) {
            return Some(tools::describe(tool));
        }
        let agent = catalog.agents.iter().find(|agent| agent.name == *name)?;
        Some(agent.describe())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpFault> {
        let catalog = self.served.catalog();
        let tools = catalog.tools.iter().map(tools::describe);
        let agents = catalog.agents.iter().map(AgentTool::describe);
        let list = ListToolsResult::with_all_items(tools.chain(agents).collect());
        Ok(list
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, McpFault> {
        let catalog = self.served.catalog();
        let agents = &catalog.agents;
        let called = if let Some(tool) = catalog.tools.get(&request.name) {
            let arguments = request.arguments.clone().unwrap_or_default();
            let called = Box::pin(self.call_function(tool, request, &context));
            match catalog.runner.recorder() {
                Some(tracer) => record_call(tracer, &context, (tool, arguments), called).await,
                None => in_trace(client_scope(&context), called).await,
            }
        } else if let Some(agent) = agents.iter().find(|agent| agent.name == *request.name) {
            // The run has a span of its own.
            let called = self.call_agent((&catalog, agent), request, &context);
            in_trace(client_scope(&context), Box::pin(called)).await
        } else {
            let message = format!("there is no tool `{}`", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut response = called?;
        if let CallToolResponse::Complete(result) = &mut response {
            versions::of_content(context.protocol_version().as_ref(), &mut result.content);
        }
        Ok(response)
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, McpFault> {
        let catalog = self.served.catalog();
        let prompts: Vec<_> = catalog.prompts.iter().collect();
        let list = ListPromptsResult::with_all_items(written(&prompts)?);
        Ok(list
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, McpFault> {
        let catalog = self.served.catalog();
        let Some((prompt, fill)) = catalog.prompts.get(&request.name) else {
            let message = format!("there is no prompt `{}`", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments: Map<String, Value> = request.arguments.unwrap_or_default();
        let is_missing = |name: &str| !arguments.contains_key(name);
        let required = prompt.arguments.iter().filter(|argument| argument.required);
        if let Some(missing) = required.map(|it| &it.name).find(|name| is_missing(name)) {
            let message = format!("the argument `{missing}` is missing");
            return Err(ErrorData::invalid_params(message, None));
        }
        let subject = Subject::new("prompts/get", &request.name, Some(&arguments));
        let asked = (request.request_state, request.input_responses);
        let (call, rounds) = self.begin(&subject, asked, &context)?;
        let filled = in_trace(client_scope(&context), fill(call, arguments));
        let filled = unless_cancelled(&context, filled).await?;
        let filled = filled.map_err(internal);
        Ok(match self.end(&rounds, &subject, filled)? {
            CallEnd::Answered(messages) => {
                let result: rmcp::model::GetPromptResult = written(&messages)?;
                let mut complete = rmcp::model::GetPromptResult::new(result.messages);
                complete.description = result.description;
                complete.into()
            }
            CallEnd::Asked(asked) => asked.into(),
        })
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, McpFault> {
        let reference = match &request.r#ref {
            Reference::Prompt(prompt) => prompt.name.clone(),
            Reference::Resource(resource) => resource.uri.clone(),
            _ => return Err(ErrorData::invalid_params("an unknown reference", None)),
        };
        let known = request.context.and_then(|known| known.arguments);
        let request = CompletionRequest {
            reference,
            argument: request.argument.name,
            written: request.argument.value,
            known: known
                .unwrap_or_default()
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        };
        let mut values = match &self.served.prompts.complete {
            Some(complete) => unless_cancelled(&context, complete(request))
                .await?
                .map_err(internal),
            None if self.served.catalog().has_dynamic() => {
                let proposed = dynamic_resources::complete(&self.served, &request);
                unless_cancelled(&context, proposed)
                    .await?
                    .map_err(internal)
            }
            None => {
                let message = "this server has no completions";
                Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
            }
        }?;
        let n_values = values.len();
        values.truncate(CompletionInfo::MAX_VALUES);
        let mut completion = CompletionInfo::default();
        completion.has_more = Some(n_values > values.len());
        completion.total = u32::try_from(n_values).ok();
        completion.values = values;
        Ok(CompleteResult::new(completion))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), McpFault> {
        self.level.set(written(&request.level)?);
        Ok(())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, McpFault> {
        let mut resources: Vec<_> = self.served.resources.iter().cloned().collect();
        let mut ttl_ms = LIST_TTL_MS;
        if self.served.catalog().has_dynamic() {
            let listed = unless_cancelled(&context, dynamic_resources::list(&self.served)).await?;
            resources.extend(listed.map_err(internal)?);
            // Runs and sessions come and go with every call, so this list must not be kept.
            ttl_ms = 0;
        }
        let list = ListResourcesResult::with_all_items(written(&resources)?);
        Ok(list
            .with_ttl_ms(ttl_ms)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, McpFault> {
        let mut templates: Vec<_> = self.served.resources.templates().cloned().collect();
        if self.served.catalog().has_dynamic() {
            templates.extend(dynamic_resources::templates());
        }
        let list = ListResourceTemplatesResult::with_all_items(written(&templates)?);
        Ok(list
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, McpFault> {
        // What the program registered comes first, then the sessions and runs of this server.
        let Some((read, wanted)) = self.served.resources.find(&request.uri) else {
            return self.read_live(&request.uri, &context).await;
        };
        let subject = Subject::new("resources/read", &request.uri, None);
        let asked = (request.request_state, request.input_responses);
        let (call, rounds) = self.begin(&subject, asked, &context)?;
        let contents = in_trace(client_scope(&context), read(call, wanted));
        let contents = unless_cancelled(&context, contents).await?;
        let contents = contents.map_err(internal);
        Ok(match self.end(&rounds, &subject, contents)? {
            CallEnd::Answered(contents) => read_now(&contents)?,
            CallEnd::Asked(asked) => asked.into(),
        })
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), McpFault> {
        let is_dynamic =
            self.served.catalog().has_dynamic() && DynamicResource::parse(&request.uri).is_some();
        if !is_dynamic && self.served.resources.find(&request.uri).is_none() {
            return Err(not_found(&request.uri, &context));
        }
        let changes = &self.served.changes;
        self.hearing.watch(changes, request.uri, context.peer);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), McpFault> {
        self.hearing.unwatch(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(Changes::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), McpFault> {
        self.served.changes.tell(&context).await;
        Ok(())
    }
}

/// Runs what answers a request until the client cancels it; a panic is contained.
async fn unless_cancelled<T>(
    context: &RequestContext<RoleServer>,
    answer: impl Future<Output = T>,
) -> Result<T, ErrorData> {
    // Nothing of the answer is used after a panic, so no broken state can be seen.
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match context.ct.run_until_cancelled(answer).await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(_)) => Err(ErrorData::internal_error("it panicked", None)),
        None => Err(ErrorData::internal_error("it was cancelled", None)),
    }
}

/// Holds a result until there is a connection to send it over, if the call let go of its own.
async fn deliverable<T>(
    context: &RequestContext<RoleServer>,
    result: Result<T, ErrorData>,
) -> Result<T, ErrorData> {
    if let Some(stream) = context.extensions.get::<ResponseStream>() {
        match &result {
            Ok(_) => {
                context.ct.run_until_cancelled(stream.taken_up()).await;
            }
            Err(_) => stream.forget(),
        }
    }
    result
}

fn has_session(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_none_or(|version| version.has_initialize())
}

fn not_found(uri: &str, context: &RequestContext<RoleServer>) -> ErrorData {
    let message = format!("there is no resource at `{uri}`");
    let data = Some(json!({"uri": uri}));
    // The two versions of the protocol have different codes for this.
    if has_session(context) {
        ErrorData::resource_not_found(message, data)
    } else {
        ErrorData::invalid_params(message, data)
    }
}

/// Returns contents that may be other the next time.
fn read_now(contents: &[McpResourceContent]) -> Result<ReadResourceResponse, ErrorData> {
    let mut result = ReadResourceResult::new(written(&contents)?);
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result.into())
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ErrorData {
    ErrorData::internal_error(error.into().to_string(), None)
}

/// Writes what is ours in the protocol library's types.
fn written<T: serde::de::DeserializeOwned>(value: &impl serde::Serialize) -> Result<T, ErrorData> {
    convert(value).map_err(internal)
}

/// Waits for an answer within the trace of its client, if it named one.
async fn in_trace<T>(scope: Option<TraceScope>, call: impl Future<Output = T>) -> T {
    match scope {
        Some(scope) => scope.run(call).await,
        None => call.await,
    }
}
