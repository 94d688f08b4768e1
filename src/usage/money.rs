//! Exact amounts of money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Decimal places of an amount. Prices are for a million tokens and have up to six decimals, so a
/// single token has an exact price with twelve.
const DECIMALS: usize = 12;

/// How many of the smallest parts make one unit of the currency.
const PARTS: u64 = 10_u64.pow(12);

/// Holds an exact amount of money, in the currency of the prices.
///
/// It is a whole number of 10⁻¹² units of that currency, so sums are exact. Which currency it is, only the application knows. It is
/// written and read as a decimal text, also in JSON. Sums stop at about 18 million units, the largest amount that it can hold.
///
/// ```
/// use openai_agents::usage::Money;
///
/// let price: Money = "0.15".parse()?;
/// assert_eq!(price.saturating_add(price).to_string(), "0.3");
/// assert!("0.1.5".parse::<Money>().is_err());
/// # Ok::<(), openai_agents::usage::ParseMoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// Says that a text is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount such as 0.15: digits, and at most {DECIMALS} of them behind a point")]
pub struct ParseMoneyError;

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Makes an amount of 10⁻¹² units.
    pub(super) const fn of_parts(parts: u64) -> Self {
        Self(parts)
    }

    /// The amount in 10⁻¹² units.
    pub(super) const fn parts(self) -> u64 {
        self.0
    }

    /// Adds an amount; a sum beyond the maximum is the maximum.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(ParseMoneyError);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| ParseMoneyError);
        let whole = number(whole)?.checked_mul(PARTS).ok_or(ParseMoneyError)?;
        let decimals = number(&format!("{decimals:0<DECIMALS$}"))?;
        whole.checked_add(decimals).map(Self).ok_or(ParseMoneyError)
    }
}

/// Writes all decimals but zeros at the end.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = (self.0 / PARTS, self.0 % PARTS);
        if parts == 0 {
            return f.pad(&whole.to_string());
        }
        let text = format!("{whole}.{parts:0DECIMALS$}");
        f.pad(text.trim_end_matches('0'))
    }
}

/// As a text, because most JSON parsers read numbers as floating point and round them.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
