//! Posts batches to a collector from the thread of a queue.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::future::BoxError;
use crate::http::{Headers, HttpClient, HttpError, Url};
use crate::secret::Redactor;

/// How long one request may take with the default client. Only further batches wait for it, no run.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of a refusal are read for the error message.
const MAX_WORDS: usize = 4096;

/// Posts bodies to a collector, one after the other; nothing is sent twice.
pub(super) struct Collector {
    pub(super) url: Url,
    client: HttpClient,
    headers: Headers,
    redactor: Redactor,
    /// Made at the first batch, on the thread that sends.
    runtime: Option<Runtime>,
}

impl Collector {
    pub(super) fn new(
        url: &str,
        content_type: &str,
        client: Option<HttpClient>,
    ) -> Result<Self, HttpError> {
        let client = match client {
            Some(client) => client,
            None => HttpClient::builder().total_timeout(TIMEOUT).build()?,
        };
        let mut headers = Headers::new();
        headers.insert("content-type", content_type)?;
        let agent = concat!("openai-agents/", env!("CARGO_PKG_VERSION"));
        headers.insert("user-agent", agent)?;
        Ok(Self {
            url: Url::parse(url)?,
            redactor: Redactor::builder()
                .url(url)
                .all_of(client.redactor())
                .build(),
            client,
            headers,
            runtime: None,
        })
    }

    /// Adds a header to every request. Its value may be a key and is kept out of messages.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        self.headers.insert(name, value)?;
        let redactor = Redactor::builder().all_of(&self.redactor);
        self.redactor = redactor.header(&value.into()).build();
        Ok(())
    }

    /// Posts a body and waits for the answer.
    ///
    /// # Errors
    ///
    /// When it was not accepted, with the collector's own words.
    pub(super) fn post(&mut self, url: &Url, body: Vec<u8>) -> Result<(), BoxError> {
        if self.runtime.is_none() {
            self.runtime = Some(Builder::new_current_thread().enable_all().build()?);
        }
        let Some(runtime) = &self.runtime else {
            return Err("there is no runtime".into());
        };
        let (client, headers) = (&self.client, &self.headers);
        let posted = runtime.block_on(async {
            let response = client.post(url, headers, Bytes::from(body)).await?;
            let status = response.status;
            let words = response.body.collect_up_to(MAX_WORDS).await?;
            Ok::<_, HttpError>((status, words))
        });
        let (status, words) =
            posted.map_err(|error| self.redactor.redact(&error.to_string()).into_owned())?;
        if (200..300).contains(&status) {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&words);
        Err(format!("status {status}: {}", self.redactor.redact(words.trim())).into())
    }
}
