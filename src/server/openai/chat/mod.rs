//! `/v1/chat/completions`: answers with text or with calls of the client's tools; the agent's own calls run here, unseen.

mod request;
mod messages;
mod text;
mod answer;
mod stream;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Response;

use self::answer::{ChatAnswer, Ending};
use self::request::ChatRequest;
use self::stream::ChunkStream;
use self::text::AnswerText;
use super::client_tools::ClientTools;
use super::head;
use super::open_turns::OpenTurn;
use crate::agent::runner::RunRequest;
use crate::error::RunError;
use crate::model::Delivery;
use crate::server::active::ActiveRun;
use crate::server::error::ApiError;
use crate::server::state::now;
use crate::server::{AppState, id, reply};

/// Answers a request; dropping the future, or the body of the answer, cancels the run.
pub(in crate::server) async fn create(
    app: &Arc<AppState>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let request = ChatRequest::parse(&body, &app.open_turns)?;
    // It may be large, and the run long.
    drop(body);
    let catalog = app.catalog();
    let agent = catalog.find(&request.model)?;
    let agent = request.format.applied_to(agent, "response_format")?;
    let agent = request
        .tools
        .given_to(&agent, request.settings.tool_choice.as_ref())?;
    let chat = Chat {
        app: Arc::clone(app),
        answer: ChatAnswer {
            id: format!("chatcmpl-{}", id::random()?),
            created: now(),
            model: request.model,
        },
        text: AnswerText::of(&agent),
        tools: request.tools,
    };
    let run = if request.streams {
        catalog
            .runner
            .run(&agent, request.items)
            .delivery(Delivery::Stream)
    } else {
        catalog
            .runner
            .run(&agent, request.items)
            .delivery(Delivery::Whole)
    };
    let run = run.more_settings(&request.settings);
    if !request.streams {
        return chat.whole(run).await;
    }
    let tells_usage = request.tells_usage;
    let begin = async move {
        let run = chat.app.runs.begin(run).await?;
        let chunks = ChunkStream::new(chat, run, tells_usage);
        chunks.begun().await.map(ChunkStream::into_stream)
    };
    head::in_time(begin, stream::error_event).await
}

/// A request that is being answered.
struct Chat {
    app: Arc<AppState>,
    answer: ChatAnswer,
    text: AnswerText,
    tools: ClientTools,
}

impl Chat {
    async fn whole(mut self, run: RunRequest) -> Result<Response<Body>, ApiError> {
        let run: ActiveRun = self.app.runs.begin(run).await?;
        let mut content = String::new();
        let ended = run.finish(|event| content.extend(self.text.take(event)));
        let answered = match ended.await {
            Some(Ok(result)) => {
                content.extend(self.text.end(&result));
                let usage = result.usage();
                self.answer.whole(Some(&content), &Ending::STOP, &usage)
            }
            Some(Err(error)) => {
                let usage = error.progress().usage;
                let ending = self.ending(error)?;
                content.extend(ending.text.clone());
                let content = Some(&*content).filter(|content| !content.is_empty());
                self.answer.whole(content, &ending, &usage)
            }
            None => {
                return Err(ApiError::new(
                    500,
                    "server_error",
                    "the run ended without a result",
                ));
            }
        };
        Ok(reply::json(200, &answered))
    }

    /// Recognises an end that the API has a word for; what the agent did before calls of the client's tools is kept.
    fn ending(&self, error: RunError) -> Result<Ending, ApiError> {
        if let Some(ending) = Ending::of(&error) {
            return Ok(ending);
        }
        // A run that waits for the client's tools has paused, which is an error to us and a usual
        // answer to the client.
        let Some(calls) = self.tools.calls_of(&error, &self.answer.model) else {
            return Err(ApiError::of_run(&error));
        };
        let state = error
            .into_state()
            .map_err(|error| ApiError::of_run(&error))?;
        let turn = Arc::new(OpenTurn::of_run(&state, calls)?);
        let names = turn.calls.iter().map(|call| call.id.as_str());
        self.app.open_turns.keep(names, &turn);
        Ok(Ending::calls(&turn.calls))
    }
}
