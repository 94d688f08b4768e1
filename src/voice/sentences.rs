//! Splits text that arrives in pieces into sentences, each as early as possible.

/// A sentence and where it ends in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    /// The length of the text in bytes up to and including this sentence.
    pub(super) end: usize,
}

/// Splits text into sentences.
///
/// A mark ends a sentence only where white space follows, and the next word decides. So numbers
/// (`3.14`), addresses (`example.com/a?b`), abbreviations (`Dr. Who`, `e.g. this`), initials (`J.
/// R. R.`) and numbered lists (`1. First`) stay whole.
#[derive(Debug, Default)]
pub(super) struct SentenceSplitter {
    /// Text that has not become a sentence yet.
    rest: String,
    /// Bytes of the text before `rest`.
    n_taken: usize,
    /// Bytes of `rest` that were searched and contain no end.
    n_checked: usize,
}

/// A longer sentence is cut at a word. A speech request takes at most 4,096 characters, and the
/// listener waits for the first audio of it.
const MAX_SENTENCE_BYTES: usize = 1_000;

/// Abbreviations, in lower case and without their last full stop, after which a sentence goes on.
const ABBREVIATIONS: [&str; 34] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "gen", "col", "sgt", "capt", "rev", "hon",
    "e.g", "i.e", "vs", "cf", "approx", "fig", "no", "nr", "vol", "pp", "ed", "eds", "z.b", "d.h",
    "bzw", "ca", "usw", "inkl", "m", "mme",
];

impl SentenceSplitter {
    /// Adds text, and returns the sentences that are complete.
    pub(super) fn push(&mut self, piece: &str) -> Vec<Sentence> {
        self.rest.push_str(piece);
        let mut sentences = Vec::new();
        while let Some(end) = self.end_of_sentence() {
            sentences.extend(self.take(end));
        }
        sentences
    }

    /// Ends the text or one message of it: what is left is a sentence.
    pub(super) fn finish(&mut self) -> Option<Sentence> {
        self.take(self.rest.len())
    }

    /// Takes text off the front; `None` if it has no letter or digit, which nobody can speak.
    fn take(&mut self, end: usize) -> Option<Sentence> {
        let rest = self.rest.split_off(end.min(self.rest.len()));
        let taken = std::mem::replace(&mut self.rest, rest);
        self.n_taken += taken.len();
        self.n_checked = 0;
        let text = taken.trim();
        text.chars().any(char::is_alphanumeric).then(|| Sentence {
            text: text.to_owned(),
            end: self.n_taken,
        })
    }

    fn end_of_sentence(&mut self) -> Option<usize> {
        for (at, character) in self.rest.char_indices() {
            if at < self.n_checked {
                continue;
            }
            let after = at + character.len_utf8();
            let behind = self.rest.get(after..).unwrap_or_default();
            match character {
                '。' | '！' | '？' => return Some(after),
                // Headings and list entries end with the line and have no mark.
                '\n' if self.has_words(at) => return Some(after),
                '.' | '!' | '?' | '…' | ':' if self.has_words(at) => {
                    let marks = behind.find(|mark| !is_closing(mark));
                    let Some(marks) = marks else { break };
                    let next = behind.get(marks..).unwrap_or_default();
                    if !next.starts_with(char::is_whitespace) {
                        continue;
                    }
                    let Some(word) = next.trim_start().chars().next() else {
                        // The next word decides and has not arrived. `n_checked` stays before the mark.
                        break;
                    };
                    if self.ends(character, at, word) {
                        return Some(after + marks);
                    }
                }
                _ => {}
            }
            self.n_checked = after;
        }
        (self.rest.len() > MAX_SENTENCE_BYTES).then(|| self.last_word())
    }

    /// Whether there is anything to speak before this place.
    fn has_words(&self, at: usize) -> bool {
        let before = self.rest.get(..at).unwrap_or_default();
        before.chars().any(char::is_alphanumeric)
    }

