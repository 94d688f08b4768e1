//! What a span used, read back from its attributes.

use serde_json::Value;

use super::gen_ai;
use super::span::Span;
use crate::usage::Usage;

/// What a model call or a run used.
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
