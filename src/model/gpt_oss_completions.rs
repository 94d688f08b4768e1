//! The driver of raw `/completions` for gpt-oss models: the conversation is rendered and read here, in the Harmony format.

use std::fmt;
use std::sync::Arc;

use futures_util::stream;

use crate::future::BoxStream;
use crate::model::endpoint::{Endpoint, EndpointBuilder, endpoint_options};
use crate::model::exchange::{Exchange, Outgoing};
use crate::model::wire::{DecodeContext, harmony};
use crate::model::{Dialect, FinishReason, Model, ModelError, ModelEvent, ModelRequest};

/// A gpt-oss model behind `/completions`, without the server's own rendering and parsing.
///
/// For servers whose chat API garbles Harmony, and for whoever wants to see the model's text as it is. The server must give
/// special tokens as text: vLLM and `SGLang` do so as asked here, llama.cpp when started with `--special`. Many servers cut a
/// completion after 16 tokens unless [`max_tokens`](crate::ModelSettings::max_tokens) is set.
///
/// A text of the conversation that holds a control token is refused, since a server would take it for structure. One call is one
/// request. A cheap handle: clones share one connection pool.
///
/// ```
/// use openai_agents::model::GptOssCompletions;
///
/// let model = GptOssCompletions::builder("http://127.0.0.1:8000/v1", "gpt-oss-20b").current_date("2026-11-22").build()?;
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct GptOssCompletions(Arc<Parts>);

struct Parts {
    endpoint: Endpoint,
    dialect: Arc<Dialect>,
    current_date: Option<String>,
}

/// Builds a [`GptOssCompletions`]; begun by [`GptOssCompletions::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct GptOssCompletionsBuilder {
    endpoint: EndpointBuilder,
    dialect: Dialect,
    current_date: Option<String>,
}

impl GptOssCompletions {
    /// Begins a driver for a base URL (with `/v1`, where the server has that) and a model's name.
    pub fn builder(
        base_url: impl Into<String>,
        name: impl Into<String>,
    ) -> GptOssCompletionsBuilder {
        GptOssCompletionsBuilder {
            endpoint: Endpoint::builder(base_url, name),
            dialect: Dialect::default(),
            current_date: None,
        }
    }

    fn outgoing(&self, request: &ModelRequest) -> Result<Outgoing, ModelError> {
        let Parts {
            endpoint,
            current_date,
            ..
        } = &*self.0;
        let body = harmony::encode(request, endpoint.name(), current_date.as_deref())?;
        endpoint.outgoing(request, body)
    }
}

impl Model for GptOssCompletions {
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
            Ok(outgoing) => Box::pin(Exchange::new(outgoing, harmony::Decoder::new(asked))),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }
}

impl GptOssCompletionsBuilder {
    endpoint_options!();

    /// Sets the date that the model is told, such as `2026-11-22`; it is told none by default.
    pub fn current_date(mut self, date: impl Into<String>) -> Self {
        self.current_date = Some(date.into());
        self
    }

    /// Says what a word of the server for the end of an answer means, over those that are known of all servers.
    pub fn finish_reason(mut self, word: impl Into<String>, meaning: FinishReason) -> Self {
        self.dialect.finish_reasons.insert(word.into(), meaning);
        self
    }

    /// Makes the driver; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub fn build(self) -> Result<GptOssCompletions, ModelError> {
        Ok(GptOssCompletions(Arc::new(Parts {
            endpoint: self.endpoint.build("completions")?,
            dialect: Arc::new(self.dialect),
            current_date: self.current_date,
        })))
    }
}

impl fmt::Debug for GptOssCompletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GptOssCompletions")
            .field(&self.0.endpoint)
            .finish()
    }
}
