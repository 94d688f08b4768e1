//! Reads the messages of a server, matches them to requests, and explains at once why one cannot be read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorCode, ErrorData, RequestId,
    ServerJsonRpcMessage, ServerNotification, ServerRequest,
};
use serde_json::{Map, Value, json};

use super::compare::compare;
use super::deviations::{Deviations, Difference, excerpt, quoted};
use super::json::{Parsed, Repeated, id_of_broken, parse};
use super::normal::{self, Raw};
use super::redaction::ServerSecrets;
use crate::secret::Redactor;

/// How many requests without an answer are remembered; rmcp gives up far fewer.
const MAX_OPEN: usize = 4096;
/// How many bytes of what is no message are quoted.
const MAX_QUOTED_BYTES: usize = 200;
/// What tells an error of this side from one of the server.
const UNREADABLE_KEY: &str = "openai-agents/unreadable";

/// Reads the messages of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    secrets: Arc<ServerSecrets>,
    deviations: Arc<Deviations>,
    /// The methods of the requests that wait for their answer.
    open: Mutex<BTreeMap<i64, String>>,
}

/// A message that cannot be read.
#[derive(Debug)]
pub(super) struct Broken {
    /// The request that it answers, if that much can be read.
    id: Option<RequestId>,
    /// What is wrong with it.
    pub(super) reason: String,
}

impl Frames {
    pub(super) fn new(secrets: Arc<ServerSecrets>, deviations: Arc<Deviations>) -> Self {
        Self {
            secrets,
            deviations,
            open: Mutex::default(),
        }
    }

    pub(super) fn redactor(&self) -> Redactor {
        self.secrets.redactor()
    }

    pub(super) const fn secrets(&self) -> &Arc<ServerSecrets> {
        &self.secrets
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<i64, String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a request on its way out, and forgets one that is given up.
    pub(super) fn sent(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Request(sent) => {
                if let RequestId::Number(id) = sent.id {
                    let mut open = self.open();
                    open.insert(id, sent.request.method().to_owned());
                    if open.len() > MAX_OPEN {
                        open.pop_first();
                    }
                }
            }
            ClientJsonRpcMessage::Notification(sent) => {
                if let ClientNotification::CancelledNotification(cancelled) = &sent.notification
                    && let Some(RequestId::Number(id)) = cancelled.params.request_id
                {
                    self.open().remove(&id);
                }
            }
            _ => {}
        }
    }

