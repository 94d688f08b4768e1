//! Reads the sections `fetch_url`, `sqlite_query` and `openapi`: tools that reach outside the
//! program.

use std::time::Duration;

use super::error::ConfigError;
use super::fields::{Fields, Keys};
use super::loader::Loader;
use super::origin::Origin;
#[cfg(feature = "openapi")]
use super::tree::{TreeNode, Value};
use crate::future::BoxError;
use crate::tools::fetch_url::{FetchOptions, fetch_url};
#[cfg(feature = "sqlite")]
use crate::tools::sqlite_query::{SqliteQueryOptions, sqlite_query};
use crate::tools::{FunctionTool, ToolRegistry};
#[cfg(feature = "openapi")]
use crate::{
    secret::RedactorBuilder,
    tools::openapi::{MAX_DOCUMENT_BYTES, OpenApiOptions, openapi_tools},
};

const FETCH: Keys = Keys {
    known: &[
        "timeout_secs",
        "max_body_bytes",
        "max_text_bytes",
        "max_redirects",
        "only_hosts",
        "private_hosts",
    ],
    unsupported: &[],
};

#[cfg(feature = "sqlite")]
const SQLITE: Keys = Keys {
    known: &["path", "timeout_secs", "max_rows", "max_bytes"],
    unsupported: &[],
};

#[cfg(feature = "openapi")]
const OPENAPI: Keys = Keys {
    known: &[
        "document",
        "server",
        "only",
        "prefix",
        "approval",
        "timeout_secs",
        "max_answer_bytes",
        "headers",
        "bearer_token",
    ],
    unsupported: &[],
};

/// The tools that exist because the file has a section for them.
#[derive(Debug, Clone, Default)]
pub(super) struct OutsideTools(Vec<OutsideTool>);

/// A tool and the section that it comes from.
#[derive(Debug, Clone)]
struct OutsideTool {
    tool: FunctionTool,
    asks: Asks,
    key: String,
    origin: Origin,
}

/// Whether calls wait for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Always,
    Never,
}

impl OutsideTools {
    /// Adds the tools; refuses one whose name is taken.
    pub(super) fn register_in(&self, tools: &mut ToolRegistry) -> Result<(), ConfigError> {
        for OutsideTool {
            tool, key, origin, ..
        } in &self.0
        {
            if tools.get(tool.name()).is_some() {
                let taken = format!("another tool has the name `{}`; set `prefix`", tool.name());
                return Err(unusable(key, origin.clone(), taken));
            }
            let registered = tools.register(tool.clone());
            registered.map_err(|error| unusable(key, origin.clone(), error))?;
        }
        Ok(())
    }

    /// Returns the section that a tool comes from, and where it is.
    pub(super) fn section(&self, name: &str) -> Option<(&str, &Origin)> {
        let mut tools = self.0.iter();
        let outside = tools.find(|outside| &**outside.tool.name() == name)?;
        Some((&outside.key, &outside.origin))
    }

    /// Whether calls of a tool wait for approval, if it is one of these.
    pub(super) fn asks(&self, name: &str) -> bool {
        let mut tools = self.0.iter();
        tools.any(|outside| &**outside.tool.name() == name && outside.asks == Asks::Always)
    }
}

pub(super) fn outside_tools(
    root: &mut Fields<'_>,
    loader: &Loader,
) -> Result<OutsideTools, ConfigError> {
    let mut found = OutsideTools::default();
    found.0.extend(fetch(root)?);
    #[cfg(feature = "sqlite")]
    found.0.extend(sqlite(root, loader)?);
    #[cfg(feature = "openapi")]
    openapi(root, loader, &mut found)?;
    #[cfg(not(any(feature = "sqlite", feature = "openapi")))]
    let _: &Loader = loader;
    Ok(found)
}

