//! The conversation as the server has it, in its order, with what was heard of each item.

use std::time::Duration;

use super::audio::ItemAudio;
use crate::model::realtime::{AudioFormat, ContentPart, ConversationItem, NewItem};

/// An item of a session's history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RealtimeItem {
    /// The server's id.
    pub id: String,
    /// What it is.
    pub content: RealtimeContent,
    /// How much of the model's audio was heard; `None` if the item has none.
    pub heard: Option<Duration>,
    /// Whether it was cut.
    ///
    /// What was not heard is not in it then, and the model has forgotten it.
    ///
    /// Where in its transcript the cut is can only be estimated, by the share of the audio that was heard.
    pub is_cut: bool,
}

/// What an item of a session's history is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RealtimeContent {
    /// A message.
    Message {
        /// `user`, `assistant` or `system`.
        role: String,
        /// Its parts; the text of audio is its transcript.
        parts: Vec<ContentPart>,
    },
    /// The model called a tool.
    FunctionCall {
        /// The id by which the output refers to it.
        call_id: String,
        /// The tool.
        name: String,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// What a tool gave.
    FunctionCallOutput {
        /// The id of the call.
        call_id: String,
        /// The output.
        output: String,
    },
    /// An item that this crate does not act on.
    Other {
        /// Its type.
        type_name: String,
        /// Its JSON, verbatim.
        json: String,
    },
}

/// How much history is kept, in bytes of text; a session ends when it has more.
pub(super) const MAX_HISTORY_BYTES: usize = 16 * 1024 * 1024;

/// What an item costs beside its text.
const ITEM_COST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct SessionHistory {
    entries: Vec<Entry>,
    n_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// Behind which item it stands, as the server said it; it may come before that item does.
    previous: Option<String>,
    content: RealtimeContent,
    /// Whether it is whole; a call that is not is none.
    is_complete: bool,
    /// Whether its id is from here: it was sent, and the server has not shown it.
    is_local: bool,
    /// The answer that it belongs to, by its number in the session.
    pub(super) response: Option<u64>,
    pub(super) audio: Option<ItemAudio>,
}

impl Entry {
    /// Whether there is audio that was received and not heard.
    pub(super) fn has_unheard_audio(&self, now: Duration, has_playback_reports: bool) -> bool {
        self.audio.as_ref().is_some_and(|audio| {
            audio.cut.is_none() && audio.heard(now, has_playback_reports) < audio.received()
        })
    }

    fn item(&self, now: Duration, has_playback_reports: bool) -> RealtimeItem {
        let audio = self.audio.as_ref();
        let heard = audio.map(|audio| audio.heard(now, has_playback_reports));
        let cut = audio.filter(|audio| audio.cut.is_some());
        RealtimeItem {
            id: self.id.clone(),
            content: match cut {
                Some(audio) => self.content.cut_to(audio),
                None => self.content.clone(),
            },
            heard,
            is_cut: cut.is_some(),
        }
    }
}

impl SessionHistory {
    /// Whether there is more than a session may keep.
    pub(super) const fn is_too_large(&self) -> bool {
        self.n_bytes > MAX_HISTORY_BYTES
    }

    /// Puts an item where it belongs, or brings one that is there up to date; says whether it is new.
    pub(super) fn put(
        &mut self,
        item: ConversationItem,
        previous: Option<String>,
        is_complete: bool,
    ) -> bool {
        // Three cases: the server shows what was put in when it was sent, it says more about an
        // item that it showed before, or the item is new.
        let id = item.id().to_owned();
        let content = RealtimeContent::from(item);
        let is_taken = self.position(&id).is_some();
        let local = self.call_part(&content);
        // What is spoken stays with the id under which it is.
        let local = local.filter(|entry| entry.is_local && entry.audio.is_none());
        if let Some(local) = local {
            if is_taken && local.id != id {
                // The server gives it the id of another item, which stays what it is.
                return false;
            }
            // It was put in when it was sent; now its id is known.
            local.is_local = false;
            let before = std::mem::replace(&mut local.id, id.clone()).len();
            self.n_bytes = (self.n_bytes + id.len()).saturating_sub(before);
        }
        if let Some(entry) = self.entry(&id) {
            entry.is_complete |= is_complete;
            entry.previous = previous.clone().or(entry.previous.take());
            let before = entry.content.n_bytes();
            let is_cut = entry
                .audio
                .as_ref()
                .is_some_and(|audio| audio.cut.is_some());
            entry.content.merge(content, is_cut);
            let after = entry.content.n_bytes();
            self.n_bytes = (self.n_bytes + after).saturating_sub(before);
            if let Some(previous) = previous {
                self.move_behind(&id, &previous);
            }
            return false;
        }
        self.n_bytes += content.n_bytes() + id.len() + ITEM_COST;
        let mut entry = Entry::new(id, content);
        entry.is_complete = is_complete;
        self.insert(entry, previous);
        true
    }

