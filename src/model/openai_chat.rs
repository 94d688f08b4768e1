//! The driver of `/chat/completions`.

use std::fmt;
use std::sync::Arc;

use futures_util::stream;

use crate::future::BoxStream;
use crate::model::endpoint::{Endpoint, EndpointBuilder, endpoint_options};
use crate::model::exchange::{Exchange, Outgoing};
use crate::model::wire::{DecodeContext, chat};
use crate::model::{Dialect, Model, ModelError, ModelEvent, ModelRequest};

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
    endpoint: Endpoint,
    dialect: Arc<Dialect>,
}

/// Builds an [`OpenAiChat`]; begun by [`OpenAiChat::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct OpenAiChatBuilder {
    endpoint: EndpointBuilder,
    dialect: Dialect,
}

impl OpenAiChat {
    /// Begins a driver for a base URL (with `/v1`, where the server has that) and a model's name.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiChatBuilder {
        OpenAiChatBuilder {
            endpoint: Endpoint::builder(base_url, name),
            dialect: Dialect::default(),
        }
    }

    pub(crate) fn from_endpoint(
        endpoint: EndpointBuilder,
        dialect: Dialect,
    ) -> Result<Self, ModelError> {
        let endpoint = endpoint.build("chat/completions")?;
        let dialect = Arc::new(dialect);
        Ok(Self(Arc::new(Parts { endpoint, dialect })))
    }

    fn outgoing(&self, request: &ModelRequest) -> Result<Outgoing, ModelError> {
        let Parts { endpoint, dialect } = &*self.0;
        let body = chat::encode(request, endpoint.name(), dialect)?;
        if dialect.log_payload {
            endpoint.log_payload(&body);
        }
        endpoint.outgoing(request, body)
    }
}

impl Model for OpenAiChat {
    fn name(&self) -> &str {
        self.0.endpoint.name()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let mut asked = DecodeContext::new(
            request.turn,
            Arc::clone(&self.0.dialect),
            self.0.endpoint.answer_limits(),
        );
        asked.deviations = chat::deviations(&request, &self.0.dialect);
        match self.outgoing(&request) {
            Ok(outgoing) => Box::pin(Exchange::new(outgoing, chat::Decoder::new(asked))),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }
}

impl OpenAiChatBuilder {
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
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub fn build(self) -> Result<OpenAiChat, ModelError> {
        OpenAiChat::from_endpoint(self.endpoint, self.dialect)
    }
}

impl fmt::Debug for OpenAiChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAiChat").field(&self.0.endpoint).finish()
    }
}
