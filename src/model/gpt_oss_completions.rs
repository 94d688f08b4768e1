//! The Harmony wire of raw `/completions`, and the driver over it: the conversation is rendered and read here.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::http_model::{HttpModel, HttpModelBuilder};
use crate::model::wire::{DecodeContext, ResponseDecoder, ResponseLimits, Wire, harmony};
use crate::model::{Delivery, Dialect, FinishReason, ModelError, ModelRequest};

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
pub type GptOssCompletions = HttpModel<HarmonyWire>;

/// Builds a [`GptOssCompletions`]; begun by [`GptOssCompletions::builder`].
pub type GptOssCompletionsBuilder = HttpModelBuilder<HarmonyWire>;

/// The wire of `/completions` for gpt-oss models, which write the Harmony format.
#[derive(Debug, Clone, Default)]
pub struct HarmonyWire {
    dialect: Arc<Dialect>,
    current_date: Option<String>,
}

impl Wire for HarmonyWire {
    fn path(&self, _model: &str, _delivery: Delivery) -> Cow<'_, str> {
        Cow::Borrowed("completions")
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError> {
        harmony::encode(request, model, self.current_date.as_deref())
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        let cx = DecodeContext::new(request.turn, Arc::clone(&self.dialect), limits);
        Box::new(harmony::HarmonyDecoder::new(cx))
    }
}

impl HttpModel<HarmonyWire> {
    /// Begins a driver for a base URL and a model's name.
    ///
    /// The base URL is given with `/v1`, where the server has that.
    pub fn builder(
        base_url: impl Into<String>,
        name: impl Into<String>,
    ) -> GptOssCompletionsBuilder {
        Self::with_wire(HarmonyWire::default(), base_url, name)
    }
}

impl HttpModelBuilder<HarmonyWire> {
    /// Sets the date that the model is told, such as `2026-11-22`.
    ///
    /// It is told none by default.
    pub fn current_date(mut self, date: impl Into<String>) -> Self {
        self.wire.current_date = Some(date.into());
        self
    }

    /// Says what a word of the server for the end of an answer means.
    ///
    /// It goes before those that are known of all servers.
    pub fn finish_reason(mut self, word: impl Into<String>, meaning: FinishReason) -> Self {
        let dialect = Arc::make_mut(&mut self.wire.dialect);
        dialect.finish_reasons.insert(word.into(), meaning);
        self
    }
}
