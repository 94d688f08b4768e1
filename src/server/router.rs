//! The routes of the server.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::Response;
use axum::middleware;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::error::ApiError;
use super::guard::guard;
use super::openai::{chat, conversations, models, responses};
use super::page::{self, PageUse};
use super::state::{AppState, Server};
use super::{agents, openapi, reload, reply, service, ui};

type ApiResult = Result<Response<Body>, ApiError>;

impl Server {
    /// Makes a router of all routes, for an axum application.
    ///
    /// Each request passes the checks of `Host`, `Origin` and token first, those for `/mcp` too. axum is a public dependency here and in `mcp`, nowhere else.
    pub fn router(&self) -> Router {
        let app = Arc::clone(&self.0);
        let guard = middleware::from_fn_with_state(Arc::clone(&app), guard);
        self.routes().with_state(app).layer(guard)
    }

    /// Makes the router of an application that has nothing else.
    pub(super) fn application(&self) -> Router {
        let app = Arc::clone(&self.0);
        let guard = middleware::from_fn_with_state(Arc::clone(&app), guard);
        let missing =
            async || ApiError::new(404, "not_found", "there is nothing here").into_response();
        let method_not_allowed = async || {
            let message = "this method is not for this route";
            ApiError::new(405, "method_not_allowed", message).into_response()
        };
        let routes = self
            .routes()
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(missing)
            .with_state(app);
        routes.layer(guard)
    }

    fn routes(&self) -> Router<Arc<AppState>> {
        let routes = Router::new()
            .route("/healthz", get(healthy))
            .route("/metrics", get(metrics))
            .route("/openapi.json", get(document))
            .route("/reload", post(reload_agents))
            .route("/agents", get(list_agents))
            .route("/v1/models", get(list_models))
            .route("/v1/models/{*id}", get(one_model))
            .route("/v1/chat/completions", post(create_chat))
            .route("/v1/responses", post(create_response))
            .route(
                "/v1/responses/{id}",
                get(one_response).delete(delete_response),
            )
            .route("/v1/responses/{id}/cancel", post(cancel_response))
            .merge(conversations::routes())
            .merge(service::routes())
            .merge(ui::routes());
        let routes = match self.0.page {
            PageUse::With => routes.merge(page::routes()),
            PageUse::Without => routes,
        };
        self.with_mcp(self.with_traces(with_realtime(routes)))
    }

    #[cfg(feature = "sqlite")]
    fn with_traces(&self, routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
        match &self.0.traces {
            Some(_) => routes.merge(super::traces::routes()),
            None => routes,
        }
    }

    #[cfg(not(feature = "sqlite"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    fn with_traces(&self, routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
        routes
    }

    #[cfg(feature = "mcp-server")]
    fn with_mcp(&self, routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
        match &self.0.mcp {
            Some(mcp) => {
                let mcp = mcp.routes(self.0.bodies.max_bytes());
                routes.merge(mcp.with_state(()))
            }
            None => routes,
        }
    }

    #[cfg(not(feature = "mcp-server"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    fn with_mcp(&self, routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
        routes
    }
}

#[cfg(feature = "realtime")]
fn with_realtime(routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
    routes.route("/v1/realtime", get(super::realtime::connect))
}

#[cfg(not(feature = "realtime"))]
const fn with_realtime(routes: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
    routes
}

async fn healthy(State(app): State<Arc<AppState>>) -> Response<Body> {
    if app.runs.is_closing() {
        return reply::json(503, &json!({"status": "closing"}));
    }
    reply::json(200, &json!({"status": "ok"}))
}

async fn metrics(State(app): State<Arc<AppState>>) -> Response<Body> {
    reply::text(
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        app.runs.metrics_text(),
    )
}

async fn list_models(State(app): State<Arc<AppState>>) -> Response<Body> {
    reply::json(200, &models::list(&app))
}

async fn one_model(State(app): State<Arc<AppState>>, Path(id): Path<String>) -> Response<Body> {
    json_or_error(models::one(&app, &id))
}

async fn create_chat(State(app): State<Arc<AppState>>, Whole(body): Whole) -> Response<Body> {
    response_or_error(chat::create(&app, body).await)
}

async fn create_response(State(app): State<Arc<AppState>>, Whole(body): Whole) -> Response<Body> {
    response_or_error(responses::create(&app, body).await)
}

async fn one_response(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let query = request.uri().query().filter(|query| !query.is_empty());
    if query.is_some() {
        let message = "no query parameter is supported here";
        return ApiError::unsupported("stream", message).into_response();
    }
    json_or_error(responses::one(&app, &id))
}

async fn cancel_response(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Response<Body> {
    json_or_error(responses::cancel(&app, &id))
}

async fn delete_response(
    State(app): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Response<Body> {
    json_or_error(responses::delete(&app, &id).await)
}

async fn document() -> Response<Body> {
    reply::text(200, "application/json", openapi::DOCUMENT)
}

async fn reload_agents(State(app): State<Arc<AppState>>) -> Response<Body> {
    json_or_error(reload::reload(&app).await)
}

async fn list_agents(State(app): State<Arc<AppState>>) -> Response<Body> {
    reply::json(200, &agents::list(&app).await)
}

/// The body of a request, which was read before the request came to its route.
pub(super) struct Whole(pub(super) Bytes);

impl FromRequest<Arc<AppState>> for Whole {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, _: &Arc<AppState>) -> Result<Self, Response<Body>> {
        // The bound held when it was read.
        let body = to_bytes(request.into_body(), usize::MAX).await;
        let broken = |error| ApiError::new(400, "broken_body", format!("{error}")).into_response();
        body.map(Self).map_err(broken)
    }
}

pub(super) fn json_or_error(answer: Result<Value, ApiError>) -> Response<Body> {
    response_or_error(answer.map(|answer| reply::json(200, &answer)))
}

pub(super) fn response_or_error(answer: ApiResult) -> Response<Body> {
    answer.unwrap_or_else(ApiError::into_response)
}
