//! Lists, adds and deletes the items of a conversation.

use serde_json::Value;

use super::listed::{ListedItem, MoreItems, listed, to_list};
use super::page::{Order, Page};
use crate::server::AppState;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::openai::responses;
use crate::session::{Session, SessionItems, SessionTurn};

/// Lists a part of the items.
pub(super) async fn list(app: &AppState, id: &str, page: &Page) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    let session = app.session(&id).await?;
    let mut items = listed(read(&*session).await?.items);
    if page.order == Order::LatestFirst {
        items.reverse();
    }
    if let Some(after) = &page.after {
        let last = find(&items, after).map_err(|error| error.about("after"))?;
        items.drain(..=last);
    }
    let rest = if items.len() > page.limit {
        MoreItems::More
    } else {
        MoreItems::None
    };
    items.truncate(page.limit);
    Ok(to_list(&items, rest))
}

/// Adds items at the end, and lists them.
pub(super) async fn add(app: &AppState, id: &str, body: &[u8]) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    let mut fields = BodyFields::parse(body)?;
    let added = responses::read_items(app, fields.need("items")?)?;
    fields.finish()?;
    let session = app.session(&id).await?;
    let mut items = read(&*session).await?.items;
    let n_before = items.len();
    items.extend(added.iter().cloned());
    let changed = session.append(SessionTurn::new(added)).await;
    changed.map_err(|error| ApiError::of_session(&error))?;
    Ok(to_list(&listed(items).split_off(n_before), MoreItems::None))
}

/// Returns an item.
pub(super) async fn one(app: &AppState, id: &str, item_id: &str) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    let session = app.session(&id).await?;
    let mut items = listed(read(&*session).await?.items);
    let at = find(&items, item_id)?;
    Ok(items.swap_remove(at).to_json())
}

/// Takes an item away, and gives the conversation; an error if others write to it at the same time.
pub(super) async fn remove(app: &AppState, id: &str, item_id: &str) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    let session = app.session(&id).await?;
    let SessionItems { items, version } = read(&*session).await?;
    let mut items = listed(items);
    items.remove(find(&items, item_id)?);
    // It stays a conversation when this was its last item.
    let meta = app.conversations.get_or_insert(&id);
    let left = items.into_iter().map(|item| item.item);
    let changed = session.replace(SessionTurn::new(left).after(version)).await;
    changed.map_err(|error| ApiError::of_session(&error))?;
    Ok(meta.to_json(&id))
}

async fn read(session: &dyn Session) -> Result<SessionItems, ApiError> {
    let items = session.items(None).await;
    items.map_err(|error| ApiError::of_session(&error))
}

fn find(items: &[ListedItem], id: &str) -> Result<usize, ApiError> {
    let at = items.iter().position(|item| item.id == id);
    at.ok_or_else(|| {
        let message = format!("there is no item `{id}` in this conversation");
        ApiError::new(404, "not_found", message)
    })
}
