//! The driver of a `LiteLLM` proxy, over either of its two APIs.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::http_model::{HttpModel, HttpModelBuilder};
use crate::model::wire::{ResponseDecoder, ResponseLimits, Wire};
use crate::model::{ChatWire, Delivery, Dialect, ModelError, ModelRequest, ResponsesWire};

/// A model behind a `LiteLLM` proxy.
///
/// It is on either of the two APIs that the proxy has under one base URL.
///
/// The name is the proxy's own, `provider/model` included: it is passed through, never taken apart. So are fields of providers: what
/// stands beside a call or a thought (`thinking_blocks`, thought signatures) goes back with it, `cache_control` of a message's part is
/// sent, and [`ModelSettings::extra_body`](crate::ModelSettings::extra_body) has room for the rest. An error's request id is the
/// proxy's `x-litellm-call-id`.
///
/// One call is one request to the proxy; whether the proxy retries is set there (`num_retries`).
///
/// ```
/// use openai_agents::model::{LiteLlm, LiteLlmApi};
///
/// let model = LiteLlm::builder("http://127.0.0.1:4000/v1", "anthropic/claude-sonnet-4")
///     .api(LiteLlmApi::Responses)
///     .api_key("sk-1")
///     .build()?;
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
pub type LiteLlm = HttpModel<LiteLlmWire>;

/// Builds a [`LiteLlm`]; begun by [`LiteLlm::builder`].
pub type LiteLlmBuilder = HttpModelBuilder<LiteLlmWire>;

/// The API by which a `LiteLLM` proxy is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiteLlmApi {
    /// `/chat/completions`, which it has for every provider.
    #[default]
    Chat,
    /// `/responses`, passed through or translated, as the provider allows.
    Responses,
}

/// The wire of one of a `LiteLLM` proxy's APIs: [`ChatWire`] or [`ResponsesWire`].
#[derive(Debug, Clone, Default)]
pub struct LiteLlmWire {
    api: LiteLlmApi,
    dialect: Arc<Dialect>,
}

impl LiteLlmWire {
    fn with<T>(&self, use_wire: impl FnOnce(&dyn Wire) -> T) -> T {
        let dialect = Arc::clone(&self.dialect);
        match self.api {
            LiteLlmApi::Chat => use_wire(&ChatWire::new(dialect)),
            LiteLlmApi::Responses => use_wire(&ResponsesWire::new(dialect)),
        }
    }
}

impl Wire for LiteLlmWire {
    fn path(&self, model: &str, delivery: Delivery) -> Cow<'_, str> {
        self.with(|wire| wire.path(model, delivery).into_owned())
            .into()
    }

    fn check(&self) -> Result<(), ModelError> {
        self.with(Wire::check)
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError> {
        self.with(|wire| wire.encode(model, request))
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        self.with(|wire| wire.decoder(request, limits))
    }

    fn logs_requests(&self) -> bool {
        self.dialect.log_payload
    }
}

impl HttpModel<LiteLlmWire> {
    /// Begins a driver for a proxy's base URL and the name of a model there.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> LiteLlmBuilder {
        Self::with_wire(LiteLlmWire::default(), base_url, name)
    }
}

impl HttpModelBuilder<LiteLlmWire> {
    /// Sets the API; chat by default.
    pub fn api(mut self, api: LiteLlmApi) -> Self {
        self.wire.api = api;
        self
    }

    /// Sets how the server wants to be spoken to.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.wire.dialect = Arc::new(dialect);
        self
    }
}
