//! What the model wrote, message by message, as events and items.

use std::collections::VecDeque;

use serde_json::json;

use super::header::{Author, Header};
use super::parser::{HarmonyParser, Malformed, Piece, Rest};
use super::token::Token;
use crate::item::{FunctionCall, Message, Reasoning, Role};
use crate::kind::ErrorKind;
use crate::model::wire::append;
use crate::model::{Deviation, ModelError, ModelEvent, Received};

/// Understands one completion.
#[derive(Debug)]
pub(super) struct Transcript {
    parser: HarmonyParser,
    /// The turn of the run; ids of calls are made from it.
    turn: u32,
    n_calls: usize,
    /// The message that is being written.
    open: Option<OpenMessage>,
    /// How the last message ended.
    last_end: Option<Token>,
    has_answer: bool,
    received: Received,
    deviations: Vec<Deviation>,
}

#[derive(Debug)]
struct OpenMessage {
    kind: Kind,
    text: String,
}

#[derive(Debug)]
enum Kind {
    Analysis,
    /// Words to the user before a call.
    Preamble,
    Final,
    Call {
        index: usize,
        name: String,
    },
}

/// Why no more text comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The model stopped; servers take the token by which it did out of the text.
    Model,
    /// Something else cut the text, or nobody knows.
    Cut,
}

impl Transcript {
    pub(super) fn new(turn: u32) -> Self {
        Self {
            parser: HarmonyParser::of_completion(),
            turn,
            n_calls: 0,
            open: None,
            last_end: None,
            has_answer: false,
            received: Received::default(),
            deviations: Vec::new(),
        }
    }

    /// Takes more of the text and appends what it means.
    ///
    /// # Errors
    ///
    /// `harmony` when the text is not in the format.
    pub(super) fn push(
        &mut self,
        text: &str,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        self.parser.push(text);
        while let Some(piece) = self.parser.next_piece()? {
            self.take(piece, out)?;
        }
        Ok(())
    }

    /// Takes the end of the text.
    ///
    /// # Errors
    ///
    /// `truncated` when a message was cut, `empty_response` when there is neither text nor a call.
    pub(super) fn finish(
        &mut self,
        stop: Stop,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let (piece, rest) = self.parser.finish()?;
        if let Some(piece) = piece {
            self.take(piece, out)?;
        }
        // Servers stop at `<|return|>` or `<|call|>` and leave the token out of the text. So an
        // open content is complete if the model stopped by itself, and cut if anything else did.
        match (rest, stop) {
            (Rest::Content, Stop::Model) => {
                let token = match &self.open {
                    Some(OpenMessage {
                        kind: Kind::Call { .. },
                        ..
                    }) => Token::Call,
                    _ => Token::Return,
                };
                self.close(token, out)?;
            }
            (Rest::Between, Stop::Model) => {}
            (Rest::Between, Stop::Cut)
                if matches!(self.last_end, Some(Token::Return | Token::Call)) => {}
            (Rest::Header, Stop::Model) => {
                return Err(harmony(
                    "the text ended inside the header of a message: a server that leaves out special tokens (skip_special_tokens) cannot be understood",
                ));
            }
            (Rest::Between | Rest::Header | Rest::Content, Stop::Cut) => {
                return Err(ModelError::new(
                    ErrorKind::Truncated,
                    "the answer was cut before its last message ended: raise max_tokens or the server's own limit",
                ));
            }
        }
        if self.has_answer {
            return Ok(());
        }
        let what = if self.received.reasoning.is_empty() {
            "nothing"
        } else {
            "only reasoning"
        };
        Err(ModelError::new(
            ErrorKind::EmptyResponse,
            format!("the answer holds {what}: no text and no tool call"),
        ))
    }

    /// Returns what was received, for an error.
    pub(super) fn take_received(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }

    /// Takes what was tolerated.
    pub(super) fn take_deviations(&mut self) -> Vec<Deviation> {
        std::mem::take(&mut self.deviations)
    }

    fn take(&mut self, piece: Piece, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        match piece {
            Piece::Header(header) => self.open(&header, out),
            Piece::Content(text) => {
                self.content(text, out);
                Ok(())
            }
            Piece::End(token) => self.close(token, out),
        }
    }

