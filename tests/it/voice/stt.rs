//! `/audio/transcriptions`: what is sent, and what each answer means.

use std::time::Duration;

use futures_util::StreamExt;
use openai_agents::model::voice::{
    AudioFile, SpeechUsage, Stt, TimestampGranularity, TranscriptFormat, TranscriptionEvent,
    TranscriptionRequest,
};
use openai_agents::model::{Delivery, ModelError, OpenAiSpeech};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

fn request(delivery: Delivery, format: TranscriptFormat) -> TranscriptionRequest {
    let mut request = TranscriptionRequest::new(AudioFile::new("hello.wav", "RIFF"));
    request.delivery = delivery;
    request.format = format;
    request
}

/// The events of a request, as lines; the last may be an error.
async fn events(reply: Reply, request: TranscriptionRequest) -> Result<Vec<String>, ModelError> {
    let server = FakeServer::start([reply]).await.unwrap();
    let speech = OpenAiSpeech::builder(format!("{}/v1", server.url())).api_key("sk-secret");
    let mut stream = speech.build()?.stt("whisper-1").transcribe(request);
    let mut lines = Vec::new();
    while let Some(event) = stream.next().await {
        lines.push(match event? {
            TranscriptionEvent::Delta { delta } => format!("+{delta}"),
            TranscriptionEvent::Other { name, .. } => format!("?{name}"),
            TranscriptionEvent::Done(transcript) => format!("={}", transcript.text),
            other => format!("{other:?}"),
        });
    }
    assert!(server.problems().is_empty());
    Ok(lines)
}

fn page() -> Reply {
    let reply = Reply::new(200).header("content-type", "text/html");
    reply.bytes("<html>")
}

async fn error(reply: Reply, request: TranscriptionRequest) -> (&'static str, String) {
    let error = events(reply, request).await.unwrap_err();
    (error.kind().as_str(), error.to_string())
}

#[tokio::test]
async fn transcription_form_has_all_fields() {
    let reply = Reply::json(&json!({"text": "hi"}));
    let server = FakeServer::start([reply]).await.unwrap();
    let speech = OpenAiSpeech::builder(server.url()).api_key("sk-secret");
    let mut request = request(Delivery::Stream, TranscriptFormat::VerboseJson);
    request.language = Some("en".to_owned());
    request.prompt = Some("Tamarind".to_owned());
    request.temperature = Some(0.2);
    request.timestamps = vec![TimestampGranularity::Word, TimestampGranularity::Segment];
    request.extra = vec![("include[]".to_owned(), "logprobs".to_owned())];
    let stt = speech.build().unwrap().stt("whisper-1");
    let events: Vec<_> = stt.transcribe(request).collect().await;
    assert_eq!(events.len(), 1);
    let sent = &server.requests()[0];
    assert_eq!(sent.path, "/audio/transcriptions");
    assert_eq!(sent.header("authorization"), Some("Bearer sk-secret"));
    let boundary = sent.header("content-type").unwrap();
    let boundary = boundary
        .strip_prefix("multipart/form-data; boundary=")
        .unwrap();
    let body = String::from_utf8_lossy(&sent.body).replace(boundary, "B");
    let field = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let expect = [
        field("model", "whisper-1"),
        field("response_format", "verbose_json"),
        field("stream", "true"),
        field("language", "en"),
        field("prompt", "Tamarind"),
        field("temperature", "0.2"),
        field("timestamp_granularities[]", "word"),
        field("timestamp_granularities[]", "segment"),
        field("include[]", "logprobs"),
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"hello.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\nRIFF\r\n--B--\r\n"
            .to_owned(),
    ];
    assert_eq!(body, expect.concat());
}

#[tokio::test]
async fn transcript_streams_word_by_word() {
    let stream = Reply::sse([
        r#"{"type":"transcript.text.delta","delta":"What"}"#,
        r#"{"type":"transcript.text.delta","delta":" is"}"#,
        r#"{"type":"transcript.text.segment","id":"seg_0"}"#,
        r#"{"type":"transcript.text.done","text":"What is","usage":{"type":"duration","seconds":2}}"#,
        "[DONE]",
    ]);
    let lines = events(
        stream.byte_by_byte(),
        request(Delivery::Stream, TranscriptFormat::Json),
    );
    assert_eq!(
        lines.await.unwrap(),
        ["+What", "+ is", "?transcript.text.segment", "=What is"]
    );
}

#[tokio::test]
async fn model_that_cannot_stream_answers_whole() {
    let reply = Reply::json(&json!({"text": "hi"}));
    let lines = events(reply, request(Delivery::Stream, TranscriptFormat::Json)).await;
    assert_eq!(lines.unwrap(), ["=hi"]);
}

