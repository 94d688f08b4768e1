//! The driver of `/responses`, for OpenAI and for servers of gpt-oss.

use std::fmt;
use std::sync::Arc;

use futures_util::stream;

use crate::future::BoxStream;
use crate::model::endpoint::{Endpoint, EndpointBuilder, endpoint_options};
use crate::model::exchange::{Exchange, Outgoing};
use crate::model::wire::{DecodeContext, responses};
use crate::model::{Dialect, Model, ModelError, ModelEvent, ModelRequest};

/// A model behind an OpenAI-compatible `/responses`.
///
/// Items are this API's own shape: what the model sent goes back as it came, reasoning included. By default each request has the
/// whole conversation; a run may let the server keep it ([`chain_responses`](crate::RunRequest::chain_responses)).
///
/// One call is one request; there is no retry, no fallback and no default address. A cheap handle: clones share one connection
/// pool.
///
/// ```
/// use openai_agents::model::OpenAiResponses;
///
/// let model = OpenAiResponses::builder("http://127.0.0.1:8000/v1", "openai/gpt-oss-20b").build()?;
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiResponses(Arc<Parts>);

struct Parts {
    endpoint: Endpoint,
    dialect: Arc<Dialect>,
}

/// Builds a [`OpenAiResponses`]; begun by [`OpenAiResponses::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct OpenAiResponsesBuilder {
    endpoint: EndpointBuilder,
    dialect: Dialect,
}

impl OpenAiResponses {
    /// Begins a driver for a base URL (with `/v1`, where the server has that) and a model's name.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiResponsesBuilder {
        OpenAiResponsesBuilder {
            endpoint: Endpoint::builder(base_url, name),
            dialect: Dialect::default(),
        }
    }

    pub(crate) fn from_endpoint(
        endpoint: EndpointBuilder,
        dialect: Dialect,
    ) -> Result<Self, ModelError> {
        if dialect.force_functions {
            let message = "legacy functions (VLLM_FORCE_FUNCTIONS) exist on the chat API only";
            return Err(ModelError::new(
                crate::kind::ErrorKind::Unsupported,
                message,
            ));
        }
        let endpoint = endpoint.build("responses")?;
        let dialect = Arc::new(dialect);
        Ok(Self(Arc::new(Parts { endpoint, dialect })))
    }

    fn outgoing(&self, request: &ModelRequest) -> Result<Outgoing, ModelError> {
        let Parts { endpoint, dialect } = &*self.0;
        let body = responses::encode(request, endpoint.name(), dialect)?;
        if dialect.log_payload {
            endpoint.log_payload(&body);
        }
        endpoint.outgoing(request, body)
    }
}

impl Model for OpenAiResponses {
    fn name(&self) -> &str {
        self.0.endpoint.name()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let asked = DecodeContext::new(
            request.turn,
            Arc::clone(&self.0.dialect),
            self.0.endpoint.answer_limits(),
        );
        match self.outgoing(&request) {
            Ok(outgoing) => Box::pin(Exchange::new(outgoing, responses::Decoder::new(asked))),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }
}

impl OpenAiResponsesBuilder {
    endpoint_options!();

    /// Sets how the server wants to be spoken to.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Makes the driver; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name; `unsupported` when the dialect asks
    /// for legacy functions, which this API does not have.
    pub fn build(self) -> Result<OpenAiResponses, ModelError> {
        OpenAiResponses::from_endpoint(self.endpoint, self.dialect)
    }
}

impl fmt::Debug for OpenAiResponses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAiResponses")
            .field(&self.0.endpoint)
            .finish()
    }
}
