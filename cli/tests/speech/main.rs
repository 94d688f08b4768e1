//! The program and the library against real speech servers and a real realtime server on this machine.
//!
//! Run by `scripts/test --stage speech`. What the servers say is real, and the model small: words and the order of events are asserted,
//! never the model's prose.
#![cfg(test)]

mod realtime;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures_util::StreamExt as _;
use openai_agents::model::voice::{
    AudioFile, PcmAudio, SpeechEvent, SpeechRequest, Stt as _, TranscriptionEvent,
    TranscriptionRequest, Tts as _,
};
use openai_agents::model::{ModelError, OpenAiSpeech};

pub(crate) fn variable(name: &str) -> String {
    let stage = "this test is for: scripts/test --stage speech";
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set; {stage}"))
}

/// A working directory of its own.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("speech-{name}"));
    fs::create_dir_all(&path).unwrap();
    path
}

/// The program, with the speech servers and the chat model of the environment.
fn program(directory: &Path, arguments: &[&str]) -> Output {
    let url = variable("SPEECH_URL");
    let mut command = Command::new(env!("CARGO_BIN_EXE_openai-agents"));
    command
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("OPENAI_AGENTS__VOICE__STT_URL", &url)
        .env("OPENAI_AGENTS__VOICE__TTS_URL", &url)
        .env("OPENAI_AGENTS__VOICE__STT_MODEL", "whisper-1")
        .env("OPENAI_AGENTS__VOICE__TTS_MODEL", "tts-1")
        .env("OPENAI_AGENTS__VOICE__VOICE", "alloy");
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A text as samples.
pub(crate) async fn spoken(url: &str, model: &str, text: &str) -> PcmAudio {
    let tts = OpenAiSpeech::builder(url).build().unwrap().tts(model);
    let mut events = tts.speak(SpeechRequest::new(text, "alloy"));
    let (mut rate, mut bytes) = (0, Vec::new());
    while let Some(event) = events.next().await {
        match event.unwrap() {
            SpeechEvent::Started { sample_rate_hz } => rate = sample_rate_hz,
            SpeechEvent::Audio { audio } => bytes.extend_from_slice(&audio),
            _ => {}
        }
    }
    PcmAudio::new(rate, 1, bytes).unwrap()
}

async fn heard(url: &str, model: &str, file: AudioFile) -> Result<String, ModelError> {
    let stt = OpenAiSpeech::builder(url).build()?.stt(model);
    let mut events = stt.transcribe(TranscriptionRequest::new(file));
    let mut text = String::new();
    while let Some(event) = events.next().await {
        if let TranscriptionEvent::Done(transcript) = event? {
            text = transcript.text;
        }
    }
    Ok(text)
}

/// The words of a text, without case and marks.
pub(crate) fn words(text: &str) -> Vec<String> {
    let letters = |c: char| c.is_alphanumeric() || c == '\'';
    let words = text.split(|c: char| !letters(c));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// How many words were added, left out or changed.
fn n_differing(one: &[String], other: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, word) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, found) in other.iter().enumerate() {
            let changed = diagonal + usize::from(word != found);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Without numbers, which a recogniser writes as digits.
const SENTENCES: [&str; 5] = [
    "The quick brown fox jumps over the lazy dog.",
    "Please book a table for my family this evening.",
    "Our meeting was moved to the small room on the left.",
    "The weather in the mountains can change within an hour.",
    "She bought fresh bread, butter and a jar of honey.",
];

#[test]
fn talk_gives_a_spoken_answer_with_the_result_of_the_tool() {
    let directory = directory("talk");
    program(
        &directory,
        &[
            "speak",
            "What is twelve times eleven?",
            "-o",
            "question.wav",
        ],
    );
    let talked = program(&directory, &["talk", "question.wav", "-o", "answer.wav"]);
    let stderr = String::from_utf8_lossy(&talked.stderr);
    assert!(stderr.contains("-> calculator"), "{stderr}");
    assert!(stdout(&talked).contains("132"), "{}", stdout(&talked));
    let answer = program(&directory, &["listen", "answer.wav"]);
    assert!(stdout(&answer).contains("132"), "{}", stdout(&answer));
}

#[test]
fn round_trip_has_at_most_a_tenth_of_the_words_wrong() {
    let directory = directory("round-trip");
    let (mut n_wrong, mut n_words) = (0, 0);
    for sentence in SENTENCES {
        program(&directory, &["speak", sentence, "-o", "a.wav"]);
        let found = stdout(&program(&directory, &["listen", "a.wav"]));
        n_wrong += n_differing(&words(sentence), &words(&found));
        n_words += words(sentence).len();
    }
    println!("{n_wrong} of {n_words} words are wrong");
    assert!(n_wrong * 10 <= n_words, "{n_wrong} of {n_words}");
}

#[test]
fn every_format_of_speech_is_understood_again() {
    let directory = directory("formats");
    for format in ["mp3", "opus", "aac", "flac", "wav"] {
        let file = format!("a.{format}");
        program(&directory, &["speak", SENTENCES[0], "-o", &file]);
        // The server looks at the bytes; OpenAI's wants one of its endings.
        let found = stdout(&program(&directory, &["listen", &file]));
        assert!(
            n_differing(&words(SENTENCES[0]), &words(&found)) <= 1,
            "{format}: {found}"
        );
    }
}

#[test]
fn transcript_has_times_and_streams() {
    let directory = directory("times");
    program(&directory, &["speak", SENTENCES[0], "-o", "a.wav"]);
    let timed = program(
        &directory,
        &["listen", "a.wav", "--json", "--format", "verbose_json"],
    );
    let timed: serde_json::Value = serde_json::from_str(&stdout(&timed)).unwrap();
    let times: Vec<f64> = timed["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["end"].as_f64().unwrap())
        .collect();
    assert!(times.len() >= 8 && times.is_sorted(), "{timed}");
    let streamed = stdout(&program(&directory, &["listen", "a.wav", "--json"]));
    let deltas = streamed
        .lines()
        .filter(|line| line.contains("transcript_delta"));
    assert!(deltas.count() >= 8, "{streamed}");
    let subtitles = stdout(&program(
        &directory,
        &["listen", "a.wav", "--format", "srt"],
    ));
    assert!(subtitles.starts_with("1\n00:00:00,000 --> "), "{subtitles}");
}

#[tokio::test]
async fn servers_of_other_people_speak_and_listen() {
    let (stt, tts) = (
        variable("SPEECH_PEER_STT_URL"),
        variable("SPEECH_PEER_TTS_URL"),
    );
    let audio = spoken(&tts, "any", SENTENCES[0]).await;
    // It says so in a header of its own; the API's rate would play it fast.
    assert_eq!(audio.sample_rate_hz(), 22_050);
    let file = AudioFile::wav(&audio).unwrap();
    let found = heard(&stt, "openai/whisper-tiny.en", file.clone())
        .await
        .unwrap();
    assert!(
        n_differing(&words(SENTENCES[0]), &words(&found)) <= 1,
        "{found}"
    );

    let error = heard(&stt, "nobody", file).await.unwrap_err();
    assert_eq!(
        (error.kind().as_str(), error.status()),
        ("api_status", Some(404))
    );
    let noise = AudioFile::new("a.wav", "this is no audio");
    let error = heard(&stt, "openai/whisper-tiny.en", noise)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind().as_str(), error.status()),
        ("api_status", Some(500))
    );
    let tts = OpenAiSpeech::builder(&tts).build().unwrap().tts("any");
    let refused = tts
        .speak(SpeechRequest::new("", "alloy"))
        .next()
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err().kind().as_str(), "api_status");
}
