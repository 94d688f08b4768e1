//! A request as it arrived.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

const MAX_HEAD_BYTES: usize = 1024 * 1024;

/// Holds a request that a [`FakeServer`](super::FakeServer) received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// The path with the query, exactly as sent.
    pub path: String,
    /// Names and values in order, exactly as sent, keys included.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The connection it came on, counted from 0.
    pub connection: usize,
    /// The script had no reply left for it.
    pub is_extra: bool,
}

impl CapturedRequest {
    /// Returns the first value of a header; the case of the name does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Reads the next request; `None` if the client ended the connection instead.
///
/// What was read beyond it stays in `buffer`.
pub(super) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    connection: usize,
) -> Result<Option<CapturedRequest>, String> {
    let n_head = loop {
        if let Some(n_head) = memmem::find(buffer, b"\r\n\r\n") {
            break n_head;
        }
        if buffer.len() > MAX_HEAD_BYTES {
            return Err("a request has no end of its head".to_owned());
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            if buffer.is_empty() {
                return Ok(None);
            }
            return Err("the client left inside the head of a request".to_owned());
        }
    };
    let head = buffer.split_to(n_head);
    buffer.advance(4);
    let mut request = parse_head(&head)?;
    request.connection = connection;
    if request.header("transfer-encoding").is_some() {
        return Err("a request has a transfer encoding, which is not supported here".to_owned());
    }
    let n_body = match request.header("content-length") {
        None => 0,
        Some(length) => length
            .parse::<usize>()
            .map_err(|_| format!("a request has the content length {length:?}"))?,
    };
    while buffer.len() < n_body {
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return Err("the client left inside the body of a request".to_owned());
        }
    }
    request.body = buffer.split_to(n_body).freeze();
    Ok(Some(request))
}

fn parse_head(head: &[u8]) -> Result<CapturedRequest, String> {
    let malformed = || format!("a request has the head {:?}", String::from_utf8_lossy(head));
    let text = std::str::from_utf8(head).map_err(|_| malformed())?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(malformed());
    }
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect::<Result<_, String>>()?;
    Ok(CapturedRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: Bytes::new(),
        connection: 0,
        is_extra: false,
    })
}
