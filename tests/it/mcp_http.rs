//! What becomes of MCP servers over HTTP that do not do what they should.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::http::{HttpClient, Proxies};
use openai_agents::mcp::{McpClient, McpError, McpProtocol, StreamableHttp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    failure_within(address, protocol, Duration::from_secs(60)).await
}

async fn failure_within(
    address: SocketAddr,
    protocol: McpProtocol,
    connect_timeout: Duration,
) -> McpError {
    let transport = StreamableHttp::new(format!("http://{address}/mcp")).bearer_token(TOKEN);
    let server = McpClient::builder("remote", transport)
        .protocol(protocol)
        .connect_timeout(connect_timeout)
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
    let error = failure_within(address, McpProtocol::Ask, Duration::from_millis(500)).await;
    assert!(
        matches!(error, McpError::ConnectTimeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn mcp_http_wrong_answer_is_an_error_without_retry() {
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
                McpError::Connect { .. } => !is_challenge,
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

/// Plays a server that shakes hands and then gives these answers, each once; records the requests.
async fn play(answers: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, Arc::clone(&answers)));
        }
    });
    address
}

type Answers = Arc<Mutex<std::vec::IntoIter<String>>>;

async fn answer(mut stream: TcpStream, answers: Answers) {
    let Some(request) = whole_request(&mut stream).await else {
        return;
    };
    let answer = if request.contains(r#""initialize""#) {
        json("200 OK", HELLO)
    } else if request.starts_with("POST") && request.contains(r#""id":"#) {
        answers.lock().unwrap().next().unwrap()
    } else {
        ACCEPTED.to_owned()
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}"#;
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Reads a request to its end; none if the connection was closed.
async fn whole_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        body.len() >= length.unwrap_or(0)
    };
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return None;
        }
    }
    Some(String::from_utf8(request).unwrap())
}

fn json(status: &str, body: &str) -> String {
    let n_bytes = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn events(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
}

async fn connected(answers: Vec<String>) -> McpClient {
    let address = play(answers).await;
    let transport = StreamableHttp::new(format!("http://{address}/mcp")).bearer_token(TOKEN);
    let server = McpClient::builder("remote", transport)
        .protocol(McpProtocol::Handshake)
        .build()
        .unwrap();
    server.connect().await.unwrap();
    server
}

const CALLED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"token-12345678 \ud83d","annotations":1}],"icons":1}}"#;

#[tokio::test]
async fn a_result_is_read_part_by_part_in_a_body_in_a_stream_and_in_a_list() {
    for answer in [
        json("200 OK", CALLED),
        json("200 OK", &format!("[{CALLED}]")),
        json(
            "200 OK",
            &format!(
                r#"[{{"jsonrpc":"2.0","method":"notifications/progress","params":{{}}}},{CALLED}]"#
            ),
        ),
        events(&format!("data:\n\ndata: {CALLED}\n\n")),
        events(&format!(
            "event: ping\ndata: x\n\nevent: message\ndata: {CALLED}\n\n"
        )),
    ] {
        let server = connected(vec![answer.clone()]).await;
        let result = server.call_tool("anything", serde_json::Map::new()).await;
        let content = result.unwrap().content;
        assert_eq!(
            content,
            [openai_agents::mcp::McpContent::text("[redacted] \u{fffd}")],
            "{answer}"
        );
        assert!(server.deviations().len() >= 2, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_at_once_with_its_reason() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (answer, reason) in [
        (
            json(
                "200 OK",
                &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{deep}}}"#),
            ),
            "nested more than 127 deep",
        ),
        (
            json("200 OK", "{\"a\": token-12345678"),
            "it is no JSON: expected ident at line 1 column 8",
        ),
        (
            json("200 OK", r#"{"jsonrpc":"2.0","id":9,"result":{}}"#),
            "no answer to the request",
        ),
        (events("data: {broken\n\n"), "it is no JSON"),
        // Cut: in a body, in an event, between events.
        (
            json("200 OK", CALLED).replace("content-length: ", "content-length: 9"),
            "broke off",
        ),
        (
            events("id: \ndata: {\"jsonrpc\""),
            "the stream ended before the answer",
        ),
        (
            events(": ping\n\n").replace("connection", "content-length: 99\r\nconnection"),
            "broke off",
        ),
        (
            events("data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n"),
            "the stream ended before the answer",
        ),
        (
            json("500 Oh", "Bearer token-12345678"),
            "HTTP 500: Bearer [redacted]",
        ),
        (
            json("404 Not Found", ""),
            "is this the address of an MCP server",
        ),
        (
            json(
                "400 Bad",
                r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no token-12345678"}}"#,
            ),
            "no [redacted] (code -32600)",
        ),
    ] {
        let server = connected(vec![answer.clone()]).await;
        let error = server
            .call_tool("anything", serde_json::Map::new())
            .await
            .unwrap_err();
        let words = format!(
            "{error}: {:?}",
            std::error::Error::source(&error).map(ToString::to_string)
        );
        assert!(words.contains(reason), "{answer}: {words}");
        assert!(
            !words.contains(TOKEN) && !words.contains("rmcp") && !words.contains("model::"),
            "{words}"
        );
    }
}

/// A name that is nowhere is reached by the proxy only.
#[tokio::test]
async fn a_client_that_is_given_lends_its_proxy() {
    let (address, n_requests) = serve("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let proxy = Proxies::Through(format!("http://{address}").into());
    let client = HttpClient::builder().proxies(proxy).build().unwrap();
    let transport = StreamableHttp::new("http://mcp.invalid/mcp").http_client(client);
    let server = McpClient::builder("remote", transport).build().unwrap();
    server.connect().await.unwrap_err();
    assert!(n_requests.load(Ordering::SeqCst) > 0);
}

/// Plays a server with sessions and one tool; says in which order a standing stream was opened and the tools were asked for.
async fn play_session(opens: bool) -> (SocketAddr, Arc<Mutex<Vec<&'static str>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_session(stream, opens, Arc::clone(&noted)));
        }
    });
    (address, seen)
}

async fn answer_session(mut stream: TcpStream, opens: bool, seen: Arc<Mutex<Vec<&'static str>>>) {
    let Some(request) = whole_request(&mut stream).await else {
        return;
    };
    let answer = if request.starts_with("GET") {
        if !opens {
            std::future::pending::<()>().await;
        }
        // Time for the client, which is on this thread too, to ask for the tools if it does not wait.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        seen.lock().unwrap().push("opened");
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned()
    } else if request.contains(r#""initialize""#) {
        json("200 OK", HELLO).replacen("\r\n", "\r\nmcp-session-id: 1\r\n", 1)
    } else if request.contains(r#""tools/list""#) {
        seen.lock().unwrap().push("listed");
        let tools = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}"#;
        json("200 OK", tools)
    } else {
        ACCEPTED.to_owned()
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    if request.starts_with("GET") {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn first_request_of_a_session_waits_for_the_stream_on_which_the_server_may_ask() {
    for (opens, expected) in [
        (true, vec!["opened", "listed"]),
        // Some servers answer with the first event only.
        (false, vec!["listed"]),
    ] {
        let (address, seen) = play_session(opens).await;
        let transport = StreamableHttp::new(format!("http://{address}/mcp"));
        let server = McpClient::builder("remote", transport)
            .protocol(McpProtocol::Handshake)
            .build()
            .unwrap();
        server.connect().await.unwrap();
        assert_eq!(server.function_tools().await.unwrap().len(), 1);
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}
