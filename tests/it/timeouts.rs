//! How long a server is waited for: each time-out where it counts, and its setting in its error.

use std::time::Duration;

use openai_agents::http::{HttpClient, HttpClientBuilder};
use openai_agents::model::{Delivery, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{ErrorKind, ModelSettings, Runner};
use serde_json::json;

use crate::support::{agent, chunk};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(600);

/// What a run against a reply ends with.
async fn failure(
    reply: Reply,
    client: HttpClientBuilder,
    delivery: Delivery,
) -> (ErrorKind, String) {
    let server = FakeServer::start([reply]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").http_client(client.build().unwrap());
    let runner = Runner::new(model.build().unwrap());
    let request = runner.run(&agent([]), "go").delivery(delivery);
    let error = request.await.unwrap_err();
    let message = error
        .to_string()
        .replace(&server.address().to_string(), "S");
    (error.kind(), message)
}

fn first() -> HttpClientBuilder {
    HttpClient::builder()
        .first_event_timeout(SHORT)
        .idle_timeout(LONG)
}

fn idle() -> HttpClientBuilder {
    HttpClient::builder()
        .first_event_timeout(LONG)
        .idle_timeout(SHORT)
}

fn said() -> Reply {
    Reply::event_stream().event(&chunk(&json!({ "content": "Hi" })))
}

/// Comments, as a server sends them while it has nothing to say, closer together than the time-outs.
fn commenting(mut reply: Reply) -> Reply {
    for _ in 0..400 {
        reply = reply.bytes(": still there\n\n");
    }
    reply.drip(15, SHORT / 8).hang()
}

#[tokio::test]
async fn the_first_event_has_a_time_of_its_own() {
    let expected = (
        ErrorKind::TimeoutIdle,
        "S did not begin to answer within 50ms (`timeouts.first_event_secs`, or `first_event_timeout` of the client)".to_owned(),
    );
    let silent = || Reply::raw("").hang();
    for (reply, delivery) in [
        (silent(), Delivery::Whole),
        (silent(), Delivery::Stream),
        (Reply::event_stream().hang(), Delivery::Stream),
        (commenting(Reply::event_stream()), Delivery::Stream),
    ] {
        assert_eq!(
            failure(reply, first(), delivery).await,
            expected,
            "{delivery:?}"
        );
    }
}

#[tokio::test]
async fn silence_after_the_first_event_has_a_time_of_its_own() {
    let expected = (
        ErrorKind::TimeoutIdle,
        "nothing more came from S for 50ms (`timeouts.idle_secs`, or `idle_timeout` of the client)"
            .to_owned(),
    );
    let begun = Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    )
    .hang();
    for (reply, delivery) in [
        (begun, Delivery::Whole),
        (said().hang(), Delivery::Stream),
        (commenting(said()), Delivery::Stream),
    ] {
        assert_eq!(
            failure(reply, idle(), delivery).await,
            expected,
            "{delivery:?}"
        );
    }
}

#[tokio::test]
async fn the_whole_answer_has_a_time_if_one_is_set() {
    let expected = (
        ErrorKind::TimeoutTotal,
        "the answer of S was not complete within 50ms (`timeouts.total_secs`, or `total_timeout` of the client)".to_owned(),
    );
    for (reply, delivery) in [
        (Reply::raw("").hang(), Delivery::Whole),
        (said().hang(), Delivery::Stream),
        (commenting(said()), Delivery::Stream),
    ] {
        let client = HttpClient::builder().total_timeout(SHORT);
        assert_eq!(
            failure(reply, client, delivery).await,
            expected,
            "{delivery:?}"
        );
    }
}

#[tokio::test]
async fn the_time_of_a_request_names_where_it_is_set() {
    let server = FakeServer::start([said().hang()]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let agent = openai_agents::Agent::builder("A")
        .model_settings(ModelSettings::default().timeout(SHORT))
        .build()
        .unwrap();
    let error = Runner::new(model)
        .run(&agent, "go")
        .delivery(Delivery::Stream)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutTotal);
    assert_eq!(
        error.to_string(),
        "the answer was not complete within 50ms (`timeout` of the model settings)"
    );
}
