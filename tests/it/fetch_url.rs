//! The tool `fetch_url`: pages are read within bounds, and no address that is not public is connected to.

use std::time::Duration;

use openai_agents::testing::{FakeServer, Framing, Reply};
use openai_agents::tools::fetch_url::{FetchOptions, fetch_url};
use openai_agents::tools::{ToolError, ToolName};
use openai_agents::{RunContext, ToolContext};
use serde_json::json;

async fn fetch(options: FetchOptions, url: &str) -> Result<String, String> {
    let tool = fetch_url(options).unwrap();
    let arguments = json!({ "url": url }).to_string();
    let name = ToolName::new("fetch_url").unwrap();
    let cx = ToolContext::new(RunContext::default(), "A", name, "c1", arguments);
    match tool.invoke(cx).await.into_output() {
        Ok(output) => Ok(output.to_json().as_str().unwrap().to_owned()),
        Err(ToolError::Failed { source, .. }) => {
            let cause = source.source().map(|cause| format!(": {cause}"));
            Err(format!("{source}{}", cause.unwrap_or_default()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Options under which the fake server may be asked, and no other private address.
fn local() -> FetchOptions {
    FetchOptions::default().private_host("127.0.0.1")
}

fn page(content_type: &str, body: &str) -> Reply {
    let reply = Reply::new(200).header("content-type", content_type);
    reply.bytes(body.to_owned())
}

fn redirect(status: u16, location: &str) -> Reply {
    Reply::new(status).header("location", location)
}

#[tokio::test]
async fn fetch_url_gives_the_text_of_a_page() {
    let html = "<title>T</title><p>Hello &amp; <a href='/x'>more</a><script>no()</script>";
    let replies = [
        Reply::new(200)
            .header("content-type", "text/html; charset=utf-8")
            .bytes(html),
        Reply::new(404)
            .header("content-type", "application/json")
            .bytes(r#"{"error": "none"}"#),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let url = format!("http://{}/page?q=1#part", server.address());
    let shown = format!("http://{}/page", server.address());
    assert_eq!(
        fetch(local(), &url).await,
        Ok(format!("200 {shown} text/html\n\nT\nHello & more (/x)"))
    );
    assert_eq!(
        fetch(local(), &url).await,
        Ok(format!(
            "404 {shown} application/json\n\n{{\"error\": \"none\"}}"
        ))
    );
    let requests = server.requests();
    assert_eq!(requests[0].path, "/page?q=1");
    assert_eq!(requests[0].header("authorization"), None);
}

#[tokio::test]
async fn fetch_url_connects_to_public_addresses_only() {
    let server = FakeServer::start([]).await.unwrap();
    let port = server.address().port();
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1.2.3", "127.1.2.3"),
        ("0.0.0.0", "0.0.0.0"),
        ("10.0.0.1", "10.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("192.168.1.1", "192.168.1.1"),
        ("100.64.0.1", "100.64.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
        ("[fe80::1]", "fe80::1"),
        ("[fc00::1]", "fc00::1"),
    ] {
        let refused = fetch(FetchOptions::default(), &format!("http://{host}:{port}/")).await;
        let reason = format!("`{host}` is {address}, which is not a public address");
        let expected =
            format!("the page cannot be read: could not connect to {host}:{port}: {reason}");
        assert_eq!(refused, Err(expected));
    }
    // Forms of an address that only a resolver understands.
    for host in [
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
    ] {
        let refused = fetch(FetchOptions::default(), &format!("http://{host}:{port}/")).await;
        assert!(
            refused.unwrap_err().contains("could not connect to"),
            "{host}"
        );
    }
    assert_eq!(server.n_connections(), 0);
}

#[tokio::test]
async fn fetch_url_checks_the_address_of_each_redirect() {
    let other = FakeServer::start([]).await.unwrap();
    let port = other.address().port();
    for host in ["localhost", "127.0.0.2", "[::1]", "[::ffff:7f00:1]"] {
        let there = format!("http://{host}:{port}/secret");
        let server = FakeServer::start([redirect(302, &there)]).await.unwrap();
        let refused = fetch(local(), &format!("http://{}/", server.address())).await;
        assert!(
            refused
                .unwrap_err()
                .contains("which is not a public address"),
            "{host}"
        );
    }
    for there in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
    ] {
        let server = FakeServer::start([redirect(302, there)]).await.unwrap();
        let refused = fetch(local(), &format!("http://{}/", server.address())).await;
        assert!(
            refused
                .unwrap_err()
                .contains("its scheme is neither http nor https"),
            "{there}"
        );
    }
    assert_eq!(other.n_connections(), 0);
}

#[tokio::test]
async fn fetch_url_follows_redirects_up_to_a_bound() {
    let replies = [
        redirect(301, "/b"),
        redirect(307, "c?x=1"),
        page("text/plain", "here"),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let at = format!("http://{}", server.address());
    let text = fetch(local(), &format!("{at}/a")).await;
    assert_eq!(text, Ok(format!("200 {at}/c text/plain\n\nhere")));
    assert_eq!(server.requests()[2].path, "/c?x=1");

    let server = FakeServer::start([redirect(302, "/b"), redirect(302, "/c")])
        .await
        .unwrap();
    let at = format!("http://{}", server.address());
    let refused = fetch(local().max_redirects(1), &at).await;
    let expected = format!("there are more than 1 redirects; the last one leads to `{at}/c`");
    assert_eq!(refused, Err(expected));
}

#[tokio::test]
async fn fetch_url_asks_only_the_hosts_that_it_may() {
    let options = || FetchOptions::default().only_hosts(["example.com", "docs.rs"]);
    for host in [
        "example.org",
        "notexample.com",
        "example.com.evil.net",
        "127.0.0.1",
    ] {
        let refused = fetch(options(), &format!("http://{host}/")).await;
        let expected = format!("`{host}` may not be asked; these hosts may: example.com, docs.rs");
        assert_eq!(refused, Err(expected));
    }
}

#[tokio::test]
async fn fetch_url_is_bounded_in_bytes_types_and_time() {
    let long = "x".repeat(100_000);
    let server = FakeServer::start([page("text/plain", &long)])
        .await
        .unwrap();
    let url = format!("http://{}/", server.address());
    let text = fetch(local().max_body_bytes(1000), &url).await.unwrap();
    let head = format!("200 {url} text/plain\n\n");
    assert_eq!(
        text,
        format!("{head}{}\n[the rest is left out]", "x".repeat(1000))
    );

    let server = FakeServer::start([page("text/plain", &long)])
        .await
        .unwrap();
    let url = format!("http://{}/", server.address());
    let text = fetch(local().max_text_bytes(500), &url).await.unwrap();
    assert_eq!(text.len(), 500 + "\n[the rest is left out]".len());

    let server = FakeServer::start([page("image/png", "x")]).await.unwrap();
    let url = format!("http://{}/", server.address());
    let refused = fetch(local(), &url).await;
    assert_eq!(
        refused,
        Err(format!("`{url}` is image/png, and only text can be read"))
    );

    // Nothing comes, and then a head alone.
    for silent in [
        Reply::raw(""),
        page("text/plain", "x").framing(Framing::Chunked),
    ] {
        let server = FakeServer::start([silent.hang()]).await.unwrap();
        let url = format!("http://{}/", server.address());
        let refused = fetch(local().timeout(Duration::from_millis(100)), &url).await;
        assert_eq!(
            refused,
            Err("tool `fetch_url` timed out after 100ms".to_owned())
        );
    }
}
