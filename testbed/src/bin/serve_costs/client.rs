//! An HTTP client that reads as slowly as it is told to.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BoxError;

/// One connection, over which requests go one after the other.
pub(crate) struct ClientConnection {
    address: SocketAddr,
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer that has ended.
pub(crate) struct EndedAnswer {
    pub(crate) status: u16,
    head: String,
}

impl EndedAnswer {
    /// A header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl ClientConnection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            address,
            stream,
            read: Vec::new(),
        })
    }

    /// Sends a request; each header has its line end.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &str,
        body: &Value,
    ) -> Result<(), BoxError> {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        Ok(())
    }

    /// Reads an answer to its end.
    pub(crate) async fn answer(&mut self) -> Result<EndedAnswer, BoxError> {
        loop {
            let text = String::from_utf8_lossy(&self.read);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && is_whole(head, body)
            {
                let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
                let head = head.to_owned();
                return Ok(EndedAnswer { status, head });
            }
            if self.read_more().await? == 0 {
                return Err("the answer was cut".into());
            }
        }
    }

    /// Reads until the answer has this text; false if it ends before.
    pub(crate) async fn read_until(&mut self, mark: &str) -> Result<bool, BoxError> {
        loop {
            if self.text().contains(mark) {
                return Ok(true);
            }
            if self.read_more().await? == 0 {
                return Ok(false);
            }
        }
    }

    /// What has been read of the answer.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Waits for the next piece of the answer; gives how large it is.
    pub(crate) async fn read_more(&mut self) -> Result<usize, BoxError> {
        Ok(self.stream.read_buf(&mut self.read).await?)
    }
}

/// Whether an answer in chunks, or of a given length, is there to its end.
fn is_whole(head: &str, body: &str) -> bool {
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    length.map_or_else(
        || body.ends_with("0\r\n\r\n"),
        |length: usize| body.len() >= length,
    )
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(key, value)| (key == name).then_some(value))
}