    /// Reads a message, or several in a list, as versions before 2025-06-18 have it.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Vec<ServerJsonRpcMessage>, Broken> {
        // From bytes to messages: UTF-8, then JSON, then the secrets out, then each message by
        // itself. rmcp sees nothing before that.
        let Ok(text) = str::from_utf8(bytes) else {
            return Err(self.broken(&String::from_utf8_lossy(bytes), "it is not UTF-8"));
        };
        let parsed = parse(text).map_err(|reason| self.broken(text, &reason))?;
        let Parsed {
            mut value,
            repeated,
            has_halves,
        } = parsed;
        let redactor = self.redactor();
        if redactor.is_in(text) {
            value = redactor.redact_value(value);
        }
        if has_halves {
            let detail = "a message has halves of characters, which are replaced by U+FFFD";
            self.deviations
                .note(Difference::UnknownValue, "halves", detail);
        }
        let read = match value {
            Value::Array(messages) => {
                let messages = messages.into_iter().enumerate();
                let read = messages.map(|(n, message)| {
                    let inside = format!("[{n}].");
                    let repeated: Vec<_> = repeated
                        .iter()
                        .filter_map(|it| {
                            Some(Repeated {
                                path: it.path.strip_prefix(&inside)?.to_owned(),
                                differs: it.differs,
                            })
                        })
                        .collect();
                    self.message(message, &repeated)
                });
                read.collect::<Result<Vec<_>, _>>()?
            }
            message => vec![self.message(message, &repeated)?],
        };
        Ok(read.into_iter().flatten().collect())
    }

    /// Lists output that is no message.
    pub(super) fn stray(&self, text: &str) {
        let detail = format!(
            "what stands between the messages is passed over: {}",
            excerpt(text.trim(), MAX_QUOTED_BYTES)
        );
        self.deviations
            .note(Difference::StrayOutput, "stray", &detail);
    }

    /// Ends the request that a broken message answers; all that are open, if it does not say which.
    pub(super) fn fail(&self, broken: Broken) -> Vec<ServerJsonRpcMessage> {
        let Broken { id, reason } = broken;
        let ids: Vec<i64> = match id.map(|id| number(&id)) {
            Some(Some(id)) => self.open().remove(&id).map(|_| id).into_iter().collect(),
            Some(None) => Vec::new(),
            // Nobody knows whose answer it was. All fail at once, or one of them would wait for its
            // whole time-out.
            None => std::mem::take(&mut *self.open()).into_keys().collect(),
        };
        ids.into_iter()
            .map(|id| unreadable(RequestId::Number(id), reason.clone()))
            .collect()
    }

    /// Whether a request still waits for its answer.
    pub(super) fn awaits(&self, id: &RequestId) -> bool {
        number(id).is_some_and(|id| self.open().contains_key(&id))
    }

    /// Says that a request has no answer, if it still waits for one.
    pub(super) fn fail_one(&self, id: &RequestId, reason: String) -> Option<ServerJsonRpcMessage> {
        self.open().remove(&number(id)?)?;
        Some(unreadable(id.clone(), reason))
    }

    /// Reads the error that came with a status of failure, as the answer to a request.
    pub(super) fn failure(&self, body: &[u8], id: &RequestId) -> Option<ServerJsonRpcMessage> {
        let body = parse(str::from_utf8(body).ok()?).ok()?.value;
        let body = self.redactor().redact_value(body);
        let error = body.get("error").filter(|error| error.is_object())?;
        let method = self.open().remove(&number(id)?)?;
        Some(self.refusal(&method, error, id.clone()))
    }

    pub(super) fn too_long(beginning: &[u8], max_bytes: usize) -> Broken {
        let text = String::from_utf8_lossy(beginning);
        Broken {
            id: id_of_broken(&text),
            reason: format!("a message of more than {max_bytes} bytes"),
        }
    }

    fn broken(&self, text: &str, reason: &str) -> Broken {
        let quoted = excerpt(&self.redactor().redact(text.trim()), MAX_QUOTED_BYTES);
        let quoted = if quoted.is_empty() {
            "nothing".to_owned()
        } else {
            quoted
        };
        Broken {
            id: id_of_broken(text),
            reason: format!("what cannot be read, {reason}: {quoted}"),
        }
    }

    fn message(
        &self,
        message: Value,
        repeated: &[Repeated],
    ) -> Result<Option<ServerJsonRpcMessage>, Broken> {
        let Value::Object(mut message) = message else {
            return Err(Broken {
                id: None,
                reason: format!("what is no message: {}", quoted(&message)),
            });
        };
        let id = message.remove("id").and_then(id_of);
        if let Some(Value::String(method)) = message.remove("method") {
            let params = message.remove("params").unwrap_or_default();
            self.note_repeated(&method, "params", repeated);
            let raw = Raw::new(params, "params", repeated);
            return Ok(self.question(method, raw, id));
        }
        let error = message.remove("error").filter(|error| !error.is_null());
        match (message.remove("result"), error, id) {
            (None, None, _) => {
                self.stray(&Value::Object(message).to_string());
                Ok(None)
            }
            (result, error, Some(id)) => {
                let Some(method) = number(&id).and_then(|id| self.open().remove(&id)) else {
                    tracing::debug!(target: "openai_agents::mcp", %id, "an answer to no request that waits");
                    return Ok(None);
                };
                if let Some(error) = error {
                    return Ok(Some(self.refusal(&method, &error, id)));
                }
                let raw = Raw::new(result.unwrap_or_default(), "result", repeated);
                self.note_repeated(&method, "result", repeated);
                Ok(Some(self.answer(&method, raw, id)))
            }
            // Whoever cannot read a request cannot repeat its id.
            (_, Some(error), None) => Err(Broken {
                id: None,
                reason: format!("an error of no request: {}", quoted(&error)),
            }),
            (Some(result), None, None) => Err(Broken {
                id: None,
                reason: format!("an answer without an id: {}", quoted(&result)),
            }),
        }
    }

    fn note_repeated(&self, method: &str, key: &str, repeated: &[Repeated]) {
        let below = format!("{key}.");
        for repeated in repeated {
            let path = repeated.path.strip_prefix(&below).unwrap_or(&repeated.path);
            let differ = if repeated.differs {
                ", with different values"
            } else {
                ""
            };
            self.deviations.note(
                Difference::RepeatedKey,
                &format!("{method} {path}"),
                &format!("{method}: `{path}` stands twice{differ}"),
            );
        }
    }

    fn answer(&self, method: &str, raw: Raw, id: RequestId) -> ServerJsonRpcMessage {
        let is_final =
            raw.value.get("resultType").and_then(Value::as_str) != Some("input_required");
        if is_final && raw.value.is_object() {
            compare(method, &raw.value, &self.deviations);
        }
        match normal::result(method, raw) {
            Ok(result) => ServerJsonRpcMessage::response(result, id),
            Err(reason) => unreadable(id, format!("what cannot be used: {reason}")),
        }
    }

    fn refusal(&self, method: &str, error: &Value, id: RequestId) -> ServerJsonRpcMessage {
        let code = error.get("code").and_then(Value::as_i64);
        let code = code.and_then(|code| i32::try_from(code).ok());
        let message = error.get("message").and_then(Value::as_str);
        if code.is_none() || message.is_none() {
            self.deviations.note(
                Difference::WrongType,
                &format!("{method} error"),
                &format!(
                    "{method}: an error without a code or a message: {}",
                    quoted(error)
                ),
            );
        }
        let data = error.get("data").filter(|data| !data.is_null()).cloned();
        let message = match (message, error) {
            (Some(message), _) => message.to_owned(),
            (None, Value::String(message)) => message.clone(),
            (None, _) => quoted(error),
        };
        let error = ErrorData::new(
            code.map_or(ErrorCode::INTERNAL_ERROR, ErrorCode),
            message,
            data,
        );
        ServerJsonRpcMessage::error(error, Some(id))
    }

    fn question(
        &self,
        method: String,
        raw: Raw,
        id: Option<RequestId>,
    ) -> Option<ServerJsonRpcMessage> {
        if !raw.value.is_null() {
            compare(&method, &raw.value, &self.deviations);
        }
        let mut message = Map::new();
        let params = normal::question(&method, raw);
        if params.is_object() {
            message.insert("params".to_owned(), params);
        }
        message.insert("method".to_owned(), Value::String(method));
        let message = Value::Object(message);
        let Some(id) = id else {
            let told = serde_json::from_value::<ServerNotification>(message).ok()?;
            return Some(ServerJsonRpcMessage::notification(told));
        };
        let asked = serde_json::from_value::<ServerRequest>(message).ok()?;
        Some(ServerJsonRpcMessage::request(asked, id))
    }
}

