//! The header of a message: who speaks, on which channel, to whom, in which form.

use super::parser::Malformed;
use super::token::Token;

/// What stands between `<|start|>` and `<|message|>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) author: Author,
    pub(super) channel: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) content_type: Option<String>,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Author {
    System,
    Developer,
    User,
    Assistant,
    /// A tool, by its name.
    Tool(String),
}

impl Header {
    /// Reads a header; the author is left out where the prompt has named it.
    pub(super) fn parse(text: &str, known_author: Option<Author>) -> Result<Self, Malformed> {
        let refuse = |reason: &'static str| Malformed::Header {
            header: text.to_owned(),
            reason,
        };
        let (before, channel, after) =
            split_channel(text).ok_or_else(|| refuse("its channel has no name"))?;
        // The recipient may stand before the channel or behind it; the format allows both.
        let mut words = Words::of(before).chain(Words::of(after)).peekable();
        let author = match known_author {
            Some(author) => {
                words.next_if(|word| *word == Word::Plain(author.as_str()));
                author
            }
            None => match words.next() {
                Some(Word::Plain(name)) => Author::of(name, words.peek().is_some())
                    .ok_or_else(|| refuse("its role is unknown"))?,
                _ => return Err(refuse("it has no role")),
            },
        };
        let mut header = Self {
            author,
            channel: channel.map(str::to_owned),
            recipient: None,
            content_type: None,
        };
        for word in words {
            let (slot, value) = match word {
                Word::To(name) => (&mut header.recipient, name),
                Word::Constrain(name) => (&mut header.content_type, name),
                // Models leave `to=` out now and then; the namespace says what is meant.
                Word::Plain(name)
                    if name.starts_with("functions.") && header.recipient.is_none() =>
                {
                    (&mut header.recipient, name)
                }
                Word::Plain(name) => (&mut header.content_type, name),
            };
            if value.is_empty() {
                return Err(refuse("it has a mark without a value"));
            }
            if slot.replace(value.to_owned()).is_some() {
                return Err(refuse("it says the same twice, or more than a header can"));
            }
        }
        Ok(header)
    }
}

impl Author {
    /// Reads a role; an unknown one is the name of a tool where something follows it.
    fn of(name: &str, has_more: bool) -> Option<Self> {
        Some(match name {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool(name.to_owned()),
            _ if has_more && !name.is_empty() => Self::Tool(name.to_owned()),
            _ => return None,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool(name) => name,
        }
    }
}

/// Cuts the channel out; `None` when its mark has no name behind it.
fn split_channel(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let Some((before, rest)) = text.split_once(Token::Channel.as_str()) else {
        return Some((text, None, ""));
    };
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '<')
        .unwrap_or(rest.len());
    let (channel, after) = rest.split_at(end);
    (!channel.is_empty()).then_some((before, Some(channel), after))
}

#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    Plain(&'a str),
    /// `to=NAME`.
    To(&'a str),
    /// `<|constrain|>NAME`, with or without a space between.
    Constrain(&'a str),
}

struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self(text)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let text = self.0.trim_start();
        if text.is_empty() {
            return None;
        }
        let constrained = text.strip_prefix(Token::Constrain.as_str());
        let text = constrained.map_or(text, str::trim_start);
        let space = text.find(char::is_whitespace).unwrap_or(text.len());
        let mark = text.find(Token::Constrain.as_str()).unwrap_or(text.len());
        let (word, rest) = text.split_at(space.min(mark));
        self.0 = rest;
        Some(match (constrained, word.strip_prefix("to=")) {
            (Some(_), _) => Word::Constrain(word),
            (None, Some(name)) => Word::To(name),
            (None, None) => Word::Plain(word),
        })
    }
}
