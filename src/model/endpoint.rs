//! Where a driver's requests go and with what: address, headers, key, time-outs; what every HTTP driver shares.

use std::fmt;

use bytes::Bytes;

use crate::http::{BaseUrl, Headers, HttpClient, HttpError, Url};
use crate::kind::ErrorKind;
use crate::model::exchange::Outgoing;
use crate::model::wire::AnswerLimits;
use crate::model::{ModelError, ModelRequest};
use crate::secret::{Redactor, Secret};

/// One model at one address.
pub(crate) struct Endpoint {
    name: String,
    client: HttpClient,
    url: Url,
    headers: Headers,
    redactor: Redactor,
    max_event_bytes: usize,
    limits: AnswerLimits,
}

/// Builds an [`Endpoint`]; a driver's builder holds one and offers its options with [`endpoint_options!`].
#[derive(Debug)]
pub(crate) struct EndpointBuilder {
    base_url: String,
    name: String,
    pub(crate) client: Option<HttpClient>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) key: Option<Secret>,
    pub(crate) max_event_bytes: usize,
    pub(crate) limits: AnswerLimits,
}

impl Endpoint {
    /// Begins an endpoint for a base URL (with `/v1`, where the server has that) and a model's name.
    pub(crate) fn builder(base_url: impl Into<String>, name: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder {
            base_url: base_url.into(),
            name: name.into(),
            client: None,
            headers: Vec::new(),
            key: None,
            max_event_bytes: 32 * 1024 * 1024,
            limits: AnswerLimits::default(),
        }
    }

    /// Names the model.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says what an answer may hold.
    pub(crate) const fn answer_limits(&self) -> AnswerLimits {
        self.limits
    }

    /// Addresses the encoded form of a request.
    pub(crate) fn outgoing(
        &self,
        request: &ModelRequest,
        body: Bytes,
    ) -> Result<Outgoing, ModelError> {
        let mut headers = self.headers.clone();
        let mut redactor = self.redactor.clone();
        if !request.settings.extra_headers.is_empty() {
            let mut builder = Redactor::builder().all_of(&redactor);
            for (name, value) in &request.settings.extra_headers {
                headers.insert(name, value).map_err(config_error)?;
                builder = builder.header(&value.as_str().into());
            }
            redactor = builder.build();
        }
        Ok(Outgoing {
            client: self.client.clone(),
            url: self.url.clone(),
            headers,
            body,
            delivery: request.delivery,
            redactor,
            max_event_bytes: self.max_event_bytes,
            max_answer_bytes: self.limits.max_bytes,
            timeout: request.settings.timeout,
        })
    }

    /// Logs a body, pretty-printed and without the key, at `debug`.
    pub(crate) fn log_payload(&self, body: &[u8]) {
        if !tracing::enabled!(target: "openai_agents::wire", tracing::Level::DEBUG) {
            return;
        }
        let pretty = serde_json::from_slice::<serde_json::Value>(body).map_or_else(
            |_| String::from_utf8_lossy(body).into_owned(),
            |value| format!("{value:#}"),
        );
        let payload = self.redactor.redact(&pretty);
        tracing::debug!(target: "openai_agents::wire", "request:\n{payload}");
    }
}

impl EndpointBuilder {
    /// Makes the endpoint of a path below the base URL.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub(crate) fn build(self, path: &str) -> Result<Endpoint, ModelError> {
        if self.name.trim().is_empty() {
            return Err(ModelError::new(ErrorKind::Config, "the model has no name"));
        }
        let url = BaseUrl::parse(&self.base_url)
            .and_then(|base| base.join(path))
            .map_err(config_error)?;
        let headers = self.all_headers().map_err(config_error)?;
        let redactor = self.redactor();
        Ok(Endpoint {
            name: self.name,
            client: self.client.unwrap_or_default(),
            url,
            headers,
            redactor,
            max_event_bytes: self.max_event_bytes,
            limits: self.limits,
        })
    }

    /// Takes out what requests are trusted with: the key, tokens in headers, keys in the address.
    fn redactor(&self) -> Redactor {
        let mut builder = Redactor::builder().url(&self.base_url);
        if let Some(client) = &self.client {
            builder = builder.all_of(client.redactor());
        }
        if let Some(key) = &self.key {
            builder = builder.secret(key);
        }
        for (_, value) in &self.headers {
            builder = builder.header(&value.as_str().into());
        }
        builder.build()
    }

    fn all_headers(&self) -> Result<Headers, HttpError> {
        let mut headers = Headers::new();
        headers.insert("content-type", "application/json")?;
        headers.insert(
            "user-agent",
            concat!("openai-agents/", env!("CARGO_PKG_VERSION")),
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

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Writes the options of an endpoint into a driver's builder, whose field `endpoint` is an [`EndpointBuilder`].
macro_rules! endpoint_options {
    () => {
        /// Sets the key, sent as a bearer token.
        pub fn api_key(mut self, key: impl Into<crate::secret::Secret>) -> Self {
            self.endpoint.key = Some(key.into());
            self
        }

        /// Uses this HTTP client, with its connections and time-outs.
        pub fn http_client(mut self, client: crate::http::HttpClient) -> Self {
            self.endpoint.client = Some(client);
            self
        }

        /// Adds a header to every request.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.endpoint.headers.push((name.into(), value.into()));
            self
        }

        /// Sets how large one event of a stream may be, 32 MiB by default.
        pub fn max_event_bytes(mut self, max_event_bytes: usize) -> Self {
            self.endpoint.max_event_bytes = max_event_bytes;
            self
        }

        /// Sets how large an answer may be in sum, 64 MiB by default: its text, reasoning, arguments and all else that is kept.
        ///
        /// JSON that is kept as parsed values counts as much as they can take. More is the error `limit_exceeded`.
        pub fn max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
            self.endpoint.limits.max_bytes = max_answer_bytes;
            self
        }

        /// Sets how many tool calls an answer may hold, 1024 by default; more is the error `limit_exceeded`.
        pub fn max_answer_tool_calls(mut self, max_answer_tool_calls: usize) -> Self {
            self.endpoint.limits.max_tool_calls = max_answer_tool_calls;
            self
        }
    };
}

pub(crate) use endpoint_options;

fn config_error(error: HttpError) -> ModelError {
    ModelError::new(error.kind(), error.to_string()).with_cause_of(error)
}
