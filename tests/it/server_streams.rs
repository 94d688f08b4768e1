//! Streams while the model is silent, and errors behind their head.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use openai_agents::future::BoxStream;
use openai_agents::model::{ModelError, ModelEvent, ModelRequest};
use openai_agents::server::Server;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, Model, Runner};
use serde_json::json;
use tokio::sync::Notify;

use crate::front::{Front, read_rest, read_until};

const CHAT: &str = "/v1/chat/completions";

/// Says nothing until it is told to go on, and then what the other says.
struct Silent {
    goes_on: Arc<Notify>,
    then: ScriptedModel,
}

impl Model for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let (goes_on, then) = (Arc::clone(&self.goes_on), self.then.clone());
        let said = async move {
            goes_on.notified().await;
            then.call(request)
        };
        Box::pin(said.into_stream().flatten())
    }
}

#[tokio::test]
async fn the_head_of_a_stream_does_not_wait_for_the_model() {
    let failure = || ModelError::new(ErrorKind::Transport, "the connection broke");
    for (path, input) in [(CHAT, "messages"), ("/v1/responses", "input")] {
        for (turn, last) in [
            (ScriptedTurn::text("ok"), "ok"),
            (ScriptedTurn::error(failure()), "the connection broke"),
        ] {
            let goes_on = Arc::new(Notify::new());
            let model = Silent {
                goes_on: Arc::clone(&goes_on),
                then: ScriptedModel::new([turn]),
            };
            let agent = Agent::builder("Guide").build().unwrap();
            let front = Front::start(Server::builder(Runner::new(model)).agent(agent)).await;
            let messages = json!([{"role": "user", "content": "hi"}]);
            let body = json!({"model": "Guide", input: messages, "stream": true}).to_string();
            let mut stream = front.send("POST", path, &[], &body).await;
            let head = read_until(&mut stream, "HTTP/1.1 ", "\r\n\r\n").await;
            assert!(head.starts_with("200 OK"), "{head}");
            goes_on.notify_one();
            let rest = read_rest(&mut stream).await;
            assert!(rest.contains(last), "{rest}");
            assert_eq!(rest.contains("[DONE]"), path == CHAT && last == "ok");
        }
    }
}
