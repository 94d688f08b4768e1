//! What tokens cost, per model.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::{Money, Usage};

/// Prices are for a million tokens, as vendors quote them. [`Money`] has twice as many decimals as
/// a million has zeros, so that one token has an exact price.
const TOKENS: u64 = 1_000_000;

/// Holds what the tokens of a model cost.
///
/// ```
/// use openai_agents::Usage;
/// use openai_agents::usage::Price;
///
/// let price = Price::new("2.50".parse()?, "10".parse()?).cached_input("1.25".parse()?);
/// let usage = Usage::of_request(1_000, 200, 1_200).with_cached_tokens(600);
/// // 400 at 2.50 for a million, 600 at 1.25, 200 at 10
/// assert_eq!(price.cost(&usage), Some("0.00375".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    input: TokenPrice,
    cached_input: TokenPrice,
    cache_write: TokenPrice,
    output: TokenPrice,
    reasoning: TokenPrice,
}

/// Holds the price of a million tokens.
///
/// Parsed from a decimal text with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPrice {
    /// The price of one token in the parts of [`Money`].
    parts: u64,
}

/// Says that a text is not a price of a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a price of a million tokens, such as 0.15: digits, and at most six of them behind a point"
)]
pub struct ParsePriceError;

impl FromStr for TokenPrice {
    type Err = ParsePriceError;

    fn from_str(text: &str) -> Result<Self, ParsePriceError> {
        let price: Money = text.parse().map_err(|_| ParsePriceError)?;
        // More than six decimals would give a single token a price that cannot be stored exactly.
        if !price.parts().is_multiple_of(TOKENS) {
            return Err(ParsePriceError);
        }
        Ok(Self {
            parts: price.parts() / TOKENS,
        })
    }
}

impl TokenPrice {
    const fn of(self, n_tokens: u64) -> Money {
        Money::of_parts(self.parts.saturating_mul(n_tokens))
    }
}

impl Price {
    /// Sets the prices of a million input tokens and of a million output tokens.
    ///
    /// Cached, cache-written and reasoning tokens cost the same as others of their kind, until the methods below set their own price.
    pub const fn new(input: TokenPrice, output: TokenPrice) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            output,
            reasoning: output,
        }
    }

    /// Sets the price of a million input tokens that come from the server's cache.
    #[must_use]
    pub const fn cached_input(mut self, price: TokenPrice) -> Self {
        self.cached_input = price;
        self
    }

    /// Sets the price of a million input tokens that the server writes to its cache.
    #[must_use]
    pub const fn cache_write(mut self, price: TokenPrice) -> Self {
        self.cache_write = price;
        self
    }

    /// Sets the price of a million reasoning tokens.
    ///
    /// It is needed where that differs from the price of other output.
    #[must_use]
    pub const fn reasoning(mut self, price: TokenPrice) -> Self {
        self.reasoning = price;
        self
    }

    /// Returns what the usage costs; `None` if a request did not report its usage.
    ///
    /// The cost is also unknown where the total exceeds input and output: some servers count
    /// reasoning only in the total.
    pub fn cost(&self, usage: &Usage) -> Option<Money> {
        let counted = usage.input_tokens.saturating_add(usage.output_tokens);
        if usage.requests_without_usage > 0 || usage.total_tokens > counted {
            return None;
        }
        // A server may report parts that exceed the whole; without the limits the subtractions
        // below would overflow.
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        let parts = [
            (self.input, usage.input_tokens - cached - written),
            (self.cached_input, cached),
            (self.cache_write, written),
            (self.output, usage.output_tokens - reasoning),
            (self.reasoning, reasoning),
        ];
        let costs = parts.into_iter().map(|(price, count)| price.of(count));
        Some(costs.fold(Money::ZERO, Money::saturating_add))
    }
}

/// Holds the prices of models by their names in requests; a cheap handle.
///
/// It contains only what the application puts in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable(Arc<BTreeMap<String, Price>>);

impl PriceTable {
    /// Returns the price of a model.
    pub fn price(&self, model: &str) -> Option<&Price> {
        self.0.get(model)
    }
}

impl<N: Into<String>> FromIterator<(N, Price)> for PriceTable {
    fn from_iter<T: IntoIterator<Item = (N, Price)>>(prices: T) -> Self {
        let prices = prices.into_iter();
        Self(Arc::new(
            prices.map(|(name, price)| (name.into(), price)).collect(),
        ))
    }
}
