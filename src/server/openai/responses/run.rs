//! Runs the agent of a response, tracks its status, and stores the result.

use std::sync::Arc;

use serde_json::{Value, json};

use super::assembly::Assembly;
use super::json::Json;
use super::object::{ResponseHead, Status};
use super::store::{PausedResponse, Stored};
use crate::agent::runner::RunEvent;
use crate::error::RunError;
use crate::kind::ErrorKind;
use crate::server::AppState;
use crate::server::active::ActiveRun;
use crate::server::error::ApiError;
use crate::server::openai::client_tools::ClientTools;
use crate::server::openai::open_turns::OpenTurn;
use crate::session::SessionId;
use crate::usage::Usage;

/// A response under way; dropping it cancels the run, and what is kept of the response says so.
pub(super) struct ResponseRun {
    pub(super) app: Arc<AppState>,
    pub(super) run: ActiveRun,
    pub(super) head: ResponseHead,
    pub(super) assembly: Assembly,
    pub(super) tools: ClientTools,
    /// The session of a response that is kept.
    pub(super) session: Option<SessionId>,
    pub(super) is_over: bool,
}

/// What an event of the run means for the response.
pub(super) enum Progress {
    GoesOn,
    /// The response as it is at its end.
    Over(Status, Json),
    Failed(ApiError, Json),
}

impl ResponseRun {
    /// Keeps the response, if it is to be, while it goes on.
    pub(super) fn keep(&self, is_conversation: bool) {
        let Some(session) = self.session.clone() else {
            return;
        };
        let stored = Stored {
            body: self.head.to_json(&Status::InProgress, &[], None),
            session,
            is_conversation,
            handle: Some(self.run.handle()),
            paused: None,
        };
        self.app.responses.keep(&self.head.id, stored);
    }

    /// Waits for the next event; `None` when there is none.
    pub(super) async fn next(&mut self) -> Option<Progress> {
        let event = self.run.next().await?;
        Some(match event {
            Ok(RunEvent::RunDone { result }) => {
                self.assembly.end(&result);
                let body = self.end(&Status::Completed, &result.usage(), None);
                Progress::Over(Status::Completed, body)
            }
            Ok(event) => {
                self.assembly.take(&event);
                Progress::GoesOn
            }
            Err(error) => self.failed(error),
        })
    }

    fn failed(&mut self, error: RunError) -> Progress {
        self.assembly.cut();
        let usage = error.progress().usage;
        let status = match error.kind() {
            // The refusal is the answer, and stands among the items.
            ErrorKind::Refusal => Status::Completed,
            // To a run, a tool of the client is a call that waits. To the API, the response is
            // complete and ends with the calls.
            ErrorKind::ApprovalRequired if self.is_for_client(&error) => {
                return self.handed_over(error);
            }
            ErrorKind::ApprovalRequired if self.can_wait(&error) => return self.paused(error),
            ErrorKind::Truncated => Status::Incomplete("max_output_tokens"),
            ErrorKind::ContentFilter => Status::Incomplete("content_filter"),
            kind => {
                let error = ApiError::of_run(&error);
                let status = match kind {
                    ErrorKind::Cancelled => Status::Cancelled,
                    _ => Status::Failed(error.to_json()),
                };
                let body = self.end(&status, &usage, None);
                return Progress::Failed(error, body);
            }
        };
        let body = self.end(&status, &usage, None);
        Progress::Over(status, body)
    }

    /// Whether all that the run waits for are outputs of the client's tools.
    fn is_for_client(&self, error: &RunError) -> bool {
        self.tools.calls_of(error, self.head.agent()).is_some()
    }

    /// Whether the run can wait for approvals: it is kept, and no call of the client's is among the calls.
    fn can_wait(&self, error: &RunError) -> bool {
        let waiting = error.interruptions();
        let is_clients = |name: &str| self.tools.names().any(|own| own == name);
        self.session.is_some() && !waiting.iter().any(|call| is_clients(&call.tool))
    }

    /// Ends the response with calls that the client is to answer.
    fn handed_over(&mut self, error: RunError) -> Progress {
        let usage = error.progress().usage;
        if let (Some(session), Ok(state)) = (&self.session, error.into_state()) {
            let turn = Arc::new(OpenTurn::of_turn(&state));
            self.app.open_turns.keep([session.as_str()], &turn);
        }
        let body = self.end(&Status::Completed, &usage, None);
        Progress::Over(Status::Completed, body)
    }

    /// Ends the response with its requests for approval; the run goes on when they are answered.
    fn paused(&mut self, error: RunError) -> Progress {
        let usage = error.progress().usage;
        let approvals = std::mem::take(&mut self.assembly.approvals);
        let paused = error.into_state().ok().map(|state| PausedResponse {
            // Once, when it is kept: a shelf asks for the size at every change, and a state can be large.
            n_bytes: state.to_json().map_or(0, |text| text.len()),
            state: Box::new(state),
            approvals,
        });
        let body = self.end(&Status::Completed, &usage, paused);
        Progress::Over(Status::Completed, body)
    }

    fn end(&mut self, status: &Status, usage: &Usage, paused: Option<PausedResponse>) -> Json {
        self.is_over = true;
        let body = self
            .head
            .to_json(status, &self.assembly.list.items, Some(usage));
        if self.session.is_some() {
            self.app.responses.with(&self.head.id, |stored| {
                stored.body = body.clone();
                stored.handle = None;
                stored.paused = paused;
            });
        }
        body
    }

    /// The events that were not told yet.
    pub(super) fn events(&mut self) -> Vec<Json> {
        std::mem::take(&mut self.assembly.list.events)
    }

    /// The response as it is when it begins.
    pub(super) fn begun(&self) -> Json {
        self.head.to_json(&Status::InProgress, &[], None)
    }
}

impl Drop for ResponseRun {
    fn drop(&mut self) {
        if !self.is_over {
            self.assembly.cut();
            self.end(&Status::Cancelled, &Usage::default(), None);
        }
    }
}

/// The error as an event of a stream.
pub(super) fn error_event(error: &ApiError) -> Value {
    let object = error.to_json();
    json!({
        "type": "error",
        "code": object.get("code"),
        "message": object.get("message"),
        "param": object.get("param"),
        "error": object,
    })
}
