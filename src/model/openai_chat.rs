//! The driver of `/chat/completions`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use crate::future::BoxStream;
use crate::http::{BaseUrl, Headers, HttpClient, HttpError, Url};
use crate::model::exchange::{Exchange, Outgoing};
use crate::model::wire::chat;
use crate::model::{Dialect, Model, ModelError, ModelEvent, ModelRequest};
use crate::secret::Secret;

/// A model behind an OpenAI-compatible `/chat/completions`.
///
/// One call is one request; there is no retry, no fallback and no default address. A cheap handle: clones share one connection
/// pool.
///
/// ```
/// use openai_agents::model::OpenAiChat;
///
/// let model = OpenAiChat::builder("http://127.0.0.1:8000/v1", "my-model").api_key("sk-123").build()?;
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiChat(Arc<Parts>);

struct Parts {
    name: String,
    client: HttpClient,
    url: Url,
    headers: Headers,
    key: Option<Secret>,
    dialect: Dialect,
    event_timeout: Option<Duration>,
    max_event_bytes: usize,
}

/// Builds an [`OpenAiChat`]; begun by [`OpenAiChat::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct OpenAiChatBuilder {
    base_url: String,
    name: String,
    client: Option<HttpClient>,
    headers: Vec<(String, String)>,
    key: Option<Secret>,
    dialect: Dialect,
    event_timeout: Option<Duration>,
    max_event_bytes: usize,
}

impl OpenAiChat {
    /// Begins a driver for a base URL (with `/v1`, where the server has that) and a model's name.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiChatBuilder {
        OpenAiChatBuilder {
            base_url: base_url.into(),
            name: name.into(),
            client: None,
            headers: Vec::new(),
            key: None,
            dialect: Dialect::default(),
            event_timeout: Some(Duration::from_secs(60)),
            max_event_bytes: 32 * 1024 * 1024,
        }
    }

    fn outgoing(&self, request: &ModelRequest) -> Result<Outgoing, ModelError> {
        let parts = &self.0;
        let body = chat::encode(request, &parts.name, &parts.dialect)?;
        if parts.dialect.log_payload {
            log_payload(&body, parts.key.as_ref());
        }
        let mut headers = parts.headers.clone();
        for (name, value) in &request.settings.extra_headers {
            headers.insert(name, value).map_err(config_error)?;
        }
        Ok(Outgoing {
            client: parts.client.clone(),
            url: parts.url.clone(),
            headers,
            body,
            delivery: request.delivery,
            key: parts.key.clone(),
            max_event_bytes: parts.max_event_bytes,
            event_timeout: parts.event_timeout,
            timeout: request.settings.timeout,
        })
    }
}

impl Model for OpenAiChat {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let asked = chat::Asked {
            turn: request.turn,
            functions: self.0.dialect.force_functions,
        };
        match self.outgoing(&request) {
            Ok(outgoing) => Box::pin(Exchange::new(outgoing, chat::Decoder::new(asked))),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }
}

impl OpenAiChatBuilder {
    /// Sets the key, sent as a bearer token.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets how the server wants to be spoken to.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Uses this HTTP client, with its connections and time-outs.
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long a stream may go without an event, 60 seconds by default; comments that keep it alive do not count.
    pub fn event_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.event_timeout = timeout.into();
        self
    }

    /// Sets how large one event of a stream may be, 32 MiB by default.
    pub fn max_event_bytes(mut self, max_event_bytes: usize) -> Self {
        self.max_event_bytes = max_event_bytes;
        self
    }

    /// Makes the driver; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub fn build(self) -> Result<OpenAiChat, ModelError> {
        if self.name.trim().is_empty() {
            return Err(ModelError::new(
                crate::kind::ErrorKind::Config,
                "the model has no name",
            ));
        }
        let url = BaseUrl::parse(&self.base_url)
            .and_then(|base| base.join("chat/completions"))
            .map_err(config_error)?;
        let headers = self.all_headers().map_err(config_error)?;
        Ok(OpenAiChat(Arc::new(Parts {
            name: self.name,
            client: self.client.unwrap_or_default(),
            url,
            headers,
            key: self.key,
            dialect: self.dialect,
            event_timeout: self.event_timeout,
            max_event_bytes: self.max_event_bytes,
        })))
    }

    fn all_headers(&self) -> Result<Headers, HttpError> {
        let mut headers = Headers::new();
        headers.insert("content-type", "application/json")?;
        headers.insert(
            "user-agent",
            concat!("openai-agents-rust/", env!("CARGO_PKG_VERSION")),
        )?;
        if let Some(key) = &self.key {
            headers.insert_bearer(key)?;
        }
        for (name, value) in &self.headers {
            headers.insert(name, value)?;
        }
        Ok(headers)
    }
}

impl fmt::Debug for OpenAiChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiChat")
            .field("name", &self.0.name)
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

fn config_error(error: HttpError) -> ModelError {
    ModelError::new(error.kind(), error.to_string()).with_cause_of(error)
}

fn log_payload(body: &Bytes, key: Option<&Secret>) {
    let pretty = serde_json::from_slice::<serde_json::Value>(body)
        .map(|value| format!("{value:#}"))
        .unwrap_or_default();
    let payload = key.map_or_else(|| pretty.clone(), |key| key.redact(&pretty));
    tracing::debug!(target: "openai_agents::wire", "request:\n{payload}");
}
