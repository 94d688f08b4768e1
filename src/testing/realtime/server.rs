//! A WebSocket server on this machine that a test speaks for.

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

/// A realtime server that does what a test says.
///
/// It listens on a port of its own on 127.0.0.1; what a test does not say does not happen.
#[derive(Debug)]
pub struct RealtimeServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// The server's end of one connection.
#[derive(Debug)]
pub struct RealtimePeer {
    socket: WebSocketStream<TcpStream>,
    target: String,
    headers: Vec<(String, String)>,
}

impl RealtimeServer {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The operating system's, if there is no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Returns the base URL for a driver.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Waits for a client and lets it in.
    ///
    /// # Errors
    ///
    /// That of a client that did not ask for a WebSocket.
    pub async fn accept(&self) -> io::Result<RealtimePeer> {
        let (stream, _) = self.listener.accept().await?;
        let (mut target, mut headers) = (String::new(), Vec::new());
        #[expect(clippy::result_large_err, reason = "the type is that of the library")]
        let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            target = request.uri().to_string();
            for (name, value) in request.headers() {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                headers.push((name.as_str().to_owned(), value));
            }
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, look).await;
        Ok(RealtimePeer {
            socket: socket.map_err(io::Error::other)?,
            target,
            headers,
        })
    }

    /// Waits for a client and gives its connection as it is.
    ///
    /// Nothing was read from it before.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn accept_raw(&self) -> io::Result<TcpStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl RealtimePeer {
    /// Returns the path and the query that the client asked for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns a header of the client.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Sends an event.
    ///
    /// # Errors
    ///
    /// That of a connection that is gone.
    pub async fn send(&mut self, event: &Value) -> io::Result<()> {
        self.send_text(event.to_string()).await
    }

    /// Sends a text frame, whatever stands in it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_text(&mut self, text: impl Into<String>) -> io::Result<()> {
        let sent = self.socket.send(Message::text(text.into())).await;
        sent.map_err(io::Error::other)
    }

    /// Waits for the next event of the client; `None` is the end of the connection.
    ///
    /// # Errors
    ///
    /// That of a connection that broke, or of a frame that is no event.
    pub async fn receive(&mut self) -> io::Result<Option<Value>> {
        loop {
            return match self.socket.next().await {
                None | Some(Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed)) => {
                    Ok(None)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(message)) => {
                    let event = serde_json::from_str(message.to_text().map_err(io::Error::other)?);
                    event.map(Some).map_err(io::Error::other)
                }
                Some(Err(error)) => Err(io::Error::other(error)),
            };
        }
    }

    /// Closes the connection with a code.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        let closed = self.socket.send(Message::Close(Some(frame))).await;
        closed.map_err(io::Error::other)
    }

    /// Returns the connection under the WebSocket, for frames that no library sends.
    pub fn into_stream(self) -> TcpStream {
        self.socket.into_inner()
    }
}
