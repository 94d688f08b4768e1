//! What a run may use up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::usage::{Money, Usage};

/// Bounds on a run; each is checked before the step that would break it.
///
/// The default is ten turns and nothing else. An agent that is called as a tool has turns of its own. Everything else that it uses also
/// counts for the run that calls it.
///
/// ```
/// use openai_agents::Limits;
///
/// let limits = Limits::turns(5).total_tokens(20_000);
/// assert_eq!(limits.max_turns, Some(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The most turns, each of which is one model call; `None` is no limit.
    pub max_turns: Option<u32>,
    /// The most model requests, with those of agents that are called as tools.
    pub max_requests: Option<u64>,
    /// The most input tokens, as the servers count them.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens, as the servers count them.
    pub max_output_tokens: Option<u64>,
    /// The most tokens in total, as the servers count them.
    pub max_total_tokens: Option<u64>,
    /// The most tool calls.
    pub max_tool_calls: Option<u64>,
    /// The most money. It needs a [price](crate::Runner::prices) for the model of every agent.
    ///
    /// It is checked before each model call against what the calls before have cost. So the last call can exceed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
    /// The longest time of the run.
    ///
    /// A model call or tool that is still going on then is dropped.
    pub max_duration: Option<Duration>,
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitReached {
    /// The run would have more turns than allowed.
    #[error("the run used all its {limit} turns (max_turns)")]
    Turns {
        /// The limit.
        limit: u32,
    },
    /// The run would make more model requests than allowed.
    #[error("the run made all its {limit} model requests (max_requests)")]
    Requests {
        /// The limit.
        limit: u64,
    },
    /// A token budget is used up.
    #[error("the run used {used} {what} of {limit} allowed")]
    Tokens {
        /// `input tokens`, `output tokens` or `total tokens`.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was used.
        used: u64,
    },
    /// More tools would be called than allowed.
    #[error("the run would make {wanted} tool calls of {limit} allowed")]
    ToolCalls {
        /// The limit.
        limit: u64,
        /// How many there would be.
        wanted: u64,
    },
    /// The money is used up.
    #[error("the run cost {used} of {limit} allowed (max_cost)")]
    Cost {
        /// The limit.
        limit: Money,
        /// What it cost.
        used: Money,
    },
    /// A response did not say what it used, so the cost is not known.
    #[error(
        "a response did not say what it used, so that the cost of the run is unknown, of which {limit} is allowed (max_cost)"
    )]
    UnknownCost {
        /// The limit.
        limit: Money,
    },
    /// The time is over.
    #[error("the run took longer than {limit:?} (max_duration)")]
    Duration {
        /// The limit.
        limit: Duration,
    },
}

impl Default for Limits {
    fn default() -> Self {
        Self::turns(10)
    }
}

impl Limits {
    /// Allows this many turns.
    pub const fn turns(max_turns: u32) -> Self {
        Self {
            max_turns: Some(max_turns),
            ..Self::NONE
        }
    }

    /// No limit at all.
    pub const NONE: Self = Self {
        max_turns: None,
        max_requests: None,
        max_input_tokens: None,
        max_output_tokens: None,
        max_total_tokens: None,
        max_tool_calls: None,
        max_cost: None,
        max_duration: None,
    };

    /// Allows this many model requests.
    #[must_use]
    pub const fn requests(mut self, limit: u64) -> Self {
        self.max_requests = Some(limit);
        self
    }

    /// Allows this many input tokens.
    #[must_use]
    pub const fn input_tokens(mut self, limit: u64) -> Self {
        self.max_input_tokens = Some(limit);
        self
    }

    /// Allows this many output tokens.
    #[must_use]
    pub const fn output_tokens(mut self, limit: u64) -> Self {
        self.max_output_tokens = Some(limit);
        self
    }

    /// Allows this many tokens in total.
    #[must_use]
    pub const fn total_tokens(mut self, limit: u64) -> Self {
        self.max_total_tokens = Some(limit);
        self
    }

    /// Allows this many tool calls.
    #[must_use]
    pub const fn tool_calls(mut self, limit: u64) -> Self {
        self.max_tool_calls = Some(limit);
        self
    }

    /// Allows this much money.
    #[must_use]
    pub const fn cost(mut self, limit: Money) -> Self {
        self.max_cost = Some(limit);
        self
    }

    /// Allows this much time.
    #[must_use]
    pub const fn duration(mut self, limit: Duration) -> Self {
        self.max_duration = Some(limit);
        self
    }

    /// Takes the lower of each two limits.
    #[must_use]
    pub fn tightened_by(self, other: Self) -> Self {
        fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            // Nothing set is no limit, and `None` would be the least.
            one.into_iter().chain(other).min()
        }
        Self {
            max_turns: lower(self.max_turns, other.max_turns),
            max_requests: lower(self.max_requests, other.max_requests),
            max_input_tokens: lower(self.max_input_tokens, other.max_input_tokens),
            max_output_tokens: lower(self.max_output_tokens, other.max_output_tokens),
            max_total_tokens: lower(self.max_total_tokens, other.max_total_tokens),
            max_tool_calls: lower(self.max_tool_calls, other.max_tool_calls),
            max_cost: lower(self.max_cost, other.max_cost),
            max_duration: lower(self.max_duration, other.max_duration),
        }
    }

    /// Checks whether another turn may begin after so many.
    pub(crate) fn check_turn(&self, turns: u32) -> Result<(), LimitReached> {
        match self.max_turns {
            Some(limit) if turns >= limit => Err(LimitReached::Turns { limit }),
            _ => Ok(()),
        }
    }

    /// Checks whether the model may be asked, given what was used before.
    pub(crate) fn check_request(&self, n_requests: u64, usage: &Usage) -> Result<(), LimitReached> {
        if let Some(limit) = self.max_requests.filter(|limit| n_requests >= *limit) {
            return Err(LimitReached::Requests { limit });
        }
        for (what, limit, used) in [
            ("input tokens", self.max_input_tokens, usage.input_tokens),
            ("output tokens", self.max_output_tokens, usage.output_tokens),
            ("total tokens", self.max_total_tokens, usage.total_tokens),
        ] {
            if let Some(limit) = limit.filter(|limit| used >= *limit) {
                return Err(LimitReached::Tokens { what, limit, used });
            }
        }
        if let Some(limit) = self.max_cost {
            let used = usage.whole_cost();
            let used = used.ok_or(LimitReached::UnknownCost { limit })?;
            if used >= limit {
                return Err(LimitReached::Cost { limit, used });
            }
        }
        Ok(())
    }

    /// Checks whether so many tools may be called in all.
    pub(crate) fn check_tool_calls(&self, wanted: u64) -> Result<(), LimitReached> {
        match self.max_tool_calls {
            Some(limit) if wanted > limit => Err(LimitReached::ToolCalls { limit, wanted }),
            _ => Ok(()),
        }
    }
}
