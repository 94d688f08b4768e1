//! The drivers of `/audio/transcriptions` and `/audio/speech`.

mod form;
mod events;
mod stt;
mod tts;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

pub use stt::OpenAiStt;
pub use tts::OpenAiTts;

use crate::http::{BaseUrl, Headers, HttpClient, HttpResponse};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::endpoint::{bearer_headers, redactor_of};
use crate::model::exchange::{http_error, refusal};
use crate::model::wire::{ServerError, excerpt};
use crate::secret::{Redactor, Secret};

/// How large an answer may be: hours of compressed speech, or half an hour of samples.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Speech models behind an OpenAI-compatible `/audio/transcriptions` and `/audio/speech`.
///
/// TLS, proxies and time-outs are those of the HTTP client. One call is one request: there is no retry, no fallback and no default address.
/// A cheap handle.
///
/// ```
/// use openai_agents::model::OpenAiSpeech;
///
/// let server = OpenAiSpeech::builder("https://models.example/v1").api_key("sk-123").build()?;
/// let (stt, tts) = (server.stt("gpt-4o-transcribe"), server.tts("gpt-4o-mini-tts"));
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiSpeech(Arc<SpeechParts>);

struct SpeechParts {
    base_url: BaseUrl,
    client: HttpClient,
    headers: Headers,
    redactor: Redactor,
}

/// Builds an [`OpenAiSpeech`]; begun by [`OpenAiSpeech::builder`].
#[derive(Debug)]
#[must_use = "a server is made by build()"]
pub struct OpenAiSpeechBuilder {
    base_url: String,
    client: Option<HttpClient>,
    headers: Vec<(String, String)>,
    key: Option<Secret>,
}

impl OpenAiSpeech {
    /// Begins drivers for a base URL (with `/v1`, where the server has that).
    pub fn builder(base_url: impl Into<String>) -> OpenAiSpeechBuilder {
        OpenAiSpeechBuilder {
            base_url: base_url.into(),
            client: None,
            headers: Vec::new(),
            key: None,
        }
    }

    /// Returns a model that transcribes speech.
    pub fn stt(&self, model: impl Into<Arc<str>>) -> OpenAiStt {
        OpenAiStt::new(self.clone(), model.into())
    }

    /// Returns a model that speaks.
    pub fn tts(&self, model: impl Into<Arc<str>>) -> OpenAiTts {
        OpenAiTts::new(self.clone(), model.into())
    }

    /// Sends a request; the answer has a status of success.
    async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<HttpResponse, ModelError> {
        let parts = &*self.0;
        let url = parts.base_url.join(path).map_err(http_error)?;
        let mut headers = parts.headers.clone();
        let set = headers.insert("content-type", content_type);
        set.map_err(http_error)?;
        let sent = parts.client.post(&url, &headers, body).await;
        match sent.map_err(http_error)? {
            response if (200..300).contains(&response.status) => Ok(response),
            refused => Err(refusal(refused).await),
        }
    }

    fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }
}

impl OpenAiSpeechBuilder {
    /// Sets the key, sent as a bearer token.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Uses this HTTP client: its connections, TLS, proxies and time-outs.
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Makes the drivers; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used.
    pub fn build(self) -> Result<OpenAiSpeech, ModelError> {
        let (client, key) = (self.client.as_ref(), self.key.as_ref());
        let redactor = redactor_of(&self.base_url, client, key, &self.headers);
        let headers = bearer_headers(key, &self.headers).map_err(http_error)?;
        Ok(OpenAiSpeech(Arc::new(SpeechParts {
            base_url: BaseUrl::parse(&self.base_url).map_err(http_error)?,
            headers,
            redactor: redactor.build(),
            client: self.client.unwrap_or_default(),
        })))
    }
}

/// Says what a body is that is not what was asked for: an error of the server in JSON, or another type.
fn unexpected_body(content_type: &str, expected: &str, body: &[u8]) -> ModelError {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => {
            ServerError::from_value(&value).into_error(ErrorKind::ApiError)
        }
        _ => ModelError::new(
            ErrorKind::ContentType,
            format!(
                "the server answered with content type {content_type:?} where {expected} was due (is the base URL right?): {}",
                excerpt(text.trim())
            ),
        ),
    }
}

fn is_type(content_type: &str, expected: &str) -> bool {
    let start = content_type.get(..expected.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(expected))
}

impl fmt::Debug for OpenAiSpeech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiSpeech")
            .field("base_url", &self.0.base_url)
            .finish_non_exhaustive()
    }
}
