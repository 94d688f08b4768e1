//! How a model is to answer.

use std::time::Duration;

use serde_json::{Map, Value};

use super::verbatim::Verbatim;

/// Holds the settings of a model call.
///
/// `None` is not sent, so that the server's own default holds.
///
/// ```
/// use openai_agents::ModelSettings;
///
/// let settings = ModelSettings::default().temperature(0.2).max_tokens(500);
/// assert_eq!(settings.max_tokens, Some(500));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelSettings {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability to sample from.
    pub top_p: Option<f64>,
    /// Penalty on frequent tokens.
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that are there already.
    pub presence_penalty: Option<f64>,
    /// The most tokens of one answer; an answer cut by it is the error `truncated`.
    pub max_tokens: Option<u64>,
    /// Texts at which the answer stops.
    pub stop: Option<Vec<String>>,
    /// The seed of the sampling.
    pub seed: Option<i64>,
    /// Whether the model must call a tool, and which.
    ///
    /// It is dropped after the agent's first tool call, unless the agent keeps it.
    pub tool_choice: Option<ToolChoice>,
    /// Whether one answer may hold several tool calls.
    pub parallel_tool_calls: Option<bool>,
    /// How much a reasoning model is to think.
    ///
    /// It is `none`, `minimal`, `low`, `medium`, `high`, or what the server knows.
    pub reasoning_effort: Option<String>,
    /// How long and detailed the answer should be: `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// How many alternatives of each token to report.
    pub top_logprobs: Option<u32>,
    /// Whether the provider keeps the exchange.
    pub store: Option<bool>,
    /// How the Responses API is to summarise its reasoning: `auto`, `concise` or `detailed`.
    pub reasoning_summary: Option<String>,
    /// What the Responses API is to add to its answer, such as `reasoning.encrypted_content`.
    pub include: Option<Vec<String>>,
    /// What the Responses API does with a conversation that is too long: `auto` or `disabled`.
    pub truncation: Option<String>,
    /// What the provider keeps beside the exchange.
    pub metadata: Option<Map<String, Value>>,
    /// Further fields of the request's body, sent as they are.
    ///
    /// A field that is also set above is an error.
    pub extra_body: Map<String, Value>,
    /// Further headers of the request.
    pub extra_headers: Vec<(String, String)>,
    /// The longest that one whole model call may take.
    pub timeout: Option<Duration>,
    /// Fields that a client of the server set, which are sent unchanged.
    pub(crate) verbatim: Verbatim,
}

/// Whether the model must call a tool, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model chooses.
    Auto,
    /// The model must call a tool.
    Required,
    /// The model must not call a tool.
    None,
    /// The model must call this tool.
    Function(String),
    /// The model must use a tool that the provider hosts; made by [`hosted`](Self::hosted) and [`hosted_mcp`](Self::hosted_mcp).
    Hosted(Map<String, Value>),
}

impl ToolChoice {
    /// Has the model use a tool that the provider hosts, such as `web_search`.
    ///
    /// It is for the Responses API only.
    pub fn hosted(type_name: impl Into<String>) -> Self {
        let type_name = type_name.into();
        Self::Hosted(Map::from_iter([("type".to_owned(), type_name.into())]))
    }

    /// Has the model call a tool of a hosted MCP server.
    ///
    /// Without a name, the model calls any of them. It is for the Responses API only.
    pub fn hosted_mcp(server_label: impl Into<String>, tool: Option<&str>) -> Self {
        let server_label = server_label.into();
        let mut choice = Map::from_iter([
            ("type".to_owned(), "mcp".into()),
            ("server_label".to_owned(), server_label.into()),
        ]);
        if let Some(tool) = tool {
            choice.insert("name".to_owned(), tool.into());
        }
        Self::Hosted(choice)
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])+ $name:ident: $type:ty,)+) => {
        $($(#[$doc])+
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name);
            self
        })+
    };
}

impl ModelSettings {
    setters! {
        /// Sets the sampling temperature.
        temperature: f64,
        /// Sets nucleus sampling.
        top_p: f64,
        /// Sets the penalty on frequent tokens.
        frequency_penalty: f64,
        /// Sets the penalty on tokens that are there already.
        presence_penalty: f64,
        /// Sets the most tokens of one answer.
        max_tokens: u64,
        /// Sets the texts at which the answer stops.
        stop: Vec<String>,
        /// Sets the seed of the sampling.
        seed: i64,
        /// Sets whether the model must call a tool, and which.
        tool_choice: ToolChoice,
        /// Sets whether one answer may hold several tool calls.
        parallel_tool_calls: bool,
        /// Sets how many alternatives of each token to report.
        top_logprobs: u32,
        /// Sets whether the provider keeps the exchange.
        store: bool,
        /// Sets what the Responses API is to add to its answer.
        include: Vec<String>,
        /// Sets what the provider keeps beside the exchange.
        metadata: Map<String, Value>,
        /// Sets the longest that one whole model call may take.
        timeout: Duration,
    }

