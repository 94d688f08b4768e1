//! `openai-agents talk`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::model::voice::PcmAudio;
use openai_agents::voice::{Pipeline, VoiceError, VoiceEvent};
use openai_agents::{Limits, RunEvent, RunResult};
use serde_json::json;

use super::listen::read;
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

/// Ask an agent by a spoken question, and write its spoken answer to a WAV file
///
/// The question is written down (`voice.stt_model`, `voice.stt_url`), an agent answers it, and the answer is spoken sentence by sentence
/// (`voice.tts_model`, `voice.tts_url`, `voice.voice`). The text of the answer goes to stdout; what was heard and tool calls go to stderr.
///
/// With --json, stdout has the lines of `run`, and before them user_transcript, between them sentence_started, and before the result
/// audio_written. If tool calls need approval, the run is saved as by `run`; nothing is spoken then.
///
/// Exit codes: those of `run`.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct TalkArgs {
    /// The spoken question: WAV, MP3, FLAC, OGG, MP4 or WebM.
    file: PathBuf,
    /// Write the spoken answer to this WAV file. Replaces the file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Ask this agent; `openai-agents agents` lists them.
    #[arg(long, value_name = "NAME", default_value = "Assistant")]
    agent: String,
    /// The language of the question, such as en.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Speak in this voice.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Use this model to write the question down.
    #[arg(long, value_name = "NAME")]
    stt_model: Option<String>,
    /// Use this speech model.
    #[arg(long, value_name = "NAME")]
    tts_model: Option<String>,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What a turn has come to.
#[derive(Default)]
struct Spoken {
    result: Option<Box<RunResult>>,
    audio: Vec<u8>,
    format: Option<PcmAudio>,
    heard: String,
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
    let (mut pipeline, setup, file, recorder) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(renderer.failed(&Failure::of(&error))),
    };
    let played = tokio::select! {
        biased;
        signal = signals.first() => Ok(renderer.failed(&Failure::ended(signal))),
        played = Box::pin(play(&mut pipeline, &setup, &file, &mut renderer, arguments)) => played,
    };
    // Closes the connections before the servers are waited for.
    drop(pipeline);
    if let Some(recorder) = recorder {
        recorder.close().await;
    }
    tokio::select! {
        _ = signals.second() => {}
        () = setup.config.mcp_servers().close() => {}
    }
    played
}

/// Everything that can be wrong before the question is sent.
async fn prepare(
    global: Global,
    arguments: &TalkArgs,
) -> Result<(Pipeline, RunSetup, AnswerFile, Option<Recorder>)> {
    let flags = super::run::form(&global, arguments.json, false);
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
    let file = AnswerFile::new(&arguments.output)?;
    let config = &setup.config;
    config.check()?;
    let described = config.agent_config(&arguments.agent)?;
    let limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    let runner = config.runner_for(&arguments.agent)?.limits(limits);
    let (stt, tts) = (config.stt()?, config.tts()?);
    let voice = config.speaking_voice()?;
    let question = read(&arguments.file)?;
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
    pipeline.send_file(question).await;
    Ok((pipeline, setup, file, recorder))
}

async fn play(
    pipeline: &mut Pipeline,
    setup: &RunSetup,
    file: &AnswerFile,
    renderer: &mut Renderer,
    arguments: &TalkArgs,
) -> Result<Exit> {
    let mut spoken = Spoken::default();
    while let Some(event) = pipeline.next().await {
        let event = match event {
            Ok(event) => event,
            Err(VoiceError::Run(error)) => {
                renderer.reached(error.progress());
                return setup.ended(*error, renderer).await;
            }
            Err(error) => return Ok(renderer.failed(&failure(error, setup))),
        };
        match show(event, &mut spoken, renderer, arguments.json) {
            Ok(None) => {}
            Ok(Some(exit)) => return Ok(exit),
            Err(error) => return Ok(renderer.failed(&Failure::after_run(&error))),
        }
    }
    let Some(result) = spoken.result.take() else {
        let failure = Failure::nothing_heard(&spoken.heard);
        return Ok(renderer.failed(&failure));
    };
    let written = write(&spoken, file, arguments);
    let failure = written.as_ref().err().map(Failure::after_run);
    let exit = renderer.done(&result, failure.as_ref())?;
    if let (Ok(seconds), false) = (written, arguments.json) {
        let shown = arguments.output.display();
        output::note(format_args!("wrote {shown} ({seconds:.1} s)"));
    }
    Ok(exit)
}

/// Shows an event; gives how the program ends if nobody reads any more.
fn show(
    event: VoiceEvent,
    spoken: &mut Spoken,
    renderer: &mut Renderer,
    json: bool,
) -> Result<Option<Exit>> {
    let line = match event {
        VoiceEvent::UserTranscriptDone { transcript } => {
            spoken.heard.clone_from(&transcript.text);
            if !json {
                output::note(format_args!("you said: {}", transcript.text));
            }
            json!({ "type": "user_transcript", "text": transcript.text })
        }
        VoiceEvent::SentenceStarted { text } => json!({ "type": "sentence_started", "text": text }),
        VoiceEvent::Audio { audio } => {
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
            event => return renderer.event(&event),
        },
        _ => return Ok(None),
    };
    if json && !output::is_read(Lines::stdout().json(&line))? {
        return Ok(Some(Exit::Done));
    }
    Ok(None)
}

/// Writes the audio, and says how long it lasts; an answer without a word has none.
fn write(spoken: &Spoken, file: &AnswerFile, arguments: &TalkArgs) -> Result<f64> {
    let (rate, channels) = spoken.format.as_ref().map_or((24_000, 1), |format| {
        (format.sample_rate_hz(), format.n_channels())
    });
    let audio = PcmAudio::new(rate, channels, spoken.audio.clone()).context("the spoken answer")?;
    file.write_bytes(&audio.to_wav().context("the spoken answer")?)?;
    let seconds = audio.duration().as_secs_f64();
    if arguments.json {
        let shown = arguments.output.display().to_string();
        let line = json!({ "type": "audio_written", "file": shown, "seconds": seconds });
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
