//! Runs for user interfaces: begun or resumed by a request whose answer is their events, and cancelled when that is dropped.

use std::future::ready;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::Value;

use super::overrides::AgentOverrides;
use super::read;
use super::record::{Decision, Record};
use super::request::StartRun;
use crate::item::{Item, ItemKind, Role};
use crate::limits::Limits;
use crate::server::AppState;
use crate::server::body::BodyShare;
use crate::server::error::ApiError;
use crate::session::{SessionId, SessionTurn};

/// What a user interface asks for.
pub(in crate::server) struct UiAsk<'a> {
    pub(in crate::server) agent: &'a str,
    pub(in crate::server) session: SessionId,
    pub(in crate::server) input: UiInput,
}

pub(in crate::server) enum UiInput {
    Items(Vec<Item>),
    /// In the place of what the user said last, and of what was answered.
    Again(Vec<Item>),
    Decisions(Vec<Decision>),
}

/// Returns the events of the run from now on.
pub(in crate::server) async fn ui_events(
    app: &Arc<AppState>,
    ask: UiAsk<'_>,
    share: BodyShare,
) -> Result<impl Stream<Item = Value> + Send + 'static, ApiError> {
    // Before anything of the session is changed.
    app.catalog().find(ask.agent)?;
    let items = match ask.input {
        UiInput::Decisions(decisions) => {
            let record = app.service.find(ask.session.as_str())?;
            let seen = record.log.last();
            super::decide(app, &record, &decisions).await?;
            return Ok(events(app, record, seen));
        }
        UiInput::Items(items) => items,
        UiInput::Again(items) => {
            take_last_answer_back(app, &ask.session).await?;
            items
        }
    };
    let request = StartRun {
        agent: ask.agent.to_owned(),
        items,
        session: Some(ask.session),
        limits: Limits::NONE,
        overrides: AgentOverrides::default(),
        streams: true,
    };
    let begun = super::begin(app, request, share).await?;
    Ok(events(app, begun.record, begun.seen))
}

fn events(
    app: &AppState,
    record: Arc<Record>,
    seen: u64,
) -> impl Stream<Item = Value> + Send + 'static {
    let watched = CancelOnDrop(Arc::clone(&record));
    read::stream(record, seen, Arc::clone(&app.runs)).filter_map(move |event| {
        let _watched = &watched;
        ready(json_of(&event))
    })
}

/// The data of an event as the log has it.
fn json_of(event: &Bytes) -> Option<Value> {
    let text = std::str::from_utf8(event).ok()?;
    let (_, data) = text.split_once("data: ")?;
    serde_json::from_str(data.trim_end()).ok()
}

/// Ends a run that goes on, and leaves one that waits.
struct CancelOnDrop(Arc<Record>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel_running();
    }
}

/// Takes the last messages of the user and all behind them out of a session.
async fn take_last_answer_back(app: &AppState, session: &SessionId) -> Result<(), ApiError> {
    let session = app.session(session).await?;
    let failed = |error| ApiError::of_session(&error);
    let found = session.items(None).await.map_err(failed)?;
    let mut items = found.items;
    let is_of_user = |item: &Item| matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User);
    let Some(last) = items.iter().rposition(is_of_user) else {
        return Ok(());
    };
    let before = items.iter().take(last).rposition(|item| !is_of_user(item));
    items.truncate(before.map_or(0, |before| before + 1));
    let turn = SessionTurn::new(items).after(found.version);
    session.replace(turn).await.map_err(failed)?;
    Ok(())
}