    fn open(&mut self, header: &Header, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let may_follow = match self.last_end {
            Some(Token::Return) => false,
            // The model stops at a call; what a server lets it write behind one can only be another call.
            Some(Token::Call) => header.recipient.is_some(),
            _ => true,
        };
        if !may_follow {
            return Err(harmony(
                "the model went on after its answer was complete; the server did not stop it",
            ));
        }
        if header.author != Author::Assistant {
            let author = header.author.as_str();
            return Err(harmony(format!(
                "the model wrote a message of `{author}`, which is not its part; the server did not stop it"
            )));
        }
        let recipient = header.recipient.as_deref().filter(|name| *name != "all");
        let kind = match (recipient, header.channel.as_deref()) {
            (Some(recipient), None | Some("analysis" | "commentary")) => self.called(recipient)?,
            (Some(recipient), Some(channel)) => {
                return Err(harmony(format!(
                    "a call of `{recipient}` stands on the channel `{channel}`"
                )));
            }
            (None, Some("analysis")) => Kind::Analysis,
            (None, Some("commentary")) => Kind::Preamble,
            (None, Some("final")) => Kind::Final,
            (None, Some(channel)) => {
                return Err(harmony(format!(
                    "a message stands on the unknown channel `{channel}`"
                )));
            }
            // Guessing "final" would show somebody the model's thoughts.
            (None, None) => return Err(harmony("a message has neither a channel nor a recipient")),
        };
        if let Kind::Call { index, name } = &kind {
            let id = self.call_id(*index);
            out.push_back(ModelEvent::tool_call_started(*index, id, name.as_str()));
        }
        self.open = Some(OpenMessage {
            kind,
            text: String::new(),
        });
        Ok(())
    }

    /// Harmony knows no ids of calls; they are made of the call's place.
    fn call_id(&self, index: usize) -> String {
        format!("call_{}_{index}", self.turn)
    }

    fn called(&mut self, recipient: &str) -> Result<Kind, ModelError> {
        let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
        if name.is_empty() {
            return Err(harmony("a call names no tool"));
        }
        if name == recipient {
            self.note(
                "harmony_tool_namespace",
                format!("the model called `{name}` outside of the namespace `functions`; it was taken as the name of a tool"),
            );
        }
        let index = self.n_calls;
        self.n_calls += 1;
        Ok(Kind::Call {
            index,
            name: name.to_owned(),
        })
    }

    fn content(&mut self, delta: String, out: &mut VecDeque<ModelEvent>) {
        let Some(open) = &mut self.open else { return };
        append(&mut open.text, &delta);
        out.push_back(match &open.kind {
            Kind::Analysis => {
                append(&mut self.received.reasoning, &delta);
                ModelEvent::ReasoningDelta { delta }
            }
            Kind::Preamble | Kind::Final => {
                append(&mut self.received.text, &delta);
                ModelEvent::TextDelta { delta }
            }
            Kind::Call { index, .. } => ModelEvent::ToolCallDelta {
                index: *index,
                delta,
            },
        });
    }

    fn close(&mut self, token: Token, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let Some(OpenMessage { kind, text }) = self.open.take() else {
            return Ok(());
        };
        self.last_end = Some(token);
        let is_call = matches!(kind, Kind::Call { .. });
        match (is_call, token) {
            (true, Token::Call) | (false, Token::End | Token::Return) => {}
            (true, _) => self.note(
                "harmony_call_end",
                format!(
                    "the model ended a tool call by {token} instead of {}",
                    Token::Call
                ),
            ),
            (false, _) => {
                return Err(harmony(format!(
                    "a message without a recipient ends by {token}: which tool it calls is not said"
                )));
            }
        }
        self.has_answer |= is_call || !(text.is_empty() || matches!(kind, Kind::Analysis));
        let item = match kind {
            Kind::Call { index, name } => FunctionCall::new(self.call_id(index), name, text).into(),
            Kind::Analysis | Kind::Preamble | Kind::Final if text.is_empty() => return Ok(()),
            Kind::Analysis => Reasoning::from_content(text).into(),
            Kind::Preamble | Kind::Final => {
                let mut message = Message::new(Role::Assistant, text);
                message
                    .extra
                    .insert("status".to_owned(), json!("completed"));
                if matches!(kind, Kind::Preamble) {
                    message
                        .extra
                        .insert("phase".to_owned(), json!("commentary"));
                }
                message.into()
            }
        };
        out.push_back(ModelEvent::ItemDone { item });
        Ok(())
    }

    fn note(&mut self, code: &'static str, detail: String) {
        if !self.deviations.iter().any(|known| known.code == code) {
            self.deviations.push(Deviation::new(code, detail));
        }
    }
}

impl From<Malformed> for ModelError {
    fn from(error: Malformed) -> Self {
        harmony(format!("the answer is not in the Harmony format: {error}"))
    }
}

fn harmony(message: impl Into<String>) -> ModelError {
    ModelError::new(ErrorKind::Harmony, message)
}
