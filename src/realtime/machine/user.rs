//! What the application asks of a session.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Connection, Machine, Speech};
use crate::model::realtime::{
    ClientEvent, MAX_EVENT_BYTES, NewContent, NewItem, Playback, ResponseOptions,
};
use crate::realtime::RealtimeError;
use crate::realtime::event::InterruptedBy;

/// What the application asks for.
#[derive(Debug)]
pub(in crate::realtime) enum UserInput {
    /// Adds an item; with an answer to it or without.
    Item { item: NewItem, is_answered: bool },
    /// Removes an item.
    Delete { item_id: String },
    /// Adds audio of the user.
    Audio(Bytes),
    /// Passes an event of another client on.
    #[cfg_attr(
        not(feature = "server"),
        expect(dead_code, reason = "only a server passes events on")
    )]
    Verbatim(String),
    /// Makes the audio so far a message.
    Commit,
    /// Throws the audio so far away.
    Clear,
    /// Asks for an answer.
    Respond(Box<ResponseOptions>),
    /// Stops the agent.
    Interrupt,
    /// Changes fields of the session.
    Update(Map<String, Value>),
    /// Decides about a call that waits.
    Decide {
        call_id: String,
        decision: CallDecision,
    },
}

/// What was decided about a call.
#[derive(Debug)]
pub(in crate::realtime) enum CallDecision {
    Approve,
    /// With words for the model, or without.
    Reject(Option<String>),
}

/// What an event has beside the content of its item.
const EVENT_COST: usize = 64 * 1024;

impl Machine {
    /// Takes what the application asks for.
    ///
    /// # Errors
    ///
    /// Why it was not done; then nothing was sent.
    pub(in crate::realtime) fn ask(
        &mut self,
        now: std::time::Duration,
        input: UserInput,
    ) -> Result<(), RealtimeError> {
        self.now = self.now.max(now);
        if self.connection == Connection::Over {
            return Err(RealtimeError::Ended);
        }
        match input {
            UserInput::Item { item, is_answered } => self.add_item(item, is_answered)?,
            UserInput::Audio(audio) => {
                if self.playback == Playback::Server {
                    return Err(RealtimeError::AudioInCall);
                }
                let frames = self.input_frames.push(&audio);
                self.append(frames);
            }
            // It leaves the history when the server says that it is gone.
            UserInput::Delete { item_id } => {
                if self.connection == Connection::Open {
                    self.send(ClientEvent::DeleteItem { item_id });
                }
            }
            UserInput::Verbatim(json) => {
                if self.connection == Connection::Open {
                    self.send(ClientEvent::Verbatim(json));
                }
            }
            UserInput::Commit => {
                let rest = self.input_frames.finish(self.settings.input_format);
                self.append(rest);
                if self.n_uncommitted == 0 {
                    return Err(RealtimeError::NoAudio);
                }
                self.n_uncommitted = 0;
                self.send(ClientEvent::CommitAudio);
            }
            UserInput::Clear => {
                drop(self.input_frames.finish(self.settings.input_format));
                self.n_uncommitted = 0;
                if self.connection == Connection::Open {
                    self.send(ClientEvent::ClearAudio);
                }
            }
            UserInput::Respond(options) => {
                self.speech = Speech::Silent;
                self.request_response(*options);
            }
            UserInput::Interrupt => self.interrupt(InterruptedBy::Application, None),
            UserInput::Update(fields) => {
                self.settings.extra.extend(fields);
                if let Connection::Open = self.connection {
                    self.update_session();
                }
            }
            UserInput::Decide { call_id, decision } => {
                if !self.decide(&call_id, decision) {
                    return Err(RealtimeError::NoSuchCall { call_id });
                }
            }
        }
        self.send_deferred();
        Ok(())
    }

    fn add_item(&mut self, item: NewItem, is_answered: bool) -> Result<(), RealtimeError> {
        let n_bytes = n_bytes(&item);
        let max_bytes = MAX_EVENT_BYTES - EVENT_COST;
        if n_bytes > max_bytes {
            return Err(RealtimeError::TooLarge { n_bytes, max_bytes });
        }
        match self.connection {
            Connection::Open => self.create_item(item),
            Connection::Opening { .. } | Connection::Over => self.rebuilt.push(item),
        }
        if is_answered {
            self.speech = Speech::Silent;
            self.request_response(ResponseOptions::default());
        }
        Ok(())
    }
}

/// Counts the bytes of an item as JSON; escapes can take six for one.
fn n_bytes(item: &NewItem) -> usize {
    let escaped = |text: &str| {
        text.bytes()
            .map(|byte| {
                if byte < 0x20 || byte == b'"' || byte == b'\\' {
                    6
                } else {
                    1
                }
            })
            .sum::<usize>()
    };
    match item {
        NewItem::Message { content, .. } => content
            .iter()
            .map(|part| match part {
                NewContent::Text(text) | NewContent::Image(text) => escaped(text),
            })
            .sum(),
        NewItem::FunctionCall { arguments, .. } => escaped(arguments),
        NewItem::FunctionCallOutput { output, .. } => escaped(output),
    }
}