    /// Puts in a message of the user of which only the place is known yet; its words come later.
    pub(super) fn insert_user_audio(&mut self, id: String, previous: Option<String>) {
        let role = "user".to_owned();
        let content = vec![ContentPart::Audio { transcript: None }];
        let item = ConversationItem::Message { id, role, content };
        self.put(item, previous, true);
    }

    /// Puts in a call or an output when it is sent: not every server shows it.
    pub(super) fn put_sent(&mut self, item: &NewItem) {
        let (mut id, content) = match item.clone() {
            NewItem::FunctionCall {
                call_id,
                name,
                arguments,
            } => (
                format!("{call_id}/call"),
                RealtimeContent::FunctionCall {
                    call_id,
                    name,
                    arguments,
                },
            ),
            NewItem::FunctionCallOutput { call_id, output } => (
                format!("{call_id}/output"),
                RealtimeContent::FunctionCallOutput { call_id, output },
            ),
            NewItem::Message { .. } => return,
        };
        let n_bytes = content.n_bytes();
        if let Some(shown) = self.call_part(&content) {
            // The server showed one that was not from here; this is what it has now.
            let before = std::mem::replace(&mut shown.content, content).n_bytes();
            (shown.is_complete, shown.is_local) = (true, true);
            self.n_bytes = (self.n_bytes + n_bytes).saturating_sub(before);
            return;
        }
        while self.position(&id).is_some() {
            id.push('*');
        }
        self.n_bytes += n_bytes + id.len() + ITEM_COST;
        let mut entry = Entry::new(id, content);
        (entry.is_complete, entry.is_local) = (true, true);
        self.insert(entry, None);
    }

    /// Finds what the history has of the same call: the call, or its output.
    fn call_part(&mut self, content: &RealtimeContent) -> Option<&mut Entry> {
        let call_id = content.call_id()?;
        let kind = std::mem::discriminant(content);
        self.entries.iter_mut().rev().find(|entry| {
            std::mem::discriminant(&entry.content) == kind
                && entry.content.call_id() == Some(call_id)
        })
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(at) = self.position(id) {
            let entry = self.entries.remove(at);
            let n_bytes = entry.content.n_bytes() + entry.id.len() + ITEM_COST;
            self.n_bytes = self.n_bytes.saturating_sub(n_bytes);
        }
    }

    /// Finds an item of the model, or begins it: its content may come before it does.
    pub(super) fn model_entry(&mut self, id: &str, response: u64) -> &mut Entry {
        let at = self.position(id).unwrap_or_else(|| {
            let role = "assistant".to_owned();
            let parts = Vec::new();
            let content = RealtimeContent::Message { role, parts };
            self.n_bytes += id.len() + ITEM_COST;
            self.insert(Entry::new(id.to_owned(), content), None)
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "it was found, or put there just now"
        )]
        let entry = &mut self.entries[at];
        entry.response.get_or_insert(response);
        entry
    }

    /// Adds to the text of a part.
    pub(super) fn push_text(&mut self, id: &str, part: ContentPlace, delta: &str) {
        self.n_bytes += delta.len();
        if let Some(entry) = self.entry(id)
            && let Some(text) = entry.content.text_mut(part)
        {
            text.push_str(delta);
        }
    }

    /// Sets the text of a part, in place of its deltas.
    pub(super) fn set_text(&mut self, id: &str, part: ContentPlace, whole: &str) {
        let Some(entry) = self.entry(id) else { return };
        let Some(text) = entry.content.text_mut(part) else {
            return;
        };
        let before = std::mem::replace(text, whole.to_owned()).len();
        self.n_bytes = (self.n_bytes + whole.len()).saturating_sub(before);
    }

