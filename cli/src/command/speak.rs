//! `openai-agents speak`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use futures_util::StreamExt as _;
use openai_agents::ErrorKind;
use openai_agents::config::Config;
use openai_agents::model::ModelError;
use openai_agents::model::voice::{
    SpeechEvent, SpeechFormat, SpeechRequest, SpeechUsage, Tts as _,
};
use serde_json::{Value, json};

use super::input::Input;
use super::microphone::{self, Speaker};
use crate::answer_file::AnswerFile;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{SpeechFailed, Usage};
use crate::logging;
use crate::output;

/// Speak a text into an audio file, or through the speaker
///
/// The text is sent to /audio/speech of the server at `voice.tts_url`, or else at the base URL. The
/// model is `voice.tts_model` and the voice `voice.voice` of the settings. The file has the audio
/// as the server sent it, and is written when all of it has arrived. With --play the audio is
/// played as it arrives.
///
/// `echo "Hello." | openai-agents speak -o hello.wav`
///
/// Exit codes: 0 done; 1 the server did not speak, the file cannot be written, or the speaker
/// failed while it played; 2 nothing was done: wrong usage or settings, no speaker, or the server
/// cannot be reached.
#[derive(Debug, Args)]
pub(crate) struct SpeakArgs {
    /// The text. Text from a pipe is added after it; - means only that text.
    text: Option<String>,
    /// Write the audio to this file. Replaces the file.
    #[arg(short, long, value_name = "FILE", required_unless_present = "play")]
    output: Option<PathBuf>,
    /// Play the speech instead of writing a file.
    #[arg(long, conflicts_with_all = ["output", "format"])]
    play: bool,
    /// Play through this speaker; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID", requires = "play")]
    output_device: Option<String>,
    /// The format: mp3, opus, aac, flac, wav or pcm [default: the ending of FILE].
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Speak in this voice.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Use this speech model.
    #[arg(long, value_name = "NAME")]
    tts_model: Option<String>,
    /// Say how to speak, for models that take this.
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// Speak faster by this factor; 1 is normal speed.
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Print the result as a line of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) async fn run(global: Global, arguments: &SpeakArgs) -> Result<Exit> {
    let config = global.load_with(&[
        ("--voice", "voice.voice", arguments.voice.as_deref()),
        (
            "--tts-model",
            "voice.tts_model",
            arguments.tts_model.as_deref(),
        ),
    ])?;
    logging::start(&config)?;
    let target = match &arguments.output {
        // Checked before the request, so that speech is not paid for and then lost.
        Some(path) => Some((path, format(arguments, path)?, AnswerFile::new(path)?)),
        None => None,
    };
    let tts = config.tts()?;
    let voice = config.speaking_voice()?.to_owned();
    let text = Input::of_text(arguments.text.clone()).text(None).await?;
    if text.trim().is_empty() {
        return Err(Usage("the text is empty".to_owned()).into());
    }
    let mut request = SpeechRequest::new(text, voice);
    request.instructions.clone_from(&arguments.instructions);
    request.speed = arguments.speed;
    let Some((path, format, file)) = target else {
        let speaker = Speaker::open(arguments.output_device.as_deref()).await?;
        request.format = SpeechFormat::Pcm;
        let (seconds, cost) = microphone::speak(tts.speak(request), speaker, &config).await?;
        let result = json!({
            "type": "result", "ok": true, "seconds": seconds, "usage": cost.as_ref().map(usage_json),
        });
        output::is_read(output::result(&result))?;
        return Ok(Exit::Done);
    };
    request.format = format;
    let mut events = tts.speak(request);
    let (mut audio, mut n_bytes, mut cost) = (Vec::new(), 0, None);
    while let Some(event) = events.next().await {
        match event.map_err(|error| failed(error, "voice.tts_url", &config))? {
            SpeechEvent::Audio { audio: more } => {
                n_bytes += more.len();
                audio.push(more);
            }
            SpeechEvent::Done { usage } => cost = usage,
            _ => {}
        }
    }
    // Only now that the audio is complete: a request that fails leaves an older file as it was.
    file.write_pieces(&audio)?;
    let shown = path.display();
    if !arguments.json {
        output::note(format_args!("wrote {shown} ({n_bytes} bytes)"));
    }
    let result = json!({
        "type": "result", "ok": true, "file": shown.to_string(), "format": format.as_str(),
        "bytes": n_bytes, "usage": cost.as_ref().map(usage_json),
    });
    output::is_read(output::result(&result))?;
    Ok(Exit::Done)
}

/// Makes an error of a speech server, with the setting that names its address.
pub(super) fn failed(error: ModelError, url: &str, config: &Config) -> SpeechFailed {
    let hint = match error.kind() {
        ErrorKind::Transport | ErrorKind::TimeoutConnect | ErrorKind::ContentType => {
            let set = config.setting(url).or_else(|| config.setting("base_url"));
            set.map(|set| format!("the address is {}, from {}", set.value, set.origin))
        }
        _ => None,
    };
    SpeechFailed { error, hint }
}

pub(super) fn usage_json(usage: &SpeechUsage) -> Value {
    match usage {
        SpeechUsage::Tokens {
            input,
            output,
            total,
        } => json!({ "input_tokens": input, "output_tokens": output, "total_tokens": total }),
        SpeechUsage::Duration(duration) => json!({ "seconds": duration.as_secs_f64() }),
        SpeechUsage::Other(value) => value.clone(),
        _ => Value::Null,
    }
}

fn format(arguments: &SpeakArgs, path: &Path) -> Result<SpeechFormat> {
    let named = arguments.format.as_deref();
    let ending = path.extension();
    let name = named.or_else(|| ending?.to_str()).unwrap_or_default();
    let found = SpeechFormat::ALL
        .into_iter()
        .find(|format| format.as_str().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let what = match named {
            Some(name) => format!("--format {name} is unknown"),
            None => format!(
                "the ending of {} is not that of an audio format",
                path.display()
            ),
        };
        Usage(format!("{what}; use mp3, opus, aac, flac, wav or pcm")).into()
    })
}
