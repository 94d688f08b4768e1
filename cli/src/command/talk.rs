//! `openai-agents talk`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::model::Delivery;
use openai_agents::model::voice::PcmAudio;
use openai_agents::voice::{Pipeline, VoiceError, VoiceEvent};
use openai_agents::{Limits, RunEvent, RunResult};
use serde_json::json;

use super::listen::{read, seconds};
use super::microphone::{self, Microphone, Speaker};
use super::speak::failed;
use crate::answer_file::AnswerFile;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging;
use crate::output::{self, Lines};
use crate::recorder::{LocalStore, Recorder};
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;

/// Ask an agent a spoken question, and hear its spoken answer
///
/// The question is an audio file. The answer is written to a WAV file or, with --play, played. With
/// --microphone it is a conversation: a question ends by silence or Enter, Enter stops an answer,
/// and Ctrl-D or Ctrl-C ends the conversation. The microphone is closed while an answer is played,
/// so that loudspeakers can be used.
///
/// The question is transcribed (`voice.stt_model`, `voice.stt_url`), an agent answers it, and the
/// answer is spoken sentence by sentence (`voice.tts_model`, `voice.tts_url`, `voice.voice`). The
/// text of the answer goes to stdout; what was heard and tool calls go to stderr.
///
/// With --json, stdout has the lines of `run`, and before them user_transcript, between them
/// sentence_started, and before the result audio_written. If tool calls need approval, the run is
/// saved as by `run`, and nothing is spoken.
///
/// Exit codes: those of `run`; 1 too if the microphone or the speaker fails, and 2 if there is
/// none.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct TalkArgs {
    /// The spoken question: WAV, MP3, FLAC, OGG, MP4 or WebM.
    #[arg(required_unless_present = "microphone")]
    file: Option<PathBuf>,
    /// Write the spoken answer to this WAV file. Replaces the file.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["play", "microphone"])]
    output: Option<PathBuf>,
    /// Play the spoken answer.
    #[arg(long)]
    play: bool,
    /// Talk through the microphone and the speaker.
    #[arg(long, conflicts_with_all = ["file", "output", "play"])]
    microphone: bool,
    /// End a question after this many seconds of silence.
    #[arg(long, value_name = "SECS", default_value = "2", requires = "microphone", value_parser = seconds)]
    silence: Duration,
    /// Use this microphone; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID", requires = "microphone")]
    input_device: Option<String>,
    /// Play through this speaker; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID")]
    output_device: Option<String>,
    /// Ask this agent; `openai-agents agents` lists them.
    #[arg(long, value_name = "NAME", default_value = "Assistant")]
    agent: String,
    /// The language of the question, such as en.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Speak in this voice.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Use this model to transcribe the question.
    #[arg(long, value_name = "NAME")]
    stt_model: Option<String>,
    /// Use this speech model.
    #[arg(long, value_name = "NAME")]
    tts_model: Option<String>,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// A turn of the conversation, and what came of it.
pub(super) struct TalkTurn<'a> {
    setup: &'a RunSetup,
    arguments: &'a TalkArgs,
    pub(super) renderer: Renderer,
    /// Whether the audio is to be written to a file.
    keeps_audio: bool,
    spoken: Spoken,
}

#[derive(Default)]
struct Spoken {
    result: Option<Box<RunResult>>,
    audio: Vec<u8>,
    format: Option<PcmAudio>,
    heard: String,
}

/// Everything that is needed to talk.
struct Prepared {
    pipeline: Pipeline,
    setup: RunSetup,
    file: Option<AnswerFile>,
    recorder: Option<Recorder>,
    sound: Sound,
}

/// The devices in use.
enum Sound {
    None,
    Speaker(Box<Speaker>),
    Microphone(Box<(microphone::QuestionRecorder, Speaker)>),
}

