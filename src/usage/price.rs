//! What tokens cost, by model.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::{Money, Usage};

/// How many tokens a price is for. Amounts have twice as many decimals as this has zeros, so that one token has an exact price.
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

/// Holds the price of a million tokens; made by `parse`, from a decimal number with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPrice {
    /// Of one token, in the parts that money has.
    parts: u64,
}

/// Says that a text is no price of a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a price of a million tokens, such as 0.15: digits, and at most six of them behind a point"
)]
pub struct ParsePriceError;

impl FromStr for TokenPrice {
    type Err = ParsePriceError;

    fn from_str(text: &str) -> Result<Self, ParsePriceError> {
        let price: Money = text.parse().map_err(|_| ParsePriceError)?;
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
    /// Sets what a million tokens of input and of output cost.
    ///
    /// Tokens from the cache, into it, and of reasoning cost the same, unless the methods of these names say otherwise.
    pub const fn new(input: TokenPrice, output: TokenPrice) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            output,
            reasoning: output,
        }
    }

    /// Sets what a million input tokens from the server's cache cost.
    #[must_use]
    pub const fn cached_input(mut self, price: TokenPrice) -> Self {
        self.cached_input = price;
        self
    }

    /// Sets what a million input tokens cost that the server writes to its cache.
    #[must_use]
    pub const fn cache_write(mut self, price: TokenPrice) -> Self {
        self.cache_write = price;
        self
    }

    /// Sets what a million output tokens of reasoning cost, where they are not billed as other output.
    #[must_use]
    pub const fn reasoning(mut self, price: TokenPrice) -> Self {
        self.reasoning = price;
        self
    }

    /// Gives what a request cost; nothing if its server did not say what was used.
    ///
    /// Where the total is more than input and output, as with servers that count reasoning in neither, it is not known either.
    pub fn cost(&self, usage: &Usage) -> Option<Money> {
        let counted = usage.input_tokens.saturating_add(usage.output_tokens);
        if usage.requests_without_usage > 0 || usage.total_tokens > counted {
            return None;
        }
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

/// Holds the prices of models, by the names that requests have; a cheap handle.
///
/// There are none but those that it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable(Arc<BTreeMap<String, Price>>);

impl PriceTable {
    /// Gives the price of a model.
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
