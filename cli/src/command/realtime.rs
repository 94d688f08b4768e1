//! `openai-agents realtime`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::config::Config;
use openai_agents::model::realtime::{AudioFormat, Modality, ResponseStatus, TurnDetection};
use openai_agents::model::voice::PcmAudio;
use openai_agents::realtime::{RealtimeError, RealtimeEvent, RealtimeSession, SessionEnd};
use openai_agents::{ErrorKind, Limits};
use serde_json::{Value, json};

use super::listen::read;
use super::microphone::{self, Microphone, Speaker};
use super::realtime_lines::event_line;
use crate::answer_file::AnswerFile;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Ended, Failure, Unusable, Usage};
use crate::logging;
use crate::output::{self, Lines, Output};
use crate::recorder::{LocalStore, Recorder};
use crate::signal::Signals;
use crate::typed_lines::{TypedLines, is_yes};

/// Talk with a realtime model: by microphone and speaker, by text in the terminal, or with audio
/// files
///
/// Each line of stdin is a message. The answer comes before the next line is sent, and the end of
/// stdin ends the session. With --audio, the file is the first message. The model is
/// `realtime.model` of the settings, at `realtime.url` or else at the base URL. The agent is the
/// `RealtimeAgent` of the settings, or one with the tools of `Assistant`.
///
/// Answers go to stdout as text. What was heard, tool calls and notices go to stderr. With -o, the
/// model answers in audio, which is written to the file at the end; its transcript goes to stdout.
/// If a call needs approval, you are asked in the terminal; if stdin is not a terminal, the call is
/// rejected. --approve-all approves every call.
///
/// With --microphone, the model hears the microphone and answers through the speaker. Speak over an
/// answer to stop it; the model is told how much of it you heard. Use headphones, or the model
/// hears itself. With --half-duplex the microphone is closed while an answer is played. Lines of
/// stdin are messages too, and an empty line stops an answer. The session ends after the last
/// answer when stdin ends, or by Ctrl-C.
///
/// With --json, stdout has one JSON object per line: user_transcript, text_delta, tool_called,
/// tool_output, handoff_occurred, guardrail_tripped, interrupted, response_done, server_error,
/// deviation, model_event. The last line has the type result.
///
/// Exit codes: 0 done; 1 an answer failed, the session ended early, or the microphone or the
/// speaker failed; 2 nothing was done: wrong usage or settings, no microphone or speaker, or the
/// server cannot be reached; 3 a guardrail tripped on the last answer; 129, 130 or 143 after
/// SIGHUP, Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct RealtimeArgs {
    /// Send this message first, before those of stdin.
    text: Option<String>,
    /// Send this WAV file first: 24,000 samples a second, one channel.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    audio: Option<PathBuf>,
    /// Talk through the microphone and the speaker.
    #[arg(long, conflicts_with = "audio")]
    microphone: bool,
    /// Close the microphone while an answer is played: for loudspeakers.
    #[arg(long, requires = "microphone")]
    half_duplex: bool,
    /// Use this microphone; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID", requires = "microphone")]
    input_device: Option<String>,
    /// Play through this speaker; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID", requires = "microphone")]
    output_device: Option<String>,
    /// Answer in audio, and write it to this WAV file. Replaces the file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Approve all calls that need it, and ask nobody.
    #[arg(long)]
    approve_all: bool,
    /// Do not read stdin.
    #[arg(long)]
    no_stdin: bool,
    /// Speak in this voice.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Use this realtime model.
    #[arg(long, value_name = "NAME")]
    realtime_model: Option<String>,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// A message of the user.
pub(super) enum UserMessage {
    Text(String),
    Audio(PcmAudio),
}

/// When the user may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpokenTurns {
    /// After the agent has answered.
    InTurn,
    /// At any time, over an answer too.
    Overlapping,
}

/// Who decides about calls that need approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApprovalPolicy {
    All,
    /// The person at the terminal.
    Ask,
    None,
}

/// The state of a session and its answers so far.
pub(super) struct TerminalSession {
    json: bool,
    pub(super) approval: ApprovalPolicy,
    turns: SpokenTurns,
    out: Output,
    agent: String,
    /// Whether the current answer has a tool call, after which another answer follows.
    has_called: bool,
    is_answered: bool,
    text: String,
    /// The audio of the answers, if it is to be written to a file.
    audio: Option<Vec<u8>>,
    n_answers: u32,
    tripped: Option<String>,
}

pub(crate) async fn run(
    global: Global,
    arguments: &RealtimeArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    let prepared = signals.unless(Box::pin(prepare(global, arguments))).await;
    let (config, opened) = prepared?;
    let talked = match opened {
        Ok(opened) => converse(arguments, opened, signals).await,
        Err(error) => Err(error),
    };
    tokio::select! {
        // Closing waits for the servers; a second Ctrl-C does not.
        _ = signals.second() => {}
        () = config.mcp_servers().close() => {}
    }
    talked
}

