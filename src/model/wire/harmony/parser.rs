//! Harmony text, in pieces as they come, into headers, contents and ends of messages.

use super::header::{Author, Header};
use super::token::{Found, Token};

/// The longest header; real ones have less than 200 bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// Takes a text in any pieces and gives what it says as soon as it is sure.
#[derive(Debug)]
pub(super) struct HarmonyParser {
    text: String,
    /// How far the text is taken.
    at: usize,
    state: ParserState,
}

#[derive(Debug)]
enum ParserState {
    /// Between messages.
    Between,
    Header {
        text: String,
        known_author: Option<Author>,
    },
    Content,
}

/// One thing that the text says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A message begins.
    Header(Header),
    /// More of its content.
    Content(String),
    /// It ends, by one of `<|end|>`, `<|return|>` and `<|call|>`.
    End(Token),
}

/// Where a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Between two messages.
    Between,
    /// Inside the header of a message.
    Header,
    /// Inside the content of a message.
    Content,
}

/// Says why a text is not Harmony.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the control token {token} stands inside the {place} of a message")]
    Token { token: Token, place: &'static str },
    #[error(
        "{found:?} stands between two messages, where only {} can stand",
        Token::Start
    )]
    Between { found: String },
    #[error("the header {header:?} cannot be read: {reason}")]
    Header {
        header: String,
        reason: &'static str,
    },
    #[error(
        "no {} came within {MAX_HEADER_BYTES} bytes; a server that leaves out special tokens (skip_special_tokens) cannot be understood",
        Token::Message
    )]
    HeaderTooLong,
}

enum Lexeme {
    Text(String),
    Token(Token),
}

impl HarmonyParser {
    /// Begins behind the `<|start|>assistant` of a prompt.
    pub(super) fn of_completion() -> Self {
        Self::in_state(ParserState::Header {
            text: String::new(),
            known_author: Some(Author::Assistant),
        })
    }

    /// Begins before the first message.
    #[cfg(test)]
    pub(super) fn of_conversation() -> Self {
        Self::in_state(ParserState::Between)
    }

    fn in_state(state: ParserState) -> Self {
        Self {
            text: String::new(),
            at: 0,
            state,
        }
    }

    /// Takes more of the text.
    pub(super) fn push(&mut self, text: &str) {
        // What is taken goes first, so that no more is held than what is not sure yet.
        self.text.drain(..self.at);
        self.at = 0;
        self.text.push_str(text);
    }

    /// Returns the next piece, or `None` when more text must come first.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Malformed> {
        while let Some(lexeme) = self.lexeme() {
            if let Some(piece) = self.take(lexeme)? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Takes the end of the text and gives what was held back, and where it ended.
    pub(super) fn finish(&mut self) -> Result<(Option<Piece>, Rest), Malformed> {
        // No more text comes, so the beginning of a token that was held back is plain text.
        let held = self.text.split_off(self.at);
        let piece = if held.is_empty() {
            None
        } else {
            self.take(Lexeme::Text(held))?
        };
        let rest = match self.state {
            ParserState::Between => Rest::Between,
            ParserState::Header { .. } => Rest::Header,
            ParserState::Content => Rest::Content,
        };
        Ok((piece, rest))
    }

    fn lexeme(&mut self) -> Option<Lexeme> {
        let text = self.text.get(self.at..).unwrap_or_default();
        let n_bytes = match Token::find(text) {
            Found::Whole(0, token) => {
                self.at += token.as_str().len();
                return Some(Lexeme::Token(token));
            }
            Found::Nothing => text.len(),
            // The rest waits: with the next piece it may be a token, which must never be shown as text.
            Found::Beginning(at) | Found::Whole(at, _) => at,
        };
        let text = text
            .get(..n_bytes)
            .filter(|text| !text.is_empty())?
            .to_owned();
        self.at += n_bytes;
        Some(Lexeme::Text(text))
    }

    fn take(&mut self, lexeme: Lexeme) -> Result<Option<Piece>, Malformed> {
        match (&mut self.state, lexeme) {
            (ParserState::Between, Lexeme::Token(Token::Start)) => {
                self.state = ParserState::Header {
                    text: String::new(),
                    known_author: None,
                };
                Ok(None)
            }
            (ParserState::Between, Lexeme::Token(token)) => Err(Malformed::Between {
                found: token.as_str().to_owned(),
            }),
            (ParserState::Between, Lexeme::Text(found)) => Err(Malformed::Between { found }),
            (ParserState::Header { text, known_author }, Lexeme::Token(Token::Message)) => {
                let header = Header::parse(text, known_author.take())?;
                self.state = ParserState::Content;
                Ok(Some(Piece::Header(header)))
            }
            (
                ParserState::Header { text, .. },
                Lexeme::Token(token @ (Token::Channel | Token::Constrain)),
            ) => {
                // Each stands once in a header; a second one means that the end of a message is missing.
                if text.contains(token.as_str()) {
                    return Err(Malformed::Token {
                        token,
                        place: "header",
                    });
                }
                text.push_str(token.as_str());
                Ok(None)
            }
            (ParserState::Header { text, .. }, Lexeme::Text(more)) => {
                text.push_str(&more);
                if text.len() > MAX_HEADER_BYTES {
                    return Err(Malformed::HeaderTooLong);
                }
                Ok(None)
            }
            (ParserState::Header { .. }, Lexeme::Token(token)) => Err(Malformed::Token {
                token,
                place: "header",
            }),
            (ParserState::Content, Lexeme::Text(text)) => Ok(Some(Piece::Content(text))),
            (
                ParserState::Content,
                Lexeme::Token(token @ (Token::End | Token::Return | Token::Call)),
            ) => {
                self.state = ParserState::Between;
                Ok(Some(Piece::End(token)))
            }
            (ParserState::Content, Lexeme::Token(token)) => Err(Malformed::Token {
                token,
                place: "content",
            }),
        }
    }
}
