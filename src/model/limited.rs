//! A bound on requests under way, across all models and runs that share it.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::future::{BoxFuture, BoxStream};
use crate::model::{Model, ModelError, ModelEvent, ModelRequest};

/// Bounds how many requests are under way at once.
///
/// The others wait, first come first served.
///
/// A cheap handle: clones share one bound, and one bound may hold for several models. A request takes its place in the queue when
/// its stream is first polled, and leaves when its response is done, has failed, or its stream is dropped. So a run holds no place
/// while its tools or nested agents run, and these can call the same model without waiting for their own run.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use openai_agents::Runner;
/// use openai_agents::model::ConcurrencyLimit;
/// use openai_agents::testing::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let agent = openai_agents::Agent::builder("Guide").build()?;
/// let limit = ConcurrencyLimit::new(NonZeroUsize::new(64).ok_or("zero")?);
/// let runner = Runner::new(limit.wrap(ScriptedModel::text("Paris.")));
/// assert_eq!(runner.run(&agent, "The capital of France?").await?.final_output(), "Paris.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ConcurrencyLimit(Arc<Semaphore>);

/// A model behind a [`ConcurrencyLimit`]; made by [`ConcurrencyLimit::wrap`].
///
/// A waiting call is its request and a place in the queue: nothing is encoded and no connection is opened before its turn comes. The
/// time-outs of the call begin with its turn; a run's own time goes on while it waits.
///
/// Places are given in order, also to a call that nobody polls. Drop a stream that you do not want to go on with: once its turn has
/// come it keeps its place, whether it is read or not.
#[derive(Clone)]
pub struct LimitedModel {
    model: Arc<dyn Model>,
    limit: ConcurrencyLimit,
}

impl ConcurrencyLimit {
    /// Allows so many requests at once.
    pub fn new(max_requests: NonZeroUsize) -> Self {
        Self(Arc::new(Semaphore::new(
            max_requests.get().min(Semaphore::MAX_PERMITS),
        )))
    }

    /// Puts a model behind the limit.
    pub fn wrap(&self, model: impl Model + 'static) -> LimitedModel {
        self.wrap_shared(Arc::new(model))
    }

    /// Puts a model that others share behind the limit.
    pub fn wrap_shared(&self, model: Arc<dyn Model>) -> LimitedModel {
        LimitedModel {
            model,
            limit: self.clone(),
        }
    }

    /// Counts the requests that could begin now without waiting.
    pub fn n_free(&self) -> usize {
        self.0.available_permits()
    }
}

impl Model for LimitedModel {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn provider_name(&self) -> &str {
        self.model.provider_name()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        Box::pin(LimitedCall::Waiting(Box::new(WaitingRequest {
            // The queue is entered when this is first polled, and left when it is dropped.
            place: Box::pin(acquire(Arc::clone(&self.limit.0))),
            model: Arc::clone(&self.model),
            request,
        })))
    }
}

enum LimitedCall {
    Waiting(Box<WaitingRequest>),
    Running {
        call: BoxStream<'static, Result<ModelEvent, ModelError>>,
        _place: OwnedSemaphorePermit,
    },
    Over,
}

struct WaitingRequest {
    place: BoxFuture<'static, OwnedSemaphorePermit>,
    model: Arc<dyn Model>,
    request: ModelRequest,
}

#[expect(clippy::expect_used, reason = "nothing closes the semaphore")]
async fn acquire(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    places
        .acquire_owned()
        .await
        .expect("the semaphore of a concurrency limit is never closed")
}

impl Stream for LimitedCall {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut *self {
                // The model is called only once there is a place: until then the request is not
                // even encoded.
                Self::Waiting(waiting) => {
                    let place = ready!(waiting.place.as_mut().poll(cx));
                    let Self::Waiting(waiting) = std::mem::replace(&mut *self, Self::Over) else {
                        return Poll::Ready(None);
                    };
                    *self = Self::Running {
                        call: waiting.model.call(waiting.request),
                        _place: place,
                    };
                }
                // One place for one response. It is given back with the response, not with the run,
                // or a run whose tools call the same model would wait for itself.
                Self::Running { call, .. } => {
                    let event = ready!(call.as_mut().poll_next(cx));
                    let goes_on = matches!(&event, Some(Ok(event)) if !matches!(event, ModelEvent::ResponseDone(_)));
                    if !goes_on {
                        // The place is free before the run learns that it may start its tools.
                        *self = Self::Over;
                    }
                    return Poll::Ready(event);
                }
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("n_free", &self.n_free())
            .finish()
    }
}

impl fmt::Debug for LimitedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedModel")
            .field("model", &self.model.name())
            .field("limit", &self.limit)
            .finish()
    }
}
