//! The agent is stopped: what was not heard is cut, here and at the server.

use std::time::Duration;

use super::Machine;
use super::responses::ActiveState;
use crate::model::realtime::{ClientEvent, Modality, Playback};
use crate::realtime::event::{CutItem, InterruptedBy, RealtimeEvent};

impl Machine {
    /// Stops what is being said, or what one answer says; speech while the agent is silent stops nothing.
    pub(super) fn interrupt(&mut self, by: InterruptedBy, only: Option<u64>) {
        let is_active = match self.responses.active() {
            Some(active) => only.is_none_or(|number| number == active.number),
            None => only.is_none() && !self.responses.is_idle(),
        };
        // After speech the server cancels by itself; a second cancel would only be refused.
        if is_active
            && by != InterruptedBy::Speech
            && by != InterruptedBy::Connection
            && let Some(cancel) = self.responses.cancel()
        {
            self.send(cancel);
        }
        // Two things end: the answer that grows, and items that are complete but not yet played to
        // their end.
        let mut was_silent = true;
        let active = self.responses.active().map(|active| active.number);
        if is_active
            && let Some(active) = self.responses.active()
            && active.state == ActiveState::Speaking
        {
            active.state = ActiveState::Interrupted;
        }
        let (now, has_playback_reports) = (self.now, self.has_playback_reports);
        let (format, modality) = (self.settings.output_format, self.settings.modality);
        let mut cut = Vec::new();
        for entry in self.conversation.entries_mut() {
            if only.is_some() && entry.response != only {
                continue;
            }
            let is_unheard = entry.has_unheard_audio(now, has_playback_reports);
            let grows = is_active && entry.response == active;
            if grows && modality == Modality::Audio {
                // Its transcript may have come before its audio: nothing of it was heard.
                entry.audio(0, format);
            }
            let Some(audio) = &mut entry.audio else {
                continue;
            };
            if audio.cut.is_some() || !(is_unheard || grows) {
                continue;
            }
            let heard = audio.heard(now, has_playback_reports);
            audio.cut = Some(heard);
            was_silent &= !is_unheard;
            if is_unheard {
                let item_id = entry.id.clone();
                cut.push(CutItem { item_id, heard });
            }
        }
        // The player has been emptied, so the next audio begins now.
        self.plays_until = now;
        if was_silent && !(is_active && by != InterruptedBy::Speech) {
            return;
        }
        if self.playback == Playback::Server && by != InterruptedBy::Speech {
            self.send(ClientEvent::ClearOutputAudio);
        }
        // On a lost connection nobody can be told. The new one is told the conversation as it was
        // heard.
        if by != InterruptedBy::Connection {
            for item in &cut {
                self.truncate(&item.item_id, item.heard);
            }
        }
        self.emit(RealtimeEvent::Interrupted { by, cut });
    }

    /// Has the server forget what was not heard of an item, once.
    pub(super) fn truncate(&mut self, item_id: &str, heard: Duration) {
        // Whoever plays the audio knows best what was heard.
        if self.playback != Playback::Client {
            return;
        }
        let Some(audio) = self
            .conversation
            .entry(item_id)
            .and_then(|entry| entry.audio.as_mut())
        else {
            return;
        };
        if std::mem::replace(&mut audio.is_truncated, true) {
            return;
        }
        let content_index = audio.content_index;
        // Rounded down: a server refuses a position behind its audio.
        let audio_end_ms = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
        self.send(ClientEvent::TruncateItem {
            item_id: item_id.to_owned(),
            content_index,
            audio_end_ms,
        });
    }
}