async fn converse(arguments: &RealtimeArgs, opened: Opened, signals: &mut Signals) -> Result<Exit> {
    let Opened {
        mut session,
        first,
        file,
        agent,
        recorder,
        sound,
    } = opened;
    let lines = (!arguments.no_stdin).then(TypedLines::read).transpose()?;
    let approval = match &lines {
        _ if arguments.approve_all => ApprovalPolicy::All,
        Some(lines) if lines.is_terminal() => ApprovalPolicy::Ask,
        _ => ApprovalPolicy::None,
    };
    let mut conversation = TerminalSession::new(arguments.json, approval, agent);
    conversation.audio = file.is_some().then(Vec::new);
    if sound.is_some() {
        conversation.turns = SpokenTurns::Overlapping;
    }
    let talk = async {
        match sound {
            Some(sound) => {
                microphone::converse(&mut conversation, &mut session, first, lines, sound).await
            }
            None => conversation.talk(&mut session, first, lines).await,
        }
    };
    let talked = tokio::select! {
        biased;
        // First in order (`biased`), so that events that keep coming cannot hold up Ctrl-C.
        signal = signals.first() => Err(Ended(signal).into()),
        talked = Box::pin(talk) => talked,
    };
    let usage = session.usage();
    // A proper close waits for the server, up to two seconds. After a failure or Ctrl-C nobody should
    // have to wait.
    if talked.is_ok() {
        session.close().await;
    } else {
        drop(session);
    }
    if let Some(recorder) = recorder {
        recorder.close().await;
    }
    let failure = talked.err().map(|error| Failure::after_session(&error));
    let spoken = conversation.audio.take().filter(|audio| !audio.is_empty());
    // Also after a failure: what was spoken until then is there, and was paid for.
    let written = match (&file, spoken) {
        (Some(file), Some(audio)) => PcmAudio::new(AudioFormat::Pcm16.sample_rate_hz(), 1, audio)
            .and_then(|audio| audio.to_wav())
            .context("the spoken answers")
            .and_then(|wav| file.write_bytes(&wav)),
        _ => Ok(()),
    };
    let failure = failure.or_else(|| written.err().map(|error| Failure::after_run(&error)));
    if let Some(failure) = failure {
        output::result(&failure.to_json(Some(&conversation.agent), conversation.n_answers)).ok();
        return Ok(failure.report());
    }
    let result = json!({
        "type": "result", "ok": true, "final_output": conversation.text, "agent": conversation.agent,
        "turns": conversation.n_answers, "usage": usage, "audio": arguments.output,
    });
    output::is_read(output::result(&result))?;
    Ok(Exit::Done)
}

/// An open session, its first message, and where its answers go.
struct Opened {
    session: RealtimeSession,
    first: Option<UserMessage>,
    file: Option<AnswerFile>,
    agent: String,
    recorder: Option<Recorder>,
    sound: Option<microphone::LiveSound>,
}

/// Does everything that can fail before the first message. The configuration comes back in any
/// case, because its MCP servers must be closed.
async fn prepare(global: Global, arguments: &RealtimeArgs) -> Result<(Config, Result<Opened>)> {
    let config = global.load_with(&[
        ("--voice", "realtime.voice", arguments.voice.as_deref()),
        (
            "--realtime-model",
            "realtime.model",
            arguments.realtime_model.as_deref(),
        ),
    ])?;
    logging::start(&config)?;
    let opened = open(&config, arguments).await;
    Ok((config, opened))
}

async fn open(config: &Config, arguments: &RealtimeArgs) -> Result<Opened> {
    let file = arguments
        .output
        .as_deref()
        .map(AnswerFile::new)
        .transpose()?;
    let model = config.realtime_model()?;
    let agents = config.realtime_agents()?;
    let Some(first_agent) = agents.first() else {
        anyhow::bail!("there is no realtime agent");
    };
    let first = match (&arguments.text, &arguments.audio) {
        (Some(text), _) => Some(UserMessage::Text(text.clone())),
        (None, Some(path)) => Some(UserMessage::Audio(recording(path)?)),
        (None, None) => None,
    };
    if first.is_none() && arguments.no_stdin && !arguments.microphone {
        let message = "nothing to say: give a text, --audio, --microphone, or lines on stdin";
        return Err(Usage(message.to_owned()).into());
    }
    let mut builder = RealtimeSession::builder(first_agent, model)
        .limits(config.limits().over(Limits::default()))
        .modality(if file.is_some() || arguments.microphone {
            Modality::Audio
        } else {
            Modality::Text
        });
    for agent in agents.iter().skip(1) {
        builder = builder.register_agent(agent);
    }
    if let Some(voice) = &config.realtime().voice {
        builder = builder.voice(voice);
    }
    if arguments.audio.is_some() {
        // The whole file is one turn. The detection of the server would split it at pauses.
        builder = builder.turn_detection(TurnDetection::Manual);
    }
    let sound = if arguments.microphone {
        Some(open_sound(arguments).await?)
    } else {
        None
    };
    config.connect_mcp(config.realtime_agent_config()?).await?;
    let recorder = Recorder::open(config, LocalStore::IfConfigured).await?;
    if let Some(recorder) = &recorder {
        builder = builder.tracer(&recorder.tracer);
    }
    let session = builder.connect().await;
    let session = session.map_err(|error| connect_failed(&error, config))?;
    let agent = first_agent.name().to_owned();
    Ok(Opened {
        session,
        first,
        file,
        agent,
        recorder,
        sound,
    })
}

