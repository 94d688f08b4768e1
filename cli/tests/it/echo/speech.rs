//! Speech servers that repeat the key.

use openai_agents::model::voice::PcmAudio;
use openai_agents::testing::realtime::RealtimeServer;
use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use super::{error, files, forms, leak};
use crate::support::{Directory, KEY, on, streamed_text};

const CONFIG: &str =
    "{ voice: { stt_model: s, tts_model: t, voice: alloy }, realtime: { model: r } }";

fn directory(name: &str) -> Directory {
    let directory = Directory::new(name).file("config.yaml", CONFIG);
    let silence = PcmAudio::new(24_000, 1, vec![0; 480]).unwrap();
    directory.write("q.wav", silence.to_wav().unwrap());
    directory
}

fn spoken() -> Reply {
    let reply = Reply::new(200).header("content-type", "audio/pcm");
    reply.bytes(vec![0; 480])
}

/// A transcript, letter by letter.
fn letters(form: &str) -> Reply {
    let delta =
        |letter: char| json!({"type": "transcript.text.delta", "delta": letter.to_string()});
    let mut events: Vec<String> = form
        .chars()
        .map(|letter| delta(letter).to_string())
        .collect();
    events.push(json!({"type": "transcript.text.done", "text": form}).to_string());
    Reply::sse(events)
}

/// Commands with what their server answers.
fn cases(form: &str) -> Vec<(&'static [&'static str], Vec<Reply>)> {
    let whole = json!({ "text": form, "language": form, "words": [{ "word": form, "start": 0, "end": 1 }], "x": form });
    let (half, rest) = form.split_at(form.len() / 2);
    let failed = || Reply::status(401, error(form)).header("x-request-id", form);
    vec![
        (&["listen", "q.wav"], vec![Reply::json(&whole)]),
        (
            &["listen", "q.wav", "--json", "--format", "verbose_json"],
            vec![Reply::json(&whole)],
        ),
        (
            &["listen", "q.wav", "--format", "srt", "-o", "a.srt"],
            vec![Reply::status(200, form)],
        ),
        (&["listen", "q.wav", "--json"], vec![letters(form)]),
        (&["listen", "q.wav"], vec![failed()]),
        (&["speak", "hi", "-o", "a.wav"], vec![failed()]),
        (
            &["speak", "hi", "-o", "a.wav", "--json"],
            vec![Reply::json(&json!({ "error": form }))],
        ),
        (
            &["talk", "q.wav", "-o", "a.wav"],
            vec![letters(form), streamed_text(half, rest), spoken()],
        ),
        (
            &["talk", "q.wav", "-o", "a.wav", "--json"],
            vec![letters(form), streamed_text(half, rest), failed()],
        ),
    ]
}

fn look(directory: &Directory, output: std::process::Output) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for (what, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        told.push((
            what.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    files(&directory.path("."), &mut told);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_speech_server_repeats_is_in_no_output_log_or_file() {
    let mut leaks = Vec::new();
    for (name, form) in forms() {
        for (arguments, replies) in cases(&form) {
            let directory = directory("echo-speech");
            let server = FakeServer::start(replies).await.unwrap();
            let mut command = on(&server, &directory, arguments);
            let output = command.env("RUST_LOG", "trace").output().unwrap();
            for (what, text) in look(&directory, output) {
                if let Some(part) = leak(&text, &form) {
                    leaks.push(format!("{name}, {arguments:?}, {what}: {part}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

fn realtime_events(form: &str) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "session.created", "session": {"id": form, "instructions": form}}),
        json!({"type": form, "x": form}),
        json!({"type": "error", "error": {"message": format!("bad key {form}"), "code": form}}),
        json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": form}),
        json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}),
    ];
    // Of an escape for each letter, what is shown of the first three letters is longer than what a leak is taken for.
    let (half, rest) = form.split_at(form.len() / 2);
    let is_long = form.len() > 4 * KEY.len();
    let letters = form.chars().map(String::from).filter(|_| !is_long);
    let halves = [half, rest]
        .into_iter()
        .map(str::to_owned)
        .filter(|_| is_long);
    for delta in letters.chain(halves) {
        events.push(
            json!({"type": "response.output_text.delta", "response_id": "r", "item_id": "i",
            "output_index": 0, "content_index": 0, "delta": delta}),
        );
    }
    events.push(
        json!({"type": "response.done", "response": {"id": "r", "status": "failed", "output": [],
        "status_details": {"reason": form, "error": {"message": form}}}}),
    );
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_realtime_server_repeats_is_in_no_output_or_log() {
    let mut leaks = Vec::new();
    for (name, form) in forms() {
        for json in [false, true] {
            let directory = directory("echo-realtime");
            let server = RealtimeServer::start().await.unwrap();
            let mut command = directory.program();
            command.args(["realtime", "hi", "--no-stdin"]);
            command.args(json.then_some("--json"));
            command
                .env("OPENAI_BASE_URL", server.url())
                .env("OPENAI_API_KEY", KEY)
                .env("RUST_LOG", "trace");
            let events = realtime_events(&form);
            let peer = tokio::spawn(async move {
                let mut peer = server.accept().await.unwrap();
                for event in &events {
                    peer.send(event).await.unwrap();
                }
                while let Ok(Some(_)) = peer.receive().await {}
            });
            let output = tokio::task::spawn_blocking(move || command.output().unwrap());
            for (what, text) in look(&directory, output.await.unwrap()) {
                if let Some(part) = leak(&text, &form) {
                    leaks.push(format!("{name}, {json}, {what}: {part}"));
                }
            }
            peer.abort();
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
