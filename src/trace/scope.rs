//! Where new spans belong: what is current while a future is polled.
//!
//! It is a value of the thread that is set before each poll and put back after it, so that it follows a future wherever that is polled,
//! and reaches everything that the future polls itself. What is spawned is polled by nobody who knows: it needs
//! [`TraceScope::current`] to be carried into it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::active::ActiveSpan;
use super::id::{SpanContext, SpanId};
use super::record::SpanStart;
use super::span::{SpanKind, TraceInfo};
use super::tracer::Tracer;

thread_local! {
    static CURRENT: RefCell<Option<TraceScope>> = const { RefCell::new(None) };
}

/// Says where new spans belong.
///
/// They belong to a span, to a trace, or to a span of another program.
///
/// Runs and [custom spans](super::span()) that begin in it become parts of it. It is current while a future that is
/// [run](Self::run) in it is polled; a task that is spawned is given it by hand:
///
/// ```
/// use openai_agents::trace::TraceScope;
///
/// # async fn work() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let scope = TraceScope::current();
/// tokio::spawn(async move {
///     match scope {
///         Some(scope) => scope.run(work()).await,
///         None => work().await,
///     }
/// });
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TraceScope(ScopeKind);

#[derive(Debug, Clone)]
enum ScopeKind {
    Span(ActiveSpan),
    Trace(Arc<TraceInfo>, Tracer, Option<SpanId>),
    Remote(SpanContext),
}

impl TraceScope {
    /// Returns the one that is current.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes a scope of another program's span, which sent its context (`traceparent`).
    ///
    /// Runs that begin in it continue that trace.
    pub const fn remote(parent: SpanContext) -> Self {
        Self(ScopeKind::Remote(parent))
    }

    /// Makes one of a span that goes on.
    pub const fn span(span: ActiveSpan) -> Self {
        Self(ScopeKind::Span(span))
    }

    pub(super) const fn trace(
        trace: Arc<TraceInfo>,
        tracer: Tracer,
        parent: Option<SpanId>,
    ) -> Self {
        Self(ScopeKind::Trace(trace, tracer, parent))
    }

    /// Runs a future in it, which begins there too.
    ///
    /// A run that is about to start takes its place then.
    pub fn run<F: IntoFuture>(self, future: F) -> InScope<F::IntoFuture> {
        let future = self.enter(|| Box::pin(future.into_future()));
        InScope {
            scope: Some(self),
            future,
        }
    }

    /// Does something in it that waits for nothing.
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let mut scope = Some(self.clone());
        let _entered = Entered::new(&mut scope);
        act()
    }

    /// Returns the context that another program is to be told of.
    ///
    /// It is `None` for a trace that has no span yet.
    pub fn context(&self) -> Option<SpanContext> {
        match &self.0 {
            ScopeKind::Span(span) => span.tracer().told_context(span.context()),
            ScopeKind::Trace(trace, _, parent) => {
                parent.map(|parent| SpanContext::new(trace.id, parent))
            }
            ScopeKind::Remote(context) => Some(*context),
        }
    }

    pub(crate) fn active(&self) -> Option<&ActiveSpan> {
        match &self.0 {
            ScopeKind::Span(span) => Some(span),
            ScopeKind::Trace(..) | ScopeKind::Remote(_) => None,
        }
    }

    fn tracer(&self) -> Option<&Tracer> {
        match &self.0 {
            ScopeKind::Span(span) => Some(span.tracer()),
            ScopeKind::Trace(_, tracer, _) => Some(tracer),
            ScopeKind::Remote(_) => None,
        }
    }

    /// Whether what begins here is inside a span of this program.
    pub(crate) fn is_span(&self) -> bool {
        self.active().is_some()
    }

    /// The trace and the span around what begins here; a trace of another program gets the name that it has here.
    pub(crate) fn place(
        &self,
        name: impl FnOnce() -> Arc<str>,
    ) -> (Arc<TraceInfo>, Option<SpanId>) {
        match &self.0 {
            ScopeKind::Span(span) => (span.trace(), Some(span.context().span_id)),
            ScopeKind::Trace(trace, _, parent) => (Arc::clone(trace), *parent),
            ScopeKind::Remote(context) => {
                let trace = TraceInfo {
                    id: context.trace_id,
                    name: name(),
                    group: None,
                    metadata: Vec::new(),
                };
                (Arc::new(trace), Some(context.span_id))
            }
        }
    }

    /// Begins a span here, if there is a tracer.
    pub(crate) fn begin(&self, kind: SpanKind, name: String) -> Option<ActiveSpan> {
        let tracer = self.tracer()?;
        let (trace, parent) = self.place(|| name.as_str().into());
        let mut start = SpanStart::new(trace, parent, kind).named(name);
        start.is_root = !self.is_span();
        Some(tracer.begin(start))
    }
}

/// Returns the span that is current.
pub fn current_span() -> Option<ActiveSpan> {
    CURRENT.with_borrow(|scope| scope.as_ref()?.active().cloned())
}

/// Does something with the span that is current, if there is one; for places that are passed often.
pub(crate) fn with_current<T>(act: impl FnOnce(&ActiveSpan) -> T) -> Option<T> {
    CURRENT.with_borrow(|scope| Some(act(scope.as_ref()?.active()?)))
}

/// The context that the next program is to be told of.
#[cfg(feature = "mcp-client")]
pub(crate) fn current_context() -> Option<SpanContext> {
    CURRENT.with_borrow(|scope| scope.as_ref()?.context())
}

/// Makes a scope current, and puts back what was current before, also when a poll panics.
///
/// Both change places, so that neither is cloned: a run does this at each poll.
pub(crate) struct Entered<'a>(&'a mut Option<TraceScope>);

impl<'a> Entered<'a> {
    pub(crate) fn new(scope: &'a mut Option<TraceScope>) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, scope));
        Self(scope)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

/// A future within a [`TraceScope`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct InScope<F> {
    /// Always there, but for while it is current.
    scope: Option<TraceScope>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let scoped = &mut *self;
        let _entered = Entered::new(&mut scoped.scope);
        scoped.future.as_mut().poll(cx)
    }
}