async fn open_sound(arguments: &RealtimeArgs) -> Result<microphone::LiveSound> {
    Ok(microphone::LiveSound {
        microphone: Microphone::open(arguments.input_device.as_deref()).await?,
        speaker: Speaker::open(arguments.output_device.as_deref()).await?,
        half_duplex: arguments.half_duplex,
    })
}

fn connect_failed(error: &RealtimeError, config: &Config) -> Unusable {
    let set = ["realtime.url", "base_url"];
    let set = set.iter().find_map(|key| config.setting(key));
    Unusable {
        kind: error.kind(),
        message: error.to_string(),
        hint: set.map(|set| format!("the address is {}, from {}", set.value, set.origin)),
    }
}

fn recording(path: &std::path::Path) -> Result<PcmAudio> {
    let audio = PcmAudio::from_wav(&read(path)?.bytes);
    let shown = path.display();
    let audio = audio.map_err(|error| Usage(format!("cannot send {shown}: {error}")))?;
    let expected = AudioFormat::Pcm16.sample_rate_hz();
    if (audio.sample_rate_hz(), audio.n_channels()) != (expected, 1) {
        let found = audio.format();
        return Err(Usage(format!(
            "cannot send {shown}: it has {found}, and a realtime model takes {expected} Hz, 1 channel"
        ))
        .into());
    }
    Ok(audio)
}

impl TerminalSession {
    fn new(json: bool, approval: ApprovalPolicy, agent: String) -> Self {
        Self {
            json,
            approval,
            turns: SpokenTurns::InTurn,
            out: Output::of_process(),
            agent,
            has_called: false,
            is_answered: true,
            text: String::new(),
            audio: None,
            n_answers: 0,
            tripped: None,
        }
    }

    /// Sends the messages one by one, each after the answer to the one before.
    async fn talk(
        &mut self,
        session: &mut RealtimeSession,
        first: Option<UserMessage>,
        mut lines: Option<TypedLines>,
    ) -> Result<()> {
        let mut next = first;
        let is_terminal = lines.as_ref().is_some_and(TypedLines::is_terminal);
        loop {
            if let Some(message) = next.take() {
                self.say(session, message).await?;
                self.hear(session, lines.as_mut()).await?;
            }
            if is_terminal && !self.json {
                self.out.err.write_all(b"> ").ok();
                self.out.err.flush().ok();
            }
            let Some(lines) = &mut lines else {
                break;
            };
            match lines.next().await? {
                None => break,
                Some(line) if line.trim().is_empty() => {}
                Some(line) => next = Some(UserMessage::Text(line)),
            }
        }
        self.finish()
    }

    /// Ends the session: an error if a guardrail tripped on the last answer.
    pub(super) fn finish(&mut self) -> Result<()> {
        match self.tripped.take() {
            Some(guardrail) => Err(Unusable {
                kind: ErrorKind::GuardrailTripped,
                message: format!("the guardrail `{guardrail}` tripped"),
                hint: None,
            }
            .into()),
            None => Ok(()),
        }
    }

