//! The driver of a `LiteLLM` proxy.

use std::fmt;

use crate::future::BoxStream;
use crate::model::endpoint::{Endpoint, EndpointBuilder, endpoint_options};
use crate::model::{
    Dialect, OpenAiResponses, Model, ModelError, ModelEvent, ModelRequest, OpenAiChat,
};

/// A model behind a `LiteLLM` proxy, on either of the two APIs that it has under one base URL.
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
#[derive(Clone)]
pub struct LiteLlm(Driver);

#[derive(Clone)]
enum Driver {
    Chat(OpenAiChat),
    Responses(OpenAiResponses),
}

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

/// Builds a [`LiteLlm`]; begun by [`LiteLlm::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct LiteLlmBuilder {
    endpoint: EndpointBuilder,
    api: LiteLlmApi,
    dialect: Dialect,
}

impl LiteLlm {
    /// Begins a driver for a proxy's base URL and the name of a model there.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> LiteLlmBuilder {
        LiteLlmBuilder {
            endpoint: Endpoint::builder(base_url, name),
            api: LiteLlmApi::default(),
            dialect: Dialect::default(),
        }
    }
}

impl Model for LiteLlm {
    fn name(&self) -> &str {
        match &self.0 {
            Driver::Chat(model) => model.name(),
            Driver::Responses(model) => model.name(),
        }
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        match &self.0 {
            Driver::Chat(model) => model.call(request),
            Driver::Responses(model) => model.call(request),
        }
    }
}

impl LiteLlmBuilder {
    endpoint_options!();

    /// Sets the API; chat by default.
    pub fn api(mut self, api: LiteLlmApi) -> Self {
        self.api = api;
        self
    }

    /// Sets how the server wants to be spoken to.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Makes the driver; nothing is sent.
    ///
    /// # Errors
    ///
    /// As for the driver of the API: `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub fn build(self) -> Result<LiteLlm, ModelError> {
        Ok(LiteLlm(match self.api {
            LiteLlmApi::Chat => {
                Driver::Chat(OpenAiChat::from_endpoint(self.endpoint, self.dialect)?)
            }
            LiteLlmApi::Responses => {
                Driver::Responses(OpenAiResponses::from_endpoint(self.endpoint, self.dialect)?)
            }
        }))
    }
}

impl fmt::Debug for LiteLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("LiteLlm");
        match &self.0 {
            Driver::Chat(model) => tuple.field(model),
            Driver::Responses(model) => tuple.field(model),
        };
        tuple.finish()
    }
}
