//! Retries: only what is asked for, only before the answer, and never unseen.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use openai_agents::item::Item;
use openai_agents::model::{
    Delivery, Deviation, Jitter, Model, ModelError, ModelRequest, OpenAiChat, Retry, RetryAfter,
    RetryPolicy, TransportFailure,
};
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, RunError, RunResult, Runner, Usage};
use serde_json::json;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

fn agent() -> Agent {
    Agent::builder("Guide").build().unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn busy(status: u16) -> ModelError {
    ModelError::new(ErrorKind::ApiStatus, "busy").with_status(status)
}

fn broken(kind: ErrorKind) -> ModelError {
    ModelError::new(kind, "broken")
}

/// A script of these errors and then an answer.
fn script(errors: impl IntoIterator<Item = ModelError>) -> ScriptedModel {
    let errors = errors.into_iter().map(ScriptedTurn::error);
    let usage = Usage::of_request(5, 2, 7);
    ScriptedModel::new(errors.chain([ScriptedTurn::text("done").with_usage(usage)]))
}

/// Runs, and gives also how often the model was called and how long it took.
async fn run(
    policy: RetryPolicy,
    errors: impl IntoIterator<Item = ModelError>,
) -> (Result<RunResult, RunError>, usize, Duration) {
    let model = script(errors);
    let started = Instant::now();
    let runner = Runner::new(Retry::new(model.clone(), policy));
    let result = runner.run(&agent(), "go").await;
    (result, model.requests().len(), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn retry_follows_the_policy() {
    let transport = RetryPolicy::attempts(3).transport(TransportFailure::Retry);
    let statuses = RetryPolicy::attempts(3).statuses([429, 503]);
    for (policy, error, n_calls) in [
        (RetryPolicy::attempts(3), busy(503), 1),
        (RetryPolicy::attempts(3), broken(ErrorKind::Transport), 1),
        (RetryPolicy::attempts(1).statuses([503]), busy(503), 1),
        (RetryPolicy::attempts(0).statuses([503]), busy(503), 1),
        (statuses.clone(), busy(503), 2),
        (statuses.clone(), busy(500), 1),
        (statuses.clone(), broken(ErrorKind::StreamError), 1),
        (statuses, broken(ErrorKind::Transport), 1),
        (transport.clone(), busy(503), 1),
        (transport.clone(), broken(ErrorKind::Transport), 2),
        (transport.clone(), broken(ErrorKind::TimeoutConnect), 2),
        (transport.clone(), broken(ErrorKind::TimeoutIdle), 2),
        (transport.clone(), broken(ErrorKind::TimeoutTotal), 1),
        (transport, broken(ErrorKind::InvalidJson), 1),
    ] {
        let told = format!("{policy:?} {error:?}");
        let (result, n_made, _) = run(policy, [error]).await;
        assert_eq!((n_made, result.is_ok()), (n_calls, n_calls == 2), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn delays_grow_up_to_their_bound_and_the_last_error_is_the_error() {
    let policy = RetryPolicy::attempts(5)
        .statuses([503])
        .backoff(seconds(1), 3.0, seconds(5));
    let errors = (1..=5)
        .map(|n| ModelError::new(ErrorKind::ApiStatus, format!("busy {n}")).with_status(503));
    let (result, n_calls, elapsed) = run(policy, errors).await;
    assert_eq!(result.unwrap_err().to_string(), "busy 5");
    assert_eq!((n_calls, elapsed), (5, seconds(1 + 3 + 5 + 5)));
}

#[tokio::test(start_paused = true)]
async fn a_server_is_given_the_time_it_asks_for_or_the_call_fails() {
    let policy = RetryPolicy::attempts(2)
        .statuses([429])
        .backoff(seconds(2), 1.0, seconds(2));
    let asks = |n| busy(429).with_retry_after(Some(seconds(n)));
    for (retry_after, asked, n_calls, waited) in [
        (RetryAfter::Ignore, 7, 2, 2),
        (RetryAfter::UpTo(seconds(10)), 7, 2, 7),
        (RetryAfter::UpTo(seconds(10)), 1, 2, 2),
        (RetryAfter::UpTo(seconds(10)), 11, 1, 0),
    ] {
        let policy = policy.clone().retry_after(retry_after);
        let (result, n_made, elapsed) = run(policy, [asks(asked)]).await;
        assert_eq!(
            (n_made, elapsed),
            (n_calls, seconds(waited)),
            "{retry_after:?}"
        );
        if let Err(error) = result {
            assert_eq!(error.retry_after(), Some(seconds(asked)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_delays_and_does_so_again() {
    let policy = RetryPolicy::attempts(2)
        .statuses([503])
        .backoff(seconds(8), 1.0, seconds(8))
        .jitter(Jitter::Spread);
    let delays = async || {
        let turns =
            (0..20).flat_map(|_| [ScriptedTurn::error(busy(503)), ScriptedTurn::text("done")]);
        let runner = Runner::new(Retry::new(ScriptedModel::new(turns), policy.clone()));
        let mut delays = Vec::new();
        for _ in 0..20 {
            let started = Instant::now();
            runner.run(&agent(), "go").await.unwrap();
            delays.push(started.elapsed());
        }
        delays
    };
    let once = delays().await;
    assert!(
        once.iter()
            .all(|delay| (seconds(4)..=seconds(8)).contains(delay))
    );
    let (least, most) = (once.iter().min().unwrap(), once.iter().max().unwrap());
    assert!(*most > *least + seconds(3), "{once:?}");
    assert_eq!(once, delays().await);
}

#[tokio::test(start_paused = true)]
async fn retry_after_delivered_event_does_not_happen() {
    let begun = async |delivery| {
        let item = Item::assistant("half");
        let model = ScriptedModel::new([
            ScriptedTurn::items([item]).with_error(broken(ErrorKind::Transport)),
            ScriptedTurn::text("never"),
        ]);
        let policy = RetryPolicy::attempts(3).transport(TransportFailure::Retry);
        let mut request = ModelRequest::new(vec![Item::user("go")]);
        request.delivery = delivery;
        let events: Vec<_> = Retry::new(model.clone(), policy)
            .call(request)
            .collect()
            .await;
        assert!(events.last().unwrap().is_err());
        assert_eq!(model.n_left(), 1);
    };
    begun(openai_agents::model::Delivery::Stream).await;
    begun(openai_agents::model::Delivery::Whole).await;
}

#[tokio::test(start_paused = true)]
async fn retry_attempt_is_in_the_result() {
    let policy = RetryPolicy::attempts(3).statuses([429, 503]);
    let (result, _, _) = run(policy, [busy(503), busy(429)]).await;
    let result = result.unwrap();
    let deviations: Vec<Deviation> = result.deviations().cloned().collect();
    assert_eq!(
        deviations,
        [
            Deviation::new(
                "retried",
                "attempt 1 failed and another was made after 500ms: busy"
            ),
            Deviation::new(
                "retried",
                "attempt 2 failed and another was made after 1s: busy"
            ),
        ]
    );
    let mut usage = Usage::of_request(5, 2, 7);
    usage += Usage::UNREPORTED;
    usage += Usage::UNREPORTED;
    assert_eq!(result.usage(), usage);
    assert_eq!(result.turns(), 1);
}

/// Keeps the events of one target, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "openai_agents::retry"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = LogLine(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct LogLine(String);

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn retry_attempt_is_an_event() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let policy = RetryPolicy::attempts(2).statuses([503]);
    run(policy, [busy(503), busy(503)]).await.0.unwrap_err();
    assert_eq!(
        *log.0.lock().unwrap(),
        [
            "WARN message=an attempt failed; another follows model=\"scripted\" attempt=1 max_attempts=2 kind=api_status cause=busy delay=500ms",
            "WARN message=gave up model=\"scripted\" attempt=2 kind=api_status cause=busy",
        ]
    );
}

/// Over the wire, with delays that do not matter: what is sent again is the same, and a broken connection is transport.
#[tokio::test]
async fn a_server_gets_the_same_request_again() {
    let answer = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    let server = FakeServer::start([
        Reply::status(503, "overloaded").header("retry-after-ms", "1"),
        Reply::raw("").reset(),
        Reply::json(&answer),
    ])
    .await
    .unwrap();
    let policy = RetryPolicy::attempts(3)
        .statuses([503])
        .transport(TransportFailure::Retry)
        .backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1));
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let runner = Runner::new(Retry::new(model, policy));
    let result = runner.run(&agent(), "go").await.unwrap();
    assert_eq!(
        (result.usage().requests, result.deviations().count()),
        (3, 2)
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .iter()
            .all(|request| request.body == requests[0].body)
    );
}

#[tokio::test]
async fn a_stream_that_broke_in_its_middle_is_an_error_of_the_run() {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": "half"}}]}).to_string();
    let server = FakeServer::start([Reply::sse([delta]).pause(Duration::from_millis(50)).reset()])
        .await
        .unwrap();
    let policy = RetryPolicy::attempts(3).transport(TransportFailure::Retry);
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let error = Runner::new(Retry::new(model, policy))
        .run(&agent(), "go")
        .delivery(Delivery::Stream)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(server.requests().len(), 1);
}
