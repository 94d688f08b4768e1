//! Control tokens that leaked into a text: the server should have parsed them, and nobody may see them.

use std::borrow::Cow;

use super::token::{Found, Token};

/// Passes a text on, piece by piece, and refuses it at the first control token.
///
/// Only what could still become a token is held back, so no part of one is ever passed on.
#[derive(Debug, Default)]
pub(crate) struct LeakGuard {
    /// The beginning of a token, at the end of what came so far.
    held: String,
}

/// A token that was found; nothing after it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leak {
    pub(crate) token: Token,
    /// What it stands in, for an error.
    pub(crate) text: String,
}

impl LeakGuard {
    /// Takes a piece and gives what may be shown, which can be nothing.
    pub(crate) fn push<'a>(&mut self, delta: Cow<'a, str>) -> Result<Cow<'a, str>, Leak> {
        let mut text = if self.held.is_empty() {
            delta
        } else {
            self.held.push_str(&delta);
            Cow::Owned(std::mem::take(&mut self.held))
        };
        match Token::find(&text) {
            Found::Nothing => {}
            Found::Beginning(at) => match &mut text {
                Cow::Borrowed(text) => {
                    let (shown, held) = text.split_at(at);
                    held.clone_into(&mut self.held);
                    *text = shown;
                }
                Cow::Owned(text) => self.held = text.split_off(at),
            },
            Found::Whole(_, token) => {
                let text = text.into_owned();
                return Err(Leak { token, text });
            }
        }
        Ok(text)
    }

    /// Returns what was held back, which became no token after all.
    pub(crate) fn finish(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.held)).filter(|held| !held.is_empty())
    }
}

/// Finds a token in a text that is whole.
pub(crate) fn check(text: &str) -> Result<(), Leak> {
    match Token::find(text) {
        // Nothing comes behind it any more: the beginning of a token is a text.
        Found::Nothing | Found::Beginning(_) => Ok(()),
        Found::Whole(_, token) => Err(Leak {
            token,
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes the text in pieces of these many characters, and gives what was shown and how it ended.
    fn push_in(text: &str, sizes: &[usize]) -> (String, Result<(), Token>) {
        let (mut guard, mut shown) = (LeakGuard::default(), String::new());
        let (mut chars, mut sizes) = (text.chars().peekable(), sizes.iter().cycle());
        while chars.peek().is_some() {
            let piece: String = chars.by_ref().take(*sizes.next().unwrap()).collect();
            match guard.push(Cow::Borrowed(&piece)) {
                Ok(text) => shown.push_str(&text),
                Err(leak) => return (shown, Err(leak.token)),
            }
        }
        shown.extend(guard.finish());
        (shown, Ok(()))
    }

    #[test]
    fn text_without_a_less_than_sign_is_passed_on_uncopied() {
        let mut guard = LeakGuard::default();
        assert!(matches!(
            guard.push(Cow::Borrowed("a | b > c")),
            Ok(Cow::Borrowed("a | b > c"))
        ));
        assert_eq!(guard.finish(), None);
    }

    #[test]
    fn what_may_become_a_token_waits() {
        let mut guard = LeakGuard::default();
        assert_eq!(guard.push("a <|cha".into()), Ok("a ".into()));
        assert_eq!(guard.push("nn".into()), Ok("".into()));
        assert_eq!(guard.push("el> b <".into()), Ok("<|channel> b ".into()));
        assert_eq!(guard.finish(), Some("<".to_owned()));
        assert_eq!(guard.push("<|end|".into()), Ok("".into()));
        assert_eq!(
            guard.push("> x".into()),
            Err(Leak {
                token: Token::End,
                text: "<|end|> x".to_owned()
            })
        );
    }

    /// Texts that are full of tokens, their beginnings, and what looks like them.
    fn tricky() -> impl Strategy<Value = String> {
        let token = prop::sample::select(Token::ALL.to_vec()).prop_map(Token::as_str);
        let piece = prop_oneof![
            (token, 0..14_usize).prop_map(|(token, n)| token[..n.min(token.len())].to_owned()),
            "[<|>a-z é]{0,4}",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_shows_the_whole_text_or_nothing_of_a_token(
            text in tricky(),
            sizes in prop::collection::vec(1..9_usize, 1..6),
        ) {
            let first = Token::ALL.iter().filter_map(|token| Some((text.find(token.as_str())?, *token))).min_by_key(|found| found.0);
            let (shown, end) = push_in(&text, &sizes);
            match first {
                None => prop_assert_eq!((shown, end), (text, Ok(()))),
                Some((at, token)) => {
                    prop_assert_eq!(end, Err(token));
                    prop_assert!(text[..at].starts_with(&shown), "{:?}", shown);
                }
            }
        }
    }
}
