//! Spans of the application's own.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde_json::Value;

use super::active::ActiveSpan;
use super::scope::{InScope, TraceScope};
use super::span::{SpanKind, SpanStatus};

/// A span of the application's own that has not begun yet; made by [`span()`].
#[derive(Debug)]
#[must_use = "a span holds what is run in it"]
pub struct CustomSpan {
    name: String,
    attributes: Vec<(Cow<'static, str>, Value)>,
}

/// Makes a span of your own, below the current one.
///
/// It stands below a tool call, a guardrail or a run.
///
/// It begins with [`run`](CustomSpan::run). Where nothing is traced, the future just runs.
///
/// ```
/// use openai_agents::trace::span;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let rows = span("query orders").attribute("db.system", "sqlite").run(async { 3 }).await;
/// assert_eq!(rows, 3);
/// # }
/// ```
pub fn span(name: impl Into<String>) -> CustomSpan {
    CustomSpan {
        name: name.into(),
        attributes: Vec::new(),
    }
}

impl CustomSpan {
    /// Adds an attribute.
    pub fn attribute(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
    ) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Runs a future inside the span, which ends with it.
    ///
    /// The future can add what it finds out with [`current_span`](super::current_span).
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops the one inside and ends the span as cancelled.
    pub async fn run<F: IntoFuture>(self, future: F) -> F::Output {
        self.run_as(SpanKind::Custom, future).await
    }

    pub(crate) async fn run_as<F: IntoFuture>(self, kind: SpanKind, future: F) -> F::Output {
        let scope = TraceScope::current();
        let Some(span) = scope.and_then(|scope| scope.begin(kind, self.name)) else {
            return future.await;
        };
        for (name, value) in self.attributes {
            span.set(name, value);
        }
        let future = TraceScope::span(span.clone()).run(future);
        EndingSpan { span, future }.await
    }
}

/// Ends a span with its future.
struct EndingSpan<F> {
    span: ActiveSpan,
    future: InScope<F>,
}

impl<F: Future> Future for EndingSpan<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let output = std::task::ready!(Pin::new(&mut self.future).poll(cx));
        self.span.end();
        Poll::Ready(output)
    }
}

impl<F> Drop for EndingSpan<F> {
    fn drop(&mut self) {
        // Does nothing after `poll` has ended the span: only the first end counts.
        self.span.end_as(SpanStatus::Cancelled);
    }
}
