//! A server that asks for OAuth: what is granted while the program runs is as secret as what was configured.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use openai_agents::mcp::{McpClient, McpError, McpProtocol, McpRefusal, OAuth, StreamableHttp};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::secrets::Log;

/// What is granted, with letters that encodings change.
const ACCESS: &str = "at+0f3/9c2~granted";
const NEXT_ACCESS: &str = "at-second_77aa31";
const REFRESH: &str = "rt/5d1b=8e0+granted";
const CLIENT_SECRET: &str = "cs-41fe77_registered";
const CODE: &str = "code-9b1f~of-user";

/// An authorization server and an MCP server in one, which repeats whatever it is sent.
#[derive(Clone)]
struct Echo {
    url: Arc<str>,
    grants: Arc<Mutex<Vec<Grant>>>,
    /// Which token is good.
    access: Arc<Mutex<&'static str>>,
}

/// How the token endpoint answers.
#[derive(Clone, Copy)]
enum Grant {
    Tokens(&'static str),
    /// With an error of the protocol that repeats the form.
    Refused,
    /// With text that repeats the form, and tokens that were granted all the same.
    Broken,
}

impl Echo {
    async fn start(grants: impl IntoIterator<Item = Grant>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let echo = Self {
            url: url.into(),
            grants: Arc::new(Mutex::new(grants.into_iter().collect())),
            access: Arc::new(Mutex::new(ACCESS)),
        };
        let router = Router::new()
            .route("/mcp", post(mcp))
            .route("/.well-known/oauth-protected-resource", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/token", post(token))
            .with_state(echo.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        echo
    }

    fn client(&self) -> McpClient {
        let oauth = OAuth::new("http://127.0.0.1:1/callback", |address| async move {
            let state = address.split('&').find_map(|it| it.strip_prefix("state="));
            let state = state.ok_or_else(|| McpRefusal::new("no state"))?;
            Ok(format!(
                "http://127.0.0.1:1/callback?code={CODE}&state={state}"
            ))
        });
        let transport = StreamableHttp::new(format!("{}/mcp", self.url)).oauth(oauth);
        McpClient::builder("echo", transport)
            .protocol(McpProtocol::Handshake)
            .build()
            .unwrap()
    }
}

fn answer(value: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, value.to_string()).into_response()
}

async fn resource(State(echo): State<Echo>) -> Response {
    let url = &echo.url;
    answer(&json!({"resource": format!("{url}/mcp"), "authorization_servers": [&**url]}))
}

async fn metadata(State(echo): State<Echo>) -> Response {
    let url = &echo.url;
    answer(&json!({
        "issuer": &**url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"), "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    }))
}

async fn register(body: Bytes) -> Response {
    let mut client: Value = serde_json::from_slice(&body).unwrap();
    client["client_id"] = "client-1".into();
    client["client_secret"] = CLIENT_SECRET.into();
    answer(&client)
}

async fn token(State(echo): State<Echo>, form: String) -> Response {
    let grant = echo.grants.lock().unwrap().remove(0);
    match grant {
        Grant::Tokens(access) => {
            *echo.access.lock().unwrap() = access;
            answer(&json!({
                "access_token": access, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 3600,
            }))
        }
        Grant::Refused => {
            let error = json!({"error": "invalid_grant", "error_description": form});
            (StatusCode::BAD_REQUEST, answer(&error)).into_response()
        }
        Grant::Broken => {
            let text =
                format!("{form} {{\"access_token\": \"{ACCESS}\", \"refresh_token\":\"{REFRESH}");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

async fn mcp(State(echo): State<Echo>, headers: HeaderMap, body: Bytes) -> Response {
    let access = *echo.access.lock().unwrap();
    let sent = headers.get(header::AUTHORIZATION);
    let sent = sent.map_or("", |sent| sent.to_str().unwrap());
    if sent != format!("Bearer {access}") {
        let metadata = format!("{}/.well-known/oauth-protected-resource", echo.url);
        let challenge = format!("Bearer resource_metadata=\"{metadata}\", error=\"{sent}\"");
        let head = [(header::WWW_AUTHENTICATE, challenge)];
        return (StatusCode::UNAUTHORIZED, head, sent.to_owned()).into_response();
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let all = format!("{sent} {REFRESH} {CLIENT_SECRET} {CODE}");
    let result = match request["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": all, "version": "1"}, "instructions": all,
        }),
        "tools/call" if request["params"]["name"] == "revoke" => {
            *echo.access.lock().unwrap() = NEXT_ACCESS;
            return (StatusCode::INTERNAL_SERVER_ERROR, all).into_response();
        }
        "tools/call" => json!({"content": [{"type": "text", "text": all}]}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    answer(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
}

/// None of what was granted is in what a program could print.
fn assert_no_secret(shown: &str) {
    let encoded = |secret: &str| {
        secret
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
    };
    for secret in [ACCESS, NEXT_ACCESS, REFRESH, CLIENT_SECRET, CODE] {
        for form in [secret.to_owned(), encoded(secret)] {
            assert!(!shown.contains(&form), "{form} in:\n{shown}");
        }
    }
}

async fn call(client: &McpClient, tool: &str) -> String {
    match client.call_tool(tool, Map::new()).await {
        Ok(result) => format!("{result:?}"),
        Err(error) => chain(&error),
    }
}

fn chain(error: &McpError) -> String {
    let mut shown = format!("{error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        shown = format!("{shown}\n{error}");
        cause = error.source();
    }
    shown
}

#[tokio::test]
async fn oauth_tokens_that_a_server_repeats_are_shown_nowhere() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let echo = Echo::start([
        Grant::Tokens(ACCESS),
        Grant::Tokens(NEXT_ACCESS),
        Grant::Refused,
    ])
    .await;
    let client = echo.client();
    client.connect().await.unwrap();
    let mut shown = vec![format!("{:?} {client:?}", client.identity().unwrap())];
    shown.push(call(&client, "echo").await);
    assert!(
        shown[1].contains("Bearer [redacted] [redacted] [redacted] [redacted]"),
        "{shown:?}"
    );
    // The token is refused from here on, and a new one granted without asking anybody.
    shown.push(call(&client, "revoke").await);
    shown.push(call(&client, "echo").await);
    assert!(shown[3].contains("Bearer [redacted]"), "{shown:?}");
    // What is granted no more is refused with the refresh token in the reason.
    *echo.access.lock().unwrap() = "none";
    echo.grants.lock().unwrap().push(Grant::Broken);
    let refused = call(&client, "echo").await;
    assert!(refused.contains("Unauthorized"), "{refused}");
    shown.push(refused);
    assert_no_secret(&shown.join("\n"));
    assert_no_secret(&log.text());
}

#[tokio::test]
async fn oauth_refusal_that_repeats_the_form_is_shown_without_its_secrets() {
    for (grant, expected) in [
        (Grant::Refused, "[redacted]"),
        (Grant::Broken, "expected value"),
    ] {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let client = Echo::start([grant]).await.client();
        let error = client.connect().await.unwrap_err();
        assert!(matches!(error, McpError::Unauthorized { .. }), "{error:?}");
        let shown = chain(&error);
        assert!(shown.contains(expected), "{shown}");
        assert_no_secret(&shown);
        assert_no_secret(&log.text());
    }
}
