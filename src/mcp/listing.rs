//! Lists what a server has, page by page and within bounds; tools are cached while the list is valid.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{ListToolsResult, MetaObject, PaginatedRequestParams};
use rmcp::service::ServiceError;
use serde_json::Value;

use super::McpError;
use super::connection::Connection;
use super::deviations::{Difference, excerpt};
use super::normal::Raw;
use super::parse::{self, ListedTool, Named, Unusable};
use super::shared::{Shared, in_trace};
use super::tool;
use crate::future::BoxFuture;
use crate::secret::REDACTED;
use crate::tools::FunctionTool;

/// How many entries of a list are taken, and how many pages.
const MAX_ENTRIES: usize = 10_000;
const MAX_PAGES: usize = 1_000;
/// How much of a description is quoted.
const MAX_QUOTED_BYTES: usize = 100;

/// The tools of a server, as they were last listed.
#[derive(Debug, Default)]
pub(super) struct Listing(tokio::sync::Mutex<Option<CachedTools>>);

#[derive(Debug)]
struct CachedTools {
    tools: Arc<[FunctionTool]>,
    /// The count of changes when the list was asked for.
    as_of: u64,
    /// When the server wants to be asked again.
    expires: Option<Instant>,
}

impl Listing {
    /// Returns the tools, and asks the server for them only if they may have changed.
    pub(super) fn tools<'a>(
        &'a self,
        shared: &'a Arc<Shared>,
    ) -> BoxFuture<'a, Result<Arc<[FunctionTool]>, McpError>> {
        // As in `Shared::open`.
        Box::pin(self.fetch(shared))
    }

    async fn fetch(&self, shared: &Arc<Shared>) -> Result<Arc<[FunctionTool]>, McpError> {
        // One asks; others wait for what it gets.
        let mut listed = self.0.lock().await;
        let connection = shared.ready().await?;
        // Read before the list is asked for. A change that comes meanwhile makes the list old at
        // once, and it is asked for again.
        let as_of = shared.changes.of_tools();
        if let Some(known) = &*listed
            && shared.options.cache_tools
            && known.as_of == as_of
            && known.expires.is_none_or(|at| Instant::now() < at)
        {
            return Ok(Arc::clone(&known.tools));
        }
        let list = PagedList {
            method: "tools/list",
            what: "tools",
            key: "tools",
            entry: parse::tool,
        };
        // Of all pages the shortest.
        let pages = Mutex::new(Pages::default());
        let entries = list.all(shared, |connection, page| {
            let pages = &pages;
            async move {
                let page = connection.session.list_tools(page).await?;
                let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(pages.take(page))
            }
        });
        let entries = entries.await?;
        let pages = pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        let tools = offer(shared, entries, &pages)?;
        let session_tells = connection
            .session
            .peer_info()
            .is_some_and(|info| info.protocol_version.has_initialize());
        let expires = match pages.lifetime {
            // A session tells of changes, and one that does not is one whose tools stay.
            _ if session_tells => None,
            lifetime => Instant::now().checked_add(lifetime.unwrap_or_default()),
        };
        if let Some(known) = &*listed {
            note_changes(shared, &known.tools, &tools);
        }
        *listed = Some(CachedTools {
            tools: Arc::clone(&tools),
            as_of,
            expires,
        });
        Ok(tools)
    }
}

/// What the pages of a list say beside its entries.
#[derive(Debug, Default)]
struct Pages {
    /// How long the shortest is good for.
    lifetime: Option<Duration>,
    /// The tools that the transport can call: it refuses some whose arguments it cannot put into headers.
    callable: HashSet<String>,
}

impl Pages {
    fn take(&mut self, page: ListToolsResult) -> Option<MetaObject> {
        let new = Duration::from_millis(page.ttl_ms.unwrap_or_default());
        self.lifetime = Some(self.lifetime.map_or(new, |known| known.min(new)));
        let names = page.tools.iter().map(|tool| tool.name.to_string());
        self.callable.extend(names);
        page.meta
    }
}

/// Makes tools of those that the options ask for; one that cannot be offered is left out and listed.
fn offer(
    shared: &Arc<Shared>,
    entries: Vec<Result<Named<ListedTool>, Unusable>>,
    pages: &Pages,
) -> Result<Arc<[FunctionTool]>, McpError> {
    let options = &shared.options;
    let is_wanted = |name: &str| {
        let allowed = options.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(name)) && !options.blocked.contains(name)
    };
    let mut left_out = LeftOut {
        shared,
        tools: Vec::new(),
    };
    let (mut names, mut tools) = (HashSet::new(), Vec::new());
    for entry in entries {
        match entry {
            Err(unusable) => left_out.add("without a name", unusable),
            Ok(tool) if !is_wanted(&tool.name) => {}
            Ok(tool) if !names.insert(tool.name.clone()) => {
                left_out.note(&tool.name, "a tool before it has the same name");
            }
            Ok(tool) => match tool.it {
                Err(unusable) => left_out.add(&tool.name, unusable),
                Ok(_) if tool.name.contains(REDACTED) => {
                    left_out.add(&tool.name, "its name holds a secret".to_owned());
                }
                Ok(_) if !pages.callable.contains(&tool.name) => left_out.add(
                    &tool.name,
                    "the `x-mcp-header` in its `inputSchema` cannot be used".to_owned(),
                ),
                Ok(listed) => tools.push(listed),
            },
        }
    }
    // All names at once, because what one tool is called can depend on the others.
    let given = tool::names(&shared.name, options.prefix, &tools);
    let mut offered = Vec::new();
    for (tool, name) in tools.into_iter().zip(given) {
        let listed = tool.name.clone();
        match tool::offer(shared, tool, &name) {
            Ok(tool) => offered.push(tool),
            Err(reason) => left_out.add(&listed, reason),
        }
    }
    // Some tools are enough to go on with. None at all would look like a server that has none.
    if offered.is_empty() && !left_out.tools.is_empty() {
        return Err(McpError::NoUsableTool {
            server: shared.name.clone(),
            tools: left_out.tools,
        });
    }
    Ok(offered.into())
}

