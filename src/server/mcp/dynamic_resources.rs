//! Resources that come and go: the sessions of agents and the traces of the latest runs.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{CompletionRequest, Served};
use crate::error::error_chain;
use crate::item::Item;
use crate::mcp::{McpResource, McpResourceContent, McpResourceTemplate};
use crate::schema::percent_decode;
use crate::session::SessionId;

const SESSION: &str = "session://";
const SESSIONS: &str = "session://{+id}";
const TRACE: &str = "trace://";
const TRACES: &str = "trace://{run}";
const JSON: &str = "application/json";

/// The address of such a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DynamicResource {
    /// The conversation of this id.
    Session(SessionId),
    /// What the run of this id did.
    Trace(String),
}

impl DynamicResource {
    /// Reads an address; `None` for one of another kind.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        if let Some(run) = uri.strip_prefix(TRACE) {
            return Some(Self::Trace(run.to_owned()));
        }
        let id = percent_decode(uri.strip_prefix(SESSION)?)?;
        SessionId::new(id).ok().map(Self::Session)
    }

    /// Reads what is there; `None` if nothing is.
    pub(super) async fn read(
        self,
        served: &Served,
        uri: &str,
    ) -> Result<Option<McpResourceContent>, String> {
        let text = match self {
            Self::Session(id) => {
                let read = served.sessions.read(id.clone()).await;
                let Some(items) = read.map_err(|error| error_chain(&error))? else {
                    return Ok(None);
                };
                let session = id.as_str();
                serde_json::to_string(&Conversation { session, items })
            }
            Self::Trace(run) => match served.run_traces.find(&run) {
                Some(trace) => trace.to_json(),
                None => match served.run_traces.dropped(&run) {
                    Some(why) => {
                        let why = why.as_str();
                        return Err(format!("the run `{run}` is not kept any more: {why}"));
                    }
                    None => return Ok(None),
                },
            },
        };
        let text = text.map_err(|error| error.to_string())?;
        Ok(Some(McpResourceContent::text(uri, text).media_type(JSON)))
    }
}

/// A session, as it is read.
#[derive(Serialize)]
struct Conversation<'a> {
    session: &'a str,
    items: Vec<Item>,
}

/// Writes the address in the one form in which it is listed and in which changes are told.
impl fmt::Display for DynamicResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "{SESSION}{}", percent_encode(id.as_str())),
            Self::Trace(run) => write!(f, "{TRACE}{run}"),
        }
    }
}

/// Describes where they are.
pub(super) fn templates() -> Vec<McpResourceTemplate> {
    let sessions = McpResourceTemplate::new(SESSIONS, "session")
        .description("A conversation with an agent, as items of the Responses API.");
    let traces = McpResourceTemplate::new(TRACES, "trace")
        .description("What a run of an agent did: its spans, with their times.");
    vec![sessions.media_type(JSON), traces.media_type(JSON)]
}

/// Lists those that there are.
pub(super) async fn list(served: &Served) -> Result<Vec<McpResource>, String> {
    let ids = served.sessions.ids().await;
    let ids = ids.map_err(|error| error_chain(&error))?;
    let sessions = ids.into_iter().map(|id| {
        let name = id.to_string();
        McpResource::new(DynamicResource::Session(id).to_string(), name)
            .description("A conversation with an agent.")
            .media_type(JSON)
    });
    let traces = served.run_traces.all().into_iter().map(|trace| {
        let uri = DynamicResource::Trace(trace.run.clone()).to_string();
        let status = trace.status().as_str();
        let description = format!("A run of the agent {}: {status}.", trace.agent);
        McpResource::new(uri, &trace.run)
            .description(description)
            .media_type(JSON)
    });
    Ok(sessions.chain(traces).collect())
}

/// Proposes what stands for the variable of a template.
pub(super) async fn complete(
    served: &Served,
    request: &CompletionRequest,
) -> Result<Vec<String>, String> {
    let scheme = match &*request.reference {
        SESSIONS => SESSION,
        TRACES => TRACE,
        _ => return Ok(Vec::new()),
    };
    let written = percent_encode(&percent_decode(&request.written).unwrap_or_default());
    let listed = list(served).await?.into_iter();
    let values = listed.filter_map(|it| Some(it.uri.strip_prefix(scheme)?.to_owned()));
    Ok(values.filter(|it| it.starts_with(&written)).collect())
}

/// Escapes all but what no part of an address gives a meaning to (RFC 3986, unreserved).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _always_ok = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for (id, uri) in [
            ("alice", "session://alice"),
            ("user 7/ä:b", "session://user%207%2F%C3%A4%3Ab"),
            ("100%41", "session://100%2541"),
            ("\u{1F600}\n", "session://%F0%9F%98%80%0A"),
        ] {
            let resource = DynamicResource::Session(SessionId::new(id).unwrap());
            assert_eq!(resource.to_string(), uri);
            assert_eq!(DynamicResource::parse(uri), Some(resource));
        }
        let other = DynamicResource::Session(SessionId::new("a/b").unwrap());
        assert_eq!(DynamicResource::parse("session://a/b"), Some(other));
    }

    #[test]
    fn other_addresses_are_none_of_these() {
        for uri in [
            "session:",
            "session://",
            "session://%00",
            "session://%FF",
            "file://a",
            "",
        ] {
            assert_eq!(DynamicResource::parse(uri), None, "{uri}");
        }
    }
}