/// Converts a limit. One beyond `usize` cannot be reached, so it bounds nothing.
fn whole(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn fetch(root: &mut Fields<'_>) -> Result<Option<OutsideTool>, ConfigError> {
    const KEY: &str = "fetch_url";
    let Some(node) = root.take(KEY) else {
        return Ok(None);
    };
    let origin = node.origin.clone();
    let mut fields = Fields::new(KEY, node, FETCH, root.settings())?;
    let mut options = FetchOptions::default();
    if let Some(seconds) = fields.count("timeout_secs")? {
        options = options.timeout(Duration::from_secs(seconds));
    }
    if let Some(n) = fields.count("max_body_bytes")? {
        options = options.max_body_bytes(whole(n));
    }
    if let Some(n) = fields.count("max_text_bytes")? {
        options = options.max_text_bytes(whole(n));
    }
    if let Some(n) = fields.count("max_redirects")? {
        options = options.max_redirects(whole(n));
    }
    if let Some(hosts) = fields.texts("only_hosts")? {
        options = options.only_hosts(hosts);
    }
    for host in fields.texts("private_hosts")?.unwrap_or_default() {
        options = options.private_host(host);
    }
    match fetch_url(options) {
        Ok(tool) => Ok(Some(reading(tool, KEY, origin))),
        Err(error) => Err(unusable(KEY, origin, error)),
    }
}

/// Makes an entry for a tool that changes nothing, so that no approval is needed.
fn reading(tool: FunctionTool, key: &str, origin: Origin) -> OutsideTool {
    OutsideTool {
        tool,
        asks: Asks::Never,
        key: key.to_owned(),
        origin,
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(root: &mut Fields<'_>, loader: &Loader) -> Result<Option<OutsideTool>, ConfigError> {
    const KEY: &str = "sqlite_query";
    let Some(node) = root.take(KEY) else {
        return Ok(None);
    };
    let origin = node.origin.clone();
    let mut fields = Fields::new(KEY, node, SQLITE, root.settings())?;
    let Some((text, path_origin)) = fields.text_and_origin("path")? else {
        let expected = "set, to the database that is read";
        return Err(fields.invalid("path", expected, origin));
    };
    let path = loader.path_of(&fields.path_of("path"), &text, &path_origin)?;
    // SQLite would report a missing file at the first query only, in the middle of a run.
    if !path.is_file() {
        return Err(fields.invalid("path", "a file that is there", path_origin));
    }
    fields.list("path", text, &path_origin);
    let mut options = SqliteQueryOptions::default();
    if let Some(seconds) = fields.count("timeout_secs")? {
        options = options.timeout(Duration::from_secs(seconds));
    }
    if let Some(n) = fields.count("max_rows")? {
        options = options.max_rows(whole(n));
    }
    if let Some(n) = fields.count("max_bytes")? {
        options = options.max_bytes(whole(n));
    }
    Ok(Some(reading(sqlite_query(path, options), KEY, origin)))
}

#[cfg(feature = "openapi")]
fn openapi(
    root: &mut Fields<'_>,
    loader: &Loader,
    found: &mut OutsideTools,
) -> Result<(), ConfigError> {
    const KEY: &str = "openapi";
    const EXPECTED: &str = "a map from names to documents, each with `document` and `server`";
    let Some(TreeNode { value, origin }) = root.take(KEY) else {
        return Ok(());
    };
    let Value::Map(entries) = value else {
        return Err(root.invalid(KEY, EXPECTED, origin));
    };
    for entry in entries {
        let path = format!("{KEY}.{}", entry.key);
        let origin = entry.origin.clone();
        let mut fields = Fields::new(&path, entry.node, OPENAPI, root.settings())?;
        let tools = document_tools(&mut fields, loader, &origin)?;
        let tools = tools.into_iter().map(|(tool, asks)| OutsideTool {
            tool,
            asks,
            key: path.clone(),
            origin: origin.clone(),
        });
        found.0.extend(tools);
    }
    Ok(())
}

#[cfg(feature = "openapi")]
fn document_tools(
    fields: &mut Fields<'_>,
    loader: &Loader,
    origin: &Origin,
) -> Result<Vec<(FunctionTool, Asks)>, ConfigError> {
    let Some((text, path_origin)) = fields.text_and_origin("document")? else {
        return Err(fields.invalid("document", "set, to a file", origin.clone()));
    };
    let key = fields.path_of("document");
    let path = loader.path_of(&key, &text, &path_origin)?;
    fields.list("document", text, &path_origin);
    let document = crate::file::read_text(&path, MAX_DOCUMENT_BYTES as u64)
        .map_err(|error| unusable(&key, path_origin.clone(), error))?;
    let Some((server, server_origin)) = fields.text_and_origin("server")? else {
        return Err(fields.invalid("server", "set, to the URL of the API", origin.clone()));
    };
    // A URL may hold a password or, in its query, a key: messages must not show it, and neither must
    // the list of settings, which gets the URL without its query.
    fields
        .settings()
        .keep_secret(|secrets| secrets.url(&server));
    let mut options = OpenApiOptions::new(&server)
        .map_err(|error| unusable(&fields.path_of("server"), server_origin.clone(), error))?;
    let shown = server.split('?').next().unwrap_or_default().to_owned();
    fields.list("server", shown, &server_origin);
    if let Some(names) = fields.texts("only")? {
        options = options.only(names);
    }
    if let Some(prefix) = fields.text("prefix")? {
        options = options.prefix(prefix);
    }
    if let Some(seconds) = fields.count("timeout_secs")? {
        options = options.timeout(Duration::from_secs(seconds));
    }
    if let Some(n) = fields.count("max_answer_bytes")? {
        options = options.max_answer_bytes(whole(n));
    }
    let header_origin = fields.origin_of("headers");
    for (name, value) in fields.secrets("headers", of_header)? {
        let set = options.header(&name, &value);
        options = set
            .map_err(|error| unusable(&fields.path_of("headers"), header_origin.clone(), error))?;
    }
    let token_origin = fields.origin_of("bearer_token");
    if let Some(token) = fields.secret("bearer_token")? {
        let set = options.bearer_token(&token);
        options =
            set.map_err(|error| unusable(&fields.path_of("bearer_token"), token_origin, error))?;
    }
    let approval = approval(fields)?;
    let tools =
        openapi_tools(&document, options).map_err(|error| unusable(&key, path_origin, error))?;
    Ok(tools.into_iter().map(|tool| with(tool, approval)).collect())
}

#[cfg(feature = "openapi")]
fn of_header(
    secrets: RedactorBuilder,
    _name: &str,
    value: &crate::secret::Secret,
) -> RedactorBuilder {
    secrets.header(value)
}

/// Reads `approval`. Without it, calls that may change something wait.
#[cfg(feature = "openapi")]
fn approval(fields: &mut Fields<'_>) -> Result<Option<Asks>, ConfigError> {
    const KEY: &str = "approval";
    let Some((text, origin)) = fields.text_and_origin(KEY)? else {
        return Ok(None);
    };
    let asks = match text.as_str() {
        "always" => Asks::Always,
        "never" => Asks::Never,
        _ => return Err(fields.invalid(KEY, "`always` or `never`", origin)),
    };
    fields.list(KEY, text, &origin);
    Ok(Some(asks))
}

#[cfg(feature = "openapi")]
fn with(tool: FunctionTool, approval: Option<Asks>) -> (FunctionTool, Asks) {
    match approval {
        Some(Asks::Always) => (tool.needs_approval(), Asks::Always),
        Some(Asks::Never) => (tool.needs_approval_if(|_, _| false), Asks::Never),
        // Only a tool whose operation reads is marked as idempotent; every other one waits.
        None if tool.options().is_idempotent => (tool, Asks::Never),
        None => (tool, Asks::Always),
    }
}

fn unusable(key: &str, origin: Origin, source: impl Into<BoxError>) -> ConfigError {
    ConfigError::OutsideTool {
        key: key.to_owned(),
        origin,
        source: source.into(),
    }
}
