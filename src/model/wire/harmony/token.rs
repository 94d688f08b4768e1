//! The control tokens of the Harmony format, found in text.

use std::fmt;

/// A control token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Start,
    End,
    Message,
    Channel,
    Constrain,
    Return,
    Call,
}

/// The first thing in a text that is a control token or may become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// From here to its end, the text is the beginning of a token.
    Beginning(usize),
    /// Here a token begins.
    Whole(usize, Token),
}

impl Token {
    pub(crate) const ALL: [Self; 7] = [
        Self::Start,
        Self::End,
        Self::Message,
        Self::Channel,
        Self::Constrain,
        Self::Return,
        Self::Call,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "<|start|>",
            Self::End => "<|end|>",
            Self::Message => "<|message|>",
            Self::Channel => "<|channel|>",
            Self::Constrain => "<|constrain|>",
            Self::Return => "<|return|>",
            Self::Call => "<|call|>",
        }
    }

    /// Finds the first token; text without `<` costs one search for that byte.
    pub(crate) fn find(text: &str) -> Found {
        let bytes = text.as_bytes();
        for at in memchr::memchr_iter(b'<', bytes) {
            let rest = bytes.get(at..).unwrap_or_default();
            for token in Self::ALL {
                let token_bytes = token.as_str().as_bytes();
                if rest.starts_with(token_bytes) {
                    return Found::Whole(at, token);
                }
                if token_bytes.starts_with(rest) {
                    return Found::Beginning(at);
                }
            }
        }
        Found::Nothing
    }
}

/// Finds what a server would read as a special token of the vocabulary, whichever it is.
pub(super) fn special_in(text: &str) -> Option<&str> {
    memchr::memmem::find_iter(text.as_bytes(), b"<|").find_map(|at| {
        let rest = text.get(at..)?;
        let name = rest.get(2..2 + rest.get(2..)?.find("|>")?)?;
        let is_reserved = name
            .strip_prefix("reserved_")
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let token = rest.get(..name.len() + 4)?;
        let is_special = is_reserved
            || matches!(name, "startoftext" | "endoftext" | "endofprompt")
            || Token::ALL.iter().any(|known| known.as_str() == token);
        is_special.then_some(token)
    })
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