    pub(super) fn entry(&mut self, id: &str) -> Option<&mut Entry> {
        let at = self.position(id)?;
        self.entries.get_mut(at)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Returns the text of an item.
    pub(super) fn text(&self, id: &str) -> Option<String> {
        let entry = self.entries.get(self.position(id)?)?;
        Some(entry.content.text())
    }

    /// Returns one item as the history has it.
    pub(super) fn item(
        &self,
        id: &str,
        now: Duration,
        has_playback_reports: bool,
    ) -> Option<RealtimeItem> {
        let entry = self.entries.get(self.position(id)?)?;
        Some(entry.item(now, has_playback_reports))
    }

    /// Returns all items; a call that the model never finished is none.
    pub(super) fn items(&self, now: Duration, has_playback_reports: bool) -> Vec<RealtimeItem> {
        let whole = |entry: &&Entry| {
            entry.is_complete || !matches!(entry.content, RealtimeContent::FunctionCall { .. })
        };
        let entries = self.entries.iter().filter(whole);
        entries
            .map(|entry| entry.item(now, has_playback_reports))
            .collect()
    }

    /// Forgets everything, for a new session; gives what that is to be told, calls without outputs and the like among it.
    pub(super) fn take_items(
        &mut self,
        now: Duration,
        has_playback_reports: bool,
    ) -> impl Iterator<Item = NewItem> {
        let items = self.items(now, has_playback_reports);
        *self = Self::default();
        items.into_iter().filter_map(|item| item.to_new())
    }

    /// New content is mostly for the last items.
    fn position(&self, id: &str) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.id == id)
    }

    /// Puts an entry behind the item before it, and in front of one that waits for it; gives its place.
    ///
    /// Events of two items may come in another order than their items stand in: the server writes speech down while it answers.
    fn insert(&mut self, mut entry: Entry, previous: Option<String>) -> usize {
        let waits = |other: &Entry| other.previous.as_ref() == Some(&entry.id);
        let successor = self.entries.iter().position(waits);
        let before = previous.as_deref().and_then(|id| self.position(id));
        let at = match (before, successor) {
            (Some(before), _) => before + 1,
            (None, Some(successor)) => successor,
            (None, None) => self.entries.len(),
        };
        entry.previous = previous;
        let id = entry.id.clone();
        self.entries.insert(at, entry);
        // The successor may stand in front of it, if its own place was known from another item only.
        let waits = |entry: &Entry| entry.previous.as_ref() == Some(&id);
        match self.entries.iter().position(waits) {
            Some(successor) if successor < at => {
                let moved = self.entries.remove(successor);
                self.entries.insert(at, moved);
                at - 1
            }
            _ => at,
        }
    }

    fn move_behind(&mut self, id: &str, previous: &str) {
        let (Some(at), Some(before)) = (self.position(id), self.position(previous)) else {
            return;
        };
        if before > at {
            let entry = self.entries.remove(at);
            self.entries.insert(before, entry);
        }
    }
}

/// Which part of an item, and what kind of text it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContentPlace {
    pub(super) index: u32,
    pub(super) is_transcript: bool,
}

/// The most parts of one message: a server that names part 4,000,000,000 must not make room for all of them.
const MAX_PARTS: usize = 64;

impl Entry {
    const fn new(id: String, content: RealtimeContent) -> Self {
        Self {
            id,
            previous: None,
            content,
            is_complete: false,
            is_local: false,
            response: None,
            audio: None,
        }
    }

    /// Takes audio of the model; see [`ItemAudio::push`].
    pub(super) fn audio(&mut self, content_index: u32, format: AudioFormat) -> &mut ItemAudio {
        let part = ContentPlace {
            index: content_index,
            is_transcript: true,
        };
        // The part is there even if its transcript never comes.
        let _ = self.content.text_mut(part);
        self.audio
            .get_or_insert_with(|| ItemAudio::new(content_index, format))
    }
}

impl RealtimeContent {
    /// Takes over what an event says of the item; what came in pieces is not lost to an event that has less.
    fn merge(&mut self, new: Self, is_cut: bool) {
        match (self, new) {
            (
                Self::Message { role, parts },
                Self::Message {
                    role: new_role,
                    parts: new_parts,
                },
            ) => {
                *role = new_role;
                for (index, part) in new_parts.into_iter().take(MAX_PARTS).enumerate() {
                    match parts.get_mut(index) {
                        None => parts.push(part),
                        Some(old) if !is_cut && part.says_more_than(old) => *old = part,
                        Some(_) => {}
                    }
                }
            }
            (old, new) => *old = new,
        }
    }

    /// The call that it is, or is the output of.
    fn call_id(&self) -> Option<&str> {
        match self {
            Self::FunctionCall { call_id, .. } | Self::FunctionCallOutput { call_id, .. } => {
                Some(call_id)
            }
            Self::Message { .. } | Self::Other { .. } => None,
        }
    }

