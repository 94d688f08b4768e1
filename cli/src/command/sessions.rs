//! `openai-agents sessions`.

use std::io;

use anyhow::Result;
use clap::{Args, Subcommand};
use openai_agents::ErrorKind;
use openai_agents::Item;
use openai_agents::config::Config;
use openai_agents::session::{BranchName, ForkPoint, SessionBranch, SessionId, SessionSummary};
use serde_json::json;

use crate::args::Global;
use crate::escape::Shown;
use crate::exit::Exit;
use crate::failure::Unusable;
use crate::output::{Lines, is_read};
use crate::store::Store;
use crate::{logging, transcript};

/// List, show, delete and branch the conversations of `run --session`
///
/// The setting `sessions.url` says where they are kept: by default in ~/.local/share/openai_agents/sessions.db, a SQLite file that the
/// Python Agents SDK can read and continue too.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the sessions, the most recent first.
    List {
        /// Print each as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a conversation and its branches.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print the items as lines of JSON, as they are stored.
        #[arg(long)]
        json: bool,
        /// Show only this many of the latest items.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Delete a conversation with all its branches, or one branch of it.
    Clear {
        #[command(flatten)]
        which: Which,
    },
    /// Copy a conversation into a new branch, for `run --session ID --branch NAME` (SQLite only).
    Fork {
        /// The session.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        /// The name of the new branch.
        #[arg(long, value_name = "NAME")]
        branch: String,
        /// The branch to copy.
        #[arg(long, value_name = "NAME", default_value = "main")]
        from: String,
        /// Copy only what was there before the user's Nth message [default: everything].
        #[arg(long, value_name = "N")]
        before_turn: Option<usize>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The session.
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
    /// A branch of the session [default: main].
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
}

impl SessionsArgs {
    /// Says whether the action has --json.
    pub(super) fn is_json(&self) -> bool {
        match self.action {
            Action::List { json } | Action::Show { json, .. } => json,
            Action::Clear { .. } | Action::Fork { .. } => false,
        }
    }
}

pub(crate) async fn run(global: Global, arguments: &SessionsArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    act(&config, &arguments.action).await?;
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
                return Err(gone(&id, store.name()).into());
            }
            session.fork(branch.as_str(), at).await?;
            Ok(())
        }
    }
}

async fn list(config: &Config, json: bool) -> Result<()> {
    let sessions = match Store::open_to_read(config).await? {
        Some(store) => store.list(None).await?,
        None => Vec::new(),
    };
    let mut out = Lines::stdout();
    is_read(write_list(&mut out, &sessions, json)).map(drop)
}

fn write_list(out: &mut Lines, sessions: &[SessionSummary], json: bool) -> io::Result<()> {
    let width = sessions
        .iter()
        .map(|it| Shown(it.id.as_str()).to_string().chars().count());
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
            out.json(&line)?;
        } else {
            let id = Shown(session.id.as_str()).to_string();
            let updated = session.updated_at.as_ref();
            let updated =
                updated.map_or_else(|| "at no known time".to_owned(), |at| format!("{at} UTC"));
            let n_items = items(session.n_items);
            out.text(format_args!("{id:width$}  {updated:23}  {n_items}"))?;
        }
    }
    Ok(())
}

async fn show(config: &Config, which: &Which, json: bool, limit: Option<usize>) -> Result<()> {
    let id = SessionId::new(&which.id)?;
    let Some(store) = Store::open_to_read(config).await? else {
        let store = config.sessions().store.as_ref();
        let store = store.map_or_else(String::new, ToString::to_string);
        return Err(gone(&id, &store).into());
    };
    let session = store.session(&id, which.branch.as_deref()).await?;
    let read = session.items(limit).await?;
    if read.items.is_empty() && which.branch.is_none() {
        return Err(gone(&id, store.name()).into());
    }
    // Turns are numbered from the beginning of the session, which a limit leaves out.
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
    let mut out = Lines::stdout();
    is_read(if json {
        let mut items = read.items.iter();
        // Written as they are stored, byte for byte, unless a line needs escaping.
        items.try_for_each(|item| out.stored_json(item.to_json()))
    } else {
        transcript::write(&mut out, &read.items, n_before)
            .and_then(|()| write_branches(&mut out, &branches))
    })
    .map(drop)
}

fn is_of_user(item: &Item) -> bool {
    use openai_agents::item::{ItemKind, Role};
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User)
}

fn write_branches(out: &mut Lines, branches: &[SessionBranch]) -> io::Result<()> {
    for branch in branches
        .iter()
        .filter(|branch| branch.name != BranchName::main())
    {
        let (name, n_forked) = (&branch.name, branch.n_forked);
        let parent = branch.parent.as_ref().map_or("main", BranchName::as_str);
        let n_items = items(branch.n_items);
        out.text(format_args!(
            "[branch {}: {n_items}, {n_forked} of them from {parent}]",
            name.as_str()
        ))?;
    }
    Ok(())
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
            // Opened without decryption: a session whose key is lost must still be deletable.
            let session = store.stored(&id, None).await?;
            if session.items(Some(1)).await?.items.is_empty() {
                return Err(gone(&id, store.name()).into());
            }
            session.clear().await?;
        }
    }
    Ok(())
}

fn gone(id: &SessionId, store: &str) -> Unusable {
    Unusable {
        kind: ErrorKind::Session,
        message: format!("there is no session `{id}` in {store}"),
        hint: None,
    }
}

fn items(n_items: u64) -> String {
    match n_items {
        1 => "1 item".to_owned(),
        n_items => format!("{n_items} items"),
    }
}
