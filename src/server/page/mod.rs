//! The page at `/`: an index, a style sheet and ES modules that are part of the program.
//!
//! The page loads nothing from elsewhere and needs no build step. It is the only thing that is given without a token, beside `/healthz`: it
//! holds nothing that is not in the source of this project, and it has to be there to ask for the token.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, Response};
use axum::routing::get;

use super::error::ApiError;
use super::{AppState, reply};

/// Scripts and styles of this server alone, and no script in the text of the page: what a model or a tool says cannot become one.
/// Pictures may also be those of a conversation, which come as `data:` URLs; a picture at a foreign address would tell that address who reads.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; \
     media-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const INDEX: &str = include_str!("index.html");
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Whether the page is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageUse {
    Without,
    With,
}

/// A file of the page: its name, its type, and what it says.
type PageFile = (&'static str, &'static str, &'static str);

macro_rules! files {
    ($($kind:ident $name:literal,)+) => {
        [$(($name, $kind, include_str!($name)),)+]
    };
}

const FILES: &[PageFile] = &files![
    CSS "style.css",
    SCRIPT "main.js",
    SCRIPT "api.js",
    SCRIPT "dom.js",
    SCRIPT "format.js",
    SCRIPT "events.js",
    SCRIPT "thread.js",
    SCRIPT "value.js",
    SCRIPT "chat.js",
    SCRIPT "composer.js",
    SCRIPT "speech.js",
    SCRIPT "speech-worklet.js",
    SCRIPT "approve.js",
    SCRIPT "markdown.js",
    SCRIPT "sessions.js",
    SCRIPT "agents.js",
    SCRIPT "copy.js",
    SCRIPT "notices.js",
    SCRIPT "keys.js",
    SCRIPT "spans.js",
    SCRIPT "traces.js",
    SCRIPT "waterfall.js",
    SCRIPT "span.js",
    SCRIPT "compare.js",
    SCRIPT "transfer.js",
];

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route(
            "/",
            get(async || with_policy(reply::text(200, HTML, INDEX))),
        )
        .route(
            "/page/{file}",
            get(async |Path(name): Path<String>| file(&name)),
        )
}

/// Whether a request is for a file of the page, which needs no token.
pub(super) fn is_file(app: &AppState, method: &Method, path: &str) -> bool {
    let is_named = path == "/" || path.starts_with("/page/");
    app.page == PageUse::With && *method == Method::GET && is_named
}

fn file(name: &str) -> Response<Body> {
    let found = FILES.iter().find(|(own, ..)| *own == name);
    let Some((_, content_type, text)) = found else {
        let message = format!("the page has no file `{name}`");
        return ApiError::new(404, "not_found", message).into_response();
    };
    with_policy(reply::text(200, content_type, *text))
}

fn with_policy(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Another version of the program may have other files.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