pub(crate) async fn run(
    global: Global,
    arguments: &TalkArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    let mut renderer = Renderer::new(arguments.json, Some(&arguments.agent));
    let prepared = tokio::select! {
        biased;
        signal = signals.first() => return Ok(renderer.failed(&Failure::ended(signal))),
        prepared = Box::pin(prepare(global, arguments)) => prepared,
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(renderer.failed(&Failure::of(&error))),
    };
    let Prepared {
        mut pipeline,
        setup,
        file,
        recorder,
        sound,
    } = prepared;
    let mut turn = TalkTurn {
        setup: &setup,
        arguments,
        renderer,
        keeps_audio: file.is_some(),
        spoken: Spoken::default(),
    };
    let played = tokio::select! {
        biased;
        signal = signals.first() => Ok(turn.renderer.failed(&Failure::ended(signal))),
        played = Box::pin(play(&mut pipeline, &mut turn, sound, file.as_ref())) => played,
    };
    let played = played.or_else(|error| Ok(turn.renderer.failed(&Failure::after_run(&error))));
    // Closes the connections before waiting for the MCP servers.
    drop(pipeline);
    if let Some(recorder) = recorder {
        recorder.close().await;
    }
    tokio::select! {
        // Closing waits for the servers; a second Ctrl-C does not.
        _ = signals.second() => {}
        () = setup.config.mcp_servers().close() => {}
    }
    played
}

/// Does everything that can fail before the question is sent.
async fn prepare(global: Global, arguments: &TalkArgs) -> Result<Prepared> {
    let flags = super::run::form(&global, arguments.json, Delivery::Stream);
    let config = global.load_with(&[
        ("--voice", "voice.voice", arguments.voice.as_deref()),
        (
            "--stt-model",
            "voice.stt_model",
            arguments.stt_model.as_deref(),
        ),
        (
            "--tts-model",
            "voice.tts_model",
            arguments.tts_model.as_deref(),
        ),
    ])?;
    logging::start(&config)?;
    let setup = RunSetup::new(config, flags)?;
    let file = arguments.output.as_deref().map(AnswerFile::new);
    let file = file.transpose()?;
    let config = &setup.config;
    config.check()?;
    let described = config.agent_config(&arguments.agent)?;
    let limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    let runner = config.runner_for(&arguments.agent)?.limits(limits);
    let (stt, tts) = (config.stt()?, config.tts()?);
    let voice = config.speaking_voice()?;
    let question = arguments.file.as_deref().map(read).transpose()?;
    let sound = open_sound(arguments).await?;
    config.connect_mcp(described).await?;
    let agent = config.agent(&arguments.agent)?;
    let mut builder = Pipeline::builder(&runner, &agent).stt(stt).tts(tts, voice);
    if let Some(language) = &arguments.language {
        builder = builder.language(language);
    }
    let recorder = Recorder::open(config, LocalStore::IfConfigured).await?;
    if let Some(recorder) = &recorder {
        builder = builder.tracer(&recorder.tracer);
    }
    let mut pipeline = builder.build();
    if let Some(question) = question {
        pipeline.send_file(question).await;
    }
    Ok(Prepared {
        pipeline,
        setup,
        file,
        recorder,
        sound,
    })
}

async fn open_sound(arguments: &TalkArgs) -> Result<Sound> {
    let output = arguments.output_device.as_deref();
    if arguments.microphone {
        let microphone = Microphone::open(arguments.input_device.as_deref()).await?;
        let recorder = microphone::QuestionRecorder::new(microphone, arguments.silence, None)?;
        let speaker = Speaker::open(output).await?;
        return Ok(Sound::Microphone(Box::new((recorder, speaker))));
    }
    if arguments.play {
        return Ok(Sound::Speaker(Box::new(Speaker::open(output).await?)));
    }
    Ok(Sound::None)
}

async fn play(
    pipeline: &mut Pipeline,
    turn: &mut TalkTurn<'_>,
    sound: Sound,
    file: Option<&AnswerFile>,
) -> Result<Exit> {
    let exit = match sound {
        Sound::Microphone(devices) => {
            let (recorder, speaker) = *devices;
            return microphone::talk(pipeline, turn, recorder, speaker).await;
        }
        Sound::Speaker(mut speaker) => microphone::answer(pipeline, turn, &mut speaker).await?,
        Sound::None => {
            let mut exit = None;
            while exit.is_none()
                && let Some(event) = pipeline.next().await
            {
                exit = turn.take(event).await?;
            }
            exit
        }
    };
    match exit {
        Some(exit) => Ok(exit),
        None => turn.finish(file),
    }
}

