//! Sessions through an HTTP proxy, which opens tunnels only (RFC 9110, section 9.3.6): plain ones and those over TLS.

use std::sync::Arc;

use openai_agents::http::{HttpClient, HttpClientBuilder, Proxies};
use openai_agents::model::OpenAiRealtime;
use openai_agents::realtime::{RealtimeAgent, RealtimeError, RealtimeSession};
use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use openai_agents::{ErrorKind, Secret};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::folder::Folder;

/// No name of this machine: only the proxy knows where it is.
const HOST: &str = "speech.invalid";

/// A proxy that lets in who knows the password, and gives the head of the request that it got.
async fn proxy(target: String, tls: Option<TlsAcceptor>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let answer = match head.split_whitespace().next().unwrap() {
            // `user:pass`
            "connect" if head.contains("proxy-authorization: basic dxnlcjpwyxnz\r\n") => "200 OK",
            "connect" => "407 Proxy Authentication Required",
            _ => "405 Method Not Allowed",
        };
        let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
        client.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains("200") {
            let mut server = TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move {
                match tls {
                    None => drop(copy_bidirectional(&mut client, &mut server).await),
                    Some(acceptor) => {
                        let mut client = acceptor.accept(client).await.unwrap();
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                }
            });
        }
        head
    });
    (address, asked)
}

fn address(server: &RealtimeServer) -> String {
    let url = server.url();
    let address = url.strip_prefix("http://").unwrap();
    address.strip_suffix("/v1").unwrap().to_owned()
}

fn client(user: &str, proxy: &str) -> HttpClientBuilder {
    let proxy = Secret::new(format!("http://{user}{proxy}"));
    HttpClient::builder().proxies(Proxies::Through(proxy))
}

async fn connect(url: &str, client: HttpClientBuilder) -> Result<RealtimeSession, RealtimeError> {
    let model = OpenAiRealtime::builder(url, "gpt-realtime").http_client(client.build().unwrap());
    let agent = RealtimeAgent::builder("Clerk").build().unwrap();
    let session = RealtimeSession::builder(&agent, model.build().unwrap());
    session.connect().await
}

/// Something said in each direction.
async fn talk(mut session: RealtimeSession, mut peer: RealtimePeer) {
    assert_eq!(peer.target(), "/v1/realtime?model=gpt-realtime");
    assert_eq!(peer.header("proxy-authorization"), None);
    session.send_text("Hello").await.unwrap();
    while peer.receive().await.unwrap().unwrap()["type"] != "response.create" {}
    let started = json!({"type": "response.created", "response": {"id": "resp_1"}});
    peer.send(&started).await.unwrap();
    let event = session.next().await.unwrap();
    assert_eq!(event.to_string(), "Clerk answers");
}

#[tokio::test]
async fn session_goes_through_a_tunnel_of_the_proxy() {
    let server = RealtimeServer::start().await.unwrap();
    let (through, asked) = proxy(address(&server), None).await;
    let url = format!("ws://{HOST}/v1");
    let (session, peer) = tokio::join!(
        connect(&url, client("user:pass@", &through)),
        server.accept()
    );
    talk(session.unwrap(), peer.unwrap()).await;
    let head = asked.await.unwrap();
    assert!(
        head.starts_with("connect speech.invalid:80 http/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn session_over_tls_goes_through_a_tunnel_of_the_proxy() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([HOST.to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let folder = Folder::new();
    let trusted = folder.path("trusted.pem");
    std::fs::write(&trusted, certificate.pem()).unwrap();

    let server = RealtimeServer::start().await.unwrap();
    let (through, asked) = proxy(address(&server), Some(acceptor)).await;
    let url = format!("wss://{HOST}/v1");
    let client = client("user:pass@", &through).trust_file(&trusted);
    let (session, peer) = tokio::join!(connect(&url, client), server.accept());
    talk(session.unwrap(), peer.unwrap()).await;
    let head = asked.await.unwrap();
    assert!(
        head.starts_with("connect speech.invalid:443 http/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn session_that_the_proxy_refuses_says_so_without_the_password() {
    for scheme in ["ws", "wss"] {
        let (through, _asked) = proxy(String::new(), None).await;
        let url = format!("{scheme}://{HOST}:9/v1");
        let error = connect(&url, client("user:wrong@", &through)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(
            error.to_string(),
            format!(
                "could not connect to speech.invalid:9 through the proxy {through} (of the option `Proxies::Through`): tunnel error: proxy authorization required"
            )
        );
    }
}
