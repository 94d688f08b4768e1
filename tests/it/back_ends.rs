//! A wire of a user's own in an `HttpModel`: what the model does for it, and what happens when the wire is wrong.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::StreamExt;
use openai_agents::http::{Headers, HttpError};
use openai_agents::model::wire::{ResponseDecoder, ResponseLimits, Wire, server_error};
use openai_agents::model::{
    ChatWire, Delivery, Dialect, HttpModel, Model, ModelError, ModelEvent, ModelRequest, Received,
    ResponseMeta,
};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{ErrorKind, Item, Secret};
use serde_json::json;

/// Sends nothing of the request; the answer's events are the items.
#[derive(Clone, Copy)]
struct LineWire;

struct LineDecoder;

impl Wire for LineWire {
    fn path(&self, model: &str, delivery: Delivery) -> Cow<'_, str> {
        let method = match delivery {
            Delivery::Stream => "stream?alt=sse",
            _ => "whole",
        };
        format!("models/{model}:{method}").into()
    }

    fn set_headers(&self, headers: &mut Headers, key: Option<&Secret>) -> Result<(), HttpError> {
        headers.insert_secret("x-session", &Secret::new("session-4711-0815"))?;
        headers.insert("x-key", key.map_or("none", |key| key.expose()))
    }

    fn encode(&self, model: &str, _request: &ModelRequest) -> Result<Bytes, ModelError> {
        Ok(json!({ "model": model }).to_string().into())
    }

    fn decoder(&self, _: &ModelRequest, _: ResponseLimits) -> Box<dyn ResponseDecoder> {
        Box::new(LineDecoder)
    }
}

impl ResponseDecoder for LineDecoder {
    fn on_body(
        &mut self,
        body: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        for line in String::from_utf8_lossy(body).lines() {
            self.on_event("", line.as_bytes(), events)?;
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        name: &str,
        data: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let text = String::from_utf8_lossy(data);
        match (name, &*text) {
            ("error", _) => return Err(server_error(ErrorKind::StreamError, data)),
            (_, "end") => events.push_back(ModelEvent::response_done(ResponseMeta::default())),
            _ => {
                events.push_back(ModelEvent::text_delta(&*text));
                events.push_back(ModelEvent::item_done(Item::assistant(text)));
            }
        }
        Ok(())
    }

    fn on_end(&mut self, _events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        // Wrong: neither an end nor an error.
        Ok(())
    }

    fn take_received(&mut self) -> Received {
        Received::default()
    }
}

async fn events(
    server: &FakeServer,
    delivery: Delivery,
) -> Vec<Result<ModelEvent, (ErrorKind, String)>> {
    let model = HttpModel::with_wire(LineWire, server.url(), "m")
        .api_key("key-0123456789")
        .build()
        .unwrap();
    let mut request = ModelRequest::new(vec![Item::user("hi")]);
    request.delivery = delivery;
    let events = model
        .call(request)
        .map(|event| event.map_err(|error| (error.kind(), error.to_string())));
    events.collect().await
}

#[tokio::test]
async fn wire_says_path_and_headers_for_each_delivery() {
    let server = FakeServer::start([Reply::status(200, "hi\nend"), Reply::sse(["hi", "end"])])
        .await
        .unwrap();
    let whole = events(&server, Delivery::Whole).await;
    let streamed = events(&server, Delivery::Stream).await;
    let mut meta = ResponseMeta::default();
    let item = ModelEvent::item_done(Item::assistant("hi"));
    meta.request_id = None;
    let done = ModelEvent::response_done(meta);
    assert_eq!(whole, [Ok(item.clone()), Ok(done.clone())]);
    assert_eq!(
        streamed,
        [Ok(ModelEvent::text_delta("hi")), Ok(item), Ok(done)]
    );
    let requests = server.requests();
    let paths: Vec<_> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(paths, ["/models/m:whole", "/models/m:stream?alt=sse"]);
    for request in &requests {
        assert_eq!(request.header("x-session"), Some("session-4711-0815"));
        assert_eq!(request.header("x-key"), Some("key-0123456789"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn decoder_that_gives_no_end_is_an_error() {
    let server = FakeServer::start([Reply::status(200, "hi"), Reply::sse(["hi"])])
        .await
        .unwrap();
    for delivery in [Delivery::Whole, Delivery::Stream] {
        let events = events(&server, delivery).await;
        let Some(Err((kind, _))) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(*kind, ErrorKind::NoTerminalEvent);
    }
}

#[tokio::test]
async fn secrets_that_the_wire_sends_are_taken_out_of_the_answer() {
    let says = "no: session-4711-0815 and key-0123456789";
    let server = FakeServer::start([
        Reply::status(401, says),
        Reply::event_stream().named_event("error", says),
        Reply::sse([says, "end"]),
    ])
    .await
    .unwrap();
    for delivery in [Delivery::Whole, Delivery::Stream, Delivery::Stream] {
        let seen = format!("{:?}", events(&server, delivery).await);
        assert!(seen.contains("[redacted] and [redacted]"), "{seen}");
        assert!(!seen.contains("4711") && !seen.contains("key-0"), "{seen}");
    }
}

/// A vendor with the chat API under another path and with another header for the key.
#[derive(Clone)]
struct Azure(ChatWire);

impl Wire for Azure {
    fn path(&self, model: &str, _delivery: Delivery) -> Cow<'_, str> {
        format!("openai/deployments/{model}/chat/completions?api-version=2026-01-01").into()
    }

    fn set_headers(&self, headers: &mut Headers, key: Option<&Secret>) -> Result<(), HttpError> {
        key.map_or(Ok(()), |key| headers.insert_secret("api-key", key))
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError> {
        self.0.encode(model, request)
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        self.0.decoder(request, limits)
    }
}

#[tokio::test]
async fn wire_around_a_wire_changes_one_thing() {
    let body = json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]});
    let server = FakeServer::start([Reply::json(&body)]).await.unwrap();
    let model = HttpModel::with_wire(
        Azure(ChatWire::new(Dialect::default())),
        server.url(),
        "gpt-x",
    )
    .api_key("key-0123456789")
    .build()
    .unwrap();
    let events: Vec<_> = model
        .call(ModelRequest::new(vec![Item::user("hi")]))
        .collect()
        .await;
    let Ok(ModelEvent::ItemDone { item }) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(item.assistant_text().as_deref(), Some("hi"));
    let request = &server.requests()[0];
    assert_eq!(
        request.path,
        "/openai/deployments/gpt-x/chat/completions?api-version=2026-01-01"
    );
    assert_eq!(request.header("api-key"), Some("key-0123456789"));
    assert_eq!(request.header("authorization"), None);
}
