//! `thinking_blocks`: thoughts as `LiteLLM` passes them on from Anthropic, with the signatures without which they are refused later.

use serde_json::{Map, Value};

/// Where the blocks are kept in a reasoning item's `provider_data`.
pub(super) const KEY: &str = "thinking_blocks";

/// The blocks of one answer, whole or put together from pieces.
#[derive(Default)]
pub(super) struct ThinkingBlocks(Vec<Map<String, Value>>);

impl ThinkingBlocks {
    /// Takes blocks, or pieces of them.
    ///
    /// A piece of a thought belongs to the thought before it until that has its signature, which is the last thing that comes of one.
    pub(super) fn push(&mut self, blocks: Vec<Map<String, Value>>) {
        for block in blocks {
            match self.0.last_mut() {
                Some(last)
                    if is_thought(&block)
                        && is_thought(last)
                        && text(last, "signature").is_empty() =>
                {
                    append(last, &block);
                }
                _ => self.0.push(block),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn to_json(&self) -> Value {
        self.0.iter().cloned().map(Value::Object).collect()
    }
}

fn is_thought(block: &Map<String, Value>) -> bool {
    text(block, "type") == "thinking"
}

fn text<'a>(block: &'a Map<String, Value>, key: &str) -> &'a str {
    block.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn append(block: &mut Map<String, Value>, piece: &Map<String, Value>) {
    let thinking = [text(block, "thinking"), text(piece, "thinking")].concat();
    block.insert("thinking".to_owned(), Value::String(thinking));
    for (key, value) in piece {
        let is_news = !matches!(key.as_str(), "type" | "thinking")
            && !value.is_null()
            && value.as_str() != Some("");
        if is_news {
            block.insert(key.clone(), value.clone());
        }
    }
}
