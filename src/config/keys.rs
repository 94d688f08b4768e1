//! Lists the keys of the top level of the file, and the keys whose values are text.

use super::fields::Keys;

/// Top-level keys whose variables are taken as text; the variables of all others are read as YAML.
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

/// The same for keys inside sections. `*` stands for any name.
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

/// Sections whose keys variables can set, by a double underscore. Lists, such as `agents`, are not
/// among them.
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
    // The key is part of the format in every build, so that a file for a build with the feature
    // fails with its name and not as a misspelling.
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

/// Says whether the variable for this key is taken as text.
pub(super) fn is_text(path: &[&str]) -> bool {
    let is_below_section = NESTED_TEXTS.iter().any(|keys| {
        let mut pairs = keys.iter().zip(path);
        keys.len() == path.len() && pairs.all(|(key, part)| *key == "*" || key == part)
    });
    is_below_section || path.first().is_some_and(|first| TEXTS.contains(first))
}
