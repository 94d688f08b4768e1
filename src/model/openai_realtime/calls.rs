//! Telephone calls by SIP: accepted, refused, passed on and ended by requests.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{OpenAiRealtime, escape};
use crate::model::ModelError;
use crate::model::exchange::{http_error, refusal};
use crate::model::realtime::RealtimeSettings;
use crate::model::wire::realtime::session;

/// Answers telephone calls of which a webhook of the provider tells.
///
/// A call that was accepted is attached to a session by
/// [`OpenAiRealtimeBuilder::call_id`](super::OpenAiRealtimeBuilder::call_id). Each method is one request.
#[derive(Debug, Clone)]
pub struct SipCalls(OpenAiRealtime);

impl SipCalls {
    pub(super) const fn new(model: OpenAiRealtime) -> Self {
        Self(model)
    }

    /// Takes a call, with these settings.
    ///
    /// # Errors
    ///
    /// The server's own words, or why it could not be asked.
    pub async fn accept(
        &self,
        call_id: &str,
        settings: &RealtimeSettings,
    ) -> Result<(), ModelError> {
        let mut session = session(settings);
        if let Value::Object(session) = &mut session {
            session.insert("model".to_owned(), self.0.0.name.as_str().into());
        }
        self.post(call_id, "accept", Some(session)).await
    }

    /// Refuses a call with a SIP status, such as 486 for busy.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub async fn reject(&self, call_id: &str, status: u16) -> Result<(), ModelError> {
        let body = json!({ "status_code": status });
        self.post(call_id, "reject", Some(body)).await
    }

    /// Passes a call on to another address, such as `tel:+15550100`.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub async fn refer(&self, call_id: &str, target: &str) -> Result<(), ModelError> {
        let body = json!({ "target_uri": target });
        self.post(call_id, "refer", Some(body)).await
    }

    /// Ends a call.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub async fn hang_up(&self, call_id: &str) -> Result<(), ModelError> {
        self.post(call_id, "hangup", None).await
    }

    async fn post(
        &self,
        call_id: &str,
        action: &str,
        body: Option<Value>,
    ) -> Result<(), ModelError> {
        let parts = &*self.0.0;
        let path = format!("realtime/calls/{}/{action}", escape(call_id));
        let url = parts.base_url.join(&path).map_err(http_error)?;
        let mut headers = parts.headers.clone();
        let body = match body {
            Some(body) => {
                headers
                    .insert("content-type", "application/json")
                    .map_err(http_error)?;
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let sent = parts.client.post(&url, &headers, body).await;
        let result = match sent {
            Ok(response) if (200..300).contains(&response.status) => Ok(()),
            Ok(response) => Err(refusal(response).await),
            Err(error) => Err(http_error(error)),
        };
        result.map_err(|error| error.redacted(&parts.redactor))
    }
}
