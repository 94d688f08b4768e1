//! Asks the server of the model for its list of models, for `check`.

use std::time::Duration;

use openai_agents::config::{Config, ConfigError};
use openai_agents::http::{BaseUrl, Headers, HttpError, HttpResponse};
use serde_json::Value;

/// The longest wait for the list: a person is waiting at the terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer of a server to the request for its models.
#[derive(Debug)]
pub(crate) enum ModelListing {
    Models(Vec<String>),
    /// An answer that is not a list of models. Servers need not have one.
    NotAList,
    /// An error status, perhaps with a message.
    Refused {
        status: u16,
        words: String,
    },
    /// No answer; the request may not have arrived.
    Unreachable {
        /// Whether the server may be down. Otherwise the reason says what to do.
        may_be_down: bool,
        reason: String,
    },
}

/// Asks the configured server for its models.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(crate) async fn list(config: &Config) -> Result<ModelListing, ConfigError> {
    let client = config.http_client();
    let unusable = |source| ConfigError::Http { source };
    let url = BaseUrl::parse(config.base_url()?)
        .and_then(|base| base.join("models"))
        .map_err(unusable)?;
    let mut headers = Headers::new();
    if let Some(key) = config.api_key() {
        headers.insert_bearer(key).map_err(unusable)?;
    }
    let asked = async {
        let response = client.get(&url, &headers).await?;
        read(config, response).await
    };
    Ok(match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(listing)) => listing,
        Ok(Err(error)) => ModelListing::Unreachable {
            may_be_down: !matches!(
                error,
                HttpError::Certificate { .. }
                    | HttpError::Proxy { .. }
                    | HttpError::Tls { .. }
                    | HttpError::ViaProxy { .. }
            ),
            reason: error.to_string(),
        },
        Err(_) => ModelListing::Unreachable {
            may_be_down: true,
            reason: format!("no answer within {PATIENCE:?}"),
        },
    })
}

async fn read(config: &Config, response: HttpResponse) -> Result<ModelListing, HttpError> {
    let status = response.status;
    let body = response.body.collect().await?;
    if status >= 400 {
        let text = String::from_utf8_lossy(&body);
        let words = words(&text);
        let words = config.redactor().redact(&words).into_owned();
        return Ok(ModelListing::Refused { status, words });
    }
    let names = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|list| {
            let models = list.get("data")?.as_array()?.iter();
            models
                .map(|model| Some(model.get("id")?.as_str()?.to_owned()))
                .collect()
        });
    Ok(names.map_or(ModelListing::NotAList, ModelListing::Models))
}

/// Finds the message of an error in the places where servers put it.
fn words(body: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    ["/error/message", "/message", "/detail", "/error"]
        .iter()
        .find_map(|place| json.pointer(place)?.as_str())
        .unwrap_or(body)
        .to_owned()
}
