//! A model behind an HTTP endpoint: address, headers, key, limits, and a wire that knows what the bytes mean.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::stream;

use crate::future::BoxStream;
use crate::http::{BaseUrl, Headers, HttpClient, HttpError, Url};
use crate::kind::ErrorKind;
use crate::model::endpoint::{Endpoint, USER_AGENT, config_error, redactor_of};
use crate::model::exchange::Exchange;
use crate::model::provider_name::provider_at;
use crate::model::wire::{ResponseLimits, Wire};
use crate::model::{Delivery, MemoryLimit, Model, ModelError, ModelEvent, ModelRequest};
use crate::secret::{Redactor, Secret};

/// A model at an HTTP endpoint, spoken to over a [`Wire`].
///
/// [`OpenAiChat`](crate::model::OpenAiChat), [`OpenAiResponses`](crate::model::OpenAiResponses),
/// [`LiteLlm`](crate::model::LiteLlm) and [`GptOssCompletions`](crate::model::GptOssCompletions) are this type over the
/// wires of this crate; [`wire`](crate::model::wire) shows how to add a vendor's.
///
/// One call is one request: nothing is retried, and nothing is sent elsewhere. Statuses, content types, time-outs, size
/// limits and server-sent events are handled here, alike for every wire. Secrets that the request was trusted with (the
/// key, headers, a proxy's password) are taken out of whatever the server answers, errors included. A cheap handle:
/// clones share one connection pool.
pub struct HttpModel<W>(Arc<BackEnd<W>>);

struct BackEnd<W> {
    wire: W,
    endpoint: Arc<Endpoint>,
}

/// Builds an [`HttpModel`]; begun by [`HttpModel::with_wire`] or by the `builder` of a driver.
#[must_use = "a model is made by build()"]
pub struct HttpModelBuilder<W> {
    pub(super) wire: W,
    base_url: String,
    name: String,
    client: Option<HttpClient>,
    headers: Vec<(String, String)>,
    key: Option<Secret>,
    max_event_bytes: usize,
    limits: ResponseLimits,
    memory: Option<MemoryLimit>,
    provider_name: Option<String>,
}

impl<W: Wire> HttpModel<W> {
    /// Begins a model over a wire, for a base URL and the model's name.
    ///
    /// The base URL is given with `/v1`, where the server has that.
    pub fn with_wire(
        wire: W,
        base_url: impl Into<String>,
        name: impl Into<String>,
    ) -> HttpModelBuilder<W> {
        HttpModelBuilder {
            wire,
            base_url: base_url.into(),
            name: name.into(),
            client: None,
            headers: Vec::new(),
            key: None,
            // A picture that a hosted tool made comes in one event.
            max_event_bytes: 32 * 1024 * 1024,
            limits: ResponseLimits::default(),
            memory: None,
            provider_name: None,
        }
    }

    fn exchange(&self, request: &ModelRequest) -> Result<Exchange, ModelError> {
        let BackEnd { wire, endpoint } = &*self.0;
        // The way of every request: the wire writes the body, the exchange sends it and reads the
        // bytes of the answer, and the decoder says what they mean. This is all that the three
        // share.
        let body = wire.encode(&endpoint.name, request)?;
        if wire.logs_requests() {
            endpoint.log(&body);
        }
        let decoder = wire.decoder(request, endpoint.limits);
        Exchange::start(Arc::clone(endpoint), request, body, decoder)
    }
}

impl<W: Wire> Model for HttpModel<W> {
    fn name(&self) -> &str {
        &self.0.endpoint.name
    }

    fn provider_name(&self) -> &str {
        &self.0.endpoint.provider_name
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        match self.exchange(&request) {
            Ok(exchange) => Box::pin(exchange),
            // `call` returns a stream and no result, so an error before the request is the first
            // and only event.
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }
}

impl<W: Wire> HttpModelBuilder<W> {
    /// Sets the key, sent as the wire says.
    ///
    /// It is sent as a bearer token, unless the vendor wants it otherwise.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
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

