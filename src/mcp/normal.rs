//! Reduces a server's result to the skeleton that rmcp needs; the server's own words travel in `_meta`.
//!
//! Its own types lose a whole list for one field that nobody needs, so that nothing but the skeleton of a result passes through them.
//! What was sent travels in `_meta`, where the caller finds it again as [`Raw`].

use rmcp::model::{MetaObject, ServerResult};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::compare::kind;
use super::json::Repeated;
use super::shape::LOG_LEVELS;

/// Where the words of the server travel.
const RAW_KEY: &str = "openai-agents/raw";
const AMBIGUOUS_KEY: &str = "openai-agents/ambiguous";

/// What a server sent, word for word.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Raw {
    pub(super) value: Value,
    /// The places where a key stands twice and says two things.
    pub(super) ambiguous: Vec<String>,
}

impl Raw {
    /// Takes a part of a message, with what is repeated below its key.
    pub(super) fn new(value: Value, key: &str, repeated: &[Repeated]) -> Self {
        let below = format!("{key}.");
        let differing = repeated.iter().filter(|it| it.differs);
        let ambiguous = differing.filter_map(|it| it.path.strip_prefix(&below));
        Self {
            value,
            ambiguous: ambiguous.map(str::to_owned).collect(),
        }
    }

    /// Finds what was sent in a skeleton's `_meta`.
    pub(super) fn of(meta: &mut Map<String, Value>) -> Option<Self> {
        let ambiguous = meta.remove(AMBIGUOUS_KEY).unwrap_or_default();
        Some(Self {
            value: meta.remove(RAW_KEY)?,
            ambiguous: Vec::deserialize(ambiguous).unwrap_or_default(),
        })
    }

    /// Finds what was sent in the `_meta` of a result.
    pub(super) fn of_result(meta: Option<MetaObject>) -> Option<Self> {
        Self::of(&mut meta?.0)
    }

    fn into_meta(self, mut meta: Map<String, Value>) -> Value {
        meta.insert(RAW_KEY.to_owned(), self.value);
        meta.insert(AMBIGUOUS_KEY.to_owned(), json!(self.ambiguous));
        Value::Object(meta)
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text that the protocol asks for.
    fn text(&self, name: &str) -> Result<&str, String> {
        match self.field(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(format!("`{name}` is {}, not text", kind(other))),
            None => Err(format!("`{name}` is missing")),
        }
    }

    fn list(&self, name: &str) -> Result<&Vec<Value>, String> {
        match self.field(name) {
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(format!("`{name}` is {}, not a list", kind(other))),
            None => Err(format!("`{name}` is missing")),
        }
    }
}

/// Makes the skeleton of a result, or says what is wrong with it.
pub(super) fn result(method: &str, raw: Raw) -> Result<ServerResult, String> {
    // Each result becomes the smallest one that rmcp's types accept, and what was sent goes along
    // in `_meta`. `parse` reads it from there, with rules of our own.
    let answers_with_object = !matches!(method, "ping" | "logging/setLevel");
    if answers_with_object && !raw.value.is_object() {
        return Err(format!("the result is {}, not an object", kind(&raw.value)));
    }
    if raw.field("resultType").and_then(Value::as_str) == Some("input_required") {
        return input_required(&raw).map(ServerResult::InputRequiredResult);
    }
    Ok(match method {
        "initialize" => ServerResult::InitializeResult(typed(initialized(&raw)?)?),
        "server/discover" => ServerResult::DiscoverResult(typed(discovered(&raw)?)?),
        "tools/list" => {
            // The tools stay in the skeleton: rmcp reads in their schemas which arguments go into
            // headers.
            let tools: Vec<_> = raw.list("tools")?.iter().filter_map(tool).collect();
            let ttl = raw.field("ttlMs").and_then(Value::as_u64);
            let meta = raw.into_meta(Map::new());
            let skeleton = json!({"tools": tools, "ttlMs": ttl, "_meta": meta});
            ServerResult::ListToolsResult(typed(skeleton)?)
        }
        "tools/call" => ServerResult::CallToolResult(typed(hollow("content", raw))?),
        "prompts/list" => ServerResult::ListPromptsResult(typed(hollow("prompts", raw))?),
        "prompts/get" => ServerResult::GetPromptResult(typed(hollow("messages", raw))?),
        "resources/list" => ServerResult::ListResourcesResult(typed(hollow("resources", raw))?),
        "resources/templates/list" => {
            ServerResult::ListResourceTemplatesResult(typed(hollow("resourceTemplates", raw))?)
        }
        // Its result has no `_meta` of its own.
        "resources/read" => {
            let content = json!({"uri": "", "text": "", "_meta": raw.into_meta(Map::new())});
            ServerResult::ReadResourceResult(typed(json!({"contents": [content]}))?)
        }
        "completion/complete" => {
            let meta = raw.into_meta(Map::new());
            let skeleton = json!({"completion": {"values": []}, "_meta": meta});
            ServerResult::CompleteResult(typed(skeleton)?)
        }
        "subscriptions/listen" => ServerResult::SubscriptionsListenResult(typed(raw.value)?),
        _ => ServerResult::empty(()),
    })
}

fn typed<T: DeserializeOwned>(skeleton: Value) -> Result<T, String> {
    serde_json::from_value(skeleton).map_err(|_| "it has not the form of the protocol".to_owned())
}

/// A result whose list is empty.
fn hollow(list: &str, raw: Raw) -> Value {
    let meta = raw.into_meta(Map::new());
    json!({list: [], "_meta": meta})
}

/// What the transport has to know of a tool: which arguments go into headers.
fn tool(value: &Value) -> Option<Value> {
    let name = value.get("name").filter(|name| name.is_string())?;
    let schema = value
        .get("inputSchema")
        .filter(|schema| schema.is_object())?;
    Some(json!({"name": name, "inputSchema": schema}))
}

fn initialized(raw: &Raw) -> Result<Value, String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let program = raw.field("serverInfo");
    let named = |name: &str| text(program.and_then(|program| program.get(name)));
    Ok(json!({
        "protocolVersion": raw.text("protocolVersion")?,
        "capabilities": capabilities(raw),
        "serverInfo": {"name": named("name"), "version": named("version")},
        "instructions": raw.field("instructions").filter(|it| it.is_string()),
    }))
}

