//! `/audio/speech`: what is sent, and what each answer means.

use futures_util::StreamExt;
use openai_agents::model::voice::{SpeechEvent, SpeechFormat, SpeechRequest, Tts};
use openai_agents::model::{ModelError, OpenAiSpeech};
use openai_agents::testing::{FakeServer, Framing, Reply};
use serde_json::json;

fn audio(content_type: &str, pieces: &[&[u8]]) -> Reply {
    let reply = Reply::new(200).header("content-type", content_type);
    pieces
        .iter()
        .fold(reply, |reply, piece| reply.bytes(piece.to_vec()))
}

fn delta(base64: &str) -> String {
    json!({"type": "speech.audio.delta", "audio": base64}).to_string()
}

/// The sample rate, and the pieces of audio.
async fn speak(reply: Reply, request: SpeechRequest) -> Result<(u32, Vec<Vec<u8>>), ModelError> {
    let server = FakeServer::start([reply]).await.unwrap();
    let tts = OpenAiSpeech::builder(server.url())
        .api_key("sk-secret")
        .build()?
        .tts("tts-1");
    let mut stream = tts.speak(request);
    let (mut rate, mut pieces, mut is_done) = (0, Vec::new(), false);
    while let Some(event) = stream.next().await {
        match event? {
            SpeechEvent::Started { sample_rate_hz } => rate = sample_rate_hz,
            SpeechEvent::Audio { audio } => pieces.push(audio.to_vec()),
            SpeechEvent::Done { .. } => is_done = true,
            _ => {}
        }
    }
    assert!(is_done);
    Ok((rate, pieces))
}

fn request(format: SpeechFormat) -> SpeechRequest {
    let mut request = SpeechRequest::new("Hello.", "alloy");
    request.format = format;
    request
}

fn events_request() -> SpeechRequest {
    let mut request = request(SpeechFormat::Pcm);
    request.as_events = true;
    request
}

#[tokio::test]
async fn speech_request_has_all_fields() {
    let server = FakeServer::start([audio("audio/mpeg", &[b"ID3"])])
        .await
        .unwrap();
    let tts = OpenAiSpeech::builder(server.url())
        .build()
        .unwrap()
        .tts("gpt-4o-mini-tts");
    let mut request = request(SpeechFormat::Mp3);
    request.instructions = Some("Whisper.".to_owned());
    request.speed = Some(1.5);
    request.extra.insert("seed".to_owned(), 7.into());
    let events: Vec<_> = tts.speak(request).collect().await;
    assert_eq!(events.len(), 3);
    let sent = &server.requests()[0];
    assert_eq!(sent.path, "/audio/speech");
    assert_eq!(
        sent.json().unwrap(),
        json!({"model": "gpt-4o-mini-tts", "input": "Hello.", "voice": "alloy", "response_format": "mp3",
               "instructions": "Whisper.", "speed": 1.5, "seed": 7})
    );
}

#[tokio::test]
async fn speech_comes_in_every_format_as_it_is() {
    for format in SpeechFormat::ALL {
        let reply = audio("application/octet-stream", &[b"12", b"34"]).byte_by_byte();
        let (rate, pieces) = speak(reply, request(format)).await.unwrap();
        assert_eq!((rate, pieces.concat()), (24_000, b"1234".to_vec()));
    }
}

#[tokio::test]
async fn samples_are_whole_and_their_rate_is_the_servers() {
    let reply = audio("audio/pcm_s16le", &[b"123456"]).header("x-sample-rate", "22050");
    let (rate, pieces) = speak(reply.byte_by_byte(), request(SpeechFormat::Pcm))
        .await
        .unwrap();
    assert_eq!(rate, 22_050);
    assert!(pieces.iter().all(|piece| piece.len() % 2 == 0));
    assert_eq!(pieces.concat(), b"123456");
    let reply = audio("audio/L16; rate=16000; channels=1", &[b"12"]);
    assert_eq!(
        speak(reply, request(SpeechFormat::Pcm)).await.unwrap().0,
        16_000
    );
}

#[tokio::test]
async fn speech_streams_as_events() {
    let done = r#"{"type":"speech.audio.done","usage":{"input_tokens":2,"output_tokens":0,"total_tokens":2}}"#;
    let reply = Reply::sse([delta("MTIz"), delta("NDU2"), done.to_owned()]).byte_by_byte();
    let (rate, pieces) = speak(reply, events_request()).await.unwrap();
    assert_eq!((rate, pieces.concat()), (24_000, b"123456".to_vec()));
}

type Case = (Reply, SpeechRequest, &'static str, &'static str);

async fn check(cases: Vec<Case>) {
    for (reply, request, kind, words) in cases {
        let error = speak(reply, request).await.unwrap_err();
        assert_eq!(error.kind().as_str(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn failed_speech_says_the_servers_words() {
    let plain = || request(SpeechFormat::Pcm);
    let not_found = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
    let busy = json!({"error": {"message": "busy"}});
    let cut = audio("audio/pcm", &[b"12"]);
    let cut = cut.framing(Framing::DeclaredLength(4)).close();
    let odd_rate = audio("audio/pcm", &[b"12"]).header("x-sample-rate", "fast");
    let page = audio("text/html", &[b"<html>"]);
    check(vec![
        (
            Reply::status(404, not_found),
            plain(),
            "api_status",
            "no such model",
        ),
        (Reply::json(&busy), plain(), "api_error", "busy"),
        (page, plain(), "content_type", "<html>"),
        (
            audio("audio/pcm", &[]),
            plain(),
            "empty_response",
            "without audio",
        ),
        (
            audio("audio/pcm", &[b"123"]),
            plain(),
            "truncated",
            "middle of a sample",
        ),
        (cut, plain(), "transport", "2 bytes"),
        (odd_rate, plain(), "wrong_type", "fast"),
    ])
    .await;
}

#[tokio::test]
async fn failed_stream_of_speech_says_the_servers_words() {
    let plain = request(SpeechFormat::Pcm);
    let events = events_request;
    let sse = |event: &str| Reply::sse([event]);
    let no_base64 = r#"{"type":"speech.audio.delta","audio":"?"}"#;
    let no_audio = r#"{"type":"speech.audio.delta"}"#;
    let failed = r#"{"type":"error","error":{"message":"lost my voice"}}"#;
    check(vec![
        (sse(&delta("MTI=")), plain, "content_type", "audio was due"),
        (
            audio("audio/pcm", &[b"12"]),
            events(),
            "content_type",
            "an event stream",
        ),
        (
            sse(&delta("MTI=")),
            events(),
            "no_terminal_event",
            "speech.audio.done",
        ),
        (sse(no_base64), events(), "wrong_type", "base64"),
        (sse(no_audio), events(), "missing_field", "audio"),
        (sse(failed), events(), "stream_error", "lost my voice"),
    ])
    .await;
}

#[tokio::test]
async fn dropped_speech_closes_its_connection() {
    let server = FakeServer::start([audio("audio/pcm", &[b"12"]).hang()])
        .await
        .unwrap();
    let tts = OpenAiSpeech::builder(server.url())
        .build()
        .unwrap()
        .tts("tts-1");
    let mut stream = tts.speak(request(SpeechFormat::Pcm));
    assert!(matches!(
        stream.next().await,
        Some(Ok(SpeechEvent::Started { .. }))
    ));
    drop(stream);
    server.peer_closed().await;
}
