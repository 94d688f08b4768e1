//! Tools that the provider runs, as descriptors (Responses API).

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::FunctionTool;
use crate::item::BuiltInTool;

/// A tool that the provider runs, such as its web search.
///
/// It is only named here, in the provider's words.
///
/// What it does comes back as items of the model. A back end that has no such tools refuses them before anything is sent.
///
/// ```
/// use openai_agents::tools::HostedTool;
///
/// let search = HostedTool::web_search().with("search_context_size", "low");
/// assert_eq!(search.to_json()["type"], "web_search");
/// ```
#[derive(Clone)]
pub struct HostedTool {
    json: Map<String, Value>,
    approval: Option<ApprovalFn>,
}

type ApprovalFn = Arc<dyn Fn(&McpApprovalRequest) -> bool + Send + Sync>;

/// The provider asks whether its hosted MCP server may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct McpApprovalRequest {
    /// The request's id.
    pub id: String,
    /// The label of the server, as given to [`HostedTool::mcp`].
    pub server_label: String,
    /// The tool of that server.
    pub name: String,
    /// The arguments, JSON as the model wrote it.
    pub arguments: String,
}

impl HostedTool {
    pub(super) const TOOL_SEARCH: &str = "tool_search";

    /// Names a tool by its type; its other fields follow by [`with`](Self::with).
    pub fn new(type_name: impl Into<String>) -> Self {
        Self {
            json: Map::from_iter([("type".to_owned(), Value::String(type_name.into()))]),
            approval: None,
        }
    }

    /// Searches the web.
    pub fn web_search() -> Self {
        Self::new("web_search")
    }

    /// Searches files in vector stores.
    pub fn file_search<S: Into<String>>(vector_store_ids: impl IntoIterator<Item = S>) -> Self {
        let ids: Vec<String> = vector_store_ids.into_iter().map(Into::into).collect();
        Self::new("file_search").with("vector_store_ids", ids)
    }

    /// Runs code in a container.
    pub fn code_interpreter() -> Self {
        Self::new("code_interpreter").with("container", json!({ "type": "auto" }))
    }

    /// Makes images.
    pub fn image_generation() -> Self {
        Self::new("image_generation")
    }

    /// Calls an MCP server from the provider's side.
    ///
    /// The provider asks for approval unless `require_approval` is set to `never`; who answers is set by
    /// [`on_approval`](Self::on_approval), and without it such a question ends the run with the error `approval_required`.
    pub fn mcp(server_label: impl Into<String>, server_url: impl Into<String>) -> Self {
        Self::new("mcp")
            .with("server_label", server_label.into())
            .with("server_url", server_url.into())
    }

    /// Uses a computer through screenshots.
    ///
    /// What it asks for has to be done on this side, which no tool of this crate does yet.
    ///
    /// A call of it is therefore the error `unknown_tool`, unless the provider answers it itself.
    pub fn computer(environment: impl Into<String>, width: u32, height: u32) -> Self {
        let display = [("display_width", width), ("display_height", height)];
        let tool = Self::new("computer_use_preview").with("environment", environment.into());
        display
            .into_iter()
            .fold(tool, |tool, (key, n_pixels)| tool.with(key, n_pixels))
    }

    /// Runs commands in a container of the provider.
    ///
    /// With the environment `{"type": "local"}` they are run on this side, by the tool `run_command` of a workspace.
    pub fn shell() -> Self {
        Self::new("shell").with("environment", json!({ "type": "container_auto" }))
    }

    /// Runs commands on this side, by the tool `run_command` of a workspace.
    ///
    /// It is an older form of [`shell`](Self::shell).
    pub fn local_shell() -> Self {
        Self::new("local_shell")
    }

    /// Changes files on this side, by the tool `apply_patch` of a workspace.
    pub fn apply_patch() -> Self {
        Self::new("apply_patch")
    }

    /// Searches among the [deferred](crate::FunctionTool::defer_loading) tools, which are loaded when they are found.
    pub fn tool_search() -> Self {
        Self::new(Self::TOOL_SEARCH)
    }

    /// Adds a field, sent as it is.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.json.insert(key.into(), value.into());
        self
    }

    /// Sets who says whether a hosted MCP server may be called.
    #[must_use]
    pub fn on_approval(
        mut self,
        decide: impl Fn(&McpApprovalRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.approval = Some(Arc::new(decide));
        self
    }

    /// Returns the type.
    pub fn type_name(&self) -> &str {
        self.json
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns what is sent.
    pub const fn to_json(&self) -> &Map<String, Value> {
        &self.json
    }

    /// The tool whose calls are answered on this side, if it is one.
    pub(crate) fn answered_here(&self) -> Option<BuiltInTool> {
        let environment = self.json.get("environment");
        let environment = environment.and_then(|environment| environment.get("type"));
        match self.type_name() {
            "shell" if environment.and_then(Value::as_str) == Some("local") => {
                Some(BuiltInTool::Shell)
            }
            "local_shell" => Some(BuiltInTool::LocalShell),
            "apply_patch" => Some(BuiltInTool::ApplyPatch),
            _ => None,
        }
    }

    /// Whether calls of this tool are answered by one of these functions.
    pub(crate) fn is_answered_by(&self, function: &FunctionTool) -> bool {
        let built_in = self.answered_here();
        built_in.is_some_and(|built_in| function.for_built_in(built_in).is_some())
    }

    /// Decides about a call of this hosted MCP server; `None` if it is not this server's or nobody decides.
    pub(crate) fn decide(&self, request: &McpApprovalRequest) -> Option<bool> {
        let is_its_server = self.type_name() == "mcp"
            && self.json.get("server_label").and_then(Value::as_str)
                == Some(&*request.server_label);
        self.approval
            .as_ref()
            .filter(|_| is_its_server)
            .map(|decide| decide(request))
    }
}

impl McpApprovalRequest {
    /// Reads the item of the provider.
    pub(crate) fn from_item(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: text("id")?,
            server_label: text("server_label")?,
            name: text("name")?,
            arguments: text("arguments")?,
        })
    }
}

impl PartialEq for HostedTool {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for HostedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The other fields may hold a server's credentials.
        f.debug_tuple("HostedTool")
            .field(&self.type_name())
            .finish()
    }
}
