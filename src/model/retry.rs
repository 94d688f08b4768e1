//! Retries, for those who ask for them by name.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use crate::future::BoxStream;
use crate::kind::ErrorKind;
use crate::model::{Deviation, Model, ModelError, ModelEvent, ModelRequest, ResponseMeta};
use crate::trace::gen_ai;
use crate::usage::Usage;

/// Calls a model again when a call fails as its [`RetryPolicy`] says.
///
/// It does so only before any of the answer was delivered.
///
/// Every further attempt is visible: as a `warn` event of `tracing` under the target `openai_agents::retry` with the attempt that
/// failed, its cause and the delay; as a [`Deviation`] `retried` of the response; and in its usage, which counts every request.
/// What fails for good is the error of the last attempt, unchanged.
///
/// Each attempt is a whole model call with time-outs of its own. Put a [`ConcurrencyLimit`](crate::model::ConcurrencyLimit) inside, around
/// the model itself, so that no place is held during a delay and each attempt queues anew.
///
/// ```
/// use std::time::Duration;
///
/// use openai_agents::Runner;
/// use openai_agents::model::{ModelError, Retry, RetryAfter, RetryPolicy};
/// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let agent = openai_agents::Agent::builder("Guide").build()?;
/// let busy = ModelError::new(openai_agents::ErrorKind::ApiStatus, "busy").with_status(503);
/// let model = ScriptedModel::new([ScriptedTurn::error(busy), ScriptedTurn::text("Paris.")]);
///
/// let policy = RetryPolicy::attempts(3)
///     .statuses([429, 503])
///     .retry_after(RetryAfter::UpTo(Duration::from_secs(20)));
/// let result = Runner::new(Retry::new(model, policy)).run(&agent, "The capital of France?").await?;
/// assert_eq!(result.final_output(), "Paris.");
/// assert_eq!(result.usage().requests, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Retry(Arc<RetryParts>);

struct RetryParts {
    model: Arc<dyn Model>,
    policy: RetryPolicy,
    /// The delays so far, from which [`Jitter::Spread`] is made.
    n_delays: AtomicU64,
}

/// Says which failed model calls are tried again, how often, and after how long.
///
/// Begun by [`RetryPolicy::attempts`], it names no failure: nothing is tried again until [`statuses`](Self::statuses) or
/// [`transport`](Self::transport) say what.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The most attempts at one call, the first included; 0 and 1 are no retry.
    pub max_attempts: u32,
    /// The HTTP statuses that are tried again; none unless given.
    ///
    /// Usual ones are 429, 502, 503 and 504.
    pub statuses: Vec<u16>,
    /// Whether failures without an answer are tried again.
    pub transport: TransportFailure,
    /// How long to wait.
    pub backoff: Backoff,
    /// Whether the waits of calls that fail together are spread.
    pub jitter: Jitter,
    /// What is made of the wait that a server asks for.
    pub retry_after: RetryAfter,
}

/// What happens when a call ends without an answer.
///
/// That is: there was no connection, a broken one, or silence.
///
/// These are the kinds `transport`, `timeout_connect` and `timeout_idle`. The server may have seen the request, and may bill it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportFailure {
    /// The call fails.
    #[default]
    Fail,
    /// It is tried again.
    Retry,
}

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// Before the second attempt.
    pub initial: Duration,
    /// By what each next wait is longer than the one before.
    pub multiplier: f64,
    /// The longest wait.
    pub max: Duration,
}

/// Says whether the waits of calls that fail together are spread.
///
/// Calls whose waits are spread do not come back together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Each wait is what the back-off says.
    #[default]
    None,
    /// Each wait is between half of that and all of it.
    ///
    /// There are no random numbers: a process that does the same waits the same.
    Spread,
}

/// What is made of the wait that a server asks for by `retry-after`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Nothing: the back-off decides.
    #[default]
    Ignore,
    /// It is waited for, if it is longer than the back-off.
    ///
    /// If it is longer than this, the call fails at once.
    UpTo(Duration),
}

impl RetryPolicy {
    /// Allows so many attempts at one call, the first included.
    pub const fn attempts(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            statuses: Vec::new(),
            transport: TransportFailure::Fail,
            backoff: Backoff {
                initial: Duration::from_millis(500),
                multiplier: 2.0,
                max: Duration::from_secs(30),
            },
            jitter: Jitter::None,
            retry_after: RetryAfter::Ignore,
        }
    }

    /// Sets the HTTP statuses that are tried again.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Sets what happens when a call ends without an answer.
    #[must_use]
    pub const fn transport(mut self, transport: TransportFailure) -> Self {
        self.transport = transport;
        self
    }

    /// Sets how long to wait; half a second, doubled up to 30, by default.
    #[must_use]
    pub const fn backoff(mut self, initial: Duration, multiplier: f64, max: Duration) -> Self {
        self.backoff = Backoff {
            initial,
            multiplier,
            max,
        };
        self
    }

    /// Sets whether waits are spread.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets what is made of the wait that a server asks for.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Says how long to wait after a failed attempt, counted from 1; `None` is not to try again.
    fn delay(&self, attempt: u32, error: &ModelError, n_delays: &AtomicU64) -> Option<Duration> {
        if attempt >= self.max_attempts || !self.covers(error) {
            return None;
        }
        let mut delay = self.backoff.after(attempt);
        if self.jitter == Jitter::Spread {
            // Between half and all of the delay: never nothing, which would hammer a server that is
            // down already.
            delay = delay.mul_f64(0.5 + 0.5 * fraction(n_delays.fetch_add(1, Ordering::Relaxed)));
        }
        match (self.retry_after, error.retry_after()) {
            // Asking earlier than the server wants is refused again, so a wait that is too long
            // fails at once.
            (RetryAfter::UpTo(cap), Some(asked)) if asked > cap => None,
            (RetryAfter::UpTo(_), Some(asked)) => Some(delay.max(asked)),
            (RetryAfter::UpTo(_), None) | (RetryAfter::Ignore, _) => Some(delay),
        }
    }

    fn covers(&self, error: &ModelError) -> bool {
        match error.kind() {
            ErrorKind::Transport | ErrorKind::TimeoutConnect | ErrorKind::TimeoutIdle => {
                self.transport == TransportFailure::Retry
            }
            _ => error
                .status()
                .is_some_and(|status| self.statuses.contains(&status)),
        }
    }
}

