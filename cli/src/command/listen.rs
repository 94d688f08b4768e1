//! `openai-agents listen`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures_util::{Stream, StreamExt as _, stream};
use openai_agents::config::Config;
use openai_agents::file;
use openai_agents::model::realtime::AudioFormat;
use openai_agents::model::voice::{
    AudioFile, LiveRequest, PcmAudio, Stt as _, TimestampGranularity, Transcript, TranscriptFormat,
    TranscriptionEvent, TranscriptionRequest,
};
use openai_agents::model::{Delivery, ModelError};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::microphone::{self, Microphone};
use super::speak::{failed, usage_json};
use crate::answer_file::AnswerFile;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Usage;
use crate::logging;
use crate::output::{self, Lines, Output};
use crate::signal::Signals;

/// The largest file that speech servers take: 25 MB at OpenAI.
const MAX_AUDIO_BYTES: u64 = 25 * 1024 * 1024;

/// Transcribe an audio file, the microphone, or speech while it is spoken
///
/// The file is sent to /audio/transcriptions of the server at `voice.stt_url`, or else at the base
/// URL. The model is `voice.stt_model` of the settings. The text goes to stdout.
///
/// With --live, the audio is sent over a WebSocket to /realtime of that server while it is read,
/// and the text appears as it is recognised. It must be a WAV file of 24,000 samples a second and
/// one channel, or such samples (16 bits, without a header) on stdin: arecord -q -t raw -f S16_LE
/// -r 24000 | openai-agents listen --live -
///
/// With --microphone, the recording ends by silence, Enter or Ctrl-C, and is transcribed then. With
/// --live it is sent while you speak. A second Ctrl-C ends the program.
///
/// With --json, stdout has one JSON object per line: transcript_delta if the server streams, and at
/// the end a result with `text` and, in the format verbose_json, `language`, `duration`, `segments`
/// and `words`.
///
/// Exit codes: 0 done; 1 the server did not answer with a text, an output cannot be written, or the
/// microphone failed while recording; 2 nothing was done: wrong usage or settings, no such file, no
/// microphone, or the server cannot be reached.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct ListenArgs {
    /// The audio file: WAV, MP3, FLAC, OGG, MP4 or WebM; with --live WAV, or - for samples on stdin.
    #[arg(required_unless_present = "microphone")]
    file: Option<PathBuf>,
    /// Transcribe while the audio is read.
    #[arg(long, conflicts_with = "format")]
    live: bool,
    /// Record from the microphone instead of reading a file.
    #[arg(long, conflicts_with = "file")]
    microphone: bool,
    /// End the recording after this many seconds of silence.
    #[arg(long, value_name = "SECS", default_value = "2", requires = "microphone", value_parser = seconds)]
    silence: Duration,
    /// Record from this microphone; `openai-agents devices` lists them [default: the system's].
    #[arg(long, value_name = "ID", requires = "microphone")]
    input_device: Option<String>,
    /// The language that is spoken, such as en.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Words that help with names and spelling.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The form of the text: json (the text alone), text, srt, vtt, verbose_json or diarized_json.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: String,
    /// Use this model.
    #[arg(long, value_name = "NAME")]
    stt_model: Option<String>,
    /// Write the text to this file too. Replaces the file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Parses a number of seconds above 0 and up to 60.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|it| *it > 0.0 && *it <= 60.0);
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "must be a number of seconds above 0 and at most 60".to_owned())
}

