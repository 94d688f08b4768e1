//! What the commands do with an open microphone and an open speaker.

mod realtime;
mod recorder;
mod talk;

use anyhow::Result;
use futures_util::{Stream, StreamExt as _};
use openai_agents::config::Config;
use openai_agents::model::ModelError;
use openai_agents::model::voice::{PcmAudio, SpeechEvent, SpeechUsage};
use serde_json::json;

use super::speak::failed;
use crate::output::{self, Lines, is_read};
use crate::sound::Devices;

pub(super) use self::realtime::{LiveSound, converse};
pub(super) use self::talk::{answer, talk};
pub(super) use crate::sound::{Microphone, Speaker};
pub(super) use recorder::QuestionRecorder;

/// Lists the devices on stdout.
pub(super) fn list(json: bool) -> Result<()> {
    let devices = Devices::of_system().list()?;
    let mut out = Lines::stdout();
    for device in devices {
        let kind = device.kind.name();
        let written = if json {
            out.json(&json!({
                "type": "device", "kind": kind, "id": device.id, "name": device.name, "default": device.is_default,
            }))
        } else {
            let mark = if device.is_default { '*' } else { ' ' };
            out.text(format_args!(
                "{mark} {kind:<10} {}  ({})",
                device.id, device.name
            ))
        };
        if !is_read(written)? {
            break;
        }
    }
    Ok(())
}

/// Plays speech as it arrives, to its end. Gives its length in seconds and its usage.
pub(super) async fn speak(
    mut events: impl Stream<Item = Result<SpeechEvent, ModelError>> + Unpin,
    mut speaker: Speaker,
    config: &Config,
) -> Result<(f64, Option<SpeechUsage>)> {
    const ITEM: &str = "speech";
    let (mut rate, mut n_bytes, mut cost) = (0, 0_u64, None);
    let mut has_more = true;
    while has_more || speaker.is_playing() {
        tokio::select! {
            biased;
            progress = speaker.progress() => {
                progress?;
                speaker.heard();
            }
            // Not polled while the queue of the speaker is full: the server waits, and the memory
            // stays bounded.
            event = events.next(), if has_more && speaker.has_room() => match event.transpose() {
                Err(error) => return Err(failed(error, "voice.tts_url", config).into()),
                Ok(None) => {
                    has_more = false;
                    speaker.finish(ITEM)?;
                }
                Ok(Some(SpeechEvent::Started { sample_rate_hz })) => rate = sample_rate_hz,
                Ok(Some(SpeechEvent::Audio { audio })) => {
                    let audio = PcmAudio::new(rate, 1, audio)?;
                    n_bytes += audio.bytes().len() as u64;
                    speaker.push(ITEM, &audio)?;
                }
                Ok(Some(SpeechEvent::Done { usage })) => cost = usage,
                Ok(Some(_)) => {}
            },
        }
        // Also for what is empty and so never makes progress.
        speaker.heard();
    }
    note_trouble(speaker.take_trouble());
    #[expect(
        clippy::cast_precision_loss,
        reason = "it is shown, and far below 2^52"
    )]
    let seconds = n_bytes as f64 / 2.0 / f64::from(rate.max(1));
    Ok((seconds, cost))
}

/// Warns on stderr about audio that was lost or late.
fn note_trouble(trouble: Option<String>) {
    if let Some(trouble) = trouble {
        output::note(format_args!("warning: {trouble}"));
    }
}
