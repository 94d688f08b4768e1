//! The tool `fetch_url`: reads a page of the public internet, within bounds.

mod html;
mod redirect;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use self::redirect::redirected;
use super::constant::always_valid;
use super::{FunctionTool, ToolContext, ToolFailure, ToolOptions};
use crate::http::{Headers, HttpClient, HttpError, HttpMethod, HttpResponse, Url};

const DESCRIPTION: &str = "Reads a page of the web: GET of an http or https URL. Gives the status, the URL that redirects led to, the type, \
    and the text; of HTML the visible text and where links lead. Text only, and long pages are cut.";

/// Servers that answer nothing to programs without a name are many.
const USER_AGENT: &str = concat!("openai-agents/", env!("CARGO_PKG_VERSION"));
const ACCEPT: &str =
    "text/html,text/plain,text/markdown,application/json,application/xml;q=0.9,*/*;q=0.1";

/// Sets what `fetch_url` may reach and how much it reads.
///
/// ```
/// use openai_agents::tools::fetch_url::{FetchOptions, fetch_url};
///
/// let tool = fetch_url(FetchOptions::default().only_hosts(["docs.rs"]))?;
/// assert_eq!(tool.name().as_str(), "fetch_url");
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchOptions {
    /// How long all of it may take, redirects among it; 30 seconds by default.
    pub timeout: Duration,
    /// How much of a body is read; 2 MiB by default.
    pub max_body_bytes: usize,
    /// How much text the model is given; 64 KiB by default.
    pub max_text_bytes: usize,
    /// How many redirects are followed; 5 by default.
    pub max_redirects: usize,
    /// The hosts that may be asked, and those below them; all by default.
    pub only_hosts: Option<Vec<String>>,
    /// Hosts whose addresses may be private ones; none by default.
    pub private_hosts: Vec<String>,
}

impl FetchOptions {
    /// Sets how long all of it may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much of a body is read.
    #[must_use]
    pub const fn max_body_bytes(mut self, max_body_bytes: usize) -> Self {
        self.max_body_bytes = max_body_bytes;
        self
    }

    /// Sets how much text the model is given.
    #[must_use]
    pub const fn max_text_bytes(mut self, max_text_bytes: usize) -> Self {
        self.max_text_bytes = max_text_bytes;
        self
    }

    /// Sets how many redirects are followed.
    #[must_use]
    pub const fn max_redirects(mut self, max_redirects: usize) -> Self {
        self.max_redirects = max_redirects;
        self
    }

    /// Lets these hosts be asked and no others.
    ///
    /// A host stands for those below it, too.
    #[must_use]
    pub fn only_hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.only_hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Lets a host be asked whose address is a private one.
    ///
    /// It is an address of this machine, or of a network of its own.
    #[must_use]
    pub fn private_host(mut self, host: impl Into<String>) -> Self {
        self.private_hosts.push(host.into());
        self
    }
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_body_bytes: 2 * 1024 * 1024,
            max_text_bytes: 64 * 1024,
            max_redirects: 5,
            only_hosts: None,
            private_hosts: Vec::new(),
        }
    }
}

/// Says why `fetch_url` has no page to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The request failed, or its address may not be connected to.
    #[error("the page cannot be read")]
    Http {
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The host is not among those that may be asked.
    #[error("`{host}` may not be asked; these hosts may: {}", allowed.join(", "))]
    Host {
        /// The host and its port.
        host: String,
        /// Those that may.
        allowed: Vec<String>,
    },
    /// A redirect does not say where to.
    #[error("`{url}` redirects without saying where to")]
    NoLocation {
        /// The page.
        url: String,
    },
    /// There are too many redirects.
    #[error("there are more than {max} redirects; the last one leads to `{url}`")]
    Redirects {
        /// How many are followed.
        max: usize,
        /// Where the last one leads.
        url: String,
    },
    /// What is there is no text.
    #[error("`{url}` is {content_type}, and only text can be read")]
    NotText {
        /// The page.
        url: String,
        /// Its type.
        content_type: String,
    },
}

/// Makes the tool `fetch_url`.
///
/// Proxies are not used, because a proxy would look up the names itself, and no address could be checked.
///
/// # Errors
///
/// [`HttpError`] if the client cannot be set up.
pub fn fetch_url(options: FetchOptions) -> Result<FunctionTool, HttpError> {
    let client = HttpClient::builder()
        .public_addresses(&options.private_hosts)
        .build()?;
    let tool_options = ToolOptions::default()
        .timeout(options.timeout)
        // The text is cut by the options; what is left out of it is said, and not an error.
        .max_output_bytes(usize::MAX)
        .failure(ToolFailure::TellModelDetail)
        .idempotent();
    let fetch = Arc::new(Fetch { client, options });
    Ok(always_valid(FunctionTool::with_options(
        "fetch_url",
        DESCRIPTION,
        tool_options,
        move |_: ToolContext, FetchArguments { url }| {
            let fetch = Arc::clone(&fetch);
            async move { fetch.page(&url).await }
        },
    )))
}