    /// Sets how much a reasoning model is to think.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.reasoning_effort = Some(effort.into());
        self
    }

    /// Sets how the Responses API is to summarise its reasoning.
    #[must_use]
    pub fn reasoning_summary(mut self, summary: impl Into<String>) -> Self {
        self.reasoning_summary = Some(summary.into());
        self
    }

    /// Sets what the Responses API does with a conversation that is too long.
    #[must_use]
    pub fn truncation(mut self, truncation: impl Into<String>) -> Self {
        self.truncation = Some(truncation.into());
        self
    }

    /// Sets how long and detailed the answer should be.
    #[must_use]
    pub fn verbosity(mut self, verbosity: impl Into<String>) -> Self {
        self.verbosity = Some(verbosity.into());
        self
    }

    /// Names the cache of prompts that the provider is to look into.
    ///
    /// It is the field `prompt_cache_key` of [`extra_body`](Self::extra_body).
    #[must_use]
    pub fn prompt_cache_key(self, key: impl Into<String>) -> Self {
        self.extra_body("prompt_cache_key", key.into())
    }

    /// Sets how long the provider is to keep prompts in its cache.
    ///
    /// For example `24h`. It is the field `prompt_cache_retention`.
    #[must_use]
    pub fn prompt_cache_retention(self, retention: impl Into<String>) -> Self {
        self.extra_body("prompt_cache_retention", retention.into())
    }

    /// Has the Responses API shorten a conversation that it keeps.
    ///
    /// One edit is, for example, `{"type": "compaction", "compact_threshold": 200000}`. It is the field `context_management`.
    #[must_use]
    pub fn context_management(self, edits: Vec<Value>) -> Self {
        self.extra_body("context_management", edits)
    }

    /// Adds a field to the request's body.
    #[must_use]
    pub fn extra_body(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra_body.insert(key.into(), value.into());
        self
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn extra_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_headers.push((name.into(), value.into()));
        self
    }

    /// Lays other settings over these.
    ///
    /// What is set there wins. Extra fields and headers are merged.
    #[must_use]
    pub fn overlaid_with(&self, over: &Self) -> Self {
        let mut extra_body = self.extra_body.clone();
        extra_body.extend(over.extra_body.clone());
        let mut extra_headers: Vec<_> = self.extra_headers.clone();
        extra_headers.retain(|(name, _)| {
            !over
                .extra_headers
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
        });
        extra_headers.extend(over.extra_headers.clone());
        Self {
            temperature: over.temperature.or(self.temperature),
            top_p: over.top_p.or(self.top_p),
            frequency_penalty: over.frequency_penalty.or(self.frequency_penalty),
            presence_penalty: over.presence_penalty.or(self.presence_penalty),
            max_tokens: over.max_tokens.or(self.max_tokens),
            stop: over.stop.clone().or_else(|| self.stop.clone()),
            seed: over.seed.or(self.seed),
            tool_choice: over
                .tool_choice
                .clone()
                .or_else(|| self.tool_choice.clone()),
            parallel_tool_calls: over.parallel_tool_calls.or(self.parallel_tool_calls),
            reasoning_effort: over
                .reasoning_effort
                .clone()
                .or_else(|| self.reasoning_effort.clone()),
            verbosity: over.verbosity.clone().or_else(|| self.verbosity.clone()),
            top_logprobs: over.top_logprobs.or(self.top_logprobs),
            store: over.store.or(self.store),
            reasoning_summary: over
                .reasoning_summary
                .clone()
                .or_else(|| self.reasoning_summary.clone()),
            include: over.include.clone().or_else(|| self.include.clone()),
            truncation: over.truncation.clone().or_else(|| self.truncation.clone()),
            metadata: over.metadata.clone().or_else(|| self.metadata.clone()),
            extra_body,
            extra_headers,
            timeout: over.timeout.or(self.timeout),
            verbatim: Verbatim(over.verbatim.0.clone().or_else(|| self.verbatim.0.clone())),
        }
    }
}
