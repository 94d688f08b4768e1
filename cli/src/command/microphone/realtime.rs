//! `realtime --microphone`: a session that listens and speaks.
//!
//! The microphone is sent by a future of its own, so that a slow connection holds up nothing else.
//! The speaker reports what was played each time its device takes audio: when the user speaks over
//! an answer, the server is told how much of it was heard.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use openai_agents::model::realtime::AudioFormat;
use openai_agents::model::voice::PcmAudio;
use openai_agents::realtime::{RealtimeEvent, RealtimeHandle, RealtimeSession};

use super::super::realtime::{ApprovalPolicy, TerminalSession, UserMessage};
use super::note_trouble;
use crate::output;
use crate::sound::{Microphone, SAMPLE_RATE_HZ, Speaker};
use crate::typed_lines::{TypedLines, is_yes};

/// How long the microphone stays closed after an answer in half duplex, for the echo of a room.
const HOLD: Duration = Duration::from_millis(300);

/// How often to look for lost audio: once a second.
const LOOK_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// The devices of a session.
pub(crate) struct LiveSound {
    pub(crate) microphone: Microphone,
    pub(crate) speaker: Speaker,
    /// Whether the microphone is closed while something is played.
    pub(crate) half_duplex: bool,
}

/// The session and the playing of its answers.
struct LiveSession<'a> {
    terminal: &'a mut TerminalSession,
    session: &'a mut RealtimeSession,
    lines: Option<TypedLines>,
    speaker: Speaker,
    /// The item whose audio is still arriving.
    item: Option<String>,
    /// Calls that the terminal was asked about, the oldest first.
    asked: VecDeque<String>,
    /// Whether the microphone would pick up the speaker.
    is_playing: &'a Cell<bool>,
}

/// Talks until stdin ends and the last answer was played.
pub(crate) async fn converse(
    terminal: &mut TerminalSession,
    session: &mut RealtimeSession,
    first: Option<UserMessage>,
    lines: Option<TypedLines>,
    sound: LiveSound,
) -> Result<()> {
    let is_playing = Cell::new(false);
    let heard = send_heard(
        sound.microphone,
        session.handle(),
        sound.half_duplex.then_some(&is_playing),
    );
    let mut live = LiveSession {
        terminal,
        session,
        lines,
        speaker: sound.speaker,
        item: None,
        asked: VecDeque::new(),
        is_playing: &is_playing,
    };
    output::note(if sound.half_duplex {
        "listening, but not while an answer is played; Enter stops an answer"
    } else {
        "listening; speak over an answer to stop it (without headphones use --half-duplex)"
    });
    if let Some(first) = first {
        live.terminal.say(live.session, first).await?;
    }
    tokio::select! {
        failed = heard => failed,
        talked = live.talk() => talked,
    }
}

/// Sends the microphone to the session, until it fails or the session is over.
async fn send_heard(
    mut microphone: Microphone,
    session: RealtimeHandle,
    deaf_while: Option<&Cell<bool>>,
) -> Result<()> {
    let (mut n_held, mut n_since_look) = (0, 0);
    loop {
        let samples = microphone.next().await?;
        n_since_look += samples.len();
        if n_since_look >= LOOK_SAMPLES {
            n_since_look = 0;
            note_trouble(microphone.take_trouble());
        }
        if deaf_while.is_some_and(Cell::get) {
            // The echo of the last words still arrives after the speaker has fallen silent.
            n_held = HOLD.as_millis() as usize * LOOK_SAMPLES / 1_000;
        } else if n_held > 0 {
            n_held = n_held.saturating_sub(samples.len());
        } else if !samples.is_empty() {
            let bytes: Vec<u8> = samples.iter().flat_map(|it| it.to_le_bytes()).collect();
            session.send_audio(bytes).await?;
        }
    }
}

impl LiveSession<'_> {
    async fn talk(&mut self) -> Result<()> {
        let mut is_ending = false;
        while !is_ending || !self.terminal.is_answered() || self.speaker.is_playing() {
            tokio::select! {
                biased;
                progress = self.speaker.progress() => {
                    progress?;
                    self.report().await?;
                }
                line = next_line(&mut self.lines), if !is_ending => match line? {
                    Some(line) => self.on_line(line).await?,
                    None => is_ending = true,
                },
                // Not polled while the queue of the speaker is full, so that a fast server does not
                // fill the memory.
                event = self.session.next(), if self.speaker.has_room() => {
                    let Some(event) = event else {
                        anyhow::bail!("the session is over");
                    };
                    self.on_event(event).await?;
                }
            }
        }
        self.terminal.finish()
    }

    async fn on_event(&mut self, event: RealtimeEvent) -> Result<()> {
        if matches!(event, RealtimeEvent::Interrupted { .. }) {
            // The user speaks over the answer: what waits in the queue is not to be played. Silence comes first, since a terminal that
            // takes no text would hold it up.
            self.speaker.clear();
            self.item = None;
            self.is_playing.set(false);
        }
        self.terminal.show(&event)?;
        match event {
            RealtimeEvent::Audio { item_id, audio } => {
                if self.item.as_deref() != Some(&*item_id) {
                    self.end_item()?;
                }
                let audio = PcmAudio::new(AudioFormat::Pcm16.sample_rate_hz(), 1, audio)?;
                self.speaker.push(self.item.insert(item_id), &audio)?;
                self.report().await?;
            }
            RealtimeEvent::AudioDone { .. } | RealtimeEvent::ResponseDone { .. } => {
                self.end_item()?;
                self.report().await?;
                note_trouble(self.speaker.take_trouble());
            }
            RealtimeEvent::ApprovalRequired { call_id, .. } => self.decide(call_id).await?,
            _ => {}
        }
        Ok(())
    }

    fn end_item(&mut self) -> Result<()> {
        match self.item.take() {
            Some(item) => self.speaker.finish(&item),
            None => Ok(()),
        }
    }

    /// Tells the session how much was played.
    async fn report(&mut self) -> Result<()> {
        let heard = self.speaker.heard();
        self.is_playing.set(self.speaker.is_playing());
        if let Some(heard) = heard {
            self.session.played(&*heard.item, heard.position).await?;
        }
        Ok(())
    }

    async fn decide(&mut self, call_id: String) -> Result<()> {
        match self.terminal.approval {
            ApprovalPolicy::All => self.session.approve(call_id).await?,
            ApprovalPolicy::None => self.session.reject(call_id, None).await?,
            // The conversation continues. The next line that is typed is the decision.
            ApprovalPolicy::Ask => {
                self.asked.push_back(call_id);
                output::note("approve? [y/N]");
            }
        }
        Ok(())
    }

    async fn on_line(&mut self, line: String) -> Result<()> {
        if let Some(call_id) = self.asked.pop_front() {
            if is_yes(&line) {
                self.session.approve(call_id).await?;
            } else {
                self.session.reject(call_id, None).await?;
            }
        } else if line.trim().is_empty() {
            // An empty line stops the answer.
            self.session.interrupt().await?;
        } else {
            let message = UserMessage::Text(line);
            self.terminal.say(self.session, message).await?;
        }
        Ok(())
    }
}

async fn next_line(lines: &mut Option<TypedLines>) -> Result<Option<String>> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}
