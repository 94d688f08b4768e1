//! Where a model's requests go and with what.

use bytes::Bytes;

use crate::http::{Headers, HttpClient, HttpError, Url};
use crate::model::wire::ResponseLimits;
use crate::model::{Delivery, MemoryLimit, ModelError};
use crate::secret::Redactor;

/// One model at one address, as all its requests share it.
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) client: HttpClient,
    pub(super) whole_url: Url,
    pub(super) stream_url: Url,
    pub(super) headers: Headers,
    pub(super) redactor: Redactor,
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

pub(super) fn config_error(error: HttpError) -> ModelError {
    ModelError::new(error.kind(), error.to_string()).with_cause_of(error)
}
