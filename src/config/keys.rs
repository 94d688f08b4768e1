//! The keys of the file's first level, and which keys hold texts.

use super::fields::Keys;

/// Keys whose value in a variable is the text as it is; any other is read as YAML.
const TEXTS: &[&str] = &[
    "api_key",
    "model",
    "base_url",
    "log_level",
    "plugins_path",
    "model_api",
    "provider_name",
    "state_key",
];

/// The same below the sections; `*` is any name.
const NESTED_TEXTS: &[&[&str]] = &[
    &["sessions", "url"],
    &["sessions", "encryption_key"],
    &["trace", "store"],
    &["trace", "otlp_url"],
    &["trace", "openai_url"],
    &["trace", "openai_key"],
    &["workspace", "root"],
    &["server", "bind"],
    &["server", "token"],
    &["realtime", "*"],
    &["voice", "*"],
    &["sqlite_query", "path"],
    &["openapi", "*", "document"],
    &["openapi", "*", "server"],
    &["openapi", "*", "bearer_token"],
    &["openapi", "*", "headers", "*"],
    &["mcp_servers", "*", "command"],
    &["mcp_servers", "*", "cwd"],
    &["mcp_servers", "*", "url"],
    &["mcp_servers", "*", "bearer_token"],
    &["mcp_servers", "*", "headers", "*"],
];

/// Keys that a double underscore reaches into.
pub(super) const SECTIONS: &[&str] = &[
    "dialect",
    "limits",
    "fetch_url",
    "mcp_servers",
    "openapi",
    "prices",
    "realtime",
    "server",
    "sessions",
    "sqlite_query",
    "timeouts",
    "trace",
    "voice",
    "workspace",
];

pub(super) const ROOT: Keys = Keys {
    known: &[
        "api_key",
        "model",
        "base_url",
        "log_level",
        "plugins_path",
        "model_api",
        "provider_name",
        "agents",
        "limits",
        "prices",
        "dialect",
        "max_concurrent_requests",
        "state_key",
        "sessions",
        "server",
        "timeouts",
        "realtime",
        "voice",
        "trace",
        "fetch_url",
        #[cfg(feature = "sqlite")]
        "sqlite_query",
        #[cfg(feature = "openapi")]
        "openapi",
        #[cfg(feature = "mcp-client")]
        "mcp_servers",
        #[cfg(all(feature = "workspace", unix))]
        "workspace",
        #[cfg(all(feature = "skills", unix))]
        "skills",
    ],
    unsupported: &[
        #[cfg(not(feature = "sqlite"))]
        "sqlite_query",
        #[cfg(not(feature = "openapi"))]
        "openapi",
        #[cfg(not(feature = "mcp-client"))]
        "mcp_servers",
        #[cfg(not(all(feature = "workspace", unix)))]
        "workspace",
        #[cfg(not(all(feature = "skills", unix)))]
        "skills",
    ],
};

/// Whether the value of a variable for this key is the text as it is.
pub(super) fn is_text(path: &[&str]) -> bool {
    let is_below_section = NESTED_TEXTS.iter().any(|keys| {
        let mut pairs = keys.iter().zip(path);
        keys.len() == path.len() && pairs.all(|(key, part)| *key == "*" || key == part)
    });
    is_below_section || path.first().is_some_and(|first| TEXTS.contains(first))
}
