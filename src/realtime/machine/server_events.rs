//! What the server says, and what follows from it.

use bytes::Bytes;
use serde_json::Value;

use super::responses::ActiveState;
use super::{Connection, Machine, Speech};
use crate::model::realtime::{
    ConversationItem, ItemContent, Playback, ReceivedEvent, ResponseEnd, ServerEvent, ServerFault,
};
use crate::realtime::conversation::ContentPlace;
use crate::realtime::event::{InterruptedBy, RealtimeEvent};
use crate::usage::Usage;

impl Machine {
    pub(super) fn on_received(&mut self, received: ReceivedEvent) {
        for deviation in received.deviations {
            tracing::warn!(target: "openai_agents::wire", code = %deviation.code, "{}", deviation.detail);
            self.emit(RealtimeEvent::Deviation { deviation });
        }
        if let Some(json) = received.json {
            self.emit(RealtimeEvent::Received { json });
        }
        match received.event {
            ServerEvent::Session { session, .. } => self.on_session(session),
            ServerEvent::Error(error) => self.on_error(error),
            ServerEvent::ResponseCreated { response_id } => {
                self.speech = Speech::Silent;
                self.responses.on_created(response_id.clone(), &self.agent);
                let mut agent = self.agent.shared_name();
                if let Some(active) = self.responses.active() {
                    agent = active.agent.shared_name();
                    if active.is_correction {
                        self.guard.corrects(active.number);
                    }
                }
                self.emit(RealtimeEvent::ResponseStarted { response_id, agent });
                self.resend_cancel();
            }
            ServerEvent::ResponseDone(end) => self.on_response_done(*end),
            ServerEvent::OutputItemAdded { item, .. } => self.on_output_item(item, false),
            ServerEvent::OutputItemDone { item, .. } => self.on_output_item(item, true),
            ServerEvent::TextDelta(delta) => self.on_text_delta(delta),
            ServerEvent::TextDone(text) => self.on_text_done(text),
            ServerEvent::AudioDelta(audio) => self.on_audio(&audio),
            ServerEvent::AudioDone(audio) => {
                let item_id = audio.item_id;
                let is_cut = self.conversation.entry(&item_id).is_some_and(|entry| {
                    entry
                        .audio
                        .as_ref()
                        .is_some_and(|audio| audio.cut.is_some())
                });
                if !is_cut {
                    self.emit(RealtimeEvent::AudioDone { item_id });
                }
            }
            ServerEvent::Other { name, json } => self.emit(RealtimeEvent::Other { name, json }),
            event => self.on_conversation(event),
        }
    }

    /// Cancels an answer that was interrupted before the server had begun it, if the cancel came too early.
    fn resend_cancel(&mut self) {
        let is_interrupted = self
            .responses
            .active()
            .is_some_and(|active| active.state != ActiveState::Speaking);
        if is_interrupted && let Some(cancel) = self.responses.cancel() {
            self.send(cancel);
        }
    }

