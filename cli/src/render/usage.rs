//! Formats usage as a table and as a few words.

use openai_agents::Usage;
use openai_agents::trace::UsageTotal;

/// Formats sums as a table with numbers on the right; empty without sums.
pub(crate) fn table(totals: &[UsageTotal]) -> Vec<String> {
    let Some(first) = totals.first() else {
        return Vec::new();
    };
    let n_keys = first.keys.len();
    let names = first.keys.iter().map(|(key, _)| key.as_str().to_owned());
    let columns = ["requests", "input", "cached", "output", "reasoning", "cost"];
    let head: Vec<String> = names.chain(columns.map(str::to_owned)).collect();
    let mut rows = vec![head];
    for total in totals {
        let keys = total.keys.iter();
        let keys = keys.map(|(_, value)| value.clone().unwrap_or_else(|| "-".to_owned()));
        let Usage {
            requests,
            input_tokens,
            cached_tokens,
            output_tokens,
            reasoning_tokens,
            ..
        } = total.usage;
        let counts = [
            requests,
            input_tokens,
            cached_tokens,
            output_tokens,
            reasoning_tokens,
        ];
        let counts = counts.map(|count| count.to_string());
        rows.push(keys.chain(counts).chain([cost(&total.usage)]).collect());
    }
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_keys + columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(n, (cell, width))| {
            if n < n_keys {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Formats the cost; `-` if none of it is known.
pub(crate) fn cost(usage: &Usage) -> String {
    let n_unpriced = usage.requests.saturating_sub(usage.priced_requests);
    match (usage.cost, n_unpriced) {
        (None, _) => "-".to_owned(),
        (Some(cost), 0) => cost.to_string(),
        (Some(cost), n) => format!("{cost} and {n} without a price"),
    }
}
