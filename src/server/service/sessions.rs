//! `/sessions`: the conversations that there are, one of them with its items, and new ones that begin like another.

use serde_json::{Value, json};

use super::preview;
use super::request;
use crate::item::{Item, ItemKind, Role};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::openai::conversations::{ListedItem, listed};
use crate::server::openai::responses;
use crate::server::{AppState, id};
use crate::session::{Session, SessionId, SessionTurn};

/// How many sessions are listed at most, those first that were written to last.
const MAX_LISTED: usize = 100;
/// Among how many of its latest items the title of a session is looked for: a list must not read all that was ever said.
const N_ITEMS_FOR_TITLE: usize = 30;

/// Lists the sessions that the store names and those that have runs here.
pub(super) async fn list(app: &AppState) -> Result<Value, ApiError> {
    let mut ids: Vec<SessionId> = Vec::new();
    let stored = match &app.list_sessions {
        Some(list) => list().await.map_err(|error| ApiError::of_session(&error))?,
        None => Vec::new(),
    };
    let records = app.service.records.all();
    let with_runs = records.iter().map(|record| &record.session);
    let only_here = with_runs.filter(|id| !stored.contains(id));
    // What a stored response goes on from is found by its response.
    let all = only_here.chain(&stored);
    ids.extend(
        all.filter(|id| responses::conversation_id(id.as_str()).is_ok())
            .take(MAX_LISTED)
            .cloned(),
    );
    let mut sessions = Vec::with_capacity(ids.len());
    // The last first: opening a session in memory makes it the first.
    for id in ids.iter().rev() {
        let record = records.iter().find(|record| record.session == *id);
        let title = match record.map(|record| record.title()) {
            Some(title) if !title.is_empty() => title,
            _ => title_of(&*app.session(id).await?).await?,
        };
        let run = record.map(|record| record.summary());
        sessions.push(json!({"session": id.as_str(), "title": title, "run": run}));
    }
    sessions.reverse();
    Ok(json!({"sessions": sessions}))
}

/// Returns the items of a session, with their ids, and how its latest run stands.
pub(super) async fn one(app: &AppState, session: String) -> Result<Value, ApiError> {
    let id = request::session_id(session)?;
    // Before the items: a run that ends in between is then shown as running, and its end is read from its events.
    let run = app.service.records.get(id.as_str());
    let run = run.map(|record| record.to_json());
    let items = read(&*app.session(&id).await?).await?;
    let items: Vec<Value> = items.iter().map(ListedItem::to_json).collect();
    Ok(json!({"session": id.as_str(), "items": items, "run": run}))
}

/// Forgets a session, its runs and their events.
pub(super) async fn delete(app: &AppState, session: String) -> Result<Value, ApiError> {
    let id = request::session_id(session)?;
    if let Some(record) = app.service.records.get(id.as_str())
        && record.is_running()
    {
        return Err(super::record::busy());
    }
    let cleared = app.session(&id).await?.clear().await;
    cleared.map_err(|error| ApiError::of_session(&error))?;
    drop(app.service.records.remove(id.as_str()));
    Ok(json!({"session": id.as_str(), "deleted": true}))
}

/// Begins a session with the items of another, all of them or those before a message of the user.
pub(super) async fn fork(app: &AppState, session: String, body: &[u8]) -> Result<Value, ApiError> {
    let from = request::session_id(session)?;
    let mut fields = BodyFields::parse(if body.is_empty() { b"{}" } else { body })?;
    let before: Option<String> = fields.take("before")?;
    fields.finish()?;
    let mut items = read(&*app.session(&from).await?).await?;
    if let Some(before) = before {
        let at = items.iter().position(|item| item.id == before);
        let at = at.ok_or_else(|| {
            let message = format!("there is no item `{before}` in this session");
            ApiError::new(404, "not_found", message).about("before")
        })?;
        if !items.get(at).is_some_and(|item| is_of_user(&item.item)) {
            // Anywhere else a call could be left without its output.
            let message = "`before` is the id of a message of the user";
            return Err(ApiError::invalid("before", message));
        }
        items.truncate(at);
    }
    let to = request::session_id(format!("chat_{}", id::random()?))?;
    let n_items = items.len();
    if n_items > 0 {
        let items = items.into_iter().map(|item| item.item);
        let added = app
            .session(&to)
            .await?
            .append(SessionTurn::new(items))
            .await;
        added.map_err(|error| ApiError::of_session(&error))?;
    }
    Ok(json!({"session": to.as_str(), "from": from.as_str(), "n_items": n_items}))
}

async fn read(session: &dyn Session) -> Result<Vec<ListedItem>, ApiError> {
    let found = session.items(None).await;
    let found = found.map_err(|error| ApiError::of_session(&error))?;
    Ok(listed(found.items))
}

/// Returns the beginning of the first thing that the user said lately.
async fn title_of(session: &dyn Session) -> Result<String, ApiError> {
    let found = session.items(Some(N_ITEMS_FOR_TITLE)).await;
    let found = found.map_err(|error| ApiError::of_session(&error))?;
    let said = found.items.iter().find(|item| is_of_user(item));
    Ok(said.map_or_else(String::new, |item| {
        preview::title(std::slice::from_ref(item))
    }))
}

fn is_of_user(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User)
}