    /// Names the provider, as traces and metrics show it (`gen_ai.provider.name`); nothing else depends on it.
    ///
    /// By default it is the one that serves at the host of the base URL, such as `azure.ai.openai`, and `openai` for a host that tells
    /// nothing, such as that of a proxy: by the conventions that says whose API is spoken.
    pub fn provider_name(mut self, provider_name: impl Into<String>) -> Self {
        self.provider_name = Some(provider_name.into());
        self
    }

    /// Sets how large one event of a stream may be, 32 MiB by default.
    pub fn max_event_bytes(mut self, max_event_bytes: usize) -> Self {
        self.max_event_bytes = max_event_bytes;
        self
    }

    /// Sets how large an answer may be in sum, 64 MiB by default.
    ///
    /// The sum is that of its text, reasoning, arguments and all else that is kept.
    ///
    /// JSON that is kept as parsed values counts as much as they can take. More is the error `limit_exceeded`.
    pub fn max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
        self.limits.max_bytes = max_answer_bytes;
        self
    }

    /// Counts what answers under way hold, in a sum with those of other models.
    ///
    /// They are not counted by default.
    pub fn memory_limit(mut self, memory_limit: MemoryLimit) -> Self {
        self.memory = Some(memory_limit);
        self
    }

    /// Sets how many tool calls an answer may hold, 1024 by default.
    ///
    /// More is the error `limit_exceeded`.
    pub fn max_answer_tool_calls(mut self, max_answer_tool_calls: usize) -> Self {
        self.limits.max_tool_calls = max_answer_tool_calls;
        self
    }

    /// Makes the model; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name; what the wire refuses, such
    /// as `unsupported` when a [`Dialect`](crate::model::Dialect) asks for what the API does not have.
    pub fn build(self) -> Result<HttpModel<W>, ModelError> {
        if self.name.trim().is_empty() {
            return Err(ModelError::new(ErrorKind::Config, "the model has no name"));
        }
        self.wire.check()?;
        let base = BaseUrl::parse(&self.base_url).map_err(config_error)?;
        let url = |delivery| {
            let path = self.wire.path(&self.name, delivery);
            base.join(&path).map_err(config_error)
        };
        let (whole_url, stream_url) = (url(Delivery::Whole)?, url(Delivery::Stream)?);
        let headers = self.all_headers(&whole_url).map_err(config_error)?;
        // After the headers: what the wire set as a secret has to be taken out of answers as well.
        let redactor = self.redactor(&headers);
        let known = provider_at(whole_url.host_port());
        let provider_name = self.provider_name.map_or(Cow::Borrowed(known), Cow::Owned);
        let endpoint = Endpoint {
            name: self.name,
            provider_name,
            client: self.client.unwrap_or_default(),
            whole_url,
            stream_url,
            headers,
            redactor,
            descriptions: OnceLock::new(),
            max_event_bytes: self.max_event_bytes,
            limits: self.limits,
            memory: self.memory,
        };
        Ok(HttpModel(Arc::new(BackEnd {
            wire: self.wire,
            endpoint: Arc::new(endpoint),
        })))
    }

    fn redactor(&self, headers: &Headers) -> Redactor {
        let (client, key) = (self.client.as_ref(), self.key.as_ref());
        let mut builder = redactor_of(&self.base_url, client, key, &self.headers);
        // Those that the wire set.
        for secret in headers.secrets() {
            builder = builder.header(&secret);
        }
        builder.build()
    }

    fn all_headers(&self, url: &Url) -> Result<Headers, HttpError> {
        let mut headers = Headers::new();
        // The HTTP client would write it anew for each request.
        headers.insert("host", url.host_header())?;
        headers.insert("content-type", "application/json")?;
        headers.insert("user-agent", USER_AGENT)?;
        self.wire.set_headers(&mut headers, self.key.as_ref())?;
        for (name, value) in &self.headers {
            headers.insert(name, value)?;
        }
        Ok(headers)
    }
}

/// A handle is cloned, not the wire.
impl<W> Clone for HttpModel<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> fmt::Debug for HttpModel<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpModel")
            .field("name", &self.0.endpoint.name)
            .field("url", &self.0.endpoint.whole_url)
            .finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for HttpModelBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpModelBuilder")
            .field("name", &self.name)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}
