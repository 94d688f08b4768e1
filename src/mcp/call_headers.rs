//! Headers that belong to one call of a tool, from the run that makes it to the request that carries it.
//!
//! rmcp (3.11) has headers for a connection, not for a request. So a call carries a number in its `_meta` as far as our own HTTP client,
//! which takes it out again and looks the headers up: no value passes through rmcp, its logs or the body.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest};

use crate::future::BoxError;
use crate::secret::Secret;

/// Where the number stands.
const KEY: &str = "openai-agents/call";

/// The headers of the calls that are under way.
#[derive(Default)]
pub(super) struct CallHeaders(Mutex<NumberedHeaders>);

#[derive(Default)]
struct NumberedHeaders {
    next: u64,
    headers: HashMap<u64, HeaderMap>,
}

/// The place of one call; its headers go when this is dropped.
pub(super) struct HeaderTicket<'a> {
    all: &'a CallHeaders,
    number: u64,
}

impl CallHeaders {
    fn numbered(&self) -> MutexGuard<'_, NumberedHeaders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the headers of a call for as long as the ticket is there.
    pub(super) fn enter(&self, headers: HeaderMap) -> HeaderTicket<'_> {
        let mut waiting = self.numbered();
        let number = waiting.next;
        waiting.next += 1;
        waiting.headers.insert(number, headers);
        HeaderTicket { all: self, number }
    }

    /// Takes the number out of a message on its way out, and gives the headers that it stands for.
    pub(super) fn of(&self, message: &mut ClientJsonRpcMessage) -> Option<HeaderMap> {
        let ClientJsonRpcMessage::Request(request) = message else {
            return None;
        };
        let ClientRequest::CallToolRequest(call) = &mut request.request else {
            return None;
        };
        let number = call.params.meta.as_mut()?.remove(KEY)?.as_u64()?;
        self.numbered().headers.get(&number).cloned()
    }
}

impl HeaderTicket<'_> {
    /// The entry of `_meta` that leads to the headers.
    pub(super) fn entry(&self) -> (String, serde_json::Value) {
        (KEY.to_owned(), self.number.into())
    }
}

impl Drop for HeaderTicket<'_> {
    fn drop(&mut self) {
        self.all.numbered().headers.remove(&self.number);
    }
}

/// Reads what an application adds to a call, which must leave what the protocol says alone.
pub(super) fn parse(headers: &[(String, Secret)]) -> Result<HeaderMap, BoxError> {
    let mut parsed = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        // With one of these a call could change where a request goes or how its body is read.
        let is_of_protocol = [
            ACCEPT,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            HOST,
            TRANSFER_ENCODING,
        ]
        .contains(&name)
            || name.as_str().starts_with("mcp-")
            || name == "last-event-id";
        if is_of_protocol {
            return Err(format!("`{name}` is a header of the protocol").into());
        }
        // The error of hyper is without the value, and so is this.
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the value of `{name}` cannot be sent as a header"))?;
        value.set_sensitive(true);
        parsed.insert(name, value);
    }
    Ok(parsed)
}

impl fmt::Debug for CallHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_calls = self.numbered().headers.len();
        f.debug_struct("CallHeaders")
            .field("n_calls", &n_calls)
            .finish()
    }
}
