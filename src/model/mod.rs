//! What a model is to this crate: a request in, a stream of events out.

mod settings;
pub(crate) mod verbatim;
mod request;
mod error;
mod json_text;
mod event;
mod dialect;
mod finish_reason;
mod providers;
pub(crate) mod provider_name;
mod limited;
#[cfg(any(feature = "http", feature = "server"))]
mod memory_limit;
mod retry;
#[cfg(feature = "realtime")]
pub mod realtime;
#[cfg(feature = "voice")]
pub mod voice;
#[cfg(feature = "http")]
pub mod wire;
#[cfg(feature = "http")]
mod recording;
#[cfg(feature = "http")]
mod redaction;
#[cfg(feature = "http")]
mod endpoint;
#[cfg(feature = "http")]
mod exchange;
#[cfg(feature = "http")]
mod http_model;
#[cfg(feature = "http")]
mod openai_chat;
#[cfg(feature = "http")]
mod gpt_oss_responses;
#[cfg(feature = "http")]
mod gpt_oss_completions;
#[cfg(feature = "http")]
mod litellm;
#[cfg(feature = "realtime")]
mod openai_realtime;
#[cfg(feature = "voice")]
mod openai_speech;

use crate::future::BoxStream;

pub use dialect::{Dialect, ToolChoiceOverride, ToolMedia};
pub use error::{ModelError, Received, Unreachable};
pub use event::{Deviation, ModelEvent, ModelResponse, ResponseAccumulator, ResponseMeta};
pub use finish_reason::FinishReason;
#[cfg(feature = "http")]
pub use gpt_oss_completions::{GptOssCompletions, GptOssCompletionsBuilder, HarmonyWire};
#[cfg(feature = "http")]
pub use gpt_oss_responses::{OpenAiResponses, OpenAiResponsesBuilder, ResponsesWire};
#[cfg(feature = "http")]
pub use http_model::{HttpModel, HttpModelBuilder};
pub use json_text::JsonText;
pub use limited::{ConcurrencyLimit, LimitedModel};
#[cfg(feature = "http")]
pub use litellm::{LiteLlm, LiteLlmApi, LiteLlmBuilder, LiteLlmWire};
#[cfg(any(feature = "http", feature = "server"))]
pub use memory_limit::MemoryLimit;
#[cfg(feature = "http")]
pub use openai_chat::{ChatWire, OpenAiChat, OpenAiChatBuilder};
#[cfg(feature = "voice")]
pub use openai_realtime::OpenAiLiveStt;
#[cfg(feature = "realtime")]
pub use openai_realtime::{OpenAiRealtime, OpenAiRealtimeBuilder, SipCalls};
#[cfg(feature = "voice")]
pub use openai_speech::{OpenAiSpeech, OpenAiSpeechBuilder, OpenAiStt, OpenAiTts};
pub use providers::{ModelProvider, Providers};
#[cfg(feature = "server")]
pub(crate) use request::VerbatimFormat;
pub use request::{Continuation, Delivery, ModelRequest, OutputFormat, Prompt, ToolSet};
pub use retry::{Backoff, Jitter, Retry, RetryAfter, RetryPolicy, TransportFailure};
pub use settings::{ModelSettings, ToolChoice};

/// Answers one request of a run.
///
/// Drivers implement it, and so can you: for another protocol, or around another model to watch or change what passes. For
/// another HTTP API of a vendor, `wire` has a shorter way. The runner calls it once per turn, never concurrently
/// for one run, but concurrently for many runs. One call is one request: an implementation neither retries nor falls back,
/// except [`Retry`], which is asked for by name.
///
/// # What a stream consists of
///
/// | event | how often | for |
/// |---|---|---|
/// | [`TextDelta`](ModelEvent::TextDelta) and the other deltas | any number; none for [`Delivery::Whole`] | showing: they are never put together to an answer |
/// | [`ItemDone`](ModelEvent::ItemDone) | **one for each item of the answer**: message, tool call, reasoning | the answer itself |
/// | [`ResponseDone`](ModelEvent::ResponseDone) | once, last | the end: without it the answer is cut |
///
/// Deltas alone are no answer: a stream of deltas without an [`ItemDone`](ModelEvent::ItemDone) shows a text and then fails as
/// `empty_response`. [`ModelResponse::into_events`] makes all events from a whole answer.
///
/// An answer that is cut, refused by the server or otherwise incomplete is an error, and the last item of the stream. The error has what
/// was received until then ([`ModelError::with_received`]).
///
/// Nothing happens before the stream is first polled. Polling it must not block. Dropping it ends the request and closes its
/// connection, at any point. `testing::model_conformance` checks all this.
///
/// ```
/// use futures_util::stream;
/// use openai_agents::future::BoxStream;
/// use openai_agents::model::{Model, ModelError, ModelEvent, ModelRequest, ModelResponse};
/// use openai_agents::{Agent, Item, Runner};
///
/// /// Says again what the user said last.
/// struct Parrot;
///
/// impl Model for Parrot {
///     fn name(&self) -> &str {
///         "parrot"
///     }
///
///     fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
///         let said = request.items.iter().rev().find_map(Item::user_text);
///         let answer = Item::assistant(format!("{}!", said.unwrap_or_default()));
///         let events = ModelResponse::new([answer]).into_events(request.delivery);
///         Box::pin(stream::iter(events.into_iter().map(Ok)))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder("Polly").build()?;
/// let result = Runner::new(Parrot).run(&agent, "Pieces of eight").await?;
/// assert_eq!(result.final_output(), "Pieces of eight!");
/// # Ok(())
/// # }
/// ```
pub trait Model: Send + Sync {
    /// Names the model, as requests and traces show it.
    fn name(&self) -> &str;

    /// Names the provider, as traces and metrics show it (`gen_ai.provider.name`).
    ///
    /// `openai` by default, because the conventions ask for the API's vendor where the provider is not known. A model that wraps another
    /// gives that one's name.
    fn provider_name(&self) -> &str {
        provider_name::OPENAI
    }

    /// Starts a request.
    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>>;
}
