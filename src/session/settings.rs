//! How much of a session a run reads.

use std::collections::HashMap;

use serde_json::Value;

use super::{Session, SessionError, SessionItems};
use crate::item::{Item, ItemKind, Role};

/// Says how much of a session a run reads; by default all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSettings {
    /// At most so many of the latest items.
    pub limit: Option<usize>,
}

impl SessionSettings {
    /// Reads at most so many of the latest items.
    pub fn latest(max_items: usize) -> Self {
        Self {
            limit: Some(max_items),
        }
    }

    /// Takes these settings where they say something, and the given ones elsewhere.
    #[must_use]
    pub fn or(self, base: &Self) -> Self {
        Self {
            limit: self.limit.or(base.limit),
        }
    }

    /// Reads what a run may send, and the version that it is of.
    ///
    /// # Errors
    ///
    /// What the session's own [`items`](Session::items) gives.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    pub async fn read(&self, session: &dyn Session) -> Result<SessionItems, SessionError> {
        // One more item than the limit: it shows whether the cut falls inside one answer of the model.
        let limit = self.limit.map(|limit| limit.saturating_add(1));
        let read = session.items(limit).await?;
        Ok(SessionItems::new(self.cut(read.items), read.version))
    }

    /// Keeps the latest items, and of these only what a server accepts without the others.
    ///
    /// A call goes without its output, an output goes when the limit cut its call off, and with a call goes the reasoning that led to
    /// it. Where the limit would cut reasoning from what follows it, both go. Without a limit an output without a call stays: nobody
    /// cut it, and the server is to say what is wrong.
    ///
    /// ```
    /// use openai_agents::Item;
    /// use openai_agents::session::SessionSettings;
    ///
    /// let items = vec![Item::user("a"), Item::assistant("b"), Item::user("c")];
    /// assert_eq!(SessionSettings::latest(1).cut(items), [Item::user("c")]);
    /// ```
    pub fn cut(&self, mut items: Vec<Item>) -> Vec<Item> {
        let n_over = items.len().saturating_sub(self.limit.unwrap_or(usize::MAX));
        let is_in_piece = n_over > 0 && is_cut_in_piece(&items, n_over);
        items.drain(..n_over);
        let mut is_kept = vec![true; items.len()];
        if is_in_piece {
            let n_rest = items.iter().take_while(|item| is_of_model(item)).count();
            is_kept
                .iter_mut()
                .take(n_rest)
                .for_each(|kept| *kept = false);
        }
        drop_unpaired(&items, &mut is_kept, n_over > 0);
        drop_reasoning(&items, &mut is_kept);
        let mut is_kept = is_kept.into_iter();
        items.retain(|_| is_kept.next().unwrap_or(true));
        items
    }
}

/// Call types and the types of their outputs. Other calls have no output item of their own.
const PAIRS: [(&str, &str); 7] = [
    ("function_call", "function_call_output"),
    ("custom_tool_call", "custom_tool_call_output"),
    ("shell_call", "shell_call_output"),
    ("apply_patch_call", "apply_patch_call_output"),
    ("computer_call", "computer_call_output"),
    ("local_shell_call", "local_shell_call_output"),
    ("tool_search_call", "tool_search_output"),
];