pub(crate) async fn run(global: Global, arguments: &ListenArgs, signals: &Signals) -> Result<Exit> {
    let stt_model = arguments.stt_model.as_deref();
    let config = global.load_with(&[("--stt-model", "voice.stt_model", stt_model)])?;
    logging::start(&config)?;
    let format = TranscriptFormat::ALL
        .into_iter()
        .find(|format| format.as_str() == arguments.format);
    let format = format.ok_or_else(|| {
        let names = TranscriptFormat::ALL
            .map(TranscriptFormat::as_str)
            .join(", ");
        Usage(format!(
            "--format {} is unknown; use one of {names}",
            arguments.format
        ))
    })?;
    let file = arguments
        .output
        .as_deref()
        .map(AnswerFile::new)
        .transpose()?;
    let mut events = transcripts(arguments, format, &config, signals).await?;
    let mut out = Lines::stdout();
    let (mut words, mut is_shown) = (Output::of_process(), false);
    while let Some(event) = events.next().await {
        match event? {
            TranscriptionEvent::Delta { delta } if arguments.json => {
                let line = json!({ "type": "transcript_delta", "delta": delta });
                if !output::is_read(out.json(&line))? {
                    return Ok(Exit::Done);
                }
            }
            TranscriptionEvent::Delta { delta } if arguments.live => {
                is_shown = true;
                if !output::is_read(words.words(&delta))? {
                    return Ok(Exit::Done);
                }
            }
            TranscriptionEvent::Done(transcript) => {
                if let Some(file) = &file {
                    file.write(&transcript.text)?;
                }
                if arguments.json {
                    output::is_read(output::result(&result(&transcript)))?;
                } else if is_shown {
                    output::is_read(out.text(""))?;
                } else {
                    for line in transcript.text.trim_end_matches('\n').split('\n') {
                        if !output::is_read(out.text(line))? {
                            break;
                        }
                    }
                }
                // The server found the end of the speech. The microphone is still open and would start another.
                if arguments.microphone {
                    return Ok(Exit::Done);
                }
            }
            _ => {}
        }
    }
    Ok(Exit::Done)
}

type TranscriptStream = Pin<Box<dyn Stream<Item = Result<TranscriptionEvent>> + Send>>;
pub(super) type SampleStream = Pin<Box<dyn Stream<Item = PcmAudio> + Send>>;

/// Transcribes what is read or recorded.
async fn transcripts(
    arguments: &ListenArgs,
    format: TranscriptFormat,
    config: &Config,
    signals: &Signals,
) -> Result<TranscriptStream> {
    // Checks the settings first, so that nobody speaks in vain.
    if arguments.live {
        config.live_stt()?;
    } else {
        config.stt()?;
    }
    let Some(path) = &arguments.file else {
        let microphone = Microphone::open(arguments.input_device.as_deref()).await?;
        let mut recorder =
            microphone::QuestionRecorder::new(microphone, arguments.silence, Some(signals))?;
        if arguments.live {
            let (samples, recording) = recorder.into_stream();
            let events = live(arguments, config, samples)?;
            // Both are polled together: one records and sends, the other receives the text.
            return Ok(Box::pin(stream::select(events, recording)));
        }
        let (audio, _) = recorder.record().await?;
        return recorded(arguments, format, config, AudioFile::wav(&audio)?);
    };
    if arguments.live {
        live(arguments, config, file_samples(path)?)
    } else {
        recorded(arguments, format, config, read(path)?)
    }
}

/// Transcribes a recording.
fn recorded(
    arguments: &ListenArgs,
    format: TranscriptFormat,
    config: &Config,
    recording: AudioFile,
) -> Result<TranscriptStream> {
    let stt = config.stt()?;
    let mut request = TranscriptionRequest::new(recording);
    request.format = format;
    request.language.clone_from(&arguments.language);
    request.prompt.clone_from(&arguments.prompt);
    if format == TranscriptFormat::VerboseJson {
        request.timestamps = vec![TimestampGranularity::Word, TimestampGranularity::Segment];
    }
    if arguments.json && format == TranscriptFormat::Json {
        request.delivery = Delivery::Stream;
    }
    Ok(judged(stt.transcribe(request), config))
}

