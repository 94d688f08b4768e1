//! Runs as a service: they outlive the client that started them; any client can watch, cancel and approve.

mod request;
mod record;
mod events;
mod log;
mod read;
mod overrides;
mod preview;
mod sessions;
mod routes;
mod ui;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(super) use self::record::Decision;
pub(super) use self::request::session_id;
pub(super) use self::routes::routes;
pub(super) use self::ui::{UiAsk, UiInput, ui_events};

use self::record::{AskedRun, Record};
use self::request::StartRun;
use super::active::ActiveRun;
use super::body::BodyShare;
use super::error::ApiError;
use super::kept::{Keeper, Kind, Shelf};
use super::{AppState, id, reply};
use crate::agent::RunState;
use crate::session::SessionId;

/// The sessions with runs, and the tasks that drive these; they end with the server.
pub(super) struct Service {
    records: Shelf<Arc<Record>>,
    tasks: Mutex<JoinSet<()>>,
    max_events: usize,
}

impl Service {
    pub(super) fn new(keeper: &Keeper, max_events: usize) -> Self {
        Self {
            records: keeper.shelf(Kind::Run, usize::MAX),
            tasks: Mutex::default(),
            max_events,
        }
    }

    fn find(&self, session: &str) -> Result<Arc<Record>, ApiError> {
        self.records.get(session).ok_or_else(|| {
            let what = format!("run of the session `{session}`");
            ApiError::not_kept(&what, self.records.dropped(session))
        })
    }

    /// Takes a session for a run, which no other may have meanwhile.
    fn reserve(&self, session: &SessionId, asked: &AskedRun<'_>) -> Result<Arc<Record>, ApiError> {
        let id = session.as_str();
        let make = || Arc::new(Record::new(session.clone(), self.max_events));
        let record = self.records.get_or_insert_with(id, make);
        record.reserve(asked)?;
        // It may have been forgotten before it was taken; from now on it is not, since it is busy.
        let kept = self.records.get_or_insert_with(id, || Arc::clone(&record));
        if Arc::ptr_eq(&kept, &record) {
            Ok(record)
        } else {
            Err(record::busy())
        }
    }

    /// Drives a run to its end, whoever looks.
    fn spawn(&self, record: Arc<Record>, mut run: ActiveRun, share: Option<BodyShare>) {
        record.begun(run.handle());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // A `JoinSet` keeps the results of tasks that ended. Taking them here, each time one is
        // added, bounds it by the runs under way.
        while tasks.try_join_next().is_some() {}
        let records = self.records.clone();
        tasks.spawn(async move {
            while let Some(event) = run.next().await {
                // The task polls the run whether anyone reads or not, so that a client which goes
                // away does not stop it. Its readers have the log.
                record.take(event);
                records.changed(record.session.as_str());
            }
            drop((run, share));
        });
    }
}

/// A run that was begun, and the number of the last event before its own.
struct Begun {
    run_id: String,
    record: Arc<Record>,
    seen: u64,
}

/// `POST /run`: begins a run, and answers at once or with its events.
async fn start(
    app: &Arc<AppState>,
    body: Bytes,
    share: BodyShare,
) -> Result<Response<Body>, ApiError> {
    let request = StartRun::parse(&body)?;
    drop(body);
    let streams = request.streams;
    let Begun {
        run_id,
        record,
        seen,
    } = begin(app, request, share).await?;
    if streams {
        let closing = Arc::clone(&app.runs);
        return Ok(reply::events(read::stream(record, seen, closing)));
    }
    let session = record.session.as_str();
    Ok(reply::json(
        202,
        &json!({"run_id": run_id, "session": session, "status": "running"}),
    ))
}

