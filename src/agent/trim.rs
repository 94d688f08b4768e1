//! Long outputs of tools, shortened in requests once they are old.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::agent::ModelInputFilter;
use crate::item::{FunctionCallOutput, History, Item, ItemKind, OutputContent, Role};

/// Shortens the outputs of tools that lie some user messages back.
///
/// So long conversations cost less.
///
/// Turn it into a [`ModelInputFilter`]. The form of what remains is the Python SDK's. A request whose old outputs were shortened differs
/// from the one before it, which a server's prompt cache notices.
///
/// ```
/// use openai_agents::agent::{ModelInputFilter, TrimToolOutputs};
///
/// let filter: ModelInputFilter = TrimToolOutputs::default().max_chars(1_000).only(["search"]).into();
/// # let _ = filter;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimToolOutputs {
    /// How many user messages, from the last, stay as they are; 2 by default.
    ///
    /// All that is behind them stays as it is, too.
    pub recent_turns: usize,
    /// The longest output that stays as it is, in characters; 500 by default.
    pub max_chars: usize,
    /// How much of a longer one remains, in characters; 200 by default.
    pub preview_chars: usize,
    /// The tools whose outputs are shortened; all by default.
    pub tools: Option<BTreeSet<String>>,
}

impl Default for TrimToolOutputs {
    fn default() -> Self {
        Self {
            recent_turns: 2,
            max_chars: 500,
            preview_chars: 200,
            tools: None,
        }
    }
}

impl TrimToolOutputs {
    /// Sets how many user messages back nothing is shortened.
    #[must_use]
    pub const fn recent_turns(mut self, recent_turns: usize) -> Self {
        self.recent_turns = recent_turns;
        self
    }

    /// Sets the longest output that stays as it is, in characters.
    #[must_use]
    pub const fn max_chars(mut self, max_chars: usize) -> Self {
        self.max_chars = max_chars;
        self
    }

    /// Sets how much of a longer output remains, in characters.
    #[must_use]
    pub const fn preview_chars(mut self, preview_chars: usize) -> Self {
        self.preview_chars = preview_chars;
        self
    }

    /// Shortens the outputs of these tools only.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        self.tools = Some(tools.into_iter().map(Into::into).collect());
        self
    }

    /// Shortens the old outputs of a conversation.
    pub fn trim(&self, items: &[Item]) -> Vec<Item> {
        let recent = self.first_recent(items);
        let mut names = HashMap::new();
        let trim = |(n, item): (usize, &Item)| {
            match item.kind() {
                ItemKind::FunctionCall(call) => {
                    names.insert(call.call_id.clone(), call.name.clone());
                }
                ItemKind::FunctionCallOutput(output) if n < recent => {
                    let name = names.get(&output.call_id).map(String::as_str);
                    return self
                        .shorten(name, item, output)
                        .unwrap_or_else(|| item.clone());
                }
                _ => {}
            }
            item.clone()
        };
        items.iter().enumerate().map(trim).collect()
    }

    /// The place of the first item that stays as it is.
    fn first_recent(&self, items: &[Item]) -> usize {
        let is_user = |item: &Item| matches!(item.kind(), ItemKind::Message(message) if message.role == Role::User);
        let users = items
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, item)| is_user(item));
        match self.recent_turns.checked_sub(1) {
            None => items.len(),
            Some(n) => users.map(|(n, _)| n).nth(n).unwrap_or(0),
        }
    }

    fn shorten(
        &self,
        tool: Option<&str>,
        item: &Item,
        output: &FunctionCallOutput,
    ) -> Option<Item> {
        if let Some(tools) = &self.tools
            && !tool.is_some_and(|tool| tools.contains(tool))
        {
            return None;
        }
        let tool = tool.unwrap_or("unknown_tool");
        let summary = match &output.output {
            OutputContent::Text(text) => self.summary(tool, text),
            OutputContent::Parts(_) => self.summary_of_parts(tool, &Payload::of(item)?),
        };
        summary.map(|summary| {
            let mut short = FunctionCallOutput::new(output.call_id.clone(), summary.into());
            short.extra.clone_from(&output.extra);
            short.into()
        })
    }

    fn summary(&self, tool: &str, text: &str) -> Option<String> {
        let (n_chars, n_kept) = (text.chars().count(), self.preview_chars);
        if n_chars <= self.max_chars {
            return None;
        }
        let preview: String = text.chars().take(n_kept).collect();
        let summary = format!(
            "[Trimmed: {tool} output — {n_chars} chars → {n_kept} char preview]\n{preview}..."
        );
        // The header has a length too: a text that is hardly too long would grow.
        (summary.chars().count() < n_chars).then_some(summary)
    }

    /// The longest header that leaves room for the preview; all of it fits the limit.
    fn summary_of_parts(&self, tool: &str, payload: &Payload) -> Option<String> {
        const SHORTEST: &str = "[Trimmed]";
        if payload.n_chars <= self.max_chars {
            return None;
        }
        let Some(room) = self.max_chars.checked_sub(SHORTEST.len()) else {
            return Some(SHORTEST.chars().take(self.max_chars).collect());
        };
        let n_text = payload.text.chars().count();
        let n_kept = n_text.min(self.preview_chars).min(room.saturating_sub(1));
        let mut body: String = payload.text.chars().take(n_kept).collect();
        if n_kept > 0 {
            body.insert(0, '\n');
        }
        if n_kept < n_text && body.chars().count() + "...".len() <= room {
            body.push_str("...");
        }
        let n_body = body.chars().count();
        let fits = |header: &String| header.chars().count() + n_body <= self.max_chars;
        let header = payload.headers(tool, n_kept).into_iter().find(fits);
        Some(header.unwrap_or_else(|| SHORTEST.to_owned()) + &body)
    }
}

