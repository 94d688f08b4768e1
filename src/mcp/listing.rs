//! What a server lists: page by page, within bounds, and for tools as long as the list is good.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{PaginatedRequestParams, Tool};
use rmcp::service::ServiceError;

use super::McpError;
use super::connection::Connection;
use super::shared::Shared;
use super::tool;
use crate::tools::FunctionTool;

/// How many entries of a list are taken, and how many pages.
const MAX_ENTRIES: usize = 10_000;
const MAX_PAGES: usize = 1_000;

/// The tools of a server, as they were last listed.
#[derive(Debug, Default)]
pub(super) struct Listing(tokio::sync::Mutex<Option<Listed>>);

#[derive(Debug)]
struct Listed {
    tools: Arc<[FunctionTool]>,
    /// The count of changes when the list was asked for.
    as_of: u64,
    /// When the server wants to be asked again.
    expires: Option<Instant>,
}

impl Listing {
    /// Gives the tools, and asks the server for them only if they may have changed.
    pub(super) async fn tools(
        &self,
        shared: &Arc<Shared>,
    ) -> Result<Arc<[FunctionTool]>, McpError> {
        // One asks; others wait for what it gets.
        let mut listed = self.0.lock().await;
        let connection = shared.connection()?;
        let as_of = shared.changes.of_tools();
        if let Some(known) = &*listed
            && shared.options.cache_tools
            && known.as_of == as_of
            && known.expires.is_none_or(|at| Instant::now() < at)
        {
            return Ok(Arc::clone(&known.tools));
        }
        let list = List {
            method: "tools/list",
            what: "tools",
        };
        // Of all pages the shortest.
        let lifetime = Mutex::new(None);
        let tools = list.all(shared, |connection, page| {
            let lifetime = &lifetime;
            async move {
                let page = connection.session.list_tools(page).await?;
                let mut shortest = lifetime.lock().unwrap_or_else(PoisonError::into_inner);
                *shortest = Some(shorter(*shortest, page.ttl_ms));
                Ok((page.tools, page.next_cursor))
            }
        });
        let tools = tools.await?;
        let tools = offer(shared, tools)?;
        let session_tells = connection
            .session
            .peer_info()
            .is_some_and(|info| info.protocol_version.has_initialize());
        let expires = match lifetime {
            // A session tells of changes, and one that does not is one whose tools stay.
            _ if session_tells => None,
            _ => Instant::now().checked_add(
                lifetime
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .unwrap_or_default(),
            ),
        };
        *listed = Some(Listed {
            tools: Arc::clone(&tools),
            as_of,
            expires,
        });
        Ok(tools)
    }
}

fn shorter(known: Option<Duration>, ttl_ms: Option<u64>) -> Duration {
    let new = Duration::from_millis(ttl_ms.unwrap_or_default());
    known.map_or(new, |known| known.min(new))
}

fn offer(shared: &Arc<Shared>, tools: Vec<Tool>) -> Result<Arc<[FunctionTool]>, McpError> {
    let options = &shared.options;
    let is_offered = |tool: &Tool| {
        let name = &*tool.name;
        options
            .allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(name))
            && !options.blocked.contains(name)
    };
    let tools: Vec<_> = tools.into_iter().filter(is_offered).collect();
    let names = tool::names(&shared.name, options.prefix, &tools);
    let offered = tools.into_iter().zip(names);
    offered
        .map(|(tool, name)| tool::offer(shared, tool, &name))
        .collect()
}

/// A list that a server gives page by page.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) method: &'static str,
    /// What is listed, for messages.
    pub(super) what: &'static str,
}

/// A page and where the next one is.
type Page<T> = Result<(Vec<T>, Option<String>), ServiceError>;

impl List {
    /// Follows the pages to the end, within bounds.
    pub(super) async fn all<T, F, R>(self, shared: &Shared, fetch: F) -> Result<Vec<T>, McpError>
    where
        F: Fn(Arc<Connection>, Option<PaginatedRequestParams>) -> R,
        R: Future<Output = Page<T>>,
    {
        let (mut entries, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let send = |connection| {
                let page = PaginatedRequestParams::default().with_cursor(cursor.clone());
                fetch(connection, Some(page))
            };
            let (page, next) = shared.request(self.method, send).await?;
            entries.extend(page);
            if entries.len() > MAX_ENTRIES {
                break;
            }
            if next.is_none() {
                return Ok(entries);
            }
            if next == cursor {
                return Err(McpError::Unexpected {
                    server: shared.name.clone(),
                    method: self.method,
                    found: "the same page as the next".to_owned(),
                });
            }
            cursor = next;
        }
        Err(McpError::ListTooLong {
            server: shared.name.clone(),
            what: self.what,
            max: MAX_ENTRIES,
        })
    }
}