/// Begins a run; it holds the share of its body, which may be gone from here before it ends.
async fn begin(
    app: &Arc<AppState>,
    request: StartRun,
    share: BodyShare,
) -> Result<Begun, ApiError> {
    let catalog = app.catalog();
    let served = catalog.find(&request.agent)?;
    let agent = request.overrides.apply(app, served).await?;
    let run_id = format!("run_{}", id::random()?);
    let session = match request.session {
        Some(session) => session,
        None => request::session_id(run_id.clone())?,
    };
    let asked = AskedRun {
        run_id: &run_id,
        agent: agent.name(),
        overrides: &request.overrides,
        input: &request.items,
    };
    let record = app.service.reserve(&session, &asked)?;
    let seen = record.log.last();
    let begun = async {
        let session = app.session(&record.session).await?;
        let run = catalog.runner.run(&agent, request.items);
        let run = run.session(&session).more_limits(request.limits);
        app.runs.begin(run).await
    };
    // From here to `spawn` there are awaits, at each of which the client may go. The guard gives
    // the session back then.
    let mut reserved = Reserved::of(&record, None);
    let run = begun.await?;
    reserved.record = None;
    drop(reserved);
    app.service.spawn(Arc::clone(&record), run, Some(share));
    Ok(Begun {
        run_id,
        record,
        seen,
    })
}

/// A session that is taken for a run; given back if the run does not begin, also when the client goes.
struct Reserved<'a> {
    record: Option<&'a Record>,
    state: Option<RunState>,
}

impl<'a> Reserved<'a> {
    const fn of(record: &'a Record, state: Option<RunState>) -> Self {
        Self {
            record: Some(record),
            state,
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        match (self.record, self.state.take()) {
            (Some(record), None) => record.refused(),
            (Some(record), Some(state)) => record.put_back(state),
            (None, _) => {}
        }
    }
}

/// `GET /events/{session}`: the events from where the reader stopped.
fn events(
    app: &Arc<AppState>,
    session: &str,
    last_event_id: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let record = app.service.find(session)?;
    let seen = match last_event_id {
        None => record.log.before_first(),
        Some(id) => id.parse().map_err(|_| {
            ApiError::invalid("Last-Event-ID", "`Last-Event-ID` is the number of an event")
        })?,
    };
    // The reader has everything, and nothing more will come.
    if !record.is_running() && seen == record.log.last() {
        // It tells an EventSource not to ask again.
        return Ok(reply::text(204, "text/event-stream", Body::empty()));
    }
    Ok(reply::events(read::stream(
        record,
        seen,
        Arc::clone(&app.runs),
    )))
}

/// `GET /status/{session}`.
fn status(app: &AppState, session: &str) -> Result<Value, ApiError> {
    Ok(app.service.find(session)?.to_json())
}

/// `POST /cancel/{session}`.
fn cancel(app: &AppState, session: &str, body: &[u8]) -> Result<Value, ApiError> {
    let when = request::cancel(body)?;
    let record = app.service.find(session)?;
    record.cancel(when)?;
    app.service.records.changed(session);
    Ok(record.to_json())
}

/// `POST /send/{session}`: gives more input to the run that goes on.
fn send(app: &AppState, session: &str, body: &[u8]) -> Result<Value, ApiError> {
    let items = request::input(body)?;
    let record = app.service.find(session)?;
    record.send(items)?;
    app.service.records.changed(session);
    Ok(record.to_json())
}

/// `POST /approve/{session}`: decides about calls; once none waits, the run goes on.
async fn approve(app: &Arc<AppState>, session: &str, body: &[u8]) -> Result<Value, ApiError> {
    let decisions = request::decisions(body)?;
    let record = app.service.find(session)?;
    decide(app, &record, &decisions).await?;
    Ok(record.to_json())
}

/// Decides about calls; once none waits, the run goes on.
async fn decide(
    app: &Arc<AppState>,
    record: &Arc<Record>,
    decisions: &[Decision],
) -> Result<(), ApiError> {
    let decided = record.decide(decisions)?;
    app.service.records.changed(record.session.as_str());
    let Some(state) = decided else {
        return Ok(());
    };
    let mut reserved = Reserved::of(record, Some(state.clone()));
    let catalog = app.catalog();
    let served = catalog.find(state.start_agent())?;
    let agent = record.overrides().apply(app, served).await?;
    let session = app.session(&record.session).await?;
    let run = catalog.runner.resume(&agent, state).session(&session);
    let run = app.runs.begin(run).await?;
    reserved.record = None;
    app.service.spawn(Arc::clone(record), run, None);
    drop(reserved);
    Ok(())
}
