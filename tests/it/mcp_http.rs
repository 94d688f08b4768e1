//! What becomes of MCP servers over HTTP that do not do what they should.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openai_agents::mcp::{McpError, McpProtocol, McpServer, StreamableHttp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: &str = "token-12345678";

/// Gives this answer to every request, or none; counts the requests.
async fn serve(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let n_requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 65536];
            let n_bytes = stream.read(&mut request).await.unwrap();
            assert!(n_bytes > 0);
            counted.fetch_add(1, Ordering::SeqCst);
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, n_requests)
}

async fn failure(address: SocketAddr, protocol: McpProtocol) -> McpError {
    let transport = StreamableHttp::new(format!("http://{address}/mcp")).bearer_token(TOKEN);
    let server = McpServer::builder("remote", transport)
        .protocol(protocol)
        .connect_timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let error = server.connect().await.unwrap_err();
    assert!(!format!("{error:?}{server:?}").contains(TOKEN), "{error:?}");
    error
}

const ERAS: [McpProtocol; 3] = [
    McpProtocol::Ask,
    McpProtocol::Handshake,
    McpProtocol::Stateless,
];

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let (address, _) = serve("").await;
    let error = failure(address, McpProtocol::Ask).await;
    assert!(
        matches!(error, McpError::ConnectTimeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol_is_an_error_after_one_request() {
    for answer in [
        // A page.
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<p/>",
        // Other JSON.
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\nconnection: close\r\n\r\n[1, 2]",
        // An answer that is cut.
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{\"jsonrpc\"",
        // One that is larger than any answer may be, and only says so.
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\n{",
        // A stream that ends without an answer.
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: nothing\n\n",
        // The token, echoed.
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 14\r\nconnection: close\r\n\r\ntoken-12345678",
        "HTTP/1.1 503 Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        // A challenge that nobody is set to answer.
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        for protocol in ERAS {
            let (address, n_requests) = serve(answer).await;
            let error = failure(address, protocol).await;
            let is_challenge = answer.contains("401");
            let is_expected = match error {
                McpError::Connect { .. } | McpError::ConnectTimeout { .. } => !is_challenge,
                McpError::Unauthorized { .. } => is_challenge,
                _ => false,
            };
            assert!(is_expected, "{answer}: {error:?}");
            assert_eq!(n_requests.load(Ordering::SeqCst), 1, "{answer}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (target, n_requests) = serve("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://{target}/mcp\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (address, _) = serve(answer.leak()).await;
    let error = failure(address, McpProtocol::Ask).await;
    assert!(matches!(error, McpError::Connect { .. }), "{error:?}");
    assert_eq!(n_requests.load(Ordering::SeqCst), 0);
}
