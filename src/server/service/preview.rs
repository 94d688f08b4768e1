//! What a person said, in short: for titles and for events, which must not carry pictures and files again.

use serde_json::{Value, json};

use crate::item::{Content, Item, ItemKind, Part};

const MAX_TITLE_CHARS: usize = 80;
/// A log of events is bounded, and one long question must not push the answers out of it.
const MAX_TEXT_CHARS: usize = 16_000;

/// Returns the text of an input, and how many parts it has that are no text.
pub(super) fn of_input(items: &[Item]) -> Value {
    let n_attachments: usize = items.iter().map(n_attachments).sum();
    let text = text(items);
    let mut shown: String = text.chars().take(MAX_TEXT_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    json!({"text": shown, "n_attachments": n_attachments})
}

/// Returns the first line of an input.
pub(super) fn title(items: &[Item]) -> String {
    let text = text(items);
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut title: String = line.chars().take(MAX_TITLE_CHARS).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}

fn text(items: &[Item]) -> String {
    let texts = items.iter().filter_map(|item| match item.kind() {
        ItemKind::Message(message) => Some(message.text("\n")),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn n_attachments(item: &Item) -> usize {
    let ItemKind::Message(message) = item.kind() else {
        return 0;
    };
    match &message.content {
        Content::Text(_) => 0,
        Content::Parts(parts) => {
            let other = parts.iter().filter(|part| {
                !matches!(
                    part,
                    Part::InputText { .. } | Part::OutputText { .. } | Part::Refusal { .. }
                )
            });
            other.count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preview_of_an_input_has_its_text_and_counts_the_rest() {
        let picture = r#"{"role":"user","content":[{"type":"input_text","text":"\n  Look  \nhere"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}"#;
        let items = [Item::user("First"), Item::from_json(picture).unwrap()];
        assert_eq!(
            of_input(&items),
            json!({"text": "First\n\n\n  Look  \nhere", "n_attachments": 1})
        );
        assert_eq!(title(&items[1..]), "Look");
        assert_eq!(title(&[Item::user("ä".repeat(81))]), "ä".repeat(80) + "…");
        assert_eq!(title(&[]), "");
    }
}
