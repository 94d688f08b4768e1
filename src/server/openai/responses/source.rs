//! Where a response continues from: nothing, an earlier response, a conversation, or a paused run.

use std::sync::Arc;

use super::RESPONSE;
use super::entries::{Entries, resolve};
use super::input::ApprovalAnswer;
use super::request::ResponsesRequest;
use super::store::PausedResponse;
use crate::agent::{Interruption, RunState};
use crate::item::Item;
use crate::server::AppState;
use crate::server::error::ApiError;
use crate::session::{Session, SessionId, SessionTurn};

/// Where a response goes on from: what its run begins with, and where that is kept.
pub(super) struct ResponseSource {
    pub(super) beginning: Beginning,
    /// Where the conversation is kept, if it is.
    pub(super) session: Option<Arc<dyn Session>>,
    /// Whether the session was made for this response, so that nobody else knows it.
    pub(super) is_own_session: bool,
}

pub(super) enum Beginning {
    Items(Vec<Item>),
    Paused {
        state: Box<RunState>,
        /// The response that paused.
        response: String,
        approvals: Vec<(String, Interruption)>,
    },
}

impl ResponseSource {
    /// Finds it; `id` is that of the response to be.
    pub(super) async fn find(
        app: &AppState,
        request: &ResponsesRequest,
        id: &str,
    ) -> Result<Self, ApiError> {
        // There are four sources, looked for in this order: approvals (a paused run), a
        // conversation, an earlier response, and nothing.
        let entries = resolve(app, &request.input, "input")?;
        if !entries.approvals.is_empty() {
            return Self::resumed(app, request, &entries).await;
        }
        let items = entries.items;
        if items.is_empty() {
            return Err(ApiError::invalid("input", "`input` must not be empty"));
        }
        if let Some(id) = &request.conversation {
            let session = app.session(id).await?;
            return Ok(Self {
                beginning: Beginning::Items(behind_open_turn(app, id, items)?),
                session: Some(session),
                is_own_session: false,
            });
        }
        // A run has one source of history. Without a session, what was said before is part of its
        // input.
        let (earlier, items) = match &request.previous {
            None => (Vec::new(), items),
            Some(previous) => {
                let earlier = earlier(app, previous).await?;
                let session = session_id(previous)?;
                (earlier, behind_open_turn(app, &session, items)?)
            }
        };
        if !request.stores {
            return Ok(Self {
                beginning: Beginning::Items(earlier.into_iter().chain(items).collect()),
                session: None,
                is_own_session: false,
            });
        }
        // A session of its own, so that any response can be gone on from, more than once.
        let session = app.session(&session_id(id)?).await?;
        if !earlier.is_empty() {
            let copied = session.append(SessionTurn::new(earlier)).await;
            copied.map_err(|error| ApiError::of_session(&error))?;
        }
        Ok(Self {
            beginning: Beginning::Items(items),
            session: Some(session),
            is_own_session: true,
        })
    }

    /// Goes on with a run that paused, once each of its calls is decided about.
    async fn resumed(
        app: &AppState,
        request: &ResponsesRequest,
        entries: &Entries,
    ) -> Result<Self, ApiError> {
        let first = entries
            .approvals
            .first()
            .map(|approval| &*approval.request_id);
        let hex = first
            .and_then(|id| id.split('_').nth(1))
            .unwrap_or_default();
        // The id of an approval has the id of its response in it, so a client need not name that as
        // well.
        let response = format!("{RESPONSE}{hex}");
        if request
            .previous
            .as_ref()
            .is_some_and(|previous| *previous != response)
        {
            let message = "the approvals are not for calls of the previous response";
            return Err(ApiError::invalid("previous_response_id", message));
        }
        if !entries.items.is_empty() {
            let message =
                "with approvals there can be nothing else: they finish a turn that is under way";
            return Err(ApiError::invalid("input", message));
        }
        let found = app.responses.with(&response, |stored| {
            let decided = stored
                .paused
                .as_ref()
                .map(|paused| decide(paused, &entries.approvals));
            (stored.session.clone(), decided)
        });
        let (session, decided) = found.ok_or_else(nothing_waits)?;
        let paused = decided.ok_or_else(nothing_waits)??;
        let is_other = |id: &SessionId| *id != session;
        if request.conversation.as_ref().is_some_and(is_other) {
            return Err(ApiError::invalid(
                "conversation",
                "the calls wait in another conversation",
            ));
        }
        Ok(Self {
            session: Some(app.session(&session).await?),
            is_own_session: false,
            beginning: Beginning::Paused {
                state: paused.state,
                response,
                approvals: paused.approvals,
            },
        })
    }
}