/// The tools that cannot be offered, and why.
struct LeftOut<'a> {
    shared: &'a Shared,
    tools: Vec<(String, String)>,
}

impl LeftOut<'_> {
    fn add(&mut self, tool: &str, reason: String) {
        self.note(tool, &reason);
        self.tools.push((tool.to_owned(), reason));
    }

    fn note(&self, tool: &str, reason: &str) {
        let detail = format!("tools/list: the tool `{tool}` is left out: {reason}");
        self.shared
            .deviations
            .note(Difference::LeftOut, &format!("tool {tool}"), &detail);
    }
}

/// Lists the tools that are not what they were: whoever approved of one saw another.
fn note_changes(shared: &Shared, before: &[FunctionTool], now: &[FunctionTool]) {
    for tool in now {
        let Some(known) = before.iter().find(|known| known.name() == tool.name()) else {
            continue;
        };
        let (old, new) = (known.spec(), tool.spec());
        let mut changes = Vec::new();
        if old.description != new.description {
            changes.push(format!(
                "its description was {:?} and is {:?}",
                excerpt(&old.description, MAX_QUOTED_BYTES),
                excerpt(&new.description, MAX_QUOTED_BYTES)
            ));
        }
        if old.parameters != new.parameters {
            changes.push("the schema of its arguments is another".to_owned());
        }
        if !changes.is_empty() {
            let name = tool.name();
            let detail = format!(
                "tools/list: the tool `{name}` changed while it was in use: {}",
                changes.join("; ")
            );
            shared
                .deviations
                .note(Difference::ToolChanged, &detail, &detail);
        }
    }
}

/// A list that a server gives page by page.
pub(super) struct PagedList<T> {
    pub(super) method: &'static str,
    /// What is listed, for messages.
    pub(super) what: &'static str,
    /// The field that holds the entries.
    pub(super) key: &'static str,
    /// What reads an entry.
    pub(super) entry: fn(&Raw, &Value, String) -> Result<T, Unusable>,
}

impl<T> PagedList<T> {
    /// Follows the pages to the end, within bounds; gives each entry, or what is wrong with it.
    pub(super) async fn all<F, R>(
        &self,
        shared: &Shared,
        fetch: F,
    ) -> Result<Vec<Result<T, Unusable>>, McpError>
    where
        F: Fn(Arc<Connection>, Option<PaginatedRequestParams>) -> R,
        R: Future<Output = Result<Option<MetaObject>, ServiceError>>,
    {
        let (mut entries, mut cursor) = (Vec::new(), None);
        let mut cursors = HashSet::new();
        for _ in 0..MAX_PAGES {
            let send = |connection| {
                let page = PaginatedRequestParams::default().with_cursor(cursor.clone());
                fetch(connection, Some(in_trace(page)))
            };
            let raw = Raw::of_result(shared.request(self.method, send).await?);
            let raw = raw.ok_or_else(|| shared.unexpected(self.method, "nothing".to_owned()))?;
            let page = parse::page(&raw, self.key, self.entry)
                .map_err(|unusable| shared.unusable(self.method, &unusable))?;
            entries.extend(page.entries);
            if entries.len() > MAX_ENTRIES {
                break;
            }
            let Some(next) = page.next else {
                return Ok(entries);
            };
            // A server that repeats a page would otherwise keep us until the bound.
            if !cursors.insert(next.clone()) {
                let found = format!("the page `{next}` again, so that the list has no end");
                return Err(shared.unexpected(self.method, found));
            }
            cursor = Some(next);
        }
        Err(McpError::ListTooLong {
            server: shared.name.clone(),
            what: self.what,
            max: MAX_ENTRIES,
        })
    }

    /// Follows the pages to the end; an entry that cannot be used is left out and listed.
    pub(super) async fn usable<F, R>(&self, shared: &Shared, fetch: F) -> Result<Vec<T>, McpError>
    where
        F: Fn(Arc<Connection>, Option<PaginatedRequestParams>) -> R,
        R: Future<Output = Result<Option<MetaObject>, ServiceError>>,
    {
        let mut usable = Vec::new();
        for entry in self.all(shared, fetch).await? {
            match entry {
                Ok(entry) => usable.push(entry),
                Err(unusable) => {
                    let detail = format!("{}: an entry is left out: {unusable}", self.method);
                    let place = format!("{} {unusable}", self.method);
                    shared.deviations.note(Difference::LeftOut, &place, &detail);
                }
            }
        }
        Ok(usable)
    }
}
