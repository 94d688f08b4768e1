//! OAuth for MCP servers over HTTP: registration, the user's consent, refreshed tokens.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::AUTHORIZATION;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession,
    OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest,
};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::McpRefusal;
use super::backend::Backend;
use super::tokens::Tokens;
use crate::future::BoxFuture;
use crate::http::{Headers, Url};
use crate::secret::Secret;

/// How long an authorization server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How large an answer of an authorization server may be.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Authorizes this program at a server by OAuth 2.1 with PKCE, as the protocol says.
///
/// It begins only when the server refuses a request and names what it wants: its authorization server is looked up, the client
/// is known there by what is set here (a client that was registered before, else the address of a metadata document, else it
/// registers itself), and the user is sent to the address that the function is called with. The refused request is then sent again,
/// and an expired token is renewed. Tokens are kept in memory, as long as the [`McpClient`](super::McpClient).
///
/// ```
/// use openai_agents::mcp::{McpRefusal, OAuth, StreamableHttp};
///
/// # async fn ask_user(_: String) -> Result<String, McpRefusal> { Err(McpRefusal::new("nobody there")) }
/// // Shows the address and waits for the browser to come back to the redirect address.
/// let oauth = OAuth::new("http://127.0.0.1:8976/callback", |url| async move { ask_user(url).await })
///     .client_name("Guide");
/// let transport = StreamableHttp::new("https://example.com/mcp").oauth(oauth);
/// ```
#[derive(Clone)]
pub struct OAuth {
    redirect_uri: String,
    ask: Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, McpRefusal>> + Send + Sync>,
    client_name: String,
    client: Option<(String, Option<Secret>)>,
    metadata_url: Option<String>,
    scopes: Vec<String>,
}

impl OAuth {
    /// Sends the user to the addresses that `ask` is called with.
    ///
    /// `ask` gives back the whole address that the authorization server sent the user to, which begins with `redirect_uri`.
    pub fn new<F, R>(redirect_uri: impl Into<String>, ask: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, McpRefusal>> + Send + 'static,
    {
        Self {
            redirect_uri: redirect_uri.into(),
            ask: Arc::new(move |url| Box::pin(ask(url))),
            client_name: env!("CARGO_PKG_NAME").to_owned(),
            client: None,
            metadata_url: None,
            scopes: Vec::new(),
        }
    }

    /// Sets the name by which the client registers itself.
    #[must_use]
    pub fn client_name(mut self, client_name: impl Into<String>) -> Self {
        self.client_name = client_name.into();
        self
    }

    /// Names a client that was registered before.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: Option<Secret>) -> Self {
        self.client = Some((id.into(), secret));
        self
    }

    /// Sets the address of the client's metadata document, for authorization servers that take one.
    #[must_use]
    pub fn metadata_url(mut self, metadata_url: impl Into<String>) -> Self {
        self.metadata_url = Some(metadata_url.into());
        self
    }