/// Adds to an error of the server the setting that its address comes from.
fn judged(
    events: impl Stream<Item = Result<TranscriptionEvent, ModelError>> + Send + 'static,
    config: &Config,
) -> TranscriptStream {
    let config = config.clone();
    Box::pin(
        events.map(move |event| {
            event.map_err(|error| failed(error, "voice.stt_url", &config).into())
        }),
    )
}

/// Transcribes audio while it is read.
fn live(
    arguments: &ListenArgs,
    config: &Config,
    samples: SampleStream,
) -> Result<TranscriptStream> {
    let stt = config.live_stt()?;
    let mut request = LiveRequest::new(samples);
    request.language.clone_from(&arguments.language);
    request.prompt.clone_from(&arguments.prompt);
    // `None` means an engine that cannot do this. This one always can.
    let events = stt.transcribe_live(request);
    let events = events.context("the model takes no live audio")?;
    Ok(judged(events, config))
}

/// Returns the samples of a file, or of stdin as they arrive.
fn file_samples(path: &Path) -> Result<SampleStream> {
    if path.as_os_str() == "-" {
        return stdin_samples();
    }
    let audio = PcmAudio::from_wav(&read(path)?.bytes).map_err(|error| {
        let path = path.display();
        Usage(format!("cannot send {path}: {error}"))
    })?;
    Ok(Box::pin(stream::iter([audio])))
}

/// Reads samples from stdin, on a thread of its own: a blocking read cannot be cancelled, and the
/// program can end without waiting for it.
fn stdin_samples() -> Result<SampleStream> {
    /// A tenth of a second. While the connection is slow, 16 pieces wait in the channel, and then
    /// the writer of stdin does.
    const PIECE_BYTES: usize = 4_800;
    let (sender, mut pieces) = mpsc::channel(16);
    let reader = thread::Builder::new().name("openai-agents-stdin".to_owned());
    reader
        .spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                // An error of stdin ends the audio, as its end does.
                let read = (&mut stdin)
                    .take(PIECE_BYTES as u64)
                    .read_to_end(&mut piece);
                // A sample has two bytes. Half of one at the end is dropped.
                piece.truncate(piece.len() / 2 * 2);
                let rate = AudioFormat::Pcm16.sample_rate_hz();
                let Ok(audio) = PcmAudio::new(rate, 1, piece) else {
                    return;
                };
                if read.is_err() || audio.is_empty() || sender.blocking_send(audio).is_err() {
                    return;
                }
            }
        })
        .context("cannot read stdin")?;
    Ok(Box::pin(stream::poll_fn(move |cx| pieces.poll_recv(cx))))
}

/// Reads a recording from a file.
pub(super) fn read(path: &Path) -> Result<AudioFile> {
    let bytes = file::read(path, MAX_AUDIO_BYTES).map_err(|error| {
        let path = path.display();
        Usage(format!("cannot read {path}: {error}"))
    })?;
    if bytes.is_empty() {
        let path = path.display();
        return Err(Usage(format!("{path} is empty")).into());
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(AudioFile::new(name.to_string_lossy(), bytes))
}

fn result(transcript: &Transcript) -> Value {
    let segments = transcript.segments.iter().map(|segment| {
        json!({ "start": segment.start.as_secs_f64(), "end": segment.end.as_secs_f64(),
            "text": segment.text, "speaker": segment.speaker })
    });
    let words = transcript.words.iter().map(|word| {
        json!({ "start": word.start.as_secs_f64(), "end": word.end.as_secs_f64(), "word": word.word })
    });
    let deviations = transcript
        .deviations
        .iter()
        .map(|deviation| json!({ "code": deviation.code, "detail": deviation.detail }));
    json!({
        "type": "result", "ok": true, "text": transcript.text, "language": transcript.language,
        "duration": transcript.duration.map(|duration| duration.as_secs_f64()),
        "segments": segments.collect::<Vec<_>>(), "words": words.collect::<Vec<_>>(),
        "usage": transcript.usage.as_ref().map(usage_json),
        "deviations": deviations.collect::<Vec<_>>(),
    })
}