#[derive(Deserialize, JsonSchema)]
struct FetchArguments {
    /// The URL, beginning with http:// or https://.
    url: String,
}

struct Fetch {
    client: HttpClient,
    options: FetchOptions,
}

impl Fetch {
    async fn page(&self, url: &str) -> Result<String, FetchError> {
        let failed = |source| FetchError::Http { source };
        // A browser keeps the fragment to itself.
        let without_fragment = url.split('#').next().unwrap_or_default().trim();
        let mut url = Url::parse(without_fragment).map_err(failed)?;
        let mut headers = Headers::new();
        headers.insert("accept", ACCEPT).map_err(failed)?;
        headers.insert("user-agent", USER_AGENT).map_err(failed)?;
        for _ in 0..=self.options.max_redirects {
            // For each step anew: a host that may be asked can redirect to one that may not. The
            // client checks addresses in the same way.
            self.check_host(&url)?;
            let request = self
                .client
                .send_by(HttpMethod::Get, &url, (&headers, Bytes::new()));
            let response = request.await.map_err(failed)?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return self.read(&url, response).await;
            }
            let location = response.headers.get("location");
            let location = location.ok_or_else(|| FetchError::NoLocation {
                url: url.to_string(),
            })?;
            url = redirected(&url, location).map_err(failed)?;
        }
        Err(FetchError::Redirects {
            max: self.options.max_redirects,
            url: url.to_string(),
        })
    }

    fn check_host(&self, url: &Url) -> Result<(), FetchError> {
        let Some(allowed) = &self.options.only_hosts else {
            return Ok(());
        };
        let (host, _) = url.host_port().rsplit_once(':').unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let is_allowed = |allowed: &String| {
            let above = host.strip_suffix(&allowed.to_ascii_lowercase());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if allowed.iter().any(is_allowed) {
            return Ok(());
        }
        Err(FetchError::Host {
            host,
            allowed: allowed.clone(),
        })
    }

    async fn read(&self, url: &Url, mut response: HttpResponse) -> Result<String, FetchError> {
        let content_type = response.headers.get("content-type").unwrap_or("text/plain");
        let (media_type, charset) = parse_content_type(content_type);
        if !is_text(&media_type) {
            return Err(FetchError::NotText {
                url: url.to_string(),
                content_type: media_type,
            });
        }
        let mut body = Vec::new();
        let mut is_whole = true;
        while let Some(chunk) = response.body.next_chunk().await {
            let chunk = chunk.map_err(|source| FetchError::Http { source })?;
            let n_free = self.options.max_body_bytes - body.len();
            body.extend_from_slice(chunk.get(..n_free).unwrap_or(&chunk));
            if chunk.len() > n_free {
                is_whole = false;
                break;
            }
        }
        let text = decode(&body, &charset);
        let text = if matches!(media_type.as_str(), "text/html" | "application/xhtml+xml") {
            html::text(&text)
        } else {
            text
        };
        let status = response.status;
        let page = format!("{status} {url} {media_type}\n\n{}", text.trim_end());
        Ok(self.cut(page, is_whole))
    }

    fn cut(&self, mut page: String, is_whole: bool) -> String {
        let n_bytes = page.len();
        let max_bytes = self.options.max_text_bytes.min(n_bytes);
        let mut ends = (0..=max_bytes).rev();
        let end = ends.find(|end| page.is_char_boundary(*end)).unwrap_or(0);
        page.truncate(end);
        if end < n_bytes || !is_whole {
            page.push_str("\n[the rest is left out]");
        }
        page
    }
}

/// The media type and the character set, both in small letters.
fn parse_content_type(text: &str) -> (String, String) {
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| {
        let charset = part.strip_prefix("charset=")?;
        Some(charset.trim_matches('"').to_owned())
    });
    (media_type, charset.unwrap_or_default())
}

fn is_text(media_type: &str) -> bool {
    let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
    let is_text_like = |subtype: &str| {
        matches!(
            subtype,
            "json"
                | "xml"
                | "javascript"
                | "yaml"
                | "x-yaml"
                | "toml"
                | "x-ndjson"
                | "sql"
                | "x-sh"
        ) || subtype.ends_with("+json")
            || subtype.ends_with("+xml")
    };
    kind == "text" || kind == "application" && is_text_like(subtype)
}

/// Latin letters of one byte are what is left of other character sets; what is wrong in UTF-8 is shown as such.
fn decode(body: &[u8], charset: &str) -> String {
    match charset {
        "iso-8859-1" | "latin1" | "windows-1252" => body.iter().copied().map(char::from).collect(),
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}
