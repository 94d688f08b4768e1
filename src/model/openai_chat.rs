//! The wire of `/chat/completions`, and the driver over it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::http_model::{HttpModel, HttpModelBuilder};
use crate::model::wire::{DecodeContext, ResponseDecoder, ResponseLimits, Wire, chat};
use crate::model::{Delivery, Dialect, ModelError, ModelRequest};

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
pub type OpenAiChat = HttpModel<ChatWire>;

/// Builds an [`OpenAiChat`]; begun by [`OpenAiChat::builder`].
pub type OpenAiChatBuilder = HttpModelBuilder<ChatWire>;

/// The wire of `/chat/completions`.
///
/// It is as OpenAI has it, and as a [`Dialect`] says that a server has it.
#[derive(Debug, Clone, Default)]
pub struct ChatWire {
    dialect: Arc<Dialect>,
}

impl ChatWire {
    /// Speaks to a server in its dialect.
    pub fn new(dialect: impl Into<Arc<Dialect>>) -> Self {
        Self {
            dialect: dialect.into(),
        }
    }
}

impl Wire for ChatWire {
    fn path(&self, _model: &str, _delivery: Delivery) -> Cow<'_, str> {
        Cow::Borrowed("chat/completions")
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError> {
        chat::encode(request, model, &self.dialect)
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        let mut cx = DecodeContext::new(request.turn, Arc::clone(&self.dialect), limits);
        cx.deviations = chat::deviations(request, &self.dialect);
        Box::new(chat::ChatDecoder::new(cx))
    }

    fn logs_requests(&self) -> bool {
        self.dialect.log_payload
    }
}

impl HttpModel<ChatWire> {
    /// Begins a driver for a base URL and a model's name.
    ///
    /// The base URL is given with `/v1`, where the server has that.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiChatBuilder {
        Self::with_wire(ChatWire::default(), base_url, name)
    }
}

impl HttpModelBuilder<ChatWire> {
    /// Sets how the server wants to be spoken to.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.wire = ChatWire::new(dialect);
        self
    }
}
