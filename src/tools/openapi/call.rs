//! The call of an operation: its arguments become a request, and the answer a text.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::OpenApiOptions;
use super::operation::{BODY, Body, BodyFormat, Operation, OperationParameter, ParameterPlace};
use crate::http::{HttpClient, HttpError, HttpResponse};

/// The server whose operations are called.
pub(super) struct Server {
    pub(super) client: HttpClient,
    pub(super) options: OpenApiOptions,
}

/// Says why an operation has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("`{argument}` is missing")]
    Missing { argument: String },
    #[error("`{argument}` cannot be sent: {problem}")]
    Argument {
        argument: String,
        problem: &'static str,
    },
    #[error("the request failed")]
    Http(#[from] HttpError),
}

impl Server {
    pub(super) async fn call(
        &self,
        operation: &Operation,
        arguments: Map<String, Value>,
    ) -> Result<String, CallError> {
        let options = &self.options;
        let given = |argument: &str| arguments.get(argument).filter(|value| !value.is_null());
        let mut headers = options.headers.clone();
        headers.insert("accept", "application/json, text/*;q=0.9, */*;q=0.1")?;
        let mut path = operation.path.clone();
        let mut query = String::new();
        for parameter in &operation.parameters {
            let Some(value) = given(&parameter.argument) else {
                if parameter.place == ParameterPlace::Path {
                    let argument = parameter.argument.clone();
                    return Err(CallError::Missing { argument });
                }
                continue;
            };
            match parameter.place {
                ParameterPlace::Path => {
                    let text = path_segment(parameter, value)?;
                    path = path.replace(&format!("{{{}}}", parameter.name), &text);
                }
                ParameterPlace::Query => push_query(&mut query, parameter, value)?,
                ParameterPlace::Header => {
                    headers.insert(&parameter.name, &joined(parameter, value)?)?;
                }
            }
        }
        let body = match (&operation.body, given(BODY)) {
            (Some(body), Some(value)) => {
                headers.insert("content-type", &body.media_type)?;
                encode(body, value)?
            }
            _ => Bytes::new(),
        };
        let separator = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{separator}{query}", path.trim_start_matches('/'));
        let url = options.server.join(&path)?;
        let response = self
            .client
            .send_by(operation.method, &url, (&headers, body));
        self.read(response.await?).await
    }

    /// The status, the type, and as much of the text as there is room for.
    async fn read(&self, mut response: HttpResponse) -> Result<String, CallError> {
        let status = response.status;
        let media_type = response.headers.get("content-type").unwrap_or_default();
        let media_type = media_type.to_owned();
        let mut body = Vec::new();
        let max_bytes = self.options.max_answer_bytes;
        let mut rest = "";
        while let Some(chunk) = response.body.next_chunk().await {
            let chunk = chunk?;
            let n_free = max_bytes - body.len();
            body.extend_from_slice(chunk.get(..n_free).unwrap_or(&chunk));
            if chunk.len() > n_free {
                rest = "\n[the rest is left out]";
                break;
            }
        }
        let text = match std::str::from_utf8(&body) {
            Ok(text) => text.to_owned(),
            // Cut within a character, it is text; otherwise it is none.
            Err(error) if error.error_len().is_none() => {
                String::from_utf8_lossy(&body).into_owned()
            }
            Err(_) => "[this is no text]".to_owned(),
        };
        // A secret that stands where the text is cut would be shown in part.
        let text = if rest.is_empty() {
            self.options.redactor.redact(&text)
        } else {
            self.options.redactor.redact_cut(&text)
        };
        Ok(format!("{status} {media_type}\n{text}{rest}")
            .trim_end()
            .to_owned())
    }
}

/// A value within one segment of a path, so that it cannot lead to another operation.
fn path_segment(parameter: &OperationParameter, value: &Value) -> Result<String, CallError> {
    let text = joined(parameter, value)?;
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(CallError::Argument {
            argument: parameter.argument.clone(),
            problem: "it would be another path",
        });
    }
    Ok(percent_encoded(&text))
}

fn push_query(
    query: &mut String,
    parameter: &OperationParameter,
    value: &Value,
) -> Result<(), CallError> {
    let mut push = |name: &str, text: &str| {
        let separator = if query.is_empty() { "" } else { "&" };
        let (name, text) = (percent_encoded(name), percent_encoded(text));
        // Writing to a string does not fail.
        write!(query, "{separator}{name}={text}").ok();
    };
    match value {
        Value::Array(values) if parameter.explode => {
            for value in values {
                push(&parameter.name, &plain(parameter, value)?);
            }
        }
        Value::Object(fields) if parameter.explode => {
            for (name, value) in fields {
                push(name, &plain(parameter, value)?);
            }
        }
        value => push(&parameter.name, &joined(parameter, value)?),
    }
    Ok(())
}

/// A value as a text; elements of a list, and fields with their values, with commas between them.
fn joined(parameter: &OperationParameter, value: &Value) -> Result<String, CallError> {
    let texts: Result<Vec<String>, CallError> = match value {
        Value::Array(values) => values.iter().map(|value| plain(parameter, value)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let between = if parameter.explode { '=' } else { ',' };
                Ok(format!("{name}{between}{}", plain(parameter, value)?))
            })
            .collect(),
        value => return plain(parameter, value),
    };
    texts.map(|texts| texts.join(","))
}

fn plain(parameter: &OperationParameter, value: &Value) -> Result<String, CallError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(CallError::Argument {
            argument: parameter.argument.clone(),
            problem: "lists in lists have no form here",
        }),
    }
}

fn encode(body: &Body, value: &Value) -> Result<Bytes, CallError> {
    let wrong = |problem| CallError::Argument {
        argument: BODY.to_owned(),
        problem,
    };
    let text = match (body.format, value) {
        (BodyFormat::Json, value) => value.to_string(),
        (BodyFormat::Text, Value::String(text)) => text.clone(),
        (BodyFormat::Text, _) => return Err(wrong("it must be a text")),
        (BodyFormat::Form, Value::Object(fields)) => {
            let mut form = String::new();
            for (name, value) in fields {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => return Err(wrong("fields of a form are texts, numbers, true or false")),
                };
                let separator = if form.is_empty() { "" } else { "&" };
                let (name, text) = (percent_encoded(name), percent_encoded(&text));
                write!(form, "{separator}{name}={text}").ok();
            }
            form
        }
        (BodyFormat::Form, _) => return Err(wrong("it must be an object")),
    };
    Ok(text.into())
}

/// Encodes all but what RFC 3986 calls unreserved.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => {
                write!(encoded, "%{byte:02X}").ok();
            }
        }
    }
    encoded
}
