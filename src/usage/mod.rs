//! Requests and tokens of model calls as the servers counted them, and what they cost.
//!
//! This library knows no prices: the application gives them in a [`PriceTable`]. Amounts of
//! [`Money`] are whole numbers, so sums are exact.

mod money;
mod price;
#[cfg(test)]
mod tests;

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

pub use money::{Money, ParseMoneyError};
pub use price::{ParsePriceError, Price, PriceTable, TokenPrice};

/// Counts requests and tokens of one or more model calls.
///
/// Token counts are what the servers reported. A response without usage counts as a request without tokens, and in
/// [`requests_without_usage`](Self::requests_without_usage), so that an unknown cost is not mistaken for none.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let usage = runner.run(&Agent::builder("Guide").build()?, "The river of Paris?").await?.usage();
/// assert_eq!((usage.requests, usage.total_tokens), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Model requests made.
    pub requests: u64,
    /// Requests whose response did not report usage.
    pub requests_without_usage: u64,
    /// Tokens of the prompts, those from the cache included.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// All tokens, as reported; some servers count more than input and output.
    pub total_tokens: u64,
    /// Input tokens that came from the server's cache.
    pub cached_tokens: u64,
    /// Input tokens that were written to the server's cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// The cost of the requests whose price is known; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Requests whose cost is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priced_requests: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// One request whose response did not report usage.
    pub const UNREPORTED: Self = Self {
        requests: 1,
        requests_without_usage: 1,
        input_tokens: 0,
        output_tokens: 0,
        total_tokens: 0,
        cached_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        cost: None,
        priced_requests: 0,
    };

    /// Makes the usage of one request from what its server reported, in two groups: input, output
    /// and total tokens; and of those the tokens read from the cache, written to it, and spent on
    /// reasoning.
    ///
    /// A missing total is the sum of input and output. `None` if the server reported no counts.
    pub(crate) fn reported(
        [input, output, total]: [Option<u64>; 3],
        [cached, written, reasoning]: [Option<u64>; 3],
    ) -> Option<Self> {
        let sum = || Some(input?.saturating_add(output?));
        let total = total.or_else(sum);
        input.or(output).or(total)?;
        Some(Self {
            cached_tokens: cached.unwrap_or(0),
            cache_write_tokens: written.unwrap_or(0),
            reasoning_tokens: reasoning.unwrap_or(0),
            ..Self::of_request(input.unwrap_or(0), output.unwrap_or(0), total.unwrap_or(0))
        })
    }

    /// One request with these token counts.
    pub const fn of_request(input_tokens: u64, output_tokens: u64, total_tokens: u64) -> Self {
        Self {
            requests: 1,
            input_tokens,
            output_tokens,
            total_tokens,
            ..Self {
                requests_without_usage: 0,
                ..Self::UNREPORTED
            }
        }
    }
}

impl Usage {
    /// Sets how many input tokens came from the server's cache.
    #[must_use]
    pub const fn with_cached_tokens(mut self, cached_tokens: u64) -> Self {
        self.cached_tokens = cached_tokens;
        self
    }

    /// Sets how many input tokens were written to the server's cache.
    #[must_use]
    pub const fn with_cache_write_tokens(mut self, cache_write_tokens: u64) -> Self {
        self.cache_write_tokens = cache_write_tokens;
        self
    }

    /// Sets how many output tokens were spent on reasoning.
    #[must_use]
    pub const fn with_reasoning_tokens(mut self, reasoning_tokens: u64) -> Self {
        self.reasoning_tokens = reasoning_tokens;
        self
    }

    /// Adds the cost by this price, if the usage allows to know it ([`Price::cost`]).
    #[must_use]
    pub fn priced(mut self, price: &Price) -> Self {
        self.cost = price.cost(&self);
        self.priced_requests = self.cost.map_or(0, |_| self.requests);
        self
    }

    /// Returns the cost of all requests; `None` if that of any request is unknown.
    pub fn whole_cost(&self) -> Option<Money> {
        (self.priced_requests == self.requests).then(|| self.cost.unwrap_or_default())
    }
}

/// Adds up. Counts stop at their maximum instead of overflowing, because a hostile server may
/// report any number.
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.requests, other.requests),
            (
                &mut self.requests_without_usage,
                other.requests_without_usage,
            ),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.total_tokens, other.total_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.priced_requests, other.priced_requests),
        ] {
            *sum = sum.saturating_add(more);
        }
        let costs = self.cost.into_iter().chain(other.cost);
        self.cost = costs.reduce(Money::saturating_add);
    }
}