    fn ends(&self, mark: char, at: usize, next_word: char) -> bool {
        match mark {
            '!' | '?' | '…' => true,
            // `Note: this` is one sentence. Where a list follows, the end of the line ends it.
            ':' => false,
            _ => {
                let before = self.rest.get(..at).unwrap_or_default();
                let word = before
                    .rsplit(|character: char| {
                        character.is_whitespace() || "(\"'".contains(character)
                    })
                    .next()
                    .unwrap_or_default();
                let is_first = before.trim_start().len() == word.len();
                let is_number = word.chars().all(|character| character.is_ascii_digit());
                let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
                let is_known = ABBREVIATIONS.contains(&word.to_lowercase().as_str());
                !(next_word.is_lowercase()
                    || is_first && is_number
                    || is_initial && word != "I"
                    || is_known)
            }
        }
    }

    /// Where to cut a sentence that is too long: before the last word that fits.
    fn last_word(&self) -> usize {
        let mut end = MAX_SENTENCE_BYTES;
        while !self.rest.is_char_boundary(end) {
            end -= 1;
        }
        let begin = self.rest.get(..end).unwrap_or_default();
        let word = begin.rfind(char::is_whitespace).map(|at| at + 1);
        // A single word that is too long, such as data in base64, is cut inside.
        word.filter(|at| self.rest.is_char_boundary(*at))
            .unwrap_or(end)
    }
}

/// Whether the character belongs to the sentence before it: more marks, quotes, brackets, Markdown.
fn is_closing(character: char) -> bool {
    ".!?…\"')]}»”’*_".contains(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str]) -> Vec<String> {
        let mut splitter = SentenceSplitter::default();
        let mut sentences = Vec::new();
        for piece in pieces {
            sentences.extend(splitter.push(piece));
        }
        sentences.extend(splitter.finish());
        sentences
            .into_iter()
            .map(|sentence| sentence.text)
            .collect()
    }

    fn check(text: &str, expect: &[&str]) {
        assert_eq!(split(&[text]), expect, "{text:?}");
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(split(&letters), expect, "{text:?} letter by letter");
    }

    #[test]
    fn sentences_end_at_marks_and_lines() {
        check("One. Two! Three?", &["One.", "Two!", "Three?"]);
        check(
            "He said \"stop.\" Then he left.",
            &["He said \"stop.\"", "Then he left."],
        );
        check("Really?! Yes...  No", &["Really?!", "Yes...", "No"]);
        check("Buy:\n- milk\n- bread", &["Buy:", "- milk", "- bread"]);
        check("はい。いいえ！どう？", &["はい。", "いいえ！", "どう？"]);
        check("**Bold.** Plain.", &["**Bold.**", "Plain."]);
        check(" \n\n ...\n", &[]);
        check(
            "I know. It is I. You do.",
            &["I know.", "It is I.", "You do."],
        );
    }

    #[test]
    fn numbers_addresses_and_abbreviations_stay_whole() {
        for text in [
            "Pi is 3.14 or so",
            "See https://example.com/a.b?c=d!e for it",
            "Dr. Who met Mr. Bean",
            "Write to a.b@example.com today",
            "Fruit, e.g. Apples, is fine",
            "J. R. R. Tolkien wrote it",
            "At 5 p.m. we meet",
            "Version 1.2.3 is out",
            "It costs $1,000.50 now",
            "Note: This is one",
        ] {
            check(text, &[text]);
        }
        check("1. First\n2. Second", &["1. First", "2. Second"]);
    }

    #[test]
    fn sentence_without_end_is_cut_at_a_word() {
        let text = "word ".repeat(500);
        let sentences = split(&[&text]);
        assert!(
            sentences
                .iter()
                .all(|sentence| sentence.len() <= MAX_SENTENCE_BYTES)
        );
        assert_eq!(sentences.join(" "), text.trim());
        let solid = "ä".repeat(2_000);
        assert_eq!(split(&[&solid]).concat(), solid);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_nothing_is_lost(text in "[a-zA-Z0-9 .!?:\n\"。ä]{0,200}", cut in 0_usize..200) {
            let at = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let whole = split(&[&text]);
            prop_assert_eq!(split(&[&text[..at], &text[at..]]), whole.clone());
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&whole.concat()), letters(&text));
        }

        #[test]
        fn ends_are_places_in_the_text(text in "[a-z .!?\nä]{0,200}") {
            let mut splitter = SentenceSplitter::default();
            let mut sentences = splitter.push(&text);
            sentences.extend(splitter.finish());
            let mut begin = 0;
            for sentence in sentences {
                prop_assert!(text[begin..sentence.end].contains(&sentence.text));
                begin = sentence.end;
            }
        }
    }
}
