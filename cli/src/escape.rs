//! Escapes foreign text, so that it can neither control the terminal nor pass for a line of this program.
//!
//! Names, errors, descriptions, tool outputs, file names and log lines come from models, servers and files. Each is shown as
//! [`Shown`], inside one line: `crate::output` writes every line through it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::Value;

/// A text as part of one line: line ends, control, bidirectional and invisible characters are
/// escaped.
///
/// Otherwise a message with a line end would print a line that looks like one of ours, `ESC [ 2 J`
/// would clear the screen, and U+202E would show `txt.exe` as `exe.txt`. The escape is that of Rust
/// (`\u{202e}`). Escaping twice changes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                hidden if hidden.is_control() || is_deceptive(hidden) => {
                    write!(f, "{}", hidden.escape_unicode())?;
                }
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

impl Shown<'_> {
    /// Says whether the text is shown as it is.
    pub(crate) fn is_plain(&self) -> bool {
        !self.0.contains(|c: char| c.is_control() || is_deceptive(c))
    }
}

/// Says whether a character is invisible or changes the direction of writing.
///
/// These are the `Default_Ignorable_Code_Point`s of Unicode, and characters that end a line or
/// annotate. U+FE0E and U+FE0F are left out: they select text or emoji style for the character
/// before, hide nothing, and are in every weather report.
fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Escapes the answer of a model for a terminal. Line ends and tabs stay; what would control the
/// terminal is escaped.
///
/// Stdout has no lines of this program that an answer could imitate. Each character is escaped by
/// itself, so that a stream can be escaped piece by piece.
pub(crate) fn answer(text: &str) -> Cow<'_, str> {
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

/// Returns the beginning of a text in one line: at most 200 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let text = Shown(text.trim()).to_string();
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// Writes JSON in one line without deceptive characters; its meaning is the same.
///
/// JSON escapes C0 itself. Invisible characters are escaped as well, because people read lines of
/// JSON on terminals too.
pub(crate) fn json_line(value: &Value) -> String {
    json_text(&value.to_string())
}

/// Does the same for a line that is JSON already.
pub(crate) fn json_text(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character.is_control() || is_deceptive(character) {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _always_ok = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Says whether a character controls the terminal: C0 except line feed and tab, DEL, and C1.
fn drives_terminal(character: char) -> bool {
    character.is_control() && character != '\n' && character != '\t'
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Shown, answer, json_line};

    #[test]
    fn text_of_others_is_one_line_that_hides_nothing() {
        for (text, expected) in [
            ("a\nhint: b", r"a\nhint: b"),
            ("a\tb", r"a\tb"),
            ("over\rwritten", r"over\u{d}written"),
            ("rm\u{202e}txt.a\u{2066}", r"rm\u{202e}txt.a\u{2066}"),
            (
                "a\u{200b}b\u{feff}\u{1b}[2J",
                r"a\u{200b}b\u{feff}\u{1b}[2J",
            ),
            ("\u{2028}\u{85}\u{9b}", r"\u{2028}\u{85}\u{9b}"),
            (
                "\u{200e}\u{200f}\u{61c}\u{2069}",
                r"\u{200e}\u{200f}\u{61c}\u{2069}",
            ),
            ("tag\u{e0041}\u{3164}", r"tag\u{e0041}\u{3164}"),
            ("naïve 你好 🙂 ☀\u{fe0f}", "naïve 你好 🙂 ☀\u{fe0f}"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
            assert_eq!(Shown(expected).to_string(), expected);
            assert_eq!(Shown(text).is_plain(), text == expected);
        }
    }

    #[test]
    fn answer_keeps_line_ends_and_does_not_drive_the_terminal() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", r"\u{1b}[31mred\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
            ("over\rwritten", r"over\u{d}written"),
            ("a\u{8}b\u{0}", r"a\u{8}b\u{0}"),
            ("\u{7f}", r"\u{7f}"),
            ("\u{80}\u{9b}31m\u{9f}", r"\u{80}\u{9b}31m\u{9f}"),
            ("\u{b}\u{c}", r"\u{b}\u{c}"),
        ] {
            assert_eq!(answer(text), expected);
        }
        for text in ["", "a\n\tb", "naïve 你好 👍🏽 \u{a0}\u{202e}"] {
            assert!(matches!(answer(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn answer_in_parts_is_escaped_as_the_whole() {
        let all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        let safe = answer(&all);
        assert!(!safe.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        let parts: String = all
            .chars()
            .map(|c| answer(&c.to_string()).into_owned())
            .collect();
        assert_eq!(parts, safe);
    }

    #[test]
    fn json_shows_every_character_and_has_the_same_meaning() {
        let mut all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        all.push_str("\u{202e}\u{200b}\u{2028}\u{e0041}你🙂");
        let line = json_line(&serde_json::json!(all));
        assert!(Shown(&line).is_plain(), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), all);
    }
}
