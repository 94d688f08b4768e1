//! Usage as attributes of a span.

#[cfg(any(feature = "http", feature = "sqlite"))]
use serde_json::Value;

use super::gen_ai;
use super::span::Span;
use crate::usage::Usage;

/// Says of a span what was used.
pub(super) fn write_usage(span: &mut Span, usage: &Usage) {
    span.add(gen_ai::REQUESTS, usage.requests);
    let counts = [
        (gen_ai::INPUT_TOKENS, usage.input_tokens),
        (gen_ai::OUTPUT_TOKENS, usage.output_tokens),
        (gen_ai::TOTAL_TOKENS, usage.total_tokens),
    ];
    // A server that reported no counts did not report zero.
    if usage.requests > usage.requests_without_usage {
        for (name, count) in counts {
            span.add(name, count);
        }
    }
    let details = [
        (gen_ai::CACHE_READ_TOKENS, usage.cached_tokens),
        (gen_ai::CACHE_WRITE_TOKENS, usage.cache_write_tokens),
        (gen_ai::REASONING_TOKENS, usage.reasoning_tokens),
    ];
    for (name, count) in details.into_iter().filter(|(_, count)| *count > 0) {
        span.add(name, count);
    }
    if let Some(cost) = usage.cost {
        span.add(gen_ai::COST, cost.to_string());
        span.add(gen_ai::PRICED_REQUESTS, usage.priced_requests);
    }
}

/// Reads the usage of a model call or run from its attributes.
#[cfg(any(feature = "http", feature = "sqlite"))]
pub(crate) fn usage_of(span: &Span) -> Usage {
    let count = |name| span.attribute(name).and_then(Value::as_u64);
    let requests = count(gen_ai::REQUESTS).unwrap_or_default();
    let mut usage = Usage::reported(
        [
            count(gen_ai::INPUT_TOKENS),
            count(gen_ai::OUTPUT_TOKENS),
            count(gen_ai::TOTAL_TOKENS),
        ],
        [
            count(gen_ai::CACHE_READ_TOKENS),
            count(gen_ai::CACHE_WRITE_TOKENS),
            count(gen_ai::REASONING_TOKENS),
        ],
    );
    if let Some(usage) = &mut usage {
        usage.requests = requests;
        usage.priced_requests = count(gen_ai::PRICED_REQUESTS).unwrap_or_default();
        let cost = span.attribute(gen_ai::COST).and_then(Value::as_str);
        usage.cost = cost.and_then(|cost| cost.parse().ok());
    }
    usage.unwrap_or(Usage {
        requests,
        requests_without_usage: requests,
        ..Usage::default()
    })
}
