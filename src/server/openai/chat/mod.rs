//! `/v1/chat/completions`: an agent answers with text; its tools run here and are not shown.

mod request;
mod messages;
mod text;
mod answer;
mod stream;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;

use self::answer::{Answer, Ending};
use self::request::ChatRequest;
use self::stream::ChunkStream;
use self::text::AnswerText;
use crate::server::active::ActiveRun;
use crate::server::error::ApiError;
use crate::server::front::now;
use crate::server::{Shared, id, reply};

/// Answers a request; dropping the future, or the body of the answer, cancels the run.
pub(in crate::server) async fn create(
    shared: &Arc<Shared>,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    let request = ChatRequest::parse(body)?;
    let offer = shared.offer();
    let agent = offer.find(&request.model)?;
    let agent = request.format.applied_to(agent, "response_format")?;
    let text = AnswerText::of(&agent);
    let answer = Answer {
        id: format!("chatcmpl-{}", id::random()?),
        created: now(),
        model: request.model,
    };
    let run = if request.streams {
        offer.runner.stream(&agent, request.items)
    } else {
        offer.runner.run(&agent, request.items)
    };
    let run = shared
        .runs
        .begin(run.more_settings(&request.settings))
        .await?;
    if !request.streams {
        return whole(run, &answer, text).await;
    }
    let mut chunks = ChunkStream {
        run,
        answer,
        text,
        tells_usage: request.tells_usage,
        waiting: VecDeque::new(),
        is_over: false,
    };
    chunks.begin().await?;
    Ok(reply::events(chunks.into_stream()))
}

async fn whole(
    run: ActiveRun,
    answer: &Answer,
    mut text: AnswerText,
) -> Result<Response<Body>, ApiError> {
    let mut content = String::new();
    let ended = run.finish(|event| content.extend(text.take(event))).await;
    let answered = match ended {
        Some(Ok(result)) => {
            content.extend(text.end(&result));
            answer.whole(Some(&content), &Ending::STOP, &result.usage())
        }
        Some(Err(error)) => {
            let ending = Ending::of(&error).ok_or_else(|| ApiError::of_run(&error))?;
            content.extend(ending.text.clone());
            let content = Some(&*content).filter(|content| !content.is_empty());
            answer.whole(content, &ending, &error.progress().usage)
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
