//! What servers count, under the names that they have for it.

use super::deviations::Deviations;
use super::object::Object;
use super::readable::is_readable;
use crate::model::JsonText;
use crate::usage::Usage;

/// What a server reported of an answer.
#[derive(Default)]
pub(crate) struct Reported {
    /// The counts, or `None` when nothing was counted.
    pub(crate) usage: Option<Usage>,
    /// The whole object, verbatim.
    pub(crate) json: Option<JsonText>,
}

/// Reads the usage of an answer, under the names of either API; what is missing or wrong counts as not reported.
pub(crate) fn reported(answer: &Object<'_>, notes: &mut Deviations) -> Option<Reported> {
    let raw = answer.optional("usage", notes, |raw| {
        Object::of(raw, "usage").map(|usage| (raw, usage))
    });
    let (raw, usage) = raw?;
    let mut first = |names: &[&str]| names.iter().find_map(|name| usage.count(name, notes));
    let totals = [
        first(&["prompt_tokens", "input_tokens"]),
        first(&["completion_tokens", "output_tokens"]),
        first(&["total_tokens"]),
    ];
    // Anthropic's names, as gateways pass them on.
    let mut cached = first(&["cache_read_input_tokens"]);
    let mut written = first(&["cache_creation_input_tokens"]);
    let mut reasoning = None;
    for (name, place) in [
        ("prompt_tokens_details", "usage.prompt_tokens_details"),
        ("input_tokens_details", "usage.input_tokens_details"),
        // As the realtime API names it.
        ("input_token_details", "usage.input_token_details"),
    ] {
        if let Some(details) = usage.object(name, place, notes) {
            cached = details.count("cached_tokens", notes).or(cached);
            written = details
                .count("cache_write_tokens", notes)
                .or_else(|| details.count("cache_creation_tokens", notes))
                .or(written);
        }
    }
    for (name, place) in [
        (
            "completion_tokens_details",
            "usage.completion_tokens_details",
        ),
        ("output_tokens_details", "usage.output_tokens_details"),
        ("output_token_details", "usage.output_token_details"),
    ] {
        if let Some(details) = usage.object(name, place, notes) {
            reasoning = details.count("reasoning_tokens", notes).or(reasoning);
        }
    }
    let json = if is_readable(raw) {
        JsonText::of_json(raw.get())
    } else {
        JsonText::from(answer.value("usage", raw, notes))
    };
    Some(Reported {
        usage: Usage::reported(totals, [cached, written, reasoning]),
        json: Some(json),
    })
}
