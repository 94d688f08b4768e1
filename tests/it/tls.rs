//! Certificates, against a real TLS server: what is trusted, and what is said of one that is not.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use openai_agents::http::{Headers, HttpClient, HttpError, Url};
use openai_agents::{ErrorKind, Runner, model::OpenAiChat, model::Unreachable};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::folder::Folder;
use crate::support::agent;

/// What a server presents, and what a client is told to trust.
struct Case {
    served: Certificate,
    key: KeyPair,
    trusted: String,
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

/// As `openssl req -x509` makes one.
fn marked_as_authority(names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn signed_by_itself(params: &CertificateParams) -> Case {
    let key = KeyPair::generate().unwrap();
    let served = params.self_signed(&key).unwrap();
    Case {
        trusted: served.pem(),
        served,
        key,
    }
}

fn signed_by_authority() -> Case {
    let mut authority = marked_as_authority(&[]);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "an authority");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    Case {
        served: params(&["127.0.0.1"]).signed_by(&key, &issuer).unwrap(),
        key,
        trusted: issuer.pem(),
    }
}

/// Serves over TLS, with the answer `ok` for everything.
async fn serve(case: &Case) -> String {
    let key = PrivateKeyDer::try_from(case.key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![case.served.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut head = [0; 1024];
                if stream.read(&mut head).await.is_ok() {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.ok();
                }
            });
        }
    });
    format!("https://{address}/v1")
}

fn client(folder: &Folder, trusted: &str) -> (HttpClient, PathBuf) {
    let path = folder.path("trusted.pem");
    fs::write(&path, trusted).unwrap();
    (
        HttpClient::builder().trust_file(&path).build().unwrap(),
        path,
    )
}

/// Asks the server of a case, and gives the answer or what is said of its certificate, without address and path.
async fn ask(case: &Case, trusted: &str) -> Result<String, String> {
    let folder = Folder::new();
    let (client, path) = client(&folder, trusted);
    let url = Url::parse(&serve(case).await).unwrap();
    match client.get(&url, &Headers::new()).await {
        Ok(response) => {
            let body = response.body.collect().await.unwrap();
            Ok(String::from_utf8(body.to_vec()).unwrap())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Transport);
            let HttpError::Certificate {
                target, problem, ..
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!(target, url.host_port());
            Err(problem.replace(path.to_str().unwrap(), "FILE"))
        }
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    for (label, case) in [
        ("of an authority", signed_by_authority()),
        ("self-signed", signed_by_itself(&params(&["127.0.0.1"]))),
        (
            "marked as an authority",
            signed_by_itself(&marked_as_authority(&["127.0.0.1"])),
        ),
    ] {
        let trusted = case.trusted.clone();
        assert_eq!(ask(&case, &trusted).await.as_deref(), Ok("ok"), "{label}");
        // Broken ones beside it do no harm.
        let others = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let trusted = [others, &trusted].concat();
        assert_eq!(ask(&case, &trusted).await.as_deref(), Ok("ok"), "{label}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_what_it_is_and_how_to_trust_it() {
    let other = signed_by_itself(&params(&["other.test"])).trusted;
    for (case, expected) in [
        (
            signed_by_authority(),
            "its authority is not trusted here; to trust it, add that of the authority, or it, to FILE (of the option `trust_file`)",
        ),
        (
            signed_by_itself(&params(&["127.0.0.1"])),
            "it is self-signed and not trusted here; to trust it, add it to FILE (of the option `trust_file`)",
        ),
        (
            signed_by_itself(&marked_as_authority(&["127.0.0.1"])),
            "it is self-signed, marked as an authority (CA:TRUE) and not trusted here; to trust it, add it to FILE (of the option `trust_file`)",
        ),
    ] {
        assert_eq!(ask(&case, &other).await, Err(expected.to_owned()));
    }
}

/// Trust in a certificate is no trust in what it does not say.
#[tokio::test]
async fn a_trusted_certificate_is_held_to_its_time_and_its_name() {
    for marked in [params, marked_as_authority] {
        let mut expired = marked(&["127.0.0.1"]);
        expired.not_after = date_time_ymd(2001, 1, 1);
        expired.not_before = date_time_ymd(2000, 1, 1);
        let mut early = marked(&["127.0.0.1"]);
        early.not_before = date_time_ymd(3000, 1, 1);
        for (params, expected) in [
            (
                expired,
                "it has expired; renew it on the server (or is the clock of this machine wrong?)",
            ),
            (
                early,
                "it is not valid yet; is the clock of this machine wrong?",
            ),
            (
                marked(&["other.test"]),
                "it is for other names: DnsName(\"other.test\")",
            ),
            (
                marked(&[]),
                "it is not for this name (only subject alternative names count, not the common name)",
            ),
        ] {
            let case = signed_by_itself(&params);
            let trusted = case.trusted.clone();
            assert_eq!(ask(&case, &trusted).await, Err(expected.to_owned()));
        }
    }
}

/// Another one with the same names and issuer is another one.
#[tokio::test]
async fn trust_is_in_one_certificate_and_not_in_its_names() {
    let trusted = signed_by_itself(&marked_as_authority(&["127.0.0.1"])).trusted;
    let case = signed_by_itself(&marked_as_authority(&["127.0.0.1"]));
    let problem = ask(&case, &trusted).await.unwrap_err();
    assert!(problem.starts_with("it is self-signed"), "{problem}");
}

#[tokio::test]
async fn a_run_tells_a_certificate_from_a_server_that_is_gone() {
    let case = signed_by_itself(&params(&["127.0.0.1"]));
    let folder = Folder::new();
    let other = signed_by_itself(&params(&["other.test"])).trusted;
    let (client, _) = client(&folder, &other);
    let model = OpenAiChat::builder(serve(&case).await, "m").http_client(client);
    let runner = Runner::new(model.build().unwrap());
    let error = runner.run(&agent([]), "go").await.unwrap_err();
    let error = error.model_error().unwrap();
    assert_eq!(error.unreachable(), Some(Unreachable::Certificate));
}
