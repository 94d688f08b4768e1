//! Events and items as one line, for logs, terminals and tests.

use std::fmt;

use super::conversation::{RealtimeContent, RealtimeItem};
use super::event::{CutItem, InterruptedBy, RealtimeEvent};
use crate::guardrail::GuardrailResult;
use crate::model::realtime::{ResponseStatus, ServerFault};

impl fmt::Display for RealtimeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionUpdated { .. } => f.write_str("session updated"),
            Self::Reconnected => f.write_str("reconnected"),
            Self::Audio { item_id, audio } => {
                write!(f, "audio of {item_id}: {} bytes", audio.len())
            }
            Self::AudioDone { item_id } => write!(f, "audio of {item_id} done"),
            Self::TextDelta { item_id, delta } => write!(f, "text of {item_id}: {delta}"),
            Self::TextDone { item_id, text } => write!(f, "text of {item_id} done: {text}"),
            Self::SpeechStarted => f.write_str("speech started"),
            Self::SpeechStopped => f.write_str("speech stopped"),
            Self::Interrupted { by, cut } => {
                let item = |item: &CutItem| format!(", {} after {:?}", item.item_id, item.heard);
                let items: String = cut.iter().map(item).collect();
                write!(f, "interrupted by {}{items}", by.as_str())
            }
            Self::ResponseStarted { agent, .. } => write!(f, "{agent} answers"),
            Self::ResponseDone {
                status,
                reason,
                error,
                ..
            } => {
                let reason = reason.as_ref().map(|reason| format!(" ({reason})"));
                let error = error.as_ref().map(|error| format!(": {error}"));
                let (reason, error) = (reason.unwrap_or_default(), error.unwrap_or_default());
                write!(f, "answer {}{reason}{error}", status.as_str())
            }
            Self::ItemAdded { item } => write!(f, "item {}", item.id),
            Self::ToolCalled {
                tool,
                call_id,
                arguments,
                ..
            } => {
                write!(f, "calls {tool} ({call_id}): {arguments}")
            }
            Self::ToolEnded {
                tool,
                call_id,
                output,
                failure,
            } => {
                let failure = failure
                    .as_ref()
                    .map(|failure| format!(" [{}]", failure.kind));
                let failure = failure.unwrap_or_default();
                write!(f, "{tool} ({call_id}) gave: {output}{failure}")
            }
            Self::ApprovalRequired {
                tool,
                call_id,
                arguments,
                ..
            } => {
                write!(f, "{tool} ({call_id}) needs approval: {arguments}")
            }
            Self::HandedOff { from, to } => write!(f, "{from} hands off to {to}"),
            Self::GuardrailTripped {
                result: GuardrailResult {
                    guardrail, info, ..
                },
                ..
            } => {
                write!(f, "the guardrail `{guardrail}` tripped: {info}")
            }
            event => event.fmt_rest(f),
        }
    }
}

impl RealtimeEvent {
    /// Writes what is not about the agent.
    fn fmt_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserTranscriptDelta { item_id, delta } => {
                write!(f, "user's words in {item_id}: {delta}")
            }
            Self::UserTranscriptDone {
                item_id,
                transcript,
            } => {
                write!(f, "user's words in {item_id} done: {transcript}")
            }
            Self::UserTranscriptFailed { item_id, error } => {
                write!(f, "user's words in {item_id} are not known: {error}")
            }
            Self::ServerError { error } => write!(f, "server error: {error}"),
            Self::Deviation { deviation } => {
                write!(f, "deviation {}: {}", deviation.code, deviation.detail)
            }
            Self::Received { json } => write!(f, "event of the server: {} bytes", json.len()),
            Self::Other { name, .. } => write!(f, "other event {name}"),
            Self::Ended { end } => write!(f, "ended: {end}"),
            event => write!(f, "{event:?}"),
        }
    }
}

impl fmt::Display for RealtimeItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            RealtimeContent::Message { role, .. } => write!(f, "{role}: {}", self.text())?,
            RealtimeContent::FunctionCall {
                name, arguments, ..
            } => {
                write!(f, "calls {name}: {arguments}")?;
            }
            RealtimeContent::FunctionCallOutput { output, .. } => write!(f, "gives: {output}")?,
            RealtimeContent::Other { type_name, .. } => f.write_str(type_name)?,
        }
        match self.heard {
            Some(heard) if self.is_cut => write!(f, " (cut after {heard:?})"),
            _ => Ok(()),
        }
    }
}

impl InterruptedBy {
    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Application => "application",
            Self::Guardrail => "guardrail",
            Self::Connection => "connection",
        }
    }
}

impl ResponseStatus {
    /// Returns the word of the protocol.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
