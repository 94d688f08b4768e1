//! `/v1/responses`: an agent answers, and what its tools did is shown as items.
//!
//! A response that is stored has a session of its own, named as the response is, which begins with all that went before; so each can be
//! gone on from, any number of times. Calls of the client's own tools end the response; their outputs go on with the turn. A call that waits for approval ends the response with an `mcp_approval_request`; the
//! `mcp_approval_response` to it, with this response as the previous one, goes on with the same turn.

mod request;
mod input;
mod entries;
mod source;
mod object;
mod json;
mod assembly;
mod calls;
mod run;
mod stream;
mod store;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Response;
use serde_json::{Value, json};

pub(super) use self::entries::read_items;
pub(in crate::server) use self::request::conversation_id;
pub(in crate::server) use self::store::Responses;

use self::assembly::Assembly;
use self::json::Written;
use self::object::ResponseHead;
use self::request::ResponsesRequest;
use self::run::{Progress, ResponseRun};
use self::source::{Beginning, ResponseSource};
use self::stream::EventStream;
use super::head;
use crate::agent::runner::RunRequest;
use crate::context::Cancel;
use crate::limits::Limits;
use crate::model::Delivery;
use crate::server::catalog::Catalog;
use crate::server::error::ApiError;
use crate::server::state::now;
use crate::server::{AppState, id, reply};
use crate::session::Session;

/// What the ids of responses begin with.
const RESPONSE: &str = "resp_";

/// Answers a request; dropping the future, or the body of the answer, cancels the run.
pub(in crate::server) async fn create(
    app: &Arc<AppState>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let request = ResponsesRequest::parse(&body)?;
    // It may be large, and the run long.
    drop(body);
    if !request.streams {
        let (response, own_session) = begin(app, request).await?;
        return whole(response, own_session).await;
    }
    let app = Arc::clone(app);
    let begin = async move {
        let (response, _) = begin(&app, request).await?;
        Ok(EventStream::new(response).into_stream())
    };
    head::in_time(begin, stream::error_event).await
}

/// Begins a response; a session that was made for it alone comes with it.
async fn begin(
    app: &Arc<AppState>,
    request: ResponsesRequest,
) -> Result<(ResponseRun, Option<Arc<dyn Session>>), ApiError> {
    let hex = id::random()?;
    let head = ResponseHead::new(format!("{RESPONSE}{hex}"), now(), &request);
    // Before anything is opened or taken that would have to be put back.
    let catalog = app.catalog();
    catalog.find(&request.model)?;
    let source = ResponseSource::find(app, &request, &head.id).await?;
    let session = source.session.clone();
    let paused = match &source.beginning {
        Beginning::Items(_) => None,
        Beginning::Paused { response, .. } => Some(response.clone()),
    };
    let mut assembly = Assembly::new(hex, app.tool_items, &request);
    let run = prepare(&catalog, &request, source.beginning, &mut assembly)?;
    let run = match &session {
        Some(session) => run.session(session),
        None => run,
    };
    let run = match request.max_tool_calls {
        Some(limit) => run.more_limits(Limits::NONE.tool_calls(limit)),
        None => run,
    };
    // This takes the place among the runs. The paused state is taken only after it, so that a
    // server which is full leaves it to be tried again.
    let run = app.runs.begin(run.more_settings(&request.settings)).await?;
    if let Some(paused) = paused {
        // Nothing runs before it is polled: of several that answer at once, one goes on.
        let taken = app.responses.with(&paused, |stored| stored.paused.take());
        taken.flatten().ok_or_else(source::nothing_waits)?;
    }
    if let Some(conversation) = &request.conversation {
        // What it waited for is in the input of this run.
        app.open_turns.remove(conversation.as_str());
    }
    let response = ResponseRun {
        app: Arc::clone(app),
        run,
        head,
        assembly,
        session: session
            .as_ref()
            .filter(|_| request.stores)
            .map(|session| session.id().clone()),
        tools: request.tools,
        is_over: false,
    };
    response.keep(request.conversation.is_some());
    Ok((response, session.filter(|_| source.is_own_session)))
}

/// Puts the run together.
fn prepare(
    catalog: &Catalog,
    request: &ResponsesRequest,
    beginning: Beginning,
    assembly: &mut Assembly,
) -> Result<RunRequest, ApiError> {
    let agent = request
        .format
        .applied_to(catalog.find(&request.model)?, "text.format")?;
    let agent = request
        .tools
        .given_to(&agent, request.settings.tool_choice.as_ref())?;
    let agent = match &request.instructions {
        Some(instructions) => agent.with_more_instructions(instructions),
        None => agent,
    };
    let runner = &catalog.runner;
    Ok(match (beginning, request.streams) {
        (Beginning::Items(items), true) => runner.run(&agent, items).delivery(Delivery::Stream),
        (Beginning::Items(items), false) => runner.run(&agent, items).delivery(Delivery::Whole),
        (
            Beginning::Paused {
                state, approvals, ..
            },
            streams,
        ) => {
            if state.start_agent() != request.model {
                let message = format!("the calls wait in a run of `{}`", state.start_agent());
                return Err(ApiError::invalid("model", message));
            }
            for (request_id, waiting) in approvals {
                assembly.resume(&waiting, request_id);
            }
            if streams {
                runner.resume(&agent, *state).delivery(Delivery::Stream)
            } else {
                runner.resume(&agent, *state).delivery(Delivery::Whole)
            }
        }
    })
}

/// Waits for the end; a run that fails leaves nothing behind, since the client never learns the response's id.
async fn whole(
    mut response: ResponseRun,
    own_session: Option<Arc<dyn Session>>,
) -> Result<Response<Body>, ApiError> {
    while let Some(progress) = response.next().await {
        match progress {
            Progress::GoesOn => {}
            Progress::Over(_, body) => {
                let mut written = Written::default();
                written.push(&body);
                return Ok(reply::text(200, "application/json", Body::new(written)));
            }
            Progress::Failed(error, _) => {
                response.app.responses.remove(&response.head.id).ok();
                if let Some(session) = own_session {
                    // The run's error says more than one of clearing up after it would.
                    session.clear().await.ok();
                }
                return Err(error);
            }
        }
    }
    Err(ApiError::new(
        500,
        "server_error",
        "the run ended without a result",
    ))
}

/// Returns a response that is kept.
pub(in crate::server) fn one(app: &AppState, id: &str) -> Result<Value, ApiError> {
    app.responses.need(id, |stored| stored.body.to_value())
}

/// Ends a response that is in progress.
pub(in crate::server) fn cancel(app: &AppState, id: &str) -> Result<Value, ApiError> {
    let cancelled = app.responses.need(id, |stored| {
        let handle = stored.handle.take()?;
        handle.cancel(Cancel::Now);
        stored.body.set("status", json!("cancelled"));
        Some(stored.body.to_value())
    })?;
    let message = "only a response that is in progress can be cancelled";
    cancelled.ok_or_else(|| ApiError::new(400, "not_in_progress", message))
}

/// Forgets a response, with its session if that is its own.
pub(in crate::server) async fn delete(app: &AppState, id: &str) -> Result<Value, ApiError> {
    let (session, handle) = app.responses.remove(id)?;
    app.open_turns.remove(id);
    if let Some(handle) = handle {
        handle.cancel(Cancel::Now);
    }
    if session.as_str() == id {
        let session = app.session(&session).await?;
        session
            .clear()
            .await
            .map_err(|error| ApiError::of_session(&error))?;
    }
    Ok(json!({"id": id, "object": "response", "deleted": true}))
}
