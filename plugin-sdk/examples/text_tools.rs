//! Tools for texts, as a shared library and as a WebAssembly module.
//!
//!     cargo build --release -p openai-agents-kit-plugin --example text_tools
//!     cargo build --release -p openai-agents-kit-plugin --example text_tools --target wasm32-unknown-unknown
//!
//! The tests load both builds into the program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Words,
    Lines,
}

/// How often a word is there.
#[derive(Serialize)]
struct Frequency {
    word: String,
    count: usize,
}

openai_agents_plugin::export_plugin! {
    /// Counts the words or the lines of a text.
    fn count(
        /// The text.
        text: String,
        /// What to count; words if absent.
        unit: Option<Unit>,
    ) -> usize {
        match unit {
            Some(Unit::Lines) => text.lines().count(),
            Some(Unit::Words) | None => text.split_whitespace().count(),
        }
    }

    /// Finds the words that are there most often.
    fn frequent_words(
        /// The text.
        text: String,
        /// The most words to give.
        limit: usize,
    ) -> Vec<Frequency> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for word in text.split_whitespace() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        let words = counts.into_iter().map(|(word, count)| Frequency { word, count });
        let mut words: Vec<Frequency> = words.collect();
        words.sort_by_key(|frequency| std::cmp::Reverse(frequency.count));
        words.truncate(limit);
        words
    }

    /// Returns one word of a text.
    fn nth_word(
        /// The text.
        text: String,
        /// The position; the first word is 1.
        position: usize,
    ) -> Result<String, String> {
        let word = position.checked_sub(1).and_then(|before| text.split_whitespace().nth(before));
        word.map(str::to_owned).ok_or_else(|| format!("there is no word {position}"))
    }
}
