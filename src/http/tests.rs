//! The client against a server that misbehaves on request.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{BaseUrl, Headers, HttpClient, HttpError, HttpResponse, Proxies, Url};
use crate::testing::{FakeServer, Framing, Reply};
use crate::{ErrorKind, Secret};

const SHORT: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(30);

fn url(server: &FakeServer) -> Url {
    BaseUrl::parse(&server.url()).unwrap().join("v1/x").unwrap()
}

fn keyed() -> Headers {
    let mut headers = Headers::new();
    headers.insert_bearer(&Secret::new("sk-secret")).unwrap();
    headers
}

async fn post(client: &HttpClient, server: &FakeServer) -> Result<HttpResponse, HttpError> {
    client
        .post(&url(server), &keyed(), Bytes::from_static(b"{\"a\":1}"))
        .await
}

/// Sends one request and reads the body whole.
async fn fetch(client: &HttpClient, reply: Reply) -> Result<Bytes, HttpError> {
    let server = FakeServer::start([reply]).await.unwrap();
    let body = post(client, &server).await?.body.collect().await;
    assert_eq!(server.problems(), Vec::<String>::new());
    body
}

async fn check_error(client: &HttpClient, reply: Reply, kind: ErrorKind, says: &str) {
    let error = fetch(client, reply).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let message = error.to_string();
    assert!(message.contains(says), "{message:?} does not say {says:?}");
    assert!(message.contains("127.0.0.1:"), "{message:?} has no target");
    assert!(!format!("{error:?}").contains("sk-secret"));
}

#[tokio::test]
async fn a_request_arrives_as_given_and_nothing_is_added() {
    let server = FakeServer::start([Reply::status(404, "{\"e\":1}").header("X-Request-Id", "r1")])
        .await
        .unwrap();
    let mut headers = keyed();
    headers.insert("content-type", "application/json").unwrap();
    let url = Url::parse(&format!("{}/v1/x?a=b", server.url())).unwrap();
    let body = Bytes::from_static(b"{\"a\":1}");
    let response = HttpClient::default()
        .post(&url, &headers, body)
        .await
        .unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(response.headers.get("x-request-id"), Some("r1"));
    assert_eq!(response.body.collect().await.unwrap(), "{\"e\":1}");

    let request = server.requests().remove(0);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/x?a=b")
    );
    assert_eq!(request.json(), Some(serde_json::json!({"a": 1})));
    let mut names: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["authorization", "content-length", "content-type", "host"]
    );
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret"));
}

#[tokio::test]
async fn body_framings_are_all_read() {
    let client = HttpClient::default();
    let body = "{\"text\":\"whole\"}";
    let reply = || Reply::status(200, body);
    let close = "HTTP/1.0 200 OK\r\n\r\n{\"text\":\"whole\"}";
    for reply in [
        reply(),
        reply().byte_by_byte(),
        reply().framing(Framing::Chunked).byte_by_byte(),
        reply().framing(Framing::Chunked).split_at([3, 5]),
        reply().framing(Framing::UntilClose),
        reply().header("content-encoding", "identity"),
        Reply::raw(close).close(),
    ] {
        assert_eq!(fetch(&client, reply).await.unwrap(), body);
    }
    assert_eq!(fetch(&client, Reply::new(204)).await.unwrap(), "");
}

