//! A model server that gives everyone the same answer at once.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::post;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::BoxError;

/// In pieces of this size the answer is streamed.
const PIECE_BYTES: usize = 2_000;

/// Starts a server whose answers have so many bytes of text, and gives its URL; it ends with the process.
pub(crate) async fn start(n_bytes: usize) -> Result<String, BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let answers = Answers::new(n_bytes);
    let app = Router::new().route(
        "/v1/chat/completions",
        post(move |request| answer(answers.clone(), request)),
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

#[derive(Clone)]
struct Answers {
    whole: Bytes,
    streamed: Bytes,
}

impl Answers {
    fn new(n_bytes: usize) -> Self {
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
        let text = "x".repeat(n_bytes);
        let message = json!({"role": "assistant", "content": text});
        let whole = json!({
            "id": "r", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        });
        let mut streamed = String::new();
        for n in 0..n_bytes.div_ceil(PIECE_BYTES) {
            let piece = PIECE_BYTES.min(n_bytes - n * PIECE_BYTES);
            streamed += &chunk(&json!({"content": "x".repeat(piece)}), &Value::Null);
        }
        streamed += &chunk(&json!({}), &json!("stop"));
        streamed += "data: [DONE]\n\n";
        Self {
            whole: whole.to_string().into(),
            streamed: streamed.into(),
        }
    }
}

fn chunk(delta: &Value, finish_reason: &Value) -> String {
    let chunk = json!({"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]});
    format!("data: {chunk}\n\n")
}

/// Reads the request, keeping only what says whether it is to be streamed, and answers.
async fn answer(answers: Answers, request: Request) -> Response {
    const MARK: &[u8] = br#""stream":true"#;
    let mut body = request.into_body().into_data_stream();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    while let Some(Ok(piece)) = body.next().await {
        if first.len() < 300 {
            first.extend_from_slice(&piece);
        }
        last = piece.to_vec();
    }
    let is_streamed = [first, last]
        .iter()
        .any(|part| part.windows(MARK.len()).any(|found| found == MARK));
    let (kind, body) = if is_streamed {
        ("text/event-stream", answers.streamed)
    } else {
        ("application/json", answers.whole)
    };
    let pieces = (0..body.len()).step_by(64 * 1024).map(move |at| {
        let end = (at + 64 * 1024).min(body.len());
        Ok::<_, Infallible>(body.slice(at..end))
    });
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