fn discovered(raw: &Raw) -> Result<Value, String> {
    let versions = raw.list("supportedVersions")?;
    let versions: Vec<_> = versions.iter().filter(|it| it.is_string()).collect();
    let scope = raw.field("cacheScope").and_then(Value::as_str);
    Ok(json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities(raw),
        "instructions": raw.field("instructions").filter(|it| it.is_string()),
        "ttlMs": raw.field("ttlMs").and_then(Value::as_u64).unwrap_or_default(),
        "cacheScope": scope.filter(|scope| *scope == "public").unwrap_or("private"),
        "_meta": raw.field("_meta").filter(|meta| meta.is_object()),
    }))
}

/// What a server can do, of which only the flags say more than that it can.
fn capabilities(raw: &Raw) -> Value {
    let mut known = Map::new();
    for name in ["completions", "logging", "prompts", "resources", "tools"] {
        let Some(found) = raw.field("capabilities").and_then(|all| all.get(name)) else {
            continue;
        };
        let flags: Map<String, Value> = found
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, flag)| flag.is_boolean())
            .map(|(name, flag)| (name.clone(), flag.clone()))
            .collect();
        if !matches!(found, Value::Null | Value::Bool(false)) {
            known.insert(name.to_owned(), Value::Object(flags));
        }
    }
    Value::Object(known)
}

/// A result that asks for something first; what it asks passes in the form of [`question`].
fn input_required<T: DeserializeOwned>(raw: &Raw) -> Result<T, String> {
    let mut requests = Map::new();
    if let Some(asked) = raw.field("inputRequests") {
        let Value::Object(asked) = asked else {
            return Err(format!("`inputRequests` is {}, not an object", kind(asked)));
        };
        for (key, request) in asked {
            let method = request.get("method").and_then(Value::as_str);
            let method =
                method.ok_or_else(|| format!("`inputRequests.{key}.method` is missing"))?;
            let params = request.get("params").cloned().unwrap_or_default();
            let below = format!("inputRequests.{key}.params.");
            let ambiguous = raw.ambiguous.iter();
            let params = Raw {
                value: params,
                ambiguous: ambiguous
                    .filter_map(|path| path.strip_prefix(&below).map(str::to_owned))
                    .collect(),
            };
            let request = json!({"method": method, "params": question(method, params)});
            requests.insert(key.clone(), request);
        }
    }
    let state = raw.field("requestState");
    typed(json!({
        "resultType": "input_required",
        "inputRequests": (!requests.is_empty()).then_some(requests),
        "requestState": state.filter(|state| state.is_string()),
    }))
}

/// Makes the skeleton of the parameters of what a server asks or tells.
pub(super) fn question(method: &str, raw: Raw) -> Value {
    let meta = raw.field("_meta").and_then(Value::as_object).cloned();
    let meta = meta.unwrap_or_default();
    let text = |name: &str| raw.text(name).unwrap_or_default().to_owned();
    match method {
        "sampling/createMessage" => {
            json!({"messages": [], "maxTokens": 1, "_meta": raw.into_meta(meta)})
        }
        "elicitation/create" if text("mode") == "url" => {
            let (url, id) = (text("url"), text("elicitationId"));
            let meta = raw.into_meta(meta);
            json!({"mode": "url", "message": "", "url": url, "elicitationId": id, "_meta": meta})
        }
        "elicitation/create" => {
            let schema = json!({"type": "object", "properties": {}});
            let meta = raw.into_meta(meta);
            json!({"message": "", "requestedSchema": schema, "_meta": meta})
        }
        "notifications/progress" => {
            let number = |name: &str| raw.field(name).and_then(Value::as_f64);
            json!({
                "progressToken": raw.field("progressToken").filter(|it| it.is_string() || it.is_i64()).cloned().unwrap_or(json!(0)),
                "progress": number("progress").unwrap_or_default(),
                "total": number("total"),
                "message": raw.field("message").filter(|it| it.is_string()),
            })
        }
        "notifications/message" => {
            let level = text("level");
            json!({
                "level": LOG_LEVELS.into_iter().find(|known| *known == level).unwrap_or("info"),
                "logger": raw.field("logger").filter(|it| it.is_string()),
                "data": raw.value.get("data"),
            })
        }
        "ping" | "roots/list" => json!({"_meta": meta}),
        method if method.ends_with("/list_changed") => json!({"_meta": meta}),
        _ => raw.value,
    }
}