/// What an output of parts holds.
struct Payload {
    /// How long it is, the data of its images and files included.
    n_chars: usize,
    text: String,
    /// How many parts of other types there are, by type.
    others: BTreeMap<String, usize>,
}

impl Payload {
    /// Reads the parts; nothing if one of them is not wholly known, so that leaving it out might be wrong.
    fn of(item: &Item) -> Option<Self> {
        let item: Value = serde_json::from_str(item.to_json()).ok()?;
        let (mut n_chars, mut texts, mut others) = (0, Vec::new(), BTreeMap::new());
        for part in item.get("output")?.as_array()? {
            let kind = part.get("type")?.as_str()?;
            let known: &[&str] = match kind {
                "input_text" => &["text"],
                "input_image" => &["image_url", "file_id", "detail"],
                "input_file" => &["file_data", "file_url", "file_id", "filename"],
                _ => return None,
            };
            for (key, value) in part.as_object()?.iter().filter(|(key, _)| *key != "type") {
                let is_known = known.contains(&key.as_str());
                n_chars += value.as_str().filter(|_| is_known)?.chars().count();
            }
            if kind == "input_text" {
                texts.push(part.get("text")?.as_str()?);
            } else {
                *others.entry(kind.to_owned()).or_default() += 1;
            }
        }
        Some(Self {
            n_chars,
            text: texts.join("\n"),
            others,
        })
    }

    /// What can stand before the preview, the longest first.
    fn headers(&self, tool: &str, n_kept: usize) -> Vec<String> {
        let n_chars = self.n_chars;
        let counts = self.others.iter().map(|(kind, n)| format!("{n} {kind}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let dropped = match counts.as_str() {
            "" => String::new(),
            counts => format!("; dropped {counts}"),
        };
        let preview = match self.text.as_str() {
            "" => String::new(),
            _ => format!("; preview {n_kept}"),
        };
        let mut headers = vec![format!(
            "[Trimmed: {tool}; payload {n_chars}{preview}{dropped}]"
        )];
        if !self.others.is_empty() {
            let kinds: Vec<_> = self.others.keys().map(String::as_str).collect();
            headers.extend([
                format!("[Trimmed: {tool}{dropped}]"),
                format!("[Trimmed{dropped}]"),
                format!("[Trimmed: {}]", kinds.join(", ")),
                format!(
                    "[Trimmed: dropped {} opaque]",
                    self.others.values().sum::<usize>()
                ),
            ]);
        }
        headers.extend([
            format!("[Trimmed: payload {n_chars}]"),
            format!("[Trimmed: {tool}]"),
        ]);
        headers
    }
}

impl From<TrimToolOutputs> for ModelInputFilter {
    fn from(trim: TrimToolOutputs) -> Self {
        Self::new(move |mut input| {
            input.items = History::from(trim.trim(&input.items));
            std::future::ready(Ok::<_, std::convert::Infallible>(input))
        })
    }
}

#[cfg(test)]
mod tests;