/// Puts what a client sends behind a turn that waits for it.
fn behind_open_turn(
    app: &AppState,
    session: &SessionId,
    items: Vec<Item>,
) -> Result<Vec<Item>, ApiError> {
    match app.open_turns.get(session.as_str()) {
        Some(turn) => turn.answered_by(items),
        None => Ok(items),
    }
}

pub(super) fn nothing_waits() -> ApiError {
    ApiError::new(409, "nothing_waits", "no call waits for these approvals")
}

fn decide(
    paused: &PausedResponse,
    approvals: &[ApprovalAnswer],
) -> Result<PausedResponse, ApiError> {
    let mut paused = paused.clone();
    for (request_id, Interruption { id, .. }) in &paused.approvals {
        let mut answers = approvals
            .iter()
            .filter(|answer| answer.request_id == *request_id);
        let (Some(answer), None) = (answers.next(), answers.next()) else {
            let message =
                format!("each waiting call needs one approval; `{request_id}` has none or several");
            return Err(ApiError::invalid("input", message));
        };
        let state = &mut paused.state;
        let decided = match (answer.approve, &answer.reason) {
            (true, _) => state.approve(id),
            (false, None) => state.reject(id),
            (false, Some(reason)) => state.reject_with(id, reason.clone()),
        };
        decided.map_err(|error| ApiError::new(409, "state_invalid", error.to_string()))?;
    }
    let is_known = |answer: &&ApprovalAnswer| {
        paused
            .approvals
            .iter()
            .any(|(id, _)| *id == answer.request_id)
    };
    match approvals.iter().find(|answer| !is_known(answer)) {
        Some(unknown) => {
            let message = format!("no call waits for the approval `{}`", unknown.request_id);
            Err(ApiError::invalid("input", message))
        }
        None => Ok(paused),
    }
}

/// The conversation up to the end of a response.
async fn earlier(app: &AppState, previous: &str) -> Result<Vec<Item>, ApiError> {
    let missing = || {
        let message = format!("there is no response `{previous}` to go on from");
        ApiError::new(400, "previous_response_not_found", message).about("previous_response_id")
    };
    let state = app.responses.with(previous, |stored| {
        (
            stored.session.clone(),
            stored.is_conversation,
            stored.handle.is_some(),
            stored.paused.is_some(),
        )
    });
    let session = match state {
        Some((_, true, ..)) => {
            let message = "the response is part of a conversation; go on by `conversation`";
            return Err(ApiError::invalid("previous_response_id", message));
        }
        Some((_, _, true, _)) => {
            return Err(ApiError::new(
                409,
                "response_in_progress",
                "the previous response is in progress",
            ));
        }
        Some((.., true)) => {
            let message = "calls of the previous response wait for approval; send `mcp_approval_response` items";
            return Err(ApiError::new(409, "approval_required", message).about("input"));
        }
        Some((session, ..)) => session,
        None if previous.starts_with(RESPONSE) => session_id(previous)?,
        None => return Err(missing()),
    };
    let items = app.session(&session).await?.items(None).await;
    let items = items.map_err(|error| ApiError::of_session(&error))?.items;
    if items.is_empty() {
        Err(missing())
    } else {
        Ok(items)
    }
}

fn session_id(id: &str) -> Result<SessionId, ApiError> {
    SessionId::new(id).map_err(|error| ApiError::invalid("previous_response_id", error.to_string()))
}
