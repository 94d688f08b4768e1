//! What a new connection is told of the conversation so far.

use std::collections::{HashMap, HashSet, VecDeque};

use super::conversation::{RealtimeContent, RealtimeItem};
use crate::model::realtime::{ContentPart, NewContent, NewItem};

/// Items that were sent and that the server has not shown yet; if the connection is lost, they are sent again.
#[derive(Debug, Default)]
pub(super) struct UnconfirmedItems(VecDeque<NewItem>);

impl UnconfirmedItems {
    pub(super) fn push(&mut self, item: NewItem) {
        self.0.push_back(item);
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = NewItem> {
        self.0.drain(..)
    }

    /// Takes out the item that the server shows for the first time.
    pub(super) fn confirm(&mut self, shown: &RealtimeContent) {
        let exact = self.0.iter().position(|item| is_shown_as(item, shown));
        // A server may show what the user wrote in words of its own, but in the order in which it came.
        let place = exact.or_else(|| {
            let role = written_role(shown).filter(|role| *role != "assistant")?;
            let mut items = self.0.iter();
            items.position(
                |item| matches!(item, NewItem::Message { role: sent, .. } if sent == role),
            )
        });
        if let Some(place) = place {
            self.0.remove(place);
        }
    }
}

fn is_shown_as(item: &NewItem, shown: &RealtimeContent) -> bool {
    match (item, shown) {
        (NewItem::Message { role, content }, RealtimeContent::Message { .. }) => {
            let texts: Vec<&str> = content
                .iter()
                .filter_map(|part| match part {
                    NewContent::Text(text) => Some(text.as_str()),
                    NewContent::Image(_) => None,
                })
                .collect();
            written_role(shown) == Some(role) && shown.text() == texts.join(" ")
        }
        (
            NewItem::FunctionCall { call_id, .. },
            RealtimeContent::FunctionCall { call_id: shown, .. },
        )
        | (
            NewItem::FunctionCallOutput { call_id, .. },
            RealtimeContent::FunctionCallOutput { call_id: shown, .. },
        ) => call_id == shown,
        _ => false,
    }
}

/// The role of a message that is not speech.
fn written_role(content: &RealtimeContent) -> Option<&str> {
    match content {
        RealtimeContent::Message { role, parts } => {
            let mut parts = parts.iter();
            let is_spoken = parts.any(|part| matches!(part, ContentPart::Audio { .. }));
            (!is_spoken).then_some(role)
        }
        RealtimeContent::FunctionCall { .. }
        | RealtimeContent::FunctionCallOutput { .. }
        | RealtimeContent::Other { .. } => None,
    }
}

/// Keeps of the calls those that are over and answered: the first of an id, with the first output behind it.
///
/// A server refuses an output that answers no call, and a model that is shown a call without its output makes it again. A call that is
/// open is told with its output when it ends: what a server showed as its output before was not from here.
pub(super) fn keep_answered_calls(
    items: Vec<NewItem>,
    is_open: impl Fn(&str) -> bool,
) -> Vec<NewItem> {
    let mut places: HashMap<&str, (usize, Option<usize>)> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        match item {
            NewItem::FunctionCall { call_id, .. } if !is_open(call_id) => {
                places.entry(call_id).or_insert((at, None));
            }
            NewItem::FunctionCallOutput { call_id, .. } => {
                if let Some((_, output)) = places.get_mut(call_id.as_str()) {
                    output.get_or_insert(at);
                }
            }
            NewItem::FunctionCall { .. } | NewItem::Message { .. } => {}
        }
    }
    let pairs = places.into_values();
    let kept: HashSet<usize> = pairs
        .filter_map(|(call, output)| Some([call, output?]))
        .flatten()
        .collect();
    items
        .into_iter()
        .enumerate()
        .filter(|(at, item)| matches!(item, NewItem::Message { .. }) || kept.contains(at))
        .map(|(_, item)| item)
        .collect()
}

impl RealtimeItem {
    /// The item as another session is told of it: without its id, and with words in place of audio.
    pub(super) fn to_new(&self) -> Option<NewItem> {
        let (role, parts) = match &self.content {
            RealtimeContent::Message { role, parts } => (role, parts),
            RealtimeContent::FunctionCall {
                call_id,
                name,
                arguments,
            } => {
                return Some(NewItem::FunctionCall {
                    call_id: call_id.clone(),
                    name: name.clone(),
                    arguments: arguments.clone(),
                });
            }
            RealtimeContent::FunctionCallOutput { call_id, output } => {
                return Some(NewItem::FunctionCallOutput {
                    call_id: call_id.clone(),
                    output: output.clone(),
                });
            }
            RealtimeContent::Other { .. } => return None,
        };
        let content: Vec<NewContent> = parts
            .iter()
            .filter_map(|part| match part {
                ContentPart::Image { url: Some(url) } => Some(NewContent::Image(url.clone())),
                // Servers do not repeat an image; a model that is not told of it would be asked about nothing.
                ContentPart::Image { url: None } => {
                    Some(NewContent::Text("(An image was here.)".to_owned()))
                }
                part => {
                    let text = part.as_text().filter(|text| !text.is_empty());
                    text.map(|text| NewContent::Text(text.to_owned()))
                }
            })
            .collect();
        (!content.is_empty()).then(|| NewItem::Message {
            role: role.clone(),
            content,
        })
    }
}