/// llama.cpp says `keep-alive` and closes after every chunked answer, at a moment when the next request may be under way.
#[tokio::test]
async fn a_connection_that_will_be_closed_is_not_used_again() {
    let llama = |reply: Reply| reply.header("server", "llama.cpp");
    let server = FakeServer::start([
        llama(Reply::status(200, "a")),
        llama(Reply::sse(["b"])),
        llama(Reply::status(200, "c")),
    ])
    .await
    .unwrap();
    let client = HttpClient::default();
    for _ in 0..3 {
        let response = post(&client, &server).await.unwrap();
        response.body.collect().await.unwrap();
    }
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn two_requests_share_a_connection() {
    let server = FakeServer::start([
        Reply::status(200, "a"),
        Reply::sse(["b"]),
        Reply::status(200, "c"),
    ])
    .await
    .unwrap();
    let client = HttpClient::default();
    for _ in 0..3 {
        let response = post(&client.clone(), &server).await.unwrap();
        response.body.collect().await.unwrap();
    }
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
    assert_eq!(server.n_connections(), 1);
}

#[tokio::test]
async fn connection_of_an_answer_without_a_body_is_used_again_unread() {
    let server = FakeServer::start([
        Reply::new(204),
        Reply::status(202, ""),
        Reply::status(200, "c"),
    ])
    .await
    .unwrap();
    let client = HttpClient::default();
    for status in [204, 202, 200] {
        assert_eq!(post(&client, &server).await.unwrap().status, status);
    }
    assert_eq!(server.n_connections(), 1);
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each() {
    let reply = || Reply::status(200, "a");
    let server = FakeServer::start([reply(), reply(), reply()])
        .await
        .unwrap();
    let client = HttpClient::default();
    let (first, second) = tokio::join!(post(&client, &server), post(&client, &server));
    for response in [first, second] {
        response.unwrap().body.collect().await.unwrap();
    }
    post(&client, &server).await.unwrap();
    assert_eq!(server.n_connections(), 2);
}

#[tokio::test]
async fn connection_that_lies_idle_is_closed_in_time() {
    let server = FakeServer::start([Reply::status(200, "a")]).await.unwrap();
    let client = HttpClient::default();
    let response = post(&client, &server).await.unwrap();
    response.body.collect().await.unwrap();
    // What closes it has its first turn.
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    tokio::time::timeout(LONG, server.all_closed())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_connection_says_where_and_why() {
    let server = FakeServer::start([]).await.unwrap();
    let url = url(&server);
    let address = server.address();
    drop(server);
    // The port is free once the task of the server has ended.
    tokio::task::yield_now().await;
    let error = HttpClient::default().get(&url, &keyed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(
        error.to_string(),
        format!("could not connect to {address}: connection refused")
    );
    assert!(matches!(error, HttpError::Connect { .. }) && error.source().is_some());
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let url = Url::parse("http://no-such-host.invalid/").unwrap();
    let error = HttpClient::default().get(&url, &keyed()).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("could not connect to no-such-host.invalid:80: ")
    );
}

#[tokio::test]
async fn a_broken_connection_is_transport() {
    let client = HttpClient::default();
    let transport = ErrorKind::Transport;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n";
    check_error(&client, Reply::raw("").close(), transport, "did not answer").await;
    check_error(
        &client,
        Reply::raw("").reset(),
        transport,
        "connection reset",
    )
    .await;
    check_error(
        &client,
        Reply::raw(head).close(),
        transport,
        "did not answer",
    )
    .await;
    check_error(
        &client,
        Reply::sse(["a"]).close(),
        transport,
        "after 9 bytes",
    )
    .await;
    check_error(
        &client,
        Reply::sse(["a"]).reset(),
        transport,
        "connection reset",
    )
    .await;
    let short = Reply::status(200, "abc").framing(Framing::DeclaredLength(9));
    check_error(&client, short.close(), transport, "after 3 bytes").await;
    let garbage = Reply::raw("SSH-2.0-OpenSSH\r\n\r\n");
    check_error(&client, garbage, transport, "did not answer in HTTP").await;
    let bad_chunk = Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n");
    check_error(&client, bad_chunk, transport, "broke off").await;
}

#[tokio::test]
async fn request_is_sent_once() {
    let server = FakeServer::start([Reply::status(200, "a"), Reply::raw("").close()])
        .await
        .unwrap();
    let client = HttpClient::default();
    post(&client, &server)
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap();
    post(&client, &server).await.unwrap_err();
    assert_eq!((server.requests().len(), server.problems().len()), (2, 0));
}

#[tokio::test]
async fn silence_before_and_in_an_answer_have_a_time_each() {
    let kind = ErrorKind::TimeoutIdle;
    let first = HttpClient::builder().first_event_timeout(SHORT);
    let first = first.build().unwrap();
    let began = |reply| check_error(&first, reply, kind, "did not begin to answer within 80ms");
    began(Reply::raw("").hang()).await;
    began(Reply::raw("HTTP/1.1 200 OK\r\n").hang()).await;
    let idle = HttpClient::builder().idle_timeout(SHORT).build().unwrap();
    let went_on = |reply| check_error(&idle, reply, kind, "nothing more came");
    went_on(Reply::event_stream().hang()).await;
    went_on(Reply::sse(["a"]).hang()).await;
}

#[tokio::test]
async fn a_drip_is_not_idle_but_has_a_total_timeout() {
    let drip = || Reply::status(200, "0123456789").drip(1, SHORT / 4);
    let idle = HttpClient::builder().idle_timeout(SHORT * 10);
    assert_eq!(
        fetch(&idle.build().unwrap(), drip()).await.unwrap(),
        "0123456789"
    );

    let total = HttpClient::builder().total_timeout(SHORT).build().unwrap();
    check_error(&total, drip(), ErrorKind::TimeoutTotal, "within 80ms").await;
    check_error(
        &total,
        Reply::raw("").hang(),
        ErrorKind::TimeoutTotal,
        "within 80ms",
    )
    .await;
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_connect_timeout() {
    // The server accepts, and never speaks TLS.
    let server = FakeServer::start([]).await.unwrap();
    let https = Url::parse(&server.url().replace("http", "https")).unwrap();
    // The idle time-out is shorter, but it is not its turn yet.
    let client = HttpClient::builder()
        .connect_timeout(SHORT)
        .first_event_timeout(SHORT / 4);
    let error = client
        .build()
        .unwrap()
        .get(&https, &keyed())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutConnect);
    assert_eq!(
        error.to_string(),
        format!(
            "could not connect to {} within 80ms (`timeouts.connect_secs`, or `connect_timeout` of the client)",
            server.address()
        )
    );
}

#[tokio::test]
async fn tls_is_set_up_by_the_first_https_url_only() {
    let client = HttpClient::default();
    fetch(&client, Reply::status(200, "a")).await.unwrap();
    assert!(!client.tls_is_set_up());

    let server = FakeServer::start([]).await.unwrap();
    let https = Url::parse(&server.url().replace("http", "https")).unwrap();
    drop(server);
    let error = client.get(&https, &keyed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(client.tls_is_set_up());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays() {
    let elsewhere = FakeServer::start([Reply::status(200, "stolen")])
        .await
        .unwrap();
    let client = HttpClient::default();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v1/x?token=t", elsewhere.url());
        let reply = Reply::new(status).header("location", location);
        let error = fetch(&client, reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
        let HttpError::Redirect {
            status: seen, to, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((seen, to), (status, Some(elsewhere.url())));
    }
    assert_eq!(
        (elsewhere.n_connections(), elsewhere.requests()),
        (0, Vec::new())
    );

    let relative = Reply::new(302).header("location", "/login?next=secret");
    check_error(
        &client,
        relative,
        ErrorKind::Redirect,
        "302 to /login, which",
    )
    .await;
    check_error(
        &client,
        Reply::new(304),
        ErrorKind::Redirect,
        "304 to nowhere",
    )
    .await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_when_it_is_read() {
    let client = HttpClient::default();
    for encoding in ["gzip", "identity, br"] {
        let reply = Reply::status(500, "\u{1f}").header("content-encoding", encoding);
        let server = FakeServer::start([reply]).await.unwrap();
        let response = post(&client, &server).await.unwrap();
        assert_eq!(response.status, 500);
        let error = response.body.collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContentEncoding);
        assert!(error.to_string().contains(encoding), "{error}");
    }
}

#[tokio::test]
async fn sizes_are_bounded() {
    let limit = ErrorKind::LimitExceeded;
    let body = "x".repeat(100);
    let chunked = || Reply::status(200, body.as_str()).framing(Framing::Chunked);
    for max_bytes in [100, 99] {
        let client = HttpClient::builder()
            .max_body_bytes(max_bytes)
            .build()
            .unwrap();
        for reply in [
            Reply::status(200, body.as_str()),
            chunked(),
            chunked().split_at([50]),
        ] {
            match max_bytes {
                100 => assert_eq!(fetch(&client, reply).await.unwrap(), body),
                _ => check_error(&client, reply, limit, "larger than 99 bytes").await,
            }
        }
    }
    let client = HttpClient::builder().max_stream_bytes(60).build().unwrap();
    let server = FakeServer::start([chunked().split_at([50])]).await.unwrap();
    let mut body = post(&client, &server).await.unwrap().body;
    assert_eq!(body.next_chunk().await.unwrap().unwrap().len(), 50);
    let error = body.next_chunk().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), limit);
    assert!(body.next_chunk().await.is_none());
}

#[tokio::test]
async fn dropping_closes_the_connection() {
    let client = HttpClient::default();
    // Inside the body.
    let server = FakeServer::start([Reply::sse(["a"]).hang()]).await.unwrap();
    let mut response = post(&client, &server).await.unwrap();
    response.body.next_chunk().await.unwrap().unwrap();
    drop(response);
    tokio::time::timeout(LONG, server.peer_closed())
        .await
        .unwrap();

    // Before the head.
    let server = FakeServer::start([Reply::raw("").hang()]).await.unwrap();
    let request = tokio::select! {
        _ = post(&client, &server) => "answered",
        () = server.received(1) => "dropped",
    };
    assert_eq!(request, "dropped");
    tokio::time::timeout(LONG, server.peer_closed())
        .await
        .unwrap();

    // After a time-out.
    let server = FakeServer::start([Reply::sse(["a"]).hang()]).await.unwrap();
    let client = HttpClient::builder().idle_timeout(SHORT).build().unwrap();
    let mut body = post(&client, &server).await.unwrap().body;
    body.next_chunk().await.unwrap().unwrap();
    body.next_chunk().await.unwrap().unwrap_err();
    tokio::time::timeout(LONG, server.peer_closed())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_proxy_gets_whole_urls_and_tunnels() {
    let proxy = FakeServer::start([Reply::status(200, "by proxy"), Reply::status(403, "no")])
        .await
        .unwrap();
    let through = proxy.url().replace("http://", "http://user:pass@");
    let client = HttpClient::builder()
        .proxies(Proxies::Through(Secret::new(through)))
        .build()
        .unwrap();
    let plain = Url::parse("http://model.invalid/v1").unwrap();
    let response = client.get(&plain, &keyed()).await.unwrap();
    assert_eq!(response.body.collect().await.unwrap(), "by proxy");

    let tunnelled = Url::parse("https://model.invalid/v1").unwrap();
    let error = client.get(&tunnelled, &keyed()).await.unwrap_err();
    assert!(matches!(error, HttpError::ViaProxy { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "could not connect to model.invalid:443 through the proxy {} (of the option `Proxies::Through`): tunnel error: unsuccessful",
            proxy.address()
        )
    );

    let requests = proxy.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|r| (r.method.as_str(), r.path.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("GET", "http://model.invalid/v1"),
            ("CONNECT", "model.invalid:443")
        ]
    );
    for request in &requests {
        assert_eq!(
            request.header("proxy-authorization"),
            Some("Basic dXNlcjpwYXNz")
        );
    }
    assert_eq!(requests[1].header("authorization"), None);

    // This machine is never asked for through a proxy.
    assert_eq!(
        fetch(&client, Reply::status(200, "direct")).await.unwrap(),
        "direct"
    );
}

/// A SOCKS proxy, by the letters of RFC 1928, that lets one request through to itself.
async fn socks_proxy(status: u8) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = vec![0; 4 + 1 + "model.invalid".len() + 2];
        stream.read_exact(&mut request).await.unwrap();
        let reply = [5, status, 0, 1, 0, 0, 0, 0, 0, 0];
        stream.write_all(&reply).await.unwrap();
        if status == 0 {
            let mut head = [0; 1024];
            let _n_bytes = stream.read(&mut head).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
        request
    });
    (address.to_string(), asked)
}

#[tokio::test]
async fn a_socks_proxy_is_told_the_name_and_the_port() {
    let url = Url::parse("http://model.invalid/v1").unwrap();
    let through = |address: &str| {
        let proxy = Secret::new(format!("socks5h://{address}"));
        let client = HttpClient::builder().proxies(Proxies::Through(proxy));
        client.build().unwrap()
    };
    let (address, asked) = socks_proxy(0).await;
    let response = through(&address).get(&url, &keyed()).await.unwrap();
    assert_eq!(response.body.collect().await.unwrap(), "ok");
    let expected = [&[5, 1, 0, 3, 13][..], b"model.invalid", &[0, 80]].concat();
    assert_eq!(asked.await.unwrap(), expected);

    let (address, _asked) = socks_proxy(5).await;
    let error = through(&address).get(&url, &keyed()).await.unwrap_err();
    assert!(matches!(error, HttpError::ViaProxy { .. }), "{error}");
    let message = error.to_string();
    let expected = format!("could not connect to model.invalid:80 through the proxy {address} ");
    assert!(message.starts_with(&expected), "{message}");
}