    /// Says whether the last message is answered.
    #[cfg_attr(
        not(feature = "microphone"),
        expect(dead_code, reason = "without one the user waits for the answer")
    )]
    pub(super) const fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(super) async fn say(
        &mut self,
        session: &RealtimeSession,
        message: UserMessage,
    ) -> Result<()> {
        self.is_answered = false;
        self.text.clear();
        self.tripped = None;
        match message {
            UserMessage::Text(text) => session.send_text(text).await?,
            UserMessage::Audio(audio) => {
                session.send_audio(audio.bytes().clone()).await?;
                session.commit().await?;
                session.respond().await?;
            }
        }
        Ok(())
    }

    /// Shows what happens until the message is answered.
    async fn hear(
        &mut self,
        session: &mut RealtimeSession,
        mut lines: Option<&mut TypedLines>,
    ) -> Result<()> {
        while !self.is_answered {
            let Some(event) = session.next().await else {
                anyhow::bail!("the session is over");
            };
            self.show(&event)?;
            if let RealtimeEvent::ApprovalRequired { call_id, .. } = &event {
                if self.is_approved(lines.as_deref_mut()).await? {
                    session.approve(call_id).await?;
                } else {
                    session.reject(call_id, None).await?;
                }
            }
        }
        if !self.json {
            self.write("\n")?;
        }
        Ok(())
    }

    /// Decides about a call that was shown. The server continues the conversation meanwhile.
    async fn is_approved(&mut self, lines: Option<&mut TypedLines>) -> Result<bool> {
        let lines = match (self.approval, lines) {
            (ApprovalPolicy::All, _) => return Ok(true),
            (ApprovalPolicy::Ask, Some(lines)) => lines,
            (ApprovalPolicy::Ask | ApprovalPolicy::None, _) => return Ok(false),
        };
        let answer = lines.ask("approve? [y/N] ", &mut self.out).await?;
        Ok(answer.is_some_and(|answer| is_yes(&answer)))
    }

    /// Shows an event.
    ///
    /// # Errors
    ///
    /// The reason if the event ends the session.
    pub(super) fn show(&mut self, event: &RealtimeEvent) -> Result<()> {
        let line = event_line(event);
        let note = match event {
            RealtimeEvent::TextDelta { delta, .. } => {
                self.text.push_str(delta);
                if !self.json {
                    self.write(delta)?;
                }
                None
            }
            RealtimeEvent::Audio { audio, .. } => {
                if let Some(kept) = &mut self.audio {
                    kept.extend_from_slice(audio);
                }
                None
            }
            RealtimeEvent::ResponseStarted { agent, .. } => {
                self.agent = agent.to_string();
                self.has_called = false;
                self.is_answered = false;
                if self.turns == SpokenTurns::Overlapping {
                    self.text.clear();
                }
                None
            }
            RealtimeEvent::ToolCalled { .. } => {
                self.has_called = true;
                Some(event.to_string())
            }
            RealtimeEvent::GuardrailTripped { result, .. } => {
                self.tripped = Some(result.guardrail.clone());
                // The session asks for a corrected answer, which follows.
                self.has_called = true;
                Some(event.to_string())
            }
            RealtimeEvent::ResponseDone { status, reason, .. } => {
                if !self.end_answer(status, reason.as_deref())? {
                    self.line(line.as_ref())?;
                    return Err(ended(ErrorKind::ResponseFailed, event.to_string()));
                }
                None
            }
            RealtimeEvent::ToolEnded { .. }
            | RealtimeEvent::ApprovalRequired { .. }
            | RealtimeEvent::HandedOff { .. }
            | RealtimeEvent::UserTranscriptDone { .. }
            | RealtimeEvent::UserTranscriptFailed { .. }
            | RealtimeEvent::Interrupted { .. }
            | RealtimeEvent::ServerError { .. }
            | RealtimeEvent::Deviation { .. } => Some(event.to_string()),
            RealtimeEvent::Ended { end } => {
                let kind = end.kind().unwrap_or(ErrorKind::Transport);
                return match end {
                    SessionEnd::Closed => Ok(()),
                    end => Err(ended(kind, end.to_string())),
                };
            }
            _ => None,
        };
        self.line(line.as_ref())?;
        if let (false, Some(note)) = (self.json, note) {
            output::note(note);
        }
        Ok(())
    }

    /// Counts an answer that is over; says whether the session can continue.
    fn end_answer(&mut self, status: &ResponseStatus, reason: Option<&str>) -> Result<bool> {
        self.n_answers += 1;
        let is_followed = std::mem::take(&mut self.has_called);
        let is_live = self.turns == SpokenTurns::Overlapping;
        if is_live && !self.json && !self.text.is_empty() {
            self.write("\n")?;
        }
        match status {
            ResponseStatus::Completed => self.is_answered = !is_followed,
            ResponseStatus::Cancelled if is_followed => {}
            // The user spoke over it, or stopped it.
            ResponseStatus::Cancelled if is_live => self.is_answered = true,
            // Some servers detect turns although `turn_detection` is off. They cancel this answer and begin another.
            ResponseStatus::Cancelled if reason == Some("turn_detected") => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn line(&self, line: Option<&Value>) -> Result<()> {
        if let (true, Some(line)) = (self.json, line)
            && !output::is_read(Lines::stdout().json(line))?
        {
            anyhow::bail!("the reader of stdout is gone");
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if !output::is_read(self.out.words(text))? {
            anyhow::bail!("the reader of stdout is gone");
        }
        Ok(())
    }
}

fn ended(kind: ErrorKind, message: String) -> anyhow::Error {
    let hint = None;
    Unusable {
        kind,
        message,
        hint,
    }
    .into()
}
