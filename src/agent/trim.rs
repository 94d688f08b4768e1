//! Long outputs of tools, shortened in requests once they are old.

use std::collections::{BTreeSet, HashMap};

use crate::agent::ModelInputFilter;
use crate::item::{FunctionCallOutput, History, Item, ItemKind, OutputContent, Part, Role};

/// Shortens the outputs of tools that lie some user messages back, so that long conversations cost less.
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
    /// How many user messages, from the last, and all behind them stay as they are; 2 by default.
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
                    return self.shorten(name, output).unwrap_or_else(|| item.clone());
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

    fn shorten(&self, tool: Option<&str>, output: &FunctionCallOutput) -> Option<Item> {
        if let Some(tools) = &self.tools
            && !tool.is_some_and(|tool| tools.contains(tool))
        {
            return None;
        }
        let (text, n_chars, dropped) = content(&output.output);
        if n_chars <= self.max_chars {
            return None;
        }
        let tool = tool.unwrap_or("unknown_tool");
        let preview: String = text.chars().take(self.preview_chars).collect();
        let n_kept = self.preview_chars;
        let summary = format!(
            "[Trimmed: {tool} output — {n_chars} chars → {n_kept} char preview{dropped}]\n{preview}..."
        );
        let is_shorter = summary.chars().count() < n_chars;
        is_shorter.then(|| {
            let mut short = FunctionCallOutput::new(output.call_id.clone(), summary.into());
            short.extra.clone_from(&output.extra);
            short.into()
        })
    }
}

/// The text of an output, how long it is with its images and files, and what is left out of the text.
fn content(output: &OutputContent) -> (String, usize, String) {
    let parts = match output {
        OutputContent::Text(text) => return (text.clone(), text.chars().count(), String::new()),
        OutputContent::Parts(parts) => parts,
    };
    let others: Vec<&Part> = parts
        .iter()
        .filter(|part| part.as_text().is_none())
        .collect();
    let n_other = |part: &&Part| serde_json::to_string(part).map_or(0, |json| json.chars().count());
    let text = output.text();
    let n_chars = text.chars().count() + others.iter().map(n_other).sum::<usize>();
    let dropped = if others.is_empty() {
        String::new()
    } else {
        format!("; dropped {} parts", others.len())
    };
    (text, n_chars, dropped)
}

impl From<TrimToolOutputs> for ModelInputFilter {
    fn from(trim: TrimToolOutputs) -> Self {
        Self::new(move |mut input| {
            input.items = History::from(trim.trim(&input.items));
            std::future::ready(Ok::<_, std::convert::Infallible>(input))
        })
    }
}
