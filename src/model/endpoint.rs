//! Where a model's requests go and with what.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::http::{Headers, HttpClient, HttpError, Url};
use crate::model::recording::server_description;
use crate::model::wire::ResponseLimits;
use crate::model::{Delivery, MemoryLimit, ModelError};
use crate::secret::{Redactor, RedactorBuilder, Secret};
use crate::trace::Description;

/// How this library calls itself.
pub(super) const USER_AGENT: &str = concat!("openai-agents/", env!("CARGO_PKG_VERSION"));

/// One model at one address, as all its requests share it.
pub(super) struct Endpoint {
    pub(super) name: String,
    /// As traces name it.
    pub(super) provider_name: Cow<'static, str>,
    pub(super) client: HttpClient,
    pub(super) whole_url: Url,
    pub(super) stream_url: Url,
    pub(super) headers: Headers,
    pub(super) redactor: Redactor,
    /// What traces say of requests to each of the two addresses.
    pub(super) descriptions: OnceLock<[Arc<dyn Description>; 2]>,
    pub(super) max_event_bytes: usize,
    pub(super) limits: ResponseLimits,
    /// What this model's answers share with those of others.
    pub(super) memory: Option<MemoryLimit>,
}

impl Endpoint {
    pub(super) fn url(&self, delivery: Delivery) -> &Url {
        match delivery {
            Delivery::Whole => &self.whole_url,
            Delivery::Stream => &self.stream_url,
        }
    }

    /// What traces say of a request: made once for all that have no secrets of their own.
    pub(super) fn description(
        &self,
        delivery: Delivery,
        redactor: &Redactor,
    ) -> Arc<dyn Description> {
        if !redactor.is_same(&self.redactor) {
            return server_description(self.url(delivery), redactor);
        }
        let make = |url| server_description(url, redactor);
        let [whole, stream] = self
            .descriptions
            .get_or_init(|| [make(&self.whole_url), make(&self.stream_url)]);
        Arc::clone(match delivery {
            Delivery::Whole => whole,
            Delivery::Stream => stream,
        })
    }

    /// Lays the headers of one request over those of all, and takes their secrets out of its answer too.
    ///
    /// # Errors
    ///
    /// `config` when a header cannot be sent.
    pub(super) fn headers_with(
        &self,
        extra: &[(String, String)],
    ) -> Result<(Headers, Redactor), ModelError> {
        let mut headers = self.headers.clone();
        // A header may be a key for this request alone. The answer to it must not show that key
        // either.
        let mut builder = Redactor::builder().all_of(&self.redactor);
        for (name, value) in extra {
            headers.insert(name, value).map_err(config_error)?;
            builder = builder.header(&value.as_str().into());
        }
        Ok((headers, builder.build()))
    }

    /// Logs a body, pretty-printed and without the key, at `debug`.
    pub(super) fn log(&self, body: &Bytes) {
        if !tracing::enabled!(target: "openai_agents::wire", tracing::Level::DEBUG) {
            return;
        }
        let pretty = serde_json::from_slice::<serde_json::Value>(body).map_or_else(
            |_| String::from_utf8_lossy(body).into_owned(),
            |value| format!("{value:#}"),
        );
        let payload = self.redactor.redact(&pretty);
        tracing::debug!(target: "openai_agents::wire", "request:\n{payload}");
    }
}

/// Begins the redactor of a driver: what its requests are trusted with is the key, tokens in headers, keys in the address.
///
/// Nobody said of the application's headers which is secret, so that all of them are taken out.
pub(super) fn redactor_of(
    base_url: &str,
    client: Option<&HttpClient>,
    key: Option<&Secret>,
    headers: &[(String, String)],
) -> RedactorBuilder {
    let mut builder = Redactor::builder().url(base_url);
    if let Some(client) = client {
        builder = builder.all_of(client.redactor());
    }
    if let Some(key) = key {
        builder = builder.secret(key);
    }
    for (_, value) in headers {
        builder = builder.header(&value.as_str().into());
    }
    builder
}

/// The headers of a driver whose key is a bearer token.
#[cfg(feature = "realtime")]
pub(super) fn bearer_headers(
    key: Option<&Secret>,
    extra: &[(String, String)],
) -> Result<Headers, HttpError> {
    let mut headers = Headers::new();
    headers.insert("user-agent", USER_AGENT)?;
    if let Some(key) = key {
        headers.insert_bearer(key)?;
    }
    for (name, value) in extra {
        headers.insert(name, value)?;
    }
    Ok(headers)
}

pub(super) fn config_error(error: HttpError) -> ModelError {
    ModelError::new(error.kind(), error.to_string()).with_cause_of(error)
}
