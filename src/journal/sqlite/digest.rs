//! What is remembered of a question, so that an answer is only given to the same one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::item::Item;
use crate::journal::{SessionWriteEffect, ToolCallEffect};
use crate::model::ModelRequest;

/// What an effect asks; parts that are long are digests.
///
/// How a model is to answer, such as the temperature, is no part of it: another is no other question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestDigest(Vec<(String, String)>);

impl RequestDigest {
    pub(super) fn of_model(request: &ModelRequest) -> Self {
        let prompt = request.prompt.as_deref().map(json).unwrap_or_default();
        let instructions = request.instructions.as_deref().unwrap_or_default();
        let specs = request.tools.specs().iter().map(json);
        let hosted = request
            .tools
            .hosted()
            .iter()
            .map(|tool| json(tool.to_json()));
        let output = request.output.as_deref();
        let output = output.map(|output| output.name.clone() + &output.schema.to_string());
        Self::new([
            ("instructions", digest([instructions, &prompt])),
            ("items", digest(request.items.iter().map(Item::to_json))),
            ("tools", digest(specs.chain(hosted))),
            ("output type", digest(output)),
        ])
    }

    pub(super) fn of_call(call: &ToolCallEffect) -> Self {
        Self::new([
            ("tool", call.tool.as_str().to_owned()),
            ("arguments", digest([&call.arguments])),
        ])
    }

    pub(super) fn of_read() -> Self {
        Self(Vec::new())
    }

    pub(super) fn of_write(write: &SessionWriteEffect) -> Self {
        Self::new([
            ("session", write.session.id().to_string()),
            ("items", digest(write.turn.items.iter().map(Item::to_json))),
        ])
    }

    fn new<const N: usize>(parts: [(&str, String); N]) -> Self {
        let parts = parts.into_iter();
        Self(parts.map(|(name, part)| (name.to_owned(), part)).collect())
    }

    /// Names the parts that are not the same; empty when all are.
    pub(super) fn changed_from(&self, earlier: &Self) -> String {
        let is_changed = |part: &&(String, String)| !earlier.0.contains(part);
        let parts = self.0.iter().filter(is_changed);
        let names: Vec<&str> = parts.map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }
}

fn json(value: &impl Serialize) -> String {
    // Plain data always serialises.
    serde_json::to_string(value).unwrap_or_default()
}

/// Texts are kept apart by their lengths.
fn digest(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        let text = text.as_ref();
        // Without the length, `["ab", "c"]` and `["a", "bc"]` would be the same question.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    // Half of it is enough to tell questions apart that nobody made alike on purpose.
    let half = hash.finalize().first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}
