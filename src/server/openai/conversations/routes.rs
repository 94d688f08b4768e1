//! The routes of conversations.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::Response;
use axum::routing::{get, post};

use super::page::{Page, no_query};
use super::{create, delete, items, one, update};
use crate::server::AppState;
use crate::server::router::{Whole, json_or_error};

/// What the path names: a conversation and one of its items.
type ItemPath = Path<(String, String)>;

pub(in crate::server) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/v1/conversations", post(create_conversation))
        .route(
            "/v1/conversations/{id}",
            get(one_conversation)
                .post(update_conversation)
                .delete(delete_conversation),
        )
        .route(
            "/v1/conversations/{id}/items",
            get(list_items).post(add_items),
        )
        .route(
            "/v1/conversations/{id}/items/{item_id}",
            get(one_item).delete(delete_item),
        )
}

async fn create_conversation(
    State(app): State<Arc<AppState>>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(create(&app, &body).await)
}

async fn one_conversation(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Response<Body> {
    json_or_error(one(&app, &id).await)
}

async fn update_conversation(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(update(&app, &id, &body).await)
}

async fn delete_conversation(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Response<Body> {
    json_or_error(delete(&app, &id).await)
}

async fn list_items(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let answer = async {
        let page = Page::parse(query.as_deref())?;
        items::list(&app, &id, &page).await
    };
    json_or_error(answer.await)
}

async fn add_items(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    Whole(body): Whole,
) -> Response<Body> {
    let answer = async {
        no_query(query.as_deref())?;
        items::add(&app, &id, &body).await
    };
    json_or_error(answer.await)
}

async fn one_item(
    State(app): State<Arc<AppState>>,
    Path((id, item_id)): ItemPath,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let answer = async {
        no_query(query.as_deref())?;
        items::one(&app, &id, &item_id).await
    };
    json_or_error(answer.await)
}

async fn delete_item(
    State(app): State<Arc<AppState>>,
    Path((id, item_id)): ItemPath,
) -> Response<Body> {
    json_or_error(items::remove(&app, &id, &item_id).await)
}