impl Backoff {
    fn after(&self, attempt: u32) -> Duration {
        let factor = self
            .multiplier
            .powi(attempt.saturating_sub(1).cast_signed());
        Duration::try_from_secs_f64(self.initial.as_secs_f64() * factor)
            .map_or(self.max, |delay| delay.min(self.max))
    }
}

/// Spreads a count over 0 to 1 (the finaliser of `SplitMix64`).
fn fraction(count: u64) -> f64 {
    let mut bits = count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let top = u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap_or_default();
    f64::from(top) / f64::from(u32::MAX)
}

impl Retry {
    /// Puts a model under a policy.
    pub fn new(model: impl Model + 'static, policy: RetryPolicy) -> Self {
        Self::shared(Arc::new(model), policy)
    }

    /// Puts a model that others share under a policy.
    pub fn shared(model: Arc<dyn Model>, policy: RetryPolicy) -> Self {
        Self(Arc::new(RetryParts {
            model,
            policy,
            n_delays: AtomicU64::new(0),
        }))
    }
}

impl Model for Retry {
    fn name(&self) -> &str {
        self.0.model.name()
    }

    fn provider_name(&self) -> &str {
        self.0.model.provider_name()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        Box::pin(Attempts {
            state: RetryState::Calling(self.0.model.call(request.clone())),
            parts: Arc::clone(&self.0),
            request,
            attempt: 1,
            has_answered: false,
            retried: Vec::new(),
        })
    }
}

/// The attempts at one call.
struct Attempts {
    parts: Arc<RetryParts>,
    request: ModelRequest,
    state: RetryState,
    /// The number of this attempt, from 1.
    attempt: u32,
    /// Whether anything of the answer was delivered, after which all is final.
    has_answered: bool,
    /// One for each attempt that failed.
    retried: Vec<Deviation>,
}

enum RetryState {
    Calling(BoxStream<'static, Result<ModelEvent, ModelError>>),
    Delaying(Pin<Box<Sleep>>),
}

impl Attempts {
    /// Decides on a failure before the answer: a delay, or the error to give.
    fn on_failure(&mut self, error: ModelError) -> Result<(), ModelError> {
        let RetryParts {
            model,
            policy,
            n_delays,
        } = &*self.parts;
        let attempt = self.attempt;
        // Only a call of more than one attempt says that it gave up. The first failure is an
        // ordinary error, which its caller reports.
        let Some(delay) = policy.delay(attempt, &error, n_delays) else {
            if attempt > 1 {
                tracing::warn!(target: "openai_agents::retry", model = model.name(), attempt, kind = %error.kind(), cause = %error, "gave up");
            }
            return Err(error);
        };
        tracing::warn!(
            target: "openai_agents::retry",
            model = model.name(), attempt, max_attempts = policy.max_attempts,
            kind = %error.kind(), cause = %error, ?delay, "an attempt failed; another follows"
        );
        crate::trace::with_current(|span| {
            let said = [
                ("attempt", attempt.into()),
                (gen_ai::ERROR_TYPE, error.kind().as_str().into()),
                ("message", error.to_string().into()),
            ];
            span.event("attempt failed", said);
        });
        let detail =
            format!("attempt {attempt} failed and another was made after {delay:?}: {error}");
        self.retried.push(Deviation::new("retried", detail));
        self.attempt += 1;
        self.state = RetryState::Delaying(Box::pin(sleep(delay)));
        Ok(())
    }

    /// Tells of the failed attempts, which were requests too.
    fn note_attempts(&mut self, meta: &mut ResponseMeta) {
        if self.retried.is_empty() {
            return;
        }
        // A failed attempt was a request too. What it cost nobody knows, so it counts as a request
        // without tokens.
        let mut usage = meta.usage.unwrap_or(Usage::UNREPORTED);
        for deviation in self.retried.drain(..) {
            usage += Usage::UNREPORTED;
            meta.deviations.push(deviation);
        }
        meta.usage = Some(usage);
    }
}

impl Stream for Attempts {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let attempts = &mut *self;
        loop {
            let mut event = match &mut attempts.state {
                RetryState::Calling(call) => ready!(call.as_mut().poll_next(cx)),
                RetryState::Delaying(delay) => {
                    ready!(delay.as_mut().poll(cx));
                    let call = attempts.parts.model.call(attempts.request.clone());
                    attempts.state = RetryState::Calling(call);
                    continue;
                }
            };
            event = match event {
                // Once anything was shown, an attempt cannot be taken back: the reader would see
                // the beginning twice.
                Some(Err(error)) if !attempts.has_answered => match attempts.on_failure(error) {
                    Ok(()) => continue,
                    Err(error) => Some(Err(error)),
                },
                event => event,
            };
            attempts.has_answered = true;
            if let Some(Ok(ModelEvent::ResponseDone(end))) = &mut event {
                attempts.note_attempts(end);
            }
            return Poll::Ready(event);
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("model", &self.0.model.name())
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
