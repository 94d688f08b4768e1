//! The server itself, seen through a bare socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{FakeServer, Framing, Reply};

/// Sends bytes, closes that direction if asked, and reads until the server closes.
async fn talk(server: &FakeServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn replies_are_played_byte_for_byte() {
    let chunks = Reply::sse(["a", "b\nc"]).named_event("n", "d").close();
    let cases = [
        (Reply::raw("anything").close(), "anything"),
        (
            Reply::status(500, "no").framing(Framing::UntilClose),
            "HTTP/1.1 500 Scripted\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nno",
        ),
        (
            Reply::json(&serde_json::json!({"a": 1}))
                .byte_by_byte()
                .close(),
            "HTTP/1.1 200 Scripted\r\ncontent-length: 7\r\ncontent-type: application/json\r\n\r\n{\"a\":1}",
        ),
        (
            chunks,
            "HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n\
             9\r\ndata: a\n\n\r\n11\r\ndata: b\ndata: c\n\n\r\n12\r\nevent: n\ndata: d\n\n\r\n",
        ),
        (
            Reply::new(200)
                .framing(Framing::Chunked)
                .bytes("abcd")
                .split_at([1, 3, 9])
                .close(),
            "HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n",
        ),
        (
            Reply::raw("abc").drip(2, Duration::from_millis(1)).close(),
            "abc",
        ),
    ];
    for (reply, expected) in cases {
        let server = FakeServer::start([reply]).await.unwrap();
        assert_eq!(talk(&server, GET).await, expected);
        assert_eq!(server.problems(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn requests_are_kept_and_pipelined_ones_are_not_lost() {
    let server = FakeServer::start([Reply::status(200, "1")]).await.unwrap();
    server.push(Reply::status(200, "2").close());
    let post = "POST /p HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi";
    talk(&server, &format!("{post}{GET}")).await;
    let requests = server.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|r| (r.method.as_str(), r.path.as_str(), &r.body[..]))
        .collect();
    assert_eq!(seen, [("POST", "/p", &b"hi"[..]), ("GET", "/a?b", b"")]);
    assert_eq!(requests[1].header("host"), Some("x"));
    assert_eq!((server.n_connections(), server.n_unplayed()), (1, 0));
}

#[tokio::test]
async fn unscripted_request_is_visible() {
    let server = FakeServer::start([]).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    server.received(1).await;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 599");
    assert!(server.requests()[0].is_extra);
    assert_eq!(
        server.problems(),
        ["GET /a?b came past the end of the script"]
    );

    for (request, problem) in [
        ("nonsense\r\n\r\n", "a request has the head \"nonsense\""),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "a request has a transfer encoding, which is not supported here",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "a request has the content length \"x\"",
        ),
    ] {
        assert_eq!(talk(&server, request).await, "");
        assert_eq!(server.problems().last().map(String::as_str), Some(problem));
    }
}

#[tokio::test]
async fn a_reset_is_no_clean_end() {
    let server = FakeServer::start([Reply::raw("").reset()]).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let server = FakeServer::start([Reply::sse(["a"]).hang()]).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    server.received(1).await;
    drop(stream);
    server.peer_closed().await;
}