    /// Asks for these scopes; for those that the server names by default.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    pub(super) fn client_secret(&self) -> Option<&Secret> {
        self.client.as_ref()?.1.as_ref()
    }

    fn request(&self, challenge: &str) -> AuthorizationRequest {
        let mut request = AuthorizationRequest::new(&self.redirect_uri)
            .with_client_name(&self.client_name)
            .with_scopes(&self.scopes)
            .with_challenge(challenge);
        if let Some((id, secret)) = &self.client {
            request = request.with_preregistered_client(id);
            if let Some(secret) = secret {
                request = request.with_client_secret(secret.expose());
            }
        }
        match &self.metadata_url {
            Some(url) => request.with_client_metadata_url(url),
            None => request,
        }
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("redirect_uri", &self.redirect_uri)
            .field("client", &self.client)
            .field("metadata_url", &self.metadata_url)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// The tokens of one server, and how more are got.
pub(super) struct Authorization {
    oauth: OAuth,
    url: String,
    http: Backend,
    /// What requests take their tokens from.
    pub(super) client: AuthClient<Backend>,
    /// Whether the user has been asked before: then what was granted is extended and not chosen anew.
    asked: tokio::sync::Mutex<bool>,
}

impl Authorization {
    /// Has no tokens yet.
    pub(super) async fn new(oauth: OAuth, url: &str, http: Backend) -> Result<Self, AuthError> {
        let manager = manager(url, &http).await?;
        Ok(Self {
            oauth,
            url: url.to_owned(),
            client: AuthClient::new(http.clone(), manager),
            http,
            asked: tokio::sync::Mutex::new(false),
        })
    }

    /// Answers a server's challenge: asks the user, and gets a token for the answer.
    ///
    /// Without a log: rmcp (3.11) writes the user's code into it.
    pub(super) async fn answer(&self, challenge: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        let answered = self.answer_loudly(challenge);
        answered.with_subscriber(NoSubscriber::new()).await
    }

    async fn answer_loudly(&self, challenge: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        // One at a time: the user is not asked twice side by side.
        let mut asked = self.asked.lock().await;
        // rmcp takes the manager by value. The one in its place has no tokens; it stays if anything
        // below fails.
        let placeholder = manager(&self.url, &self.http).await?;
        let mut held = self.client.auth_manager.lock().await;
        let mut current = std::mem::replace(&mut *held, placeholder);
        let found = current
            .resolve_metadata_from_challenge(Some(challenge))
            .await?;
        current.set_metadata(found.metadata);
        let mut request = self.oauth.request(challenge);
        if !*asked {
            request = request.with_initial_scope_selection();
        }
        let session = AuthorizationSession::new(current, request)
            .await
            .map_err(|(_, error)| error)?;
        let address = session.get_authorization_url().to_owned();
        // Before anyone is asked: the address and the one that the user comes back with hold the
        // state and the code.
        self.http.secrets().add_url(&address);
        let callback = (self.oauth.ask)(address).await?;
        self.http.secrets().add_url(&callback);
        session.handle_callback_url(&callback).await?;
        *held = session.auth_manager;
        *asked = true;
        Ok(())
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

async fn manager(url: &str, http: &Backend) -> Result<AuthorizationManager, AuthError> {
    let client = Arc::new(Http(http.clone()));
    let mut manager = AuthorizationManager::new_with_oauth_http_client(url, client).await?;
    manager.set_credential_store(Tokens::default());
    Ok(manager)
}

/// The requests of OAuth over the client of the transport, which follows no redirect.
///
/// All that is granted passes here, so this is where it becomes known as secret: before anyone can write an error or a log line of it.
struct Http(Backend);

impl OAuthHttpClient for Http {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let (head, body) = request.request.into_parts();
            let url = Url::parse(&head.uri.to_string())?;
            let secrets = self.0.secrets();
            secrets.add_granted(&body);
            if let Some(Ok(credentials)) = head.headers.get(AUTHORIZATION).map(|it| it.to_str()) {
                secrets.add_header(credentials);
            }
            let headers = Headers::from_map(head.headers);
            let answered = async {
                let response = match head.method {
                    Method::GET => self.0.http().get(&url, &headers).await?,
                    Method::POST => {
                        self.0
                            .http()
                            .post(&url, &headers, Bytes::from(body))
                            .await?
                    }
                    method => return Err(OAuthHttpClientError::from(format!("no {method} here"))),
                };
                let mut answer = hyper::Response::builder().status(response.status);
                for (name, value) in response.headers.iter() {
                    answer = answer.header(name, value);
                }
                let body = response.body.collect_up_to(MAX_ANSWER_BYTES).await?;
                secrets.add_granted(&body);
                if (200..300).contains(&response.status) {
                    return Ok(answer.body(body.to_vec())?);
                }
                // What is refused is only shown, by rmcp (3.11) in its log too.
                let shown = secrets.redactor();
                let shown = shown
                    .redact_json(&String::from_utf8_lossy(&body))
                    .into_owned();
                Ok(answer.body(shown.into_bytes())?)
            };
            tokio::time::timeout(request.timeout.unwrap_or(TIMEOUT), answered).await?
        })
    }
}
