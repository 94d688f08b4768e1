//! The wire of `/responses`, and the driver over it, for OpenAI and for servers of gpt-oss.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::kind::ErrorKind;
use crate::model::http_model::{HttpModel, HttpModelBuilder};
use crate::model::wire::{DecodeContext, ResponseDecoder, ResponseLimits, Wire, responses};
use crate::model::{Delivery, Dialect, ModelError, ModelRequest};

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
pub type OpenAiResponses = HttpModel<ResponsesWire>;

/// Builds an [`OpenAiResponses`]; begun by [`OpenAiResponses::builder`].
pub type OpenAiResponsesBuilder = HttpModelBuilder<ResponsesWire>;

/// The wire of `/responses`.
///
/// It is as OpenAI has it, and as a [`Dialect`] says that a server has it.
#[derive(Debug, Clone, Default)]
pub struct ResponsesWire {
    dialect: Arc<Dialect>,
}

impl ResponsesWire {
    /// Speaks to a server in its dialect.
    pub fn new(dialect: impl Into<Arc<Dialect>>) -> Self {
        Self {
            dialect: dialect.into(),
        }
    }
}

impl Wire for ResponsesWire {
    fn path(&self, _model: &str, _delivery: Delivery) -> Cow<'_, str> {
        Cow::Borrowed("responses")
    }

    fn check(&self) -> Result<(), ModelError> {
        if self.dialect.force_functions {
            let message = "legacy functions (VLLM_FORCE_FUNCTIONS) exist on the chat API only";
            return Err(ModelError::new(ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError> {
        responses::encode(request, model, &self.dialect)
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        let cx = DecodeContext::new(request.turn, Arc::clone(&self.dialect), limits);
        Box::new(responses::ResponsesDecoder::new(cx))
    }

    fn logs_requests(&self) -> bool {
        self.dialect.log_payload
    }
}

impl HttpModel<ResponsesWire> {
    /// Begins a driver for a base URL and a model's name.
    ///
    /// The base URL is given with `/v1`, where the server has that.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiResponsesBuilder {
        Self::with_wire(ResponsesWire::default(), base_url, name)
    }
}

impl HttpModelBuilder<ResponsesWire> {
    /// Sets how the server wants to be spoken to; legacy functions are refused by [`build`](Self::build).
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.wire = ResponsesWire::new(dialect);
        self
    }
}
