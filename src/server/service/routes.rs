//! The routes of runs and sessions.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::http::Response;
use axum::routing::{get, post};

use super::sessions;
use crate::server::AppState;
use crate::server::body::BodyShare;
use crate::server::router::{Whole, json_or_error, response_or_error};

pub(in crate::server) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/run", post(start_run))
        .route("/events/{session}", get(read_events))
        .route("/status/{session}", get(run_status))
        .route("/cancel/{session}", post(cancel_run))
        .route("/approve/{session}", post(approve_calls))
        .route("/send/{session}", post(send_input))
        .route("/sessions", get(list_sessions))
        .route(
            "/sessions/{session}",
            get(one_session).delete(delete_session),
        )
        .route("/sessions/{session}/fork", post(fork_session))
}

async fn start_run(
    State(app): State<Arc<AppState>>,
    Extension(share): Extension<BodyShare>,
    Whole(body): Whole,
) -> Response<Body> {
    response_or_error(super::start(&app, body, share).await)
}

async fn read_events(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
    request: Request,
) -> Response<Body> {
    let last = request.headers().get("last-event-id");
    // What is not text is no number either.
    let last = last.map(|last| last.to_str().unwrap_or_default());
    response_or_error(super::events(&app, &session, last))
}

async fn run_status(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
) -> Response<Body> {
    json_or_error(super::status(&app, &session))
}

async fn cancel_run(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(super::cancel(&app, &session, &body))
}

async fn approve_calls(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(super::approve(&app, &session, &body).await)
}

async fn send_input(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(super::send(&app, &session, &body))
}

async fn list_sessions(State(app): State<Arc<AppState>>) -> Response<Body> {
    json_or_error(sessions::list(&app).await)
}

async fn one_session(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
) -> Response<Body> {
    json_or_error(sessions::one(&app, session).await)
}

async fn delete_session(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
) -> Response<Body> {
    json_or_error(sessions::delete(&app, session).await)
}

async fn fork_session(
    State(app): State<Arc<AppState>>,
    Path(session): Path<String>,
    Whole(body): Whole,
) -> Response<Body> {
    json_or_error(sessions::fork(&app, session, &body).await)
}
