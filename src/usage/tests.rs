//! Money to the last token.

use super::{Money, Price, TokenPrice, Usage};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn price(text: &str) -> TokenPrice {
    text.parse().unwrap()
}

#[test]
fn money_decimal_text_is_read_and_written_exactly() {
    for (text, written) in [
        ("0", "0"),
        ("2.50", "2.5"),
        ("0.000000000001", "0.000000000001"),
        ("007.10", "7.1"),
        ("18446744.073709551615", "18446744.073709551615"),
    ] {
        assert_eq!(money(text).to_string(), written);
        assert_eq!(money(written), money(text));
    }
}

#[test]
fn money_other_text_is_refused() {
    for text in [
        "",
        ".5",
        "5.",
        "-1",
        "+1",
        "1e3",
        "1,5",
        "0.1.2",
        "٣",
        "0.0000000000001",
        "18446744.1",
        "99999999999999999999",
    ] {
        assert!(text.parse::<Money>().is_err(), "{text}");
    }
}

#[test]
fn price_each_kind_of_token_is_counted_once() {
    let prices = Price::new(price("3"), price("15"));
    let usage = Usage::of_request(1_000_000, 500_000, 1_500_000)
        .with_cached_tokens(200_000)
        .with_cache_write_tokens(300_000)
        .with_reasoning_tokens(100_000);
    assert_eq!(prices.cost(&usage), Some(money("10.5")));
    let prices = prices
        .cached_input(price("0.3"))
        .cache_write(price("3.75"))
        .reasoning(price("30"));
    // 0.5 x 3 + 0.2 x 0.3 + 0.3 x 3.75 + 0.4 x 15 + 0.1 x 30
    assert_eq!(prices.cost(&usage), Some(money("11.685")));
}

#[test]
fn price_details_beyond_the_counts_charge_no_token_twice() {
    let prices = Price::new(price("1"), price("1"));
    let usage = Usage::of_request(2, 1, 3)
        .with_cached_tokens(u64::MAX)
        .with_cache_write_tokens(5)
        .with_reasoning_tokens(9);
    assert_eq!(prices.cost(&usage), Some(money("0.000003")));
    let hostile = Usage::of_request(u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(prices.cost(&hostile), Some(Money::of_parts(u64::MAX)));
}

#[test]
fn price_unknown_counts_cost_unknown() {
    let prices = Price::new(price("1"), price("1"));
    assert_eq!(prices.cost(&Usage::UNREPORTED), None);
    assert_eq!(prices.cost(&Usage::of_request(0, 0, 7)), None);
}

#[test]
fn price_beyond_six_decimals_is_refused() {
    assert!("0.0000001".parse::<TokenPrice>().is_err());
    assert!("0.1234560".parse::<TokenPrice>().is_ok());
}

#[test]
fn usage_sum_with_an_unpriced_request_has_no_whole_cost() {
    let prices = Price::new(price("1"), price("2"));
    let mut usage = Usage::of_request(10, 5, 15).priced(&prices);
    assert_eq!(usage.whole_cost(), Some(money("0.00002")));
    usage += Usage::of_request(1, 1, 2);
    assert_eq!(usage.cost, Some(money("0.00002")));
    assert_eq!(usage.whole_cost(), None);
    assert_eq!(Usage::default().whole_cost(), Some(Money::ZERO));
}

#[test]
fn usage_without_prices_is_written_as_before() {
    let json = serde_json::to_value(Usage::of_request(1, 2, 3)).unwrap();
    assert_eq!(json.get("cost"), None);
    assert_eq!(json.get("priced_requests"), None);
    let free = Price::new(price("0"), price("0.0"));
    let priced = Usage::of_request(1, 2, 3).priced(&free);
    let json = serde_json::to_value(priced).unwrap();
    assert_eq!(json["cost"], "0");
    assert_eq!(json["priced_requests"], 1);
    assert_eq!(serde_json::from_value::<Usage>(json).unwrap(), priced);
}
