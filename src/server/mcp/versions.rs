//! Leaves out what clients of older protocol versions do not know.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};
use rmcp::model::{ContentBlock, ProtocolVersion};

use crate::mcp::convert;

/// The header in which a client says which version it has agreed to; before 2025-06-18 there is none.
const VERSION_HEADER: &str = "mcp-protocol-version";

/// Whether a client knows that a server closes the stream of a request, and events without data that tell it when to come back.
///
/// Versions are dates, so that they are compared as texts.
pub(super) fn knows_reconnecting(version: &str) -> bool {
    version >= ProtocolVersion::V_2025_11_25.as_str()
}

/// Gives an older client what it expects of HTTP.
///
/// - An event without data stands at the beginning of streams since 2025-11-25; clients before it read every event as JSON.
/// - The end of a session was never given a status; clients before 2025-11-25 take 200 and 204 for success, and warn of 202.
pub(super) async fn of_http(request: Request, next: Next) -> Response {
    let is_end = request.method() == Method::DELETE;
    let is_older = !knows_reconnecting(&version(request.headers()));
    let mut response = next.run(request).await;
    if is_end && response.status() == StatusCode::ACCEPTED {
        *response.status_mut() = StatusCode::OK;
    }
    if is_older && is_stream(response.headers()) {
        return response.map(|body| Body::from_stream(with_data(body.into_data_stream())));
    }
    response
}

/// A request without the header is of the beginning of a session, where nothing can be taken up again, or of a client that has none.
fn version(headers: &HeaderMap) -> String {
    let version = headers.get(VERSION_HEADER);
    let version = version.and_then(|version| version.to_str().ok());
    version.unwrap_or_default().trim().to_owned()
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// Leaves out the events without data; comments stay.
fn with_data<E>(
    body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> impl Stream<Item = Result<Bytes, E>> {
    stream::unfold((body, Vec::new()), |(mut body, mut open)| async move {
        loop {
            let Some(chunk) = body.next().await else {
                let rest = std::mem::take(&mut open);
                return (!rest.is_empty()).then(|| (Ok(Bytes::from(rest)), (body, open)));
            };
            match chunk {
                Ok(chunk) => open.extend_from_slice(&chunk),
                Err(error) => return Some((Err(error), (body, open))),
            }
            let whole = take_events(&mut open);
            if !whole.is_empty() {
                return Some((Ok(Bytes::from(whole)), (body, open)));
            }
        }
    })
}

/// Takes the whole events that say something; what is open stays.
fn take_events(open: &mut Vec<u8>) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut begin = 0;
    // Only our own events pass here, which end by these two bytes and never by CRLF.
    while let Some(length) = open
        .get(begin..)
        .and_then(|rest| memchr::memmem::find(rest, b"\n\n"))
    {
        let end = begin + length + 2;
        let event = open.get(begin..end).unwrap_or_default();
        if !is_without_data(event) {
            whole.extend_from_slice(event);
        }
        begin = end;
    }
    open.drain(..begin);
    whole
}

/// Whether an event has data, and nothing in it.
fn is_without_data(event: &[u8]) -> bool {
    let lines = event.split(|byte| *byte == b'\n');
    let mut data = lines
        .filter_map(|line| line.strip_prefix(b"data"))
        .peekable();
    data.peek().is_some() && data.all(|data| data.trim_ascii() == b":" || data.is_empty())
}

/// Writes what a client does not know as the text of its JSON.
pub(super) fn of_content(version: Option<&ProtocolVersion>, content: &mut [ContentBlock]) {
    let Some(version) = version else {
        return;
    };
    for block in content {
        let since = match block {
            ContentBlock::Audio(_) => ProtocolVersion::V_2025_03_26,
            ContentBlock::ResourceLink(_) => ProtocolVersion::V_2025_06_18,
            _ => continue,
        };
        if version.as_str() < since.as_str()
            && let Ok(json) = convert::<serde_json::Value>(block)
        {
            *block = ContentBlock::text(json.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn content_that_a_client_does_not_know_is_text() {
        let blocks = [
            json!({"type": "text", "text": "a"}),
            json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"}),
            json!({"type": "resource_link", "uri": "file:///a", "name": "a"}),
        ];
        let kinds = |version: &ProtocolVersion| -> Vec<String> {
            let mut content: Vec<ContentBlock> =
                blocks.iter().map(|it| convert(it).unwrap()).collect();
            of_content(Some(version), &mut content);
            let written = content.iter().map(|it| convert(it).unwrap());
            written
                .map(|it: serde_json::Value| it["type"].as_str().unwrap().to_owned())
                .collect()
        };
        for (version, expected) in [
            (ProtocolVersion::V_2024_11_05, ["text", "text", "text"]),
            (ProtocolVersion::V_2025_03_26, ["text", "audio", "text"]),
            (
                ProtocolVersion::V_2025_06_18,
                ["text", "audio", "resource_link"],
            ),
            (
                ProtocolVersion::V_2025_11_25,
                ["text", "audio", "resource_link"],
            ),
        ] {
            assert_eq!(kinds(&version), expected, "{version}");
        }
    }

    #[tokio::test]
    async fn events_without_data_are_left_out_in_whatever_pieces_they_come() {
        let text = "id: 0\nretry: 3000\ndata:\n\n: ping\n\nid: 1\ndata: {}\n\nretry: 5\ndata: \n\ndata: rest";
        for n_bytes in [1, 7, text.len()] {
            let chunks = text.as_bytes().chunks(n_bytes).map(Bytes::copy_from_slice);
            let body = stream::iter(chunks.map(Ok::<_, std::io::Error>));
            let kept: Vec<Bytes> = with_data(body).try_collect().await.unwrap();
            assert_eq!(
                kept.concat(),
                b": ping\n\nid: 1\ndata: {}\n\ndata: rest",
                "{n_bytes}"
            );
        }
    }
}