    fn text_mut(&mut self, part: ContentPlace) -> Option<&mut String> {
        let Self::Message { parts, .. } = self else {
            return None;
        };
        let index = usize::try_from(part.index)
            .ok()
            .filter(|index| *index < MAX_PARTS)?;
        while parts.len() <= index {
            parts.push(if part.is_transcript {
                ContentPart::Audio { transcript: None }
            } else {
                ContentPart::Text(String::new())
            });
        }
        match parts.get_mut(index)? {
            ContentPart::Text(text) => Some(text),
            ContentPart::Audio { transcript } => Some(transcript.get_or_insert_default()),
            ContentPart::Image { .. } | ContentPart::Other(_) => None,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Message { parts, .. } => {
                let texts: Vec<&str> = parts.iter().filter_map(ContentPart::as_text).collect();
                texts.join(" ")
            }
            Self::FunctionCallOutput { output, .. } => output.clone(),
            Self::FunctionCall { .. } | Self::Other { .. } => String::new(),
        }
    }

    fn n_bytes(&self) -> usize {
        match self {
            Self::Message { role, parts } => {
                let part = |part: &ContentPart| match part {
                    ContentPart::Text(text) | ContentPart::Other(text) => text.len(),
                    ContentPart::Audio { transcript } => transcript.as_ref().map_or(0, String::len),
                    ContentPart::Image { url } => url.as_ref().map_or(0, String::len),
                };
                role.len() + parts.iter().map(part).sum::<usize>()
            }
            Self::FunctionCall {
                call_id,
                name,
                arguments,
            } => call_id.len() + name.len() + arguments.len(),
            Self::FunctionCallOutput { call_id, output } => call_id.len() + output.len(),
            Self::Other { type_name, json } => type_name.len() + json.len(),
        }
    }

    /// The share of the transcript that goes with the share of the audio that was heard, up to a whole word.
    fn cut_to(&self, audio: &ItemAudio) -> Self {
        let mut content = self.clone();
        let (heard, received) = (audio.cut.unwrap_or_default(), audio.received());
        let part = ContentPlace {
            index: audio.content_index,
            is_transcript: true,
        };
        if (heard < received || received.is_zero())
            && let Some(text) = content.text_mut(part)
        {
            let end = heard_prefix(text, heard, received).len();
            text.truncate(end);
        }
        content
    }
}

/// Returns the share of a text that goes with the share of its audio that was heard, up to a whole word.
pub(crate) fn heard_prefix(text: &str, heard: Duration, received: Duration) -> &str {
    let n_chars = text.chars().count() as u128;
    let n_heard = n_chars * heard.as_nanos() / received.as_nanos().max(1);
    let n_heard = usize::try_from(n_heard).unwrap_or(usize::MAX);
    let end = text
        .char_indices()
        .nth(n_heard)
        .map_or(text.len(), |(at, _)| at);
    let begun = text.get(..end).unwrap_or_default();
    let is_whole = text
        .get(end..)
        .is_some_and(|rest| rest.starts_with(char::is_whitespace));
    let end = if is_whole {
        Some(begun.len())
    } else {
        begun.rfind(char::is_whitespace)
    };
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

impl ContentPart {
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Audio { transcript } => transcript.as_deref(),
            Self::Image { .. } | Self::Other(_) => None,
        }
    }

    fn says_more_than(&self, old: &Self) -> bool {
        match (self, old) {
            // Servers leave out of an item what they sent as deltas.
            (Self::Text(new), Self::Text(old)) => new.len() > old.len(),
            (Self::Audio { transcript: new }, Self::Audio { transcript: old }) => {
                new.as_ref().map_or(0, String::len) > old.as_ref().map_or(0, String::len)
            }
            (Self::Image { url: None }, Self::Image { .. }) => false,
            // One server calls a part of text audio until its first transcript comes.
            (Self::Audio { transcript: None }, Self::Text(_)) => false,
            _ => true,
        }
    }
}

impl From<ConversationItem> for RealtimeContent {
    fn from(item: ConversationItem) -> Self {
        match item {
            ConversationItem::Message {
                role, mut content, ..
            } => {
                content.truncate(MAX_PARTS);
                Self::Message {
                    role,
                    parts: content,
                }
            }
            ConversationItem::FunctionCall {
                call_id,
                name,
                arguments,
                ..
            } => Self::FunctionCall {
                call_id,
                name,
                arguments,
            },
            ConversationItem::FunctionCallOutput {
                call_id, output, ..
            } => Self::FunctionCallOutput { call_id, output },
            ConversationItem::Other {
                type_name, json, ..
            } => Self::Other { type_name, json },
        }
    }
}

impl RealtimeItem {
    /// Returns the text of a message; that of audio is its transcript.
    pub fn text(&self) -> String {
        self.content.text()
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.id.len() + self.content.n_bytes()
    }
}
