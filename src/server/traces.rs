//! `/traces`: what the local store has of runs.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::error::ApiError;
use super::reply;
use super::router::{json_or_error, response_or_error};
use super::state::AppState;
use crate::trace::{
    SpanId, SpanStatus, TraceFilter, TraceId, TraceStore, TraceStoreError, TraceSummary,
};

/// The routes, where there is a store.
pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/traces", get(list))
        .route("/traces/{id}", get(one).delete(delete))
        .route("/traces/{id}/spans/{span}", get(one_span))
}

async fn list(State(app): State<Arc<AppState>>, request: Request) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let listed = async {
        let filter = filter(query)?;
        let list = store(&app)?.list(filter).await.map_err(|e| failed(&e))?;
        let traces = list.traces.iter().map(TraceSummary::to_value);
        let traces: Vec<_> = traces.map(Value::Object).collect();
        Ok(json!({"traces": traces, "next": list.next}))
    };
    json_or_error(listed.await)
}

async fn one(State(app): State<Arc<AppState>>, Path(id): Path<String>) -> Response<Body> {
    let found = async {
        let found = store(&app)?.trace(trace_id(&id)?).await;
        let trace = found.map_err(|e| failed(&e))?;
        let trace = trace.ok_or_else(|| not_found(&id))?;
        Ok(reply::text(200, "application/json", trace.to_json()))
    };
    response_or_error(found.await)
}

async fn one_span(
    State(app): State<Arc<AppState>>,
    Path((id, span)): Path<(String, String)>,
) -> Response<Body> {
    let found = async {
        let span_id: SpanId = span.parse().map_err(|_| not_found(&span))?;
        let found = store(&app)?.span(trace_id(&id)?, span_id).await;
        let found = found.map_err(|e| failed(&e))?;
        found.ok_or_else(|| not_found(&span))
    };
    json_or_error(found.await)
}

async fn delete(State(app): State<Arc<AppState>>, Path(id): Path<String>) -> Response<Body> {
    let deleted = async {
        let deleted = store(&app)?.delete(trace_id(&id)?).await;
        if !deleted.map_err(|e| failed(&e))? {
            return Err(not_found(&id));
        }
        Ok(json!({"trace_id": id, "deleted": true}))
    };
    json_or_error(deleted.await)
}

fn store(app: &AppState) -> Result<&TraceStore, ApiError> {
    // The routes are there only where there is a store.
    let none = || ApiError::new(404, "not_found", "no traces are kept");
    app.traces.as_ref().ok_or_else(none)
}

fn trace_id(id: &str) -> Result<TraceId, ApiError> {
    id.parse().map_err(|_| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    let id: String = id.chars().take(64).collect();
    ApiError::new(404, "not_found", format!("nothing is kept of `{id}`"))
}

fn failed(error: &TraceStoreError) -> ApiError {
    match error {
        TraceStoreError::Filter { detail } => ApiError::invalid("after", *detail),
        error => ApiError::new(500, error.kind().as_str(), error.to_string()),
    }
}

fn filter(query: &str) -> Result<TraceFilter, ApiError> {
    let mut filter = TraceFilter::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| ApiError::invalid(name, "it is not UTF-8"))?;
        match name {
            "status" => {
                let status = SpanStatus::of_name(&value);
                let wrong = "it is one of running, ok, error, cancelled, paused and lost";
                filter.status = Some(status.ok_or_else(|| ApiError::invalid(name, wrong))?);
            }
            "agent" => filter.agent = Some(value),
            "session" => filter.session = Some(value),
            "text" => filter.text = Some(value),
            "after" => filter.after = Some(value),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                let wrong = || ApiError::invalid(name, "it is a number from 1");
                filter.limit = Some(limit.ok_or_else(wrong)?);
            }
            _ => return Err(ApiError::unsupported(name, "there is no such parameter")),
        }
    }
    Ok(filter)
}

/// A value of a query, as browsers encode it.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
