//! `/v1/conversations`: what sessions hold, as conversations of the OpenAI API.
//!
//! The id of a conversation is that of its session, and any session that no stored response has is a conversation. One that nobody has
//! written to is empty; it is there once it was created here, or has items.

mod routes;
mod page;
mod items;
mod listed;
mod store;

use serde_json::{Value, json};

pub(in crate::server) use self::listed::{ListedItem, listed};
pub(in crate::server) use self::routes::routes;
pub(in crate::server) use self::store::Conversations;

use self::store::ConversationMeta;
use super::{responses, settings};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::{AppState, id};
use crate::session::{SessionId, SessionTurn};

/// Begins a conversation, with items or without.
async fn create(app: &AppState, body: &[u8]) -> Result<Value, ApiError> {
    let mut fields = match body {
        // A client that wants nothing in particular may send nothing.
        [] => BodyFields::parse(b"{}")?,
        body => BodyFields::parse(body)?,
    };
    let items = fields.take("items")?.unwrap_or_default();
    let metadata = settings::metadata(fields.take("metadata")?)?.unwrap_or_default();
    fields.finish()?;
    let items = responses::read_items(app, items)?;
    let id = responses::conversation_id(&format!("conv_{}", id::random()?))?;
    if !items.is_empty() {
        let added = app.session(&id).await?;
        let added = added.append(SessionTurn::new(items)).await;
        added.map_err(|error| ApiError::of_session(&error))?;
    }
    let meta = ConversationMeta::new(Some(metadata));
    app.conversations.keep(&id, meta.clone());
    Ok(meta.to_json(&id))
}

/// Returns a conversation, without its items.
async fn one(app: &AppState, id: &str) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    Ok(find(app, &id).await?.to_json(&id))
}

/// Puts other metadata in the place of a conversation's.
async fn update(app: &AppState, id: &str, body: &[u8]) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    let mut fields = BodyFields::parse(body)?;
    let metadata = settings::metadata(fields.take("metadata")?)?;
    let metadata = metadata.ok_or_else(|| fields.missing("metadata"))?;
    fields.finish()?;
    let mut meta = find(app, &id).await?;
    meta.metadata = Some(metadata);
    app.conversations.keep(&id, meta.clone());
    Ok(meta.to_json(&id))
}

/// Forgets a conversation and its items.
async fn delete(app: &AppState, id: &str) -> Result<Value, ApiError> {
    let id = responses::conversation_id(id)?;
    find(app, &id).await?;
    let cleared = app.session(&id).await?.clear().await;
    cleared.map_err(|error| ApiError::of_session(&error))?;
    app.conversations.remove(&id);
    Ok(json!({"id": id.as_str(), "object": "conversation.deleted", "deleted": true}))
}

/// Finds a conversation that was created here, or has items.
async fn find(app: &AppState, id: &SessionId) -> Result<ConversationMeta, ApiError> {
    if let Some(meta) = app.conversations.get(id) {
        return Ok(meta);
    }
    let found = app.session(id).await?;
    let found = found.items(Some(1)).await;
    let found = found.map_err(|error| ApiError::of_session(&error))?;
    if found.items.is_empty() {
        return Err(app.conversations.missing(id));
    }
    Ok(app.conversations.get_or_insert(id))
}
