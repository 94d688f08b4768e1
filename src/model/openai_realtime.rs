//! The driver of `/realtime`: a WebSocket, and the requests that answer telephone calls.

mod calls;
mod connection;
#[cfg(feature = "voice")]
mod live_stt;
mod redaction;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub use calls::SipCalls;
use connection::WebSocket;
#[cfg(feature = "voice")]
pub use live_stt::OpenAiLiveStt;

use crate::future::BoxFuture;
use crate::http::{BaseUrl, Headers, HttpClient, UpgradeResponse};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::endpoint::{bearer_headers, redactor_of};
use crate::model::exchange::{http_error, refusal};
use crate::model::provider_name::provider_at;
use crate::model::realtime::{MAX_EVENT_BYTES, Playback, RealtimeConnection, RealtimeModel};
use crate::secret::{Redactor, Secret};

/// A realtime model behind an OpenAI-compatible `/realtime`, over WebSocket.
///
/// It speaks the GA protocol and sends no beta header. TLS, proxies, the connect time-out and the idle time-out are those of the HTTP
/// client. There is no retry, no fallback and no default address. A cheap handle.
///
/// ```
/// use openai_agents::model::OpenAiRealtime;
///
/// let model = OpenAiRealtime::builder("https://models.example/v1", "gpt-realtime").api_key("sk-123").build()?;
/// # Ok::<(), openai_agents::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiRealtime(Arc<RealtimeParts>);

struct RealtimeParts {
    name: String,
    provider_name: Cow<'static, str>,
    base_url: BaseUrl,
    client: HttpClient,
    headers: Headers,
    redactor: Redactor,
    /// The telephone call that connections listen to and answer.
    call_id: Option<String>,
}

/// Builds an [`OpenAiRealtime`]; begun by [`OpenAiRealtime::builder`].
#[derive(Debug)]
#[must_use = "a model is made by build()"]
pub struct OpenAiRealtimeBuilder {
    base_url: String,
    name: String,
    client: Option<HttpClient>,
    headers: Vec<(String, String)>,
    key: Option<Secret>,
    call_id: Option<String>,
    provider_name: Option<String>,
}

impl OpenAiRealtime {
    /// Begins a driver for a base URL and a model's name.
    ///
    /// The base URL is given with `/v1`, where the server has that.
    ///
    /// The URL may begin with `ws://` or `wss://` as well.
    pub fn builder(base_url: impl Into<String>, name: impl Into<String>) -> OpenAiRealtimeBuilder {
        OpenAiRealtimeBuilder {
            base_url: base_url.into(),
            name: name.into(),
            client: None,
            headers: Vec::new(),
            key: None,
            call_id: None,
            provider_name: None,
        }
    }

    /// Returns the requests by which telephone calls are answered.
    pub fn calls(&self) -> SipCalls {
        SipCalls::new(self.clone())
    }

    /// Returns a model that transcribes live, in sessions that do nothing else.
    #[cfg(feature = "voice")]
    pub fn live_stt(&self) -> OpenAiLiveStt {
        OpenAiLiveStt::new(self.clone())
    }

    async fn open(&self, path: &str) -> Result<Box<dyn RealtimeConnection>, ModelError> {
        let parts = &*self.0;
        let url = parts.base_url.join(path).map_err(http_error)?;
        let key = generate_key();
        let mut headers = parts.headers.clone();
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", key.as_str()),
        ] {
            headers.insert(name, value).map_err(http_error)?;
        }
        let stream = match parts.client.upgrade(&url, &headers).await {
            Ok(UpgradeResponse::Switched(head, stream)) => {
                let accepted = head.get("sec-websocket-accept");
                if accepted != Some(derive_accept_key(key.as_bytes()).as_str()) {
                    let message = "the server switched to another protocol than WebSocket";
                    return Err(ModelError::new(ErrorKind::Transport, message));
                }
                stream
            }
            Ok(UpgradeResponse::Refused(response)) => return Err(refusal(*response).await),
            Err(error) => return Err(http_error(error)),
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_EVENT_BYTES))
            .max_frame_size(Some(MAX_EVENT_BYTES))
            // By default 128 KiB each, for every session that lies idle.
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        let idle = parts.client.timeouts().idle;
        Ok(Box::new(WebSocket::new(
            socket,
            parts.redactor.clone(),
            idle,
        )))
    }
}

impl RealtimeModel for OpenAiRealtime {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn provider_name(&self) -> &str {
        &self.0.provider_name
    }

    fn playback(&self) -> Playback {
        match self.0.call_id {
            Some(_) => Playback::Server,
            None => Playback::Client,
        }
    }

    fn connect(&self) -> BoxFuture<'static, Result<Box<dyn RealtimeConnection>, ModelError>> {
        let model = self.clone();
        Box::pin(async move {
            let path = match &model.0.call_id {
                Some(call_id) => format!("realtime?call_id={}", escape(call_id)),
                None => format!("realtime?model={}", escape(&model.0.name)),
            };
            let opened = model.open(&path).await;
            opened.map_err(|error| error.redacted(&model.0.redactor))
        })
    }
}

impl OpenAiRealtimeBuilder {
    /// Sets the key, sent as a bearer token.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Uses this HTTP client: its TLS, proxies and time-outs.
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Attaches connections to a telephone call that was accepted; see [`OpenAiRealtime::calls`].
    ///
    /// The server plays the audio into the call, and no audio can be sent from here.
    pub fn call_id(mut self, call_id: impl Into<String>) -> Self {
        self.call_id = Some(call_id.into());
        self
    }

    /// Names the provider, as [`HttpModelBuilder::provider_name`](super::HttpModelBuilder::provider_name) does.
    pub fn provider_name(mut self, provider_name: impl Into<String>) -> Self {
        self.provider_name = Some(provider_name.into());
        self
    }

    /// Makes the driver; nothing is sent.
    ///
    /// # Errors
    ///
    /// `config` when the base URL, the key or a header cannot be used, or the model has no name.
    pub fn build(self) -> Result<OpenAiRealtime, ModelError> {
        if self.name.trim().is_empty() {
            return Err(ModelError::new(ErrorKind::Config, "the model has no name"));
        }
        let (client, key) = (self.client.as_ref(), self.key.as_ref());
        let redactor = redactor_of(&self.base_url, client, key, &self.headers);
        let headers = bearer_headers(key, &self.headers).map_err(http_error)?;
        let base_url = BaseUrl::parse(&http_scheme(&self.base_url)).map_err(http_error)?;
        let url = base_url.join("realtime").map_err(http_error)?;
        let known = provider_at(url.host_port());
        let provider_name = self.provider_name.map_or(Cow::Borrowed(known), Cow::Owned);
        Ok(OpenAiRealtime(Arc::new(RealtimeParts {
            base_url,
            provider_name,
            headers,
            redactor: redactor.build(),
            name: self.name,
            client: self.client.unwrap_or_default(),
            call_id: self.call_id,
        })))
    }
}

/// The request that opens a WebSocket is one of HTTP.
fn http_scheme(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => format!("http://{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

/// Writes a text so that it can be part of a path or a query.
fn escape(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

impl fmt::Debug for OpenAiRealtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiRealtime")
            .field("name", &self.0.name)
            .field("base_url", &self.0.base_url)
            .finish_non_exhaustive()
    }
}