impl TalkTurn<'_> {
    /// Handles an event. Gives the exit code if the program has to end.
    pub(super) async fn take(
        &mut self,
        event: Result<VoiceEvent, VoiceError>,
    ) -> Result<Option<Exit>> {
        let event = match event {
            Ok(event) => event,
            Err(VoiceError::Run(error)) => {
                self.renderer.reached(error.progress());
                let ended = self.setup.ended(*error, &mut self.renderer).await;
                return ended.map(Some);
            }
            Err(error) => return Ok(Some(self.renderer.failed(&failure(error, self.setup)))),
        };
        self.show(event)
    }

    /// Shows an event. Gives the exit code if the reader of stdout is gone.
    fn show(&mut self, event: VoiceEvent) -> Result<Option<Exit>> {
        let spoken = &mut self.spoken;
        let json = self.arguments.json;
        let line = match event {
            VoiceEvent::UserTranscriptDone { transcript } => {
                spoken.heard.clone_from(&transcript.text);
                if !json {
                    output::note(format_args!("you said: {}", transcript.text));
                }
                json!({ "type": "user_transcript", "text": transcript.text })
            }
            VoiceEvent::SentenceStarted { text } => {
                json!({ "type": "sentence_started", "text": text })
            }
            VoiceEvent::Audio { .. } if !self.keeps_audio => return Ok(None),
            VoiceEvent::Audio { audio } => {
                // A WAV file has one format.
                if let Some(format) = &spoken.format
                    && (format.sample_rate_hz(), format.n_channels())
                        != (audio.sample_rate_hz(), audio.n_channels())
                {
                    let (before, now) = (format.format(), audio.format());
                    anyhow::bail!("the server spoke in {before}, and then in {now}");
                }
                spoken.audio.extend_from_slice(audio.bytes());
                spoken.format = Some(audio);
                return Ok(None);
            }
            VoiceEvent::Run { event } => match *event {
                RunEvent::RunDone { result } => {
                    spoken.result = Some(result);
                    return Ok(None);
                }
                event => return self.renderer.event(&event),
            },
            _ => return Ok(None),
        };
        if json && !output::is_read(Lines::stdout().json(&line))? {
            return Ok(Some(Exit::Done));
        }
        Ok(None)
    }

    /// Says whether the agent has answered.
    #[cfg_attr(
        not(feature = "microphone"),
        expect(dead_code, reason = "only a conversation has turns without an answer")
    )]
    pub(super) const fn has_answer(&self) -> bool {
        self.spoken.result.is_some()
    }

    /// Begins another turn.
    #[cfg_attr(
        not(feature = "microphone"),
        expect(dead_code, reason = "only a conversation has several turns")
    )]
    pub(super) fn begin(&mut self) {
        self.spoken = Spoken::default();
        self.renderer = Renderer::new(self.arguments.json, Some(&self.arguments.agent));
        if self.arguments.json {
            output::expect_result();
        }
    }

    /// Ends a turn after its last audio, and writes the audio to the file.
    pub(super) fn finish(&mut self, file: Option<&AnswerFile>) -> Result<Exit> {
        let Some(result) = self.spoken.result.take() else {
            let failure = Failure::nothing_heard(&self.spoken.heard);
            return Ok(self.renderer.failed(&failure));
        };
        let written = file.map(|file| write(&self.spoken, file, self.arguments));
        let written = written.transpose();
        let failure = written.as_ref().err().map(Failure::after_run);
        let exit = self.renderer.done(&result, failure.as_ref())?;
        if let (Ok(Some(seconds)), Some(path), false) =
            (written, &self.arguments.output, self.arguments.json)
        {
            output::note(format_args!("wrote {} ({seconds:.1} s)", path.display()));
        }
        Ok(exit)
    }
}

/// Writes the audio, and gives its length in seconds. An answer without words has none.
fn write(spoken: &Spoken, file: &AnswerFile, arguments: &TalkArgs) -> Result<f64> {
    let (rate, channels) = spoken.format.as_ref().map_or((24_000, 1), |format| {
        (format.sample_rate_hz(), format.n_channels())
    });
    let audio = PcmAudio::new(rate, channels, spoken.audio.clone()).context("the spoken answer")?;
    file.write_bytes(&audio.to_wav().context("the spoken answer")?)?;
    let seconds = audio.duration().as_secs_f64();
    if let (true, Some(path)) = (arguments.json, &arguments.output) {
        let line = json!({ "type": "audio_written", "file": path.display().to_string(), "seconds": seconds });
        output::is_read(Lines::stdout().json(&line))?;
    }
    Ok(seconds)
}

fn failure(error: VoiceError, setup: &RunSetup) -> Failure {
    let (error, url) = match error {
        VoiceError::Transcription(error) => (error, "voice.stt_url"),
        VoiceError::Speech(error) => (error, "voice.tts_url"),
        error => return Failure::after_run(&error.into()),
    };
    Failure::of_speech(&failed(error, url, &setup.config))
}
