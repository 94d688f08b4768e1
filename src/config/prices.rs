//! The section `prices`: what the tokens of models cost.

use super::ConfigError;
use super::fields::{Fields, Keys, Seen};
use super::tree::{TreeNode, Value};
use crate::usage::{Price, PriceTable, TokenPrice};

const KEY: &str = "prices";

const PRICE: Keys = Keys {
    known: &[
        "input",
        "cached_input",
        "cache_write",
        "output",
        "reasoning",
    ],
    unsupported: &[],
};

pub(super) fn prices(root: &mut Fields<'_>) -> Result<PriceTable, ConfigError> {
    let Some(TreeNode { value, origin }) = root.take(KEY) else {
        return Ok(PriceTable::default());
    };
    let Value::Map(entries) = value else {
        return Err(root.invalid(KEY, "a map from the names of models to prices", origin));
    };
    let prices = entries.into_iter().map(|entry| {
        let path = format!("{KEY}.{}", entry.key);
        let price = price(&path, entry.node, root.settings())?;
        Ok((entry.key, price))
    });
    prices.collect()
}

fn price(path: &str, node: TreeNode, settings: &mut Seen) -> Result<Price, ConfigError> {
    let origin = node.origin.clone();
    let mut fields = Fields::new(path, node, PRICE, settings)?;
    let mut price = |key| {
        const EXPECTED: &str =
            "the price of a million tokens, a number such as 0.15 with at most six decimals";
        fields.amount::<TokenPrice>(key, EXPECTED)
    };
    // Without one of the two, a request could be counted as cheaper than it is, and a budget would
    // allow too much.
    let (Some(input), Some(output)) = (price("input")?, price("output")?) else {
        return Err(ConfigError::Invalid {
            key: path.to_owned(),
            expected: "a map with the prices `input` and `output`",
            origin,
        });
    };
    let mut prices = Price::new(input, output);
    if let Some(price) = price("cached_input")? {
        prices = prices.cached_input(price);
    }
    if let Some(price) = price("cache_write")? {
        prices = prices.cache_write(price);
    }
    if let Some(price) = price("reasoning")? {
        prices = prices.reasoning(price);
    }
    Ok(prices)
}
