//! Control characters made visible, so that no text from outside can drive a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// Escapes every control character but line feed and tab.
///
/// A model, a tool or a server may send `ESC ] 0 ; ...` to rename the window, or `CR` to overwrite what stands in a line. The
/// escape works character by character, so that the parts of a stream can be escaped one at a time.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.contains(drives_terminal) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if drives_terminal(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Escapes line feeds and tabs too: the text becomes part of one line, whatever it holds.
pub(crate) fn one_line(text: &str) -> String {
    sanitize(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// As [`one_line`], and escapes what is invisible or turns the direction of writing: who approves must see what is there.
pub(crate) fn exact_line(text: &str) -> String {
    let mut exact = String::with_capacity(text.len());
    for character in one_line(text).chars() {
        if is_deceptive(character) {
            exact.extend(character.escape_unicode());
        } else {
            exact.push(character);
        }
    }
    exact
}

/// Characters without width, and those of the bidirectional algorithm (UAX #9).
fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Gives the beginning of a text, in one line.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let text = one_line(text.trim());
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// Gives JSON in one line. JSON escapes C0 by itself; DEL and C1 can drive a terminal too.
pub(crate) fn json_line(value: &Value) -> String {
    let json = value.to_string();
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            let _always_ok = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// C0 but line feed and tab, DEL, and C1, which is what `char::is_control` means.
fn drives_terminal(character: char) -> bool {
    character.is_control() && character != '\n' && character != '\t'
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{exact_line, json_line, sanitize};

    #[test]
    fn control_characters_are_escaped() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", r"\u{1b}[31mred\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
            ("over\rwritten", r"over\u{d}written"),
            ("a\u{8}b\u{0}", r"a\u{8}b\u{0}"),
            ("\u{7f}", r"\u{7f}"),
            ("\u{80}\u{9b}31m\u{9f}", r"\u{80}\u{9b}31m\u{9f}"),
            ("\u{b}\u{c}", r"\u{b}\u{c}"),
        ] {
            assert_eq!(sanitize(text), expected);
        }
    }

    #[test]
    fn other_text_is_not_copied() {
        for text in ["", "a\n\tb", "naïve 你好 👍🏽 \u{a0}\u{202e}"] {
            assert!(matches!(sanitize(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_is_approved_is_what_is_seen() {
        for (text, expected) in [
            ("rm\u{202e}txt.a\u{2066}\n", r"rm\u{202e}txt.a\u{2066}\n"),
            ("a\u{200b}b\u{feff}\u{1b}", r"a\u{200b}b\u{feff}\u{1b}"),
            ("naïve 你好 🙂", "naïve 你好 🙂"),
        ] {
            assert_eq!(exact_line(text), expected);
        }
    }

    #[test]
    fn every_control_character_is_gone() {
        let all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        let safe = sanitize(&all);
        assert!(!safe.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        let parts: String = all
            .chars()
            .map(|c| sanitize(&c.to_string()).into_owned())
            .collect();
        assert_eq!(parts, safe);
    }

    #[test]
    fn json_has_no_control_characters_and_the_same_meaning() {
        let all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        let line = json_line(&serde_json::json!(all));
        assert!(!line.contains(char::is_control));
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), all);
    }
}