/// What an item is for pairing: the type of its pair, and the id of the call.
enum Half {
    Call(&'static str, String),
    Output(&'static str, String),
}

impl Half {
    fn of(item: &Item) -> Option<Self> {
        let type_name = item.kind().type_name();
        let (call, _) = PAIRS
            .iter()
            .find(|(call, output)| *call == type_name || *output == type_name)?;
        let id = match item.kind() {
            ItemKind::FunctionCall(call) => call.call_id.clone(),
            ItemKind::FunctionCallOutput(output) => output.call_id.clone(),
            _ => call_id(item)?,
        };
        Some(if *call == type_name {
            Self::Call(call, id)
        } else {
            Self::Output(call, id)
        })
    }
}

fn call_id(item: &Item) -> Option<String> {
    let value: Value = serde_json::from_str(item.to_json()).ok()?;
    value.get("call_id")?.as_str().map(str::to_owned)
}

/// Whether the item is part of what a model says in one piece.
fn is_of_model(item: &Item) -> bool {
    match item.kind() {
        ItemKind::Message(message) => message.role == Role::Assistant,
        ItemKind::FunctionCall(_) | ItemKind::Reasoning(_) => true,
        ItemKind::FunctionCallOutput(_) => false,
        ItemKind::Unknown { type_name } => {
            type_name.ends_with("_call") || type_name == "mcp_approval_request"
        }
    }
}

/// Whether a cut before the item at `at` parts reasoning from what follows it, as far as can be seen from here.
fn is_cut_in_piece(items: &[Item], at: usize) -> bool {
    if !items.get(at).is_some_and(is_of_model) {
        return false;
    }
    for item in items.iter().take(at).rev() {
        match item.kind() {
            ItemKind::Reasoning(_) => return true,
            _ if is_of_model(item) => {}
            _ => return false,
        }
    }
    // The answer begins before what was read; assume that it begins with reasoning.
    true
}

/// Drops calls without output, and outputs without call where a limit cut; ids may be used again by later calls.
fn drop_unpaired(items: &[Item], is_kept: &mut [bool], is_cut: bool) {
    let mut open: HashMap<(&str, String), Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        match Half::of(item) {
            // A call that goes takes its output with it.
            Some(Half::Call(..)) if is_kept.get(at) == Some(&false) => {}
            Some(Half::Call(pair, id)) => open.entry((pair, id)).or_default().push(at),
            Some(Half::Output(pair, id)) => {
                let calls = open.get_mut(&(pair, id));
                let call = calls.filter(|calls| !calls.is_empty());
                match (call, is_kept.get_mut(at)) {
                    (Some(calls), _) => drop(calls.remove(0)),
                    (None, Some(kept)) if is_cut => *kept = false,
                    (None, _) => {}
                }
            }
            None => {}
        }
    }
    for at in open.into_values().flatten() {
        if let Some(kept) = is_kept.get_mut(at) {
            *kept = false;
        }
    }
}

/// Drops reasoning when nothing that followed from it is kept.
fn drop_reasoning(items: &[Item], is_kept: &mut [bool]) {
    // From the end: whether something of the piece that is kept follows, and whether something that was dropped did.
    let (mut has_kept, mut has_dropped) = (false, false);
    for (item, kept) in items.iter().zip(is_kept).rev() {
        match item.kind() {
            ItemKind::Reasoning(_) => *kept &= has_kept || !has_dropped,
            _ if is_of_model(item) => {
                has_kept |= *kept;
                has_dropped |= !*kept;
            }
            _ => (has_kept, has_dropped) = (false, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::item::{FunctionCall, FunctionCallOutput, Reasoning};

    /// `u` user, `a` answer, `r` reasoning, `cX` call and `oX` output with id X, `h` hosted call, `pX`/`qX` another pair.
    fn items(words: &str) -> Vec<Item> {
        let item = |word: &str| {
            let (letter, id) = word.split_at(1);
            let other = |type_name: &str| {
                Item::other(
                    type_name,
                    [("call_id".to_owned(), id.into())].into_iter().collect(),
                )
            };
            match letter {
                "u" => Item::user(word),
                "a" => Item::assistant(word),
                "r" => Reasoning::from_summary(word).into(),
                "c" => FunctionCall::new(id, "f", "{}").into(),
                "o" => FunctionCallOutput::new(id, "x".into()).into(),
                "h" => Item::other("web_search_call", serde_json::Map::new()),
                "p" => other("computer_call"),
                _ => other("computer_call_output"),
            }
        };
        words.split_whitespace().map(item).collect()
    }

    #[track_caller]
    fn check(limit: Option<usize>, before: &str, expect: &str) {
        let settings = SessionSettings { limit };
        assert_eq!(
            settings.cut(items(before)),
            items(expect),
            "{limit:?} of {before}"
        );
    }

    proptest! {
        #[test]
        fn limited_history_keeps_order_and_pairs(
            words in vec(select(vec!["u", "a", "r", "h", "c1", "c2", "o1", "o2", "p1", "q1"]), 0..30),
            limit in 0..20_usize,
        ) {
            let before = items(&words.join(" "));
            let settings = SessionSettings::latest(limit);
            let after = settings.cut(before.clone());
            prop_assert!(after.len() <= limit);
            let mut rest = before.iter();
            prop_assert!(after.iter().all(|item| rest.any(|other| other == item)));
            // Each call is answered, and where something was cut each output answers one.
            let ids = |is_call: bool| {
                let mut ids: Vec<_> = after.iter().filter_map(Half::of).filter_map(|half| match half {
                    Half::Call(pair, id) if is_call => Some((pair, id)),
                    Half::Output(pair, id) if !is_call => Some((pair, id)),
                    _ => None,
                }).collect();
                ids.sort();
                ids
            };
            if before.len() > limit {
                prop_assert_eq!(ids(true), ids(false));
            }
            prop_assert!(ids(true).len() <= ids(false).len());
            // What has been cut can be sent as it is.
            prop_assert_eq!(SessionSettings::default().cut(after.clone()), after);
        }
    }

    #[test]
    fn the_latest_stay() {
        check(None, "u a u a", "u a u a");
        check(Some(9), "u a u a", "u a u a");
        check(Some(4), "u a u a", "u a u a");
        check(Some(3), "u1 a1 u2 a2", "a1 u2 a2");
        check(Some(2), "u1 a1 u2 a2", "u2 a2");
        check(Some(0), "u a", "");
        check(Some(3), "", "");
    }

    #[test]
    fn an_output_goes_with_its_call() {
        check(Some(2), "u c1 o1 a", "a");
        check(Some(3), "u c1 o1 a", "c1 o1 a");
        check(Some(3), "u c1 c2 o1 o2 a", "a");
        check(Some(3), "p1 q1 u p1 q1", "u p1 q1");
        check(Some(2), "u1 p1 q1 u2", "u2");
        // Nobody cut the call off: it was never there.
        check(None, "u o1 a", "u o1 a");
    }

    #[test]
    fn a_call_goes_without_its_output() {
        check(None, "u c1", "u");
        check(None, "u c1 c2 o2 a", "u c2 o2 a");
        check(None, "u p1 a", "u a");
        check(None, "u h a", "u h a");
        // The id is used again: the second call has no output.
        check(None, "u c1 o1 u c1", "u c1 o1 u");
        check(None, "u c1 o1 u c1 o1", "u c1 o1 u c1 o1");
        // Ids of different types of call are different.
        check(None, "u c1 q1 a", "u q1 a");
    }

    #[test]
    fn reasoning_stays_with_what_it_led_to() {
        check(None, "u r c1", "u");
        check(None, "u r1 r2 c1 u", "u u");
        check(None, "u r c1 c2 o2", "u r c2 o2");
        check(None, "u r a", "u r a");
        check(None, "u r", "u r");
        check(None, "u1 r1 c1 u2 r2 a", "u1 u2 r2 a");
        // The cut falls between reasoning and call, answer, second call.
        check(Some(3), "u r c1 o1 a", "a");
        check(Some(4), "u r c1 o1 a", "r c1 o1 a");
        check(Some(1), "u r a", "");
        check(Some(2), "u1 r a u2", "u2");
        check(Some(5), "u r c1 c2 o1 o2 u a", "u a");
        // What stands before is out of sight, or shows that nothing was parted.
        check(Some(3), "c1 c2 o1 u", "u");
        check(Some(3), "u1 a u2 a", "a u2 a");
        check(Some(2), "o1 a u", "a u");
    }
}