#[tokio::test]
async fn verbose_transcript_has_times_and_lists_what_has_none() {
    let reply = Reply::json(&json!({
        "task": "transcribe", "language": "english", "duration": 1.62, "text": "What is",
        "words": [{"word": "What", "start": 0.0, "end": 0.5}, {"word": "is", "start": "0.5", "end": "1.62"}],
        "segments": [{"text": "What is", "start": 0, "end": 1.5, "speaker": "A"}, {"text": "lost"}],
        "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
    }));
    let server = FakeServer::start([reply]).await.unwrap();
    let stt = OpenAiSpeech::builder(server.url())
        .build()
        .unwrap()
        .stt("m");
    let request = request(Delivery::Whole, TranscriptFormat::VerboseJson);
    let Some(Ok(TranscriptionEvent::Done(transcript))) = stt.transcribe(request).next().await
    else {
        panic!("there is a transcript")
    };
    let ms = Duration::from_millis;
    let words: Vec<_> = transcript
        .words
        .iter()
        .map(|w| (&*w.word, w.start, w.end))
        .collect();
    assert_eq!(words, [("What", ms(0), ms(500)), ("is", ms(500), ms(1620))]);
    let segments: Vec<_> = transcript
        .segments
        .iter()
        .map(|s| (&*s.text, s.start, s.end, s.speaker.as_deref()))
        .collect();
    assert_eq!(segments, [("What is", ms(0), ms(1500), Some("A"))]);
    assert_eq!(transcript.language.as_deref(), Some("english"));
    assert_eq!(transcript.duration, Some(ms(1620)));
    let (input, output, total) = (14, 101, 115);
    assert_eq!(
        format!("{:?}", transcript.usage),
        format!("Some(Tokens {{ input: {input}, output: {output}, total: {total} }})")
    );
    assert!(!matches!(transcript.usage, Some(SpeechUsage::Duration(_))));
    assert_eq!(transcript.deviations[0].code, "transcript_part_left_out");
}

#[tokio::test]
async fn transcript_in_a_format_of_files_is_the_file() {
    let subtitles = "1\n00:00:00,000 --> 00:00:02,000\nWhat is\n";
    for format in [
        TranscriptFormat::Srt,
        TranscriptFormat::Vtt,
        TranscriptFormat::Text,
    ] {
        let reply = Reply::status(200, subtitles);
        let lines = events(reply, request(Delivery::Whole, format)).await;
        assert_eq!(lines.unwrap(), [format!("={subtitles}")]);
    }
}

#[tokio::test]
async fn failed_transcription_says_the_servers_words() {
    use Delivery::{Stream, Whole};
    let json_format = TranscriptFormat::Json;
    let detail = r#"{"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required"}]}"#;
    let cases = [
        (
            Reply::status(422, detail),
            Whole,
            "api_status",
            "Field required",
        ),
        (
            Reply::status(500, "Internal Server Error"),
            Whole,
            "api_status",
            "500",
        ),
        (
            Reply::json(&json!({"error": {"message": "no such voice"}})),
            Whole,
            "api_error",
            "no such voice",
        ),
        (
            Reply::json(&json!({"words": []})),
            Whole,
            "missing_field",
            "`text`",
        ),
        (
            Reply::json(&json!({"text": 5})),
            Whole,
            "wrong_type",
            "`text`",
        ),
        (Reply::status(200, "hello"), Whole, "invalid_json", "hello"),
        (page(), Whole, "content_type", "<html>"),
        (
            Reply::sse([r#"{"type":"transcript.text.done","text":"a"}"#]),
            Whole,
            "content_type",
            "event-stream",
        ),
        (
            Reply::sse([r#"{"type":"transcript.text.delta","delta":"a"}"#]),
            Stream,
            "no_terminal_event",
            "transcript.text.done",
        ),
        (
            Reply::sse([r#"{"type":"error","error":{"message":"out of memory"}}"#]),
            Stream,
            "stream_error",
            "out of memory",
        ),
        (
            Reply::sse([r#"{"type":"transcript.text.delta"}"#]),
            Stream,
            "missing_field",
            "`delta`",
        ),
        (Reply::sse(["{"]), Stream, "invalid_json", "{"),
    ];
    for (reply, delivery, kind, words) in cases {
        let (found, message) = error(reply, request(delivery, json_format)).await;
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn transcript_does_not_repeat_the_key() {
    let whole = Reply::json(&json!({"text": "it is sk-secret", "language": "sk-secret"}));
    let lines = events(whole, request(Delivery::Whole, TranscriptFormat::Json)).await;
    assert_eq!(lines.unwrap(), ["=it is [redacted]"]);
    let stream = Reply::sse([
        r#"{"type":"transcript.text.delta","delta":"it is sk-"}"#,
        r#"{"type":"transcript.text.delta","delta":"secret!"}"#,
        r#"{"type":"transcript.text.done","text":"it is sk-secret!"}"#,
    ]);
    let lines = events(stream, request(Delivery::Stream, TranscriptFormat::Json))
        .await
        .unwrap();
    assert!(!lines.concat().contains("secret"), "{lines:?}");
    let (_, message) = error(
        Reply::status(401, r#"{"error":{"message":"wrong key sk-secret"}}"#),
        request(Delivery::Whole, TranscriptFormat::Json),
    )
    .await;
    assert!(!message.contains("sk-secret"), "{message}");
}
