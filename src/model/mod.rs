//! What a model is to this crate: a request in, a stream of events out.

mod settings;
pub(crate) mod verbatim;
mod request;
mod error;
mod event;
mod dialect;
mod finish_reason;
mod providers;
mod limited;
mod retry;
#[cfg(feature = "realtime")]
pub mod realtime;
#[cfg(feature = "http")]
pub(crate) mod wire;
#[cfg(feature = "http")]
mod redaction;
#[cfg(feature = "http")]
mod exchange;
#[cfg(feature = "http")]
mod endpoint;
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

use crate::future::BoxStream;

pub use dialect::{Dialect, ToolChoiceOverride, ToolMedia};
pub use error::{ModelError, Received, Unreachable};
pub use event::{Deviation, ModelEvent, ModelResponse, ResponseEnd, ResponseFold};
pub use finish_reason::FinishReason;
#[cfg(feature = "http")]
pub use gpt_oss_completions::{GptOssCompletions, GptOssCompletionsBuilder};
#[cfg(feature = "http")]
pub use gpt_oss_responses::{OpenAiResponses, OpenAiResponsesBuilder};
pub use limited::{LimitedModel, ConcurrencyLimit};
#[cfg(feature = "http")]
pub use litellm::{LiteLlm, LiteLlmApi, LiteLlmBuilder};
#[cfg(feature = "http")]
pub use openai_chat::{OpenAiChat, OpenAiChatBuilder};
#[cfg(feature = "realtime")]
pub use openai_realtime::{OpenAiRealtime, OpenAiRealtimeBuilder, SipCalls};
pub use providers::{ModelProvider, Providers};
#[cfg(feature = "server")]
pub(crate) use request::VerbatimFormat;
pub use request::{Continuation, Delivery, ModelRequest, OutputFormat, Prompt, ToolSet};
pub use retry::{Backoff, Jitter, Retry, RetryAfter, RetryPolicy, TransportFailure};
pub use settings::{ModelSettings, ToolChoice};

/// Answers one request of a run.
///
/// Drivers implement it, and so can you: for another protocol, or around another model to watch or change what passes. The
/// runner calls it once per turn, never concurrently for one run, but concurrently for many runs. One call is one request: an
/// implementation neither retries nor falls back, except [`Retry`], which is asked for by name.
///
/// The stream yields the events of one response, ends after [`ModelEvent::ResponseDone`], and yields nothing after an error.
/// For [`Delivery::Whole`] it leaves the deltas out. Nothing happens before the stream is first polled, polling it must not
/// block, and dropping it ends the request and closes its connection.
pub trait Model: Send + Sync {
    /// Names the model, as requests and traces show it.
    fn name(&self) -> &str;

    /// Starts a request.
    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>>;
}
