//! `openai-agents sessions`.

use std::borrow::Cow;
use std::io::{self, Write};

use anyhow::Result;
use clap::{Args, Subcommand};
use openai_agents::ErrorKind;
use openai_agents::Item;
use openai_agents::config::Config;
use openai_agents::session::{BranchName, ForkPoint, SessionBranch, SessionId, SessionSummary};
use serde_json::json;

use super::block_on;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Gone;
use crate::output::quiet_on_broken_pipe;
use crate::sanitize::{json_line, one_line};
use crate::store::Store;
use crate::{logging, transcript};

/// List, show, clear and fork the conversations that `run --session` keeps
///
/// They lie where `sessions.url` of the configuration says, by default in ~/.local/share/openai_agents/sessions.db, a SQLite file that
/// the Python Agents SDK reads and continues too.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the sessions, the latest written to first (SQLite only).
    List {
        /// Print each as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a conversation, and which branches it has.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print the items as lines of JSON, as they are stored.
        #[arg(long)]
        json: bool,
        /// Show this many of the latest items only.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Delete a conversation with all its branches, or one branch of it.
    Clear {
        #[command(flatten)]
        which: Which,
    },
    /// Make a branch, which `run --session ID --branch NAME` continues (SQLite only).
    Fork {
        /// The session.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        /// The name of the new branch.
        #[arg(long, value_name = "NAME")]
        branch: String,
        /// Fork this branch; otherwise main.
        #[arg(long, value_name = "NAME", default_value = "main")]
        from: String,
        /// Begin the branch with what was there before the user's Nth message; otherwise with everything.
        #[arg(long, value_name = "N")]
        before_turn: Option<usize>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The session.
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
    /// A branch of it; otherwise main.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    block_on(act(&config, &arguments.action))??;
    Ok(Exit::Done)
}

async fn act(config: &Config, action: &Action) -> Result<()> {
    match action {
        Action::List { json } => list(config, *json).await,
        Action::Show { which, json, limit } => show(config, which, *json, *limit).await,
        Action::Clear { which } => clear(config, which).await,
        Action::Fork {
            id,
            branch,
            from,
            before_turn,
        } => {
            let id = SessionId::new(id)?;
            let at = before_turn.map_or(ForkPoint::End, ForkPoint::BeforeTurn);
            let store = Store::open(config).await?;
            let session = store.branch(&id, from).await?;
            if store.sqlite("branches")?.find(&id).await?.is_none() {
                return Err(gone(&id, &store).into());
            }
            session.fork(branch.as_str(), at).await?;
            Ok(())
        }
    }
}

async fn list(config: &Config, json: bool) -> Result<()> {
    let sessions = match Store::open_to_read(config).await? {
        Some(store) => store.sqlite("list of sessions")?.list(None).await?,
        None => Vec::new(),
    };
    let mut out = io::stdout().lock();
    quiet_on_broken_pipe(write_list(&mut out, &sessions, json))
}

fn write_list(out: &mut impl Write, sessions: &[SessionSummary], json: bool) -> io::Result<()> {
    let width = sessions
        .iter()
        .map(|it| one_line(it.id.as_str()).chars().count());
    let width = width.max().unwrap_or(0).min(40);
    for session in sessions {
        if json {
            let line = json!({
                "type": "session",
                "id": session.id.as_str(),
                "items": session.n_items,
                "created_at": session.created_at,
                "updated_at": session.updated_at,
            });
            writeln!(out, "{}", json_line(&line))?;
        } else {
            let (id, updated) = (one_line(session.id.as_str()), one_line(&session.updated_at));
            writeln!(
                out,
                "{id:width$}  {updated} UTC  {}",
                items(session.n_items)
            )?;
        }
    }
    out.flush()
}

async fn show(config: &Config, which: &Which, json: bool, limit: Option<usize>) -> Result<()> {
    let id = SessionId::new(&which.id)?;
    let Some(store) = Store::open_to_read(config).await? else {
        let store = config.sessions().store.as_ref();
        let store = store.map_or_else(String::new, ToString::to_string);
        return Err(Gone::new(&id, &store).into());
    };
    let session = store.session(&id, which.branch.as_deref()).await?;
    let read = session.items(limit).await?;
    if read.items.is_empty() && which.branch.is_none() {
        return Err(gone(&id, &store).into());
    }
    // The turns are counted from the beginning, which a limit cuts off.
    let n_before = if limit.is_some() {
        let all = session.items(None).await?.items;
        let n_cut = all.len().saturating_sub(read.items.len());
        let cut = all.iter().take(n_cut);
        cut.filter(|item| is_of_user(item)).count()
    } else {
        0
    };
    let branches = match store.sqlite("branches") {
        Ok(sessions) if !json => sessions.session(id).branches().await?,
        _ => Vec::new(),
    };
    let mut out = io::stdout().lock();
    quiet_on_broken_pipe(if json {
        write_json(&mut out, &read.items)
    } else {
        transcript::write(&mut out, &read.items, n_before)
            .and_then(|()| write_branches(&mut out, &branches))
    })
}

fn is_of_user(item: &Item) -> bool {
    use openai_agents::item::{ItemKind, Role};
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User)
}

fn write_branches(out: &mut impl Write, branches: &[SessionBranch]) -> io::Result<()> {
    for branch in branches
        .iter()
        .filter(|branch| branch.name != BranchName::main())
    {
        let name = one_line(branch.name.as_str());
        writeln!(
            out,
            "[branch {name}: {}, {} of them from {}]",
            items(branch.n_items),
            branch.n_forked,
            branch
                .parent
                .as_ref()
                .map_or(Cow::Borrowed("main"), |parent| one_line(parent.as_str())
                    .into()),
        )?;
    }
    out.flush()
}

fn write_json(out: &mut impl Write, items: &[Item]) -> io::Result<()> {
    for item in items {
        let json = item.to_json();
        // What has no control character is one line as it is, and stays as it is.
        match serde_json::from_str(json) {
            Ok(value) if json.contains(char::is_control) => {
                writeln!(out, "{}", json_line(&value))?;
            }
            _ => writeln!(out, "{json}")?,
        }
    }
    out.flush()
}

async fn clear(config: &Config, which: &Which) -> Result<()> {
    let id = SessionId::new(&which.id)?;
    let store = Store::open(config).await?;
    match which.branch.as_deref() {
        Some(branch) if branch != BranchName::main().as_str() => {
            let session = store.branch(&id, branch).await?;
            session.delete_branch(branch).await?;
        }
        _ => {
            // As it is stored: a key that was lost is no reason to keep what it hides.
            let session = store.stored(&id, None).await?;
            if session.items(Some(1)).await?.items.is_empty() {
                return Err(gone(&id, &store).into());
            }
            session.clear().await?;
        }
    }
    Ok(())
}

fn gone(id: &SessionId, store: &Store) -> Gone {
    Gone::new(id, store.name())
}

fn items(n_items: u64) -> String {
    match n_items {
        1 => "1 item".to_owned(),
        n_items => format!("{n_items} items"),
    }
}

impl Gone {
    fn new(id: &SessionId, store: &str) -> Self {
        Self {
            kind: ErrorKind::Session,
            message: format!("the session store {store} has nothing under the id `{id}`"),
        }
    }
}