    /// What happens to the items and the turn of the user.
    fn on_conversation(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::ItemAdded {
                previous_item_id,
                item,
            } => {
                self.put(item, previous_item_id, false);
            }
            ServerEvent::ItemDone {
                previous_item_id,
                item,
            } => {
                self.put(item, previous_item_id, true);
            }
            ServerEvent::ItemDeleted { item_id } => self.conversation.remove(&item_id),
            ServerEvent::AudioCommitted {
                item_id,
                previous_item_id,
            } => {
                self.n_uncommitted = 0;
                self.conversation
                    .insert_user_audio(item_id, previous_item_id);
            }
            ServerEvent::AudioCleared => {
                self.n_uncommitted = 0;
                self.speech = Speech::Silent;
            }
            ServerEvent::SpeechStarted { .. } => self.on_speech_started(),
            ServerEvent::SpeechStopped { .. } => {
                if self.speech == Speech::Speaking {
                    self.speech = Speech::AwaitingResponse;
                }
                self.emit(RealtimeEvent::SpeechStopped);
            }
            ServerEvent::InputTranscriptDelta { item_id, delta } => {
                self.conversation.push_text(&item_id, SPOKEN, &delta);
                self.emit(RealtimeEvent::UserTranscriptDelta { item_id, delta });
            }
            ServerEvent::InputTranscriptDone {
                item_id,
                transcript,
                ..
            } => {
                self.conversation.set_text(&item_id, SPOKEN, &transcript);
                if transcript.trim().is_empty() && self.speech == Speech::AwaitingResponse {
                    // A noise was taken for speech: the server answers nothing.
                    self.speech = Speech::Silent;
                }
                self.emit(RealtimeEvent::UserTranscriptDone {
                    item_id,
                    transcript,
                });
            }
            ServerEvent::InputTranscriptFailed { item_id, error } => {
                self.emit(RealtimeEvent::UserTranscriptFailed { item_id, error });
            }
            // It is the answer to what was decided here; the position is known.
            ServerEvent::ItemTruncated { .. } => {}
            ServerEvent::Session { .. }
            | ServerEvent::Error(_)
            | ServerEvent::ResponseCreated { .. }
            | ServerEvent::ResponseDone(_)
            | ServerEvent::OutputItemAdded { .. }
            | ServerEvent::OutputItemDone { .. }
            | ServerEvent::TextDelta(_)
            | ServerEvent::TextDone(_)
            | ServerEvent::AudioDelta(_)
            | ServerEvent::AudioDone(_)
            | ServerEvent::Other { .. } => {}
        }
    }

    fn on_session(&mut self, session: Value) {
        let detection = session.pointer("/audio/input/turn_detection");
        let interrupts = detection.and_then(|detection| detection.get("interrupt_response"));
        self.server_interrupts = interrupts.and_then(Value::as_bool);
        self.emit(RealtimeEvent::SessionUpdated { session });
    }

    fn on_error(&mut self, error: ServerFault) {
        match error.code.as_deref() {
            // The cancel crossed the end of the answer, which is what was wanted.
            Some("response_cancel_not_active") => return self.responses.on_cancel_not_active(),
            // The server began an answer to the user's turn in the same moment.
            Some("conversation_already_has_active_response") => {
                return self.responses.on_already_active();
            }
            // The close follows.
            Some("session_expired") => self.is_expired = true,
            _ => self.responses.on_create_refused(error.event_id.as_deref()),
        }
        self.emit(RealtimeEvent::ServerError { error });
    }

    fn on_speech_started(&mut self) {
        self.emit(RealtimeEvent::SpeechStarted);
        if self.server_detects_turns() {
            self.speech = Speech::Speaking;
        }
        if self.speech_interrupts() {
            self.interrupt(InterruptedBy::Speech, None);
        }
    }

    fn put(&mut self, item: ConversationItem, previous: Option<String>, is_complete: bool) {
        let id = item.id().to_owned();
        if self.conversation.put(item, previous, is_complete)
            && let Some(item) = self
                .conversation
                .item(&id, self.now, self.has_playback_reports)
        {
            self.unconfirmed.confirm(&item.content);
            self.emit(RealtimeEvent::ItemAdded { item });
        }
    }

    fn on_output_item(&mut self, item: ConversationItem, is_done: bool) {
        let is_whole = match &item {
            // An answer that was cancelled has calls whose arguments break off.
            ConversationItem::FunctionCall { status, .. } => {
                is_done && status.as_deref().is_none_or(|status| status == "completed")
            }
            _ => is_done,
        };
        let call = item.clone();
        self.put(item, None, is_whole);
        if is_whole {
            self.start_call(call);
        }
    }

    fn on_response_done(&mut self, end: ResponseEnd) {
        if let Some(usage) = end.usage {
            self.cx.add_usage(usage);
        } else if end.usage_json.is_none() {
            self.cx.add_usage(Usage::UNREPORTED);
        }
        let is_completed = end.status == crate::model::realtime::ResponseStatus::Completed;
        for item in end.output {
            // Some servers tell of a call nowhere else.
            if let ConversationItem::FunctionCall { status, .. } = &item
                && is_completed
                && status.as_deref().is_none_or(|status| status == "completed")
            {
                self.put(item.clone(), None, true);
                self.start_call(item);
            }
        }
        self.responses.on_done(end.response_id.as_deref());
        self.n_losses = 0;
        self.emit(RealtimeEvent::ResponseDone {
            response_id: end.response_id,
            status: end.status,
            reason: end.reason,
            error: end.error,
            usage: end.usage,
        });
    }

    /// The number of the answer that an item belongs to, and whether that was interrupted.
    fn response_of(&mut self) -> (u64, bool) {
        match self.responses.active() {
            Some(active) => (active.number, active.state != ActiveState::Speaking),
            None => (self.responses.number(), false),
        }
    }

    fn on_text_delta(&mut self, delta: ItemContent<String>) {
        let Some((response, part)) = self.heard_text(&delta) else {
            return;
        };
        let ItemContent {
            item_id, content, ..
        } = delta;
        self.conversation.push_text(&item_id, part, &content);
        self.check_new_text(&item_id, response);
        self.emit(RealtimeEvent::TextDelta {
            item_id,
            delta: content,
        });
    }

    fn on_text_done(&mut self, text: ItemContent<String>) {
        let Some((response, part)) = self.heard_text(&text) else {
            return;
        };
        let ItemContent {
            item_id, content, ..
        } = text;
        self.conversation.set_text(&item_id, part, &content);
        self.check_whole_text(&item_id, response);
        self.emit(RealtimeEvent::TextDone {
            item_id,
            text: content,
        });
    }

    /// Returns the response and the place of a text; nothing if nobody hears it, since the server forgets it with the audio.
    fn heard_text(&mut self, text: &ItemContent<String>) -> Option<(u64, ContentPlace)> {
        let (response, is_interrupted) = self.response_of();
        let entry = self.conversation.model_entry(&text.item_id, response);
        let is_heard = match &entry.audio {
            Some(audio) => audio.cut.is_none(),
            None => !is_interrupted,
        };
        let part = ContentPlace {
            index: text.content_index,
            is_transcript: text.is_transcript,
        };
        is_heard.then_some((response, part))
    }

    fn on_audio(&mut self, delta: &ItemContent<Bytes>) {
        let (response, is_interrupted) = self.response_of();
        let entry = self.conversation.model_entry(&delta.item_id, response);
        let format = self.settings.output_format;
        let audio = entry.audio(delta.content_index, format);
        if audio.cut.is_some() || is_interrupted {
            // It was on its way when the answer was interrupted. The server has it, and has to forget it.
            audio.push_unheard(&delta.content);
            let heard = audio.heard(self.now, self.has_playback_reports);
            let heard = *audio.cut.get_or_insert(heard);
            return self.truncate(&delta.item_id, heard);
        }
        let whole = audio.push(self.now, &delta.content, &mut self.plays_until);
        let is_played_here = self.playback != Playback::OtherClient;
        if !whole.is_empty() && is_played_here && self.connection == Connection::Open {
            self.emit(RealtimeEvent::Audio {
                item_id: delta.item_id.clone(),
                audio: whole,
            });
        }
    }
}

/// The part of a user's message that is speech.
const SPOKEN: ContentPlace = ContentPlace {
    index: 0,
    is_transcript: true,
};
