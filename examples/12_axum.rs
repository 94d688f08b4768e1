//! An agent in a web service of your own, streamed as server-sent events, with a session for each user:
//! `scripts/model-server run -- cargo run --example 12_axum`, and then `curl -N -d hi http://127.0.0.1:8081/alice`.
//!
//! For the OpenAI API in front of agents there is `openai_agents::server`.
#![expect(clippy::print_stdout, reason = "the program prints where it listens")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt, future};
use openai_agents::session::{MemorySession, SessionId};
use openai_agents::{Agent, RunError, RunEvent, Runner, config};
use serde_json::json;

#[derive(Clone)]
struct App {
    runner: Runner,
    agent: Agent,
    sessions: Arc<Mutex<HashMap<SessionId, MemorySession>>>,
}

impl App {
    fn session(&self, id: SessionId) -> MemorySession {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.entry(id.clone());
        session.or_insert_with(|| MemorySession::new(id)).clone()
    }
}

async fn ask(State(app): State<App>, Path(user): Path<String>, question: String) -> Response {
    let id = match SessionId::new(user) {
        Ok(id) => id,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let run = app
        .runner
        .run(&app.agent, question)
        .session(app.session(id));
    let mut run = run.stream();
    // What the model's server answers decides about the status, which cannot be changed once the head is out.
    if let Err(error) = run.begun().await {
        return failed(&error);
    }
    let events = run.filter_map(|event| future::ready(to_sse(event)));
    // A client that goes away drops the body, and with it the run.
    let body = Body::from_stream(events.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn failed(error: &RunError) -> Response {
    let status = StatusCode::from_u16(error.kind().http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, error.to_string()).into_response()
}

fn to_sse(event: Result<RunEvent, RunError>) -> Option<Bytes> {
    let data = match event {
        Ok(RunEvent::TextDelta { delta }) => json!({ "delta": delta }),
        Ok(RunEvent::RunDone { result }) => json!({ "done": result.final_output() }),
        Ok(_) => return None,
        Err(error) => json!({ "error": error.kind().as_str() }),
    };
    Some(Bytes::from(format!("data: {data}\n\n")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App {
        runner: config::load()?.runner()?,
        agent: Agent::builder("Guide").instructions("Be brief.").build()?,
        sessions: Arc::default(),
    };
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8081");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("curl -N -d hi http://{}/alice", listener.local_addr()?);
    let routes = Router::new().route("/{user}", post(ask)).with_state(app);
    Ok(axum::serve(listener, routes).await?)
}
