//! How a server is reached: as a child process, or over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::OAuth;
use crate::http::HttpClient;
use crate::secret::Secret;

/// Says how an MCP server is reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum McpTransport {
    /// As a child process, over its standard input and output.
    Stdio(Stdio),
    /// Over streamable HTTP.
    Http(StreamableHttp),
}

/// A server that is a program on this machine.
///
/// It is started when the connection is made and ended with it.
///
/// The child is given none of this process's environment but the variables that programs need to run at all (`PATH`, `HOME`, `LANG`
/// and the like, see [`INHERITED`](Self::INHERITED)) and what is named here: keys in the environment are not for every server.
/// It gets a process group of its own, which is killed with it, so that what it started ends too.
///
/// ```
/// use openai_agents::mcp::Stdio;
///
/// let files = Stdio::new("mcp-server-filesystem").arg("/srv/documents");
/// let issues = Stdio::new("issues-mcp").env("ISSUES_TOKEN", "a secret").inherit("HTTPS_PROXY");
/// ```
#[derive(Clone)]
pub struct Stdio {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, Secret>,
    pub(super) inherited: BTreeSet<String>,
    pub(super) directory: Option<PathBuf>,
}

/// A server at an address.
///
/// Redirects are not followed. A request is sent once. Only a stream that broke is opened
/// again, as the protocol has it: the server then goes on where it was, and nothing is done twice.
#[derive(Clone)]
pub struct StreamableHttp {
    pub(super) url: String,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) bearer_token: Option<Secret>,
    pub(super) oauth: Option<OAuth>,
    pub(super) client: Option<HttpClient>,
}

impl Stdio {
    /// The variables that a child inherits without being named.
    pub const INHERITED: &'static [&'static str] = if cfg!(windows) {
        &[
            "APPDATA",
            "HOMEDRIVE",
            "HOMEPATH",
            "LOCALAPPDATA",
            "PATH",
            "PATHEXT",
            "PROCESSOR_ARCHITECTURE",
            "SYSTEMDRIVE",
            "SYSTEMROOT",
            "TEMP",
            "USERNAME",
            "USERPROFILE",
        ]
    } else {
        &[
            "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
        ]
    };

    /// Names the program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            inherited: BTreeSet::new(),
            directory: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child; its value is never shown.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Lets the child see a variable of this process.
    ///
    /// The variable is passed on if it is set when the child starts.
    #[must_use]
    pub fn inherit(mut self, name: impl Into<String>) -> Self {
        self.inherited.insert(name.into());
        self
    }

    /// Sets the child's working directory; this process's by default.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }
}

impl StreamableHttp {
    /// Names the address, such as `https://example.com/mcp`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            bearer_token: None,
            oauth: None,
            client: None,
        }
    }

    /// Adds a header to every request; its value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends a bearer token with every request.
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<Secret>) -> Self {
        self.bearer_token = Some(token.into());
        self
    }

    /// Uses the proxies, the certificates and the size limits of this client.
    ///
    /// Without one, there is no proxy, and the usual certificates are used.
    ///
    /// Its time-outs are not used: those of the server count.
    #[must_use]
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Gets a token by OAuth when the server asks for one.
    #[must_use]
    pub fn oauth(mut self, oauth: OAuth) -> Self {
        self.oauth = Some(oauth);
        self
    }
}

impl From<Stdio> for McpTransport {
    fn from(stdio: Stdio) -> Self {
        Self::Stdio(stdio)
    }
}

impl From<StreamableHttp> for McpTransport {
    fn from(http: StreamableHttp) -> Self {
        Self::Http(http)
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("program", &self.program)
            .field("n_arguments", &self.arguments.len())
            .field("environment", &self.environment.keys())
            .field("inherited", &self.inherited)
            .field("directory", &self.directory)
            .finish()
    }
}

impl fmt::Debug for StreamableHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("StreamableHttp")
            // Some servers take keys in the query.
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .field("headers", &names)
            .field("has_bearer_token", &self.bearer_token.is_some())
            .field("oauth", &self.oauth)
            .field("client", &self.client)
            .finish()
    }
}