/// Makes an error of this side: what a server answered cannot be read.
fn unreadable(id: RequestId, reason: String) -> ServerJsonRpcMessage {
    // The code is one at which no other version of the protocol is tried.
    let error = ErrorData::new(
        ErrorCode::HEADER_MISMATCH,
        reason,
        Some(json!({UNREADABLE_KEY: true})),
    );
    ServerJsonRpcMessage::error(error, Some(id))
}

/// Tells an error of this side from one of the server.
pub(super) fn is_unreadable(error: &ErrorData) -> bool {
    let data = error.data.as_ref();
    data.is_some_and(|data| data.get(UNREADABLE_KEY).is_some())
}

fn id_of(id: Value) -> Option<RequestId> {
    match id {
        Value::String(id) => Some(RequestId::String(id.into())),
        Value::Number(id) => {
            let whole = id.as_i64().or_else(|| {
                let id = id.as_f64().filter(|id| id.fract() == 0.0)?;
                format!("{id:.0}").parse().ok()
            });
            whole.map(RequestId::Number)
        }
        _ => None,
    }
}

/// The number of an id; some servers give it back as text.
fn number(id: &RequestId) -> Option<i64> {
    match id {
        RequestId::Number(id) => Some(*id),
        RequestId::String(id) => id.parse().ok(),
    }
}
