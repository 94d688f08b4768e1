//! Live transcription: the session that does it, and the pipeline that uses it.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use openai_agents::model::voice::{
    AudioFile, LiveRequest, PcmAudio, SpeechUsage, Stt as _, TranscriptFormat, TranscriptionEvent,
    TranscriptionRequest,
};
use openai_agents::model::{ModelError, OpenAiLiveStt, OpenAiRealtime};
use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use openai_agents::testing::{ScriptedModel, ScriptedStt, ScriptedTts};
use openai_agents::voice::Pipeline;
use openai_agents::{ErrorKind, Runner};
use serde_json::{Value, json};

use super::pipeline::{history, line, play, speech};
use crate::support::agent;

fn stt(server: &RealtimeServer) -> OpenAiLiveStt {
    let model = OpenAiRealtime::builder(server.url(), "gpt-4o-transcribe").api_key("sk-secret");
    model.build().unwrap().live_stt()
}

fn request() -> LiveRequest {
    LiveRequest::new(stream::iter([speech(20), speech(30)]))
}

type TranscriptionEvents = Vec<Result<TranscriptionEvent, ModelError>>;

async fn events(stt: OpenAiLiveStt, request: LiveRequest) -> TranscriptionEvents {
    stt.transcribe_live(request).unwrap().collect().await
}

/// The events as lines.
fn lines(events: TranscriptionEvents) -> Vec<String> {
    let line = |event| match event {
        Ok(TranscriptionEvent::Delta { delta }) => format!("+{delta}"),
        Ok(TranscriptionEvent::Other { name, .. }) => format!("?{name}"),
        Ok(TranscriptionEvent::Done(transcript)) => format!("={}", transcript.text),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("{}: {error}", ModelError::kind(&error)),
    };
    events.into_iter().map(line).collect()
}

/// Lets a client in and reads all that it sends, up to its commit; audio counts in bytes.
async fn heard(server: &RealtimeServer) -> (RealtimePeer, Vec<Value>) {
    let mut peer = server.accept().await.unwrap();
    let mut sent = Vec::new();
    loop {
        let mut event = peer.receive().await.unwrap().unwrap();
        if let Some(audio) = event.get_mut("audio") {
            *audio = audio.as_str().unwrap().len().into();
        }
        let is_last = event["type"] == "input_audio_buffer.commit";
        sent.push(event);
        if is_last {
            return (peer, sent);
        }
    }
}

async fn send(peer: &mut RealtimePeer, events: &[Value]) {
    for event in events {
        peer.send(event).await.unwrap();
    }
}

fn delta(item: &str, delta: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": item, "content_index": 0, "delta": delta})
}

fn completed(item: &str, transcript: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item, "content_index": 0,
        "transcript": transcript, "usage": {"type": "duration", "seconds": 2}})
}

fn committed(item: &str) -> Value {
    json!({"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": null})
}

#[tokio::test]
async fn live_transcription_sends_the_session_the_audio_and_its_end() {
    let server = RealtimeServer::start().await.unwrap();
    let mut request = request();
    request.language = Some("en".to_owned());
    request.prompt = Some("Tamarind".to_owned());
    let serve = async {
        let (mut peer, sent) = heard(&server).await;
        assert_eq!(peer.target(), "/v1/realtime?intent=transcription");
        assert_eq!(peer.header("authorization"), Some("Bearer sk-secret"));
        let input = json!({
            "format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": null,
            "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Tamarind"},
        });
        assert_eq!(
            sent,
            [
                json!({"type": "session.update", "event_id": "client_1",
                    "session": {"type": "transcription", "audio": {"input": input}}}),
                json!({"type": "input_audio_buffer.append", "event_id": "client_2", "audio": 1_280}),
                json!({"type": "input_audio_buffer.append", "event_id": "client_3", "audio": 1_920}),
                json!({"type": "input_audio_buffer.commit", "event_id": "client_4"}),
            ]
        );
        let answer = [
            json!({"type": "session.created", "session": {"type": "transcription"}}),
            committed("item_1"),
            delta("item_1", "What "),
            json!({"type": "rate_limits.updated"}),
            delta("item_1", "is it?"),
            completed("item_1", "What is it?"),
        ];
        send(&mut peer, &answer).await;
        // The session ends with the turn.
        assert_eq!(peer.receive().await.unwrap_or_default(), None);
    };
    let (mut events, ()) = tokio::join!(events(stt(&server), request), serve);
    let Some(Ok(TranscriptionEvent::Done(done))) = events.last_mut() else {
        panic!("{events:?}")
    };
    let usage = SpeechUsage::Duration(Duration::from_secs(2));
    assert_eq!(done.usage, Some(usage));
    assert_eq!(
        lines(events),
        ["+What ", "?rate_limits.updated", "+is it?", "=What is it?"]
    );
}

#[tokio::test]
async fn live_transcription_in_parts_is_one_text_in_the_order_of_the_audio() {
    let server = RealtimeServer::start().await.unwrap();
    let serve = async {
        let (mut peer, _) = heard(&server).await;
        // It finds turns although it was told not to, streams nothing, and is left with nothing to commit.
        let empty = json!({"type": "error", "error": {"type": "invalid_request_error",
            "code": "input_audio_buffer_commit_empty", "message": "nothing"}});
        let answer = [
            committed("item_1"),
            committed("item_2"),
            completed("item_2", "Go home."),
            completed("item_1", "It is late."),
            empty,
        ];
        send(&mut peer, &answer).await;
    };
    let (events, ()) = tokio::join!(events(stt(&server), request()), serve);
    assert_eq!(lines(events).last().unwrap(), "=It is late. Go home.");
}

#[tokio::test]
async fn live_transcription_that_fails_is_an_error_with_the_servers_words() {
    let error = |words: &str| json!({"type": "error", "error": {"code": "no", "message": words}});
    let cases = [
        (
            error("bad key sk-secret"),
            "stream_error: the server did not write the speech down: bad key *** (no)",
        ),
        (
            json!({"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_1", "error": {"message": "noise"}}),
            "stream_error: the server did not write the speech down: noise",
        ),
        (
            json!({"type": "input_audio_buffer.committed"}),
            "missing_field: `item_id` is missing in an event of the server",
        ),
    ];
    for (event, expected) in cases {
        let server = RealtimeServer::start().await.unwrap();
        let serve = async {
            let (mut peer, _) = heard(&server).await;
            peer.send(&event).await.unwrap();
        };
        let (events, ()) = tokio::join!(events(stt(&server), request()), serve);
        let lines = lines(events);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(!lines[0].contains("sk-secret"), "{lines:?}");
        let (kind, words) = expected.split_once(": ").unwrap();
        assert!(lines[0].starts_with(kind), "{lines:?}");
        let before = words.split("***").next().unwrap();
        assert!(lines[0].contains(before), "{lines:?}");
    }
    let server = RealtimeServer::start().await.unwrap();
    let serve = async {
        let (mut peer, _) = heard(&server).await;
        peer.close(1011, "overloaded").await.unwrap();
    };
    let (events, ()) = tokio::join!(events(stt(&server), request()), serve);
    assert_eq!(
        lines(events),
        [
            "no_terminal_event: the server closed the session (code 1011): overloaded, before the speech was transcribed"
        ]
    );
}

#[tokio::test]
async fn live_audio_that_cannot_be_sent_is_refused_here() {
    let server = RealtimeServer::start().await.unwrap();
    let other_rate = PcmAudio::new(16_000, 1, vec![0; 320]).unwrap();
    let accept = async {
        let peer = server.accept().await;
        drop(peer);
    };
    let request = LiveRequest::new(stream::iter([other_rate]));
    let (refused, ()) = tokio::join!(events(stt(&server), request), accept);
    let refused = lines(refused);
    assert!(
        refused[0].starts_with("unsupported: the audio has 16000 Hz"),
        "{refused:?}"
    );
    let accept = async { drop(server.accept().await) };
    let silent = LiveRequest::new(stream::empty());
    let (nothing, ()) = tokio::join!(events(stt(&server), silent), accept);
    assert_eq!(
        lines(nothing),
        ["unsupported: there is no audio to transcribe"]
    );
    let mut subtitles = TranscriptionRequest::new(AudioFile::wav(&speech(20)).unwrap());
    subtitles.format = TranscriptFormat::Srt;
    let events: TranscriptionEvents = stt(&server).transcribe(subtitles).collect().await;
    assert_eq!(
        events[0].as_ref().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[tokio::test]
async fn pipeline_hears_words_while_they_are_said() {
    let stt = ScriptedStt::new(["What time is it?", "Thank you."]).live();
    let runner = Runner::new(ScriptedModel::text("It is nine."));
    let mut pipeline = Pipeline::builder(&runner, &agent([]))
        .stt(stt)
        .tts(ScriptedTts::new(), "alloy")
        .build();
    assert!(pipeline.next().await.is_none());
    pipeline.send_audio(&speech(20)).unwrap();
    let event = pipeline.next().await.unwrap().unwrap();
    assert_eq!(line(&event).as_deref(), Some("user +What "));
    pipeline.send_audio(&speech(20)).unwrap();
    let event = pipeline.next().await.unwrap().unwrap();
    assert_eq!(line(&event).as_deref(), Some("user +time "));
    assert_eq!(pipeline.commit().await.unwrap(), None);
    let (lines, error) = play(&mut pipeline).await;
    assert!(error.is_none());
    assert_eq!(
        lines,
        [
            "user +is ",
            "user +it?",
            "user =What time is it?",
            "says It is nine.",
            "audio 110",
            "run done",
            "done",
        ]
    );
    assert_eq!(history(&pipeline), ["What time is it?", "It is nine."]);
}

#[tokio::test]
async fn pipeline_hears_a_live_turn_that_fails_and_goes_on() {
    let error = ModelError::new(ErrorKind::Transport, "gone");
    let stt = ScriptedStt::new(Vec::<String>::new())
        .then_fail(error)
        .live();
    let runner = Runner::new(ScriptedModel::text("Hello."));
    let mut pipeline = Pipeline::builder(&runner, &agent([]))
        .stt(stt)
        .tts(ScriptedTts::new(), "alloy")
        .build();
    pipeline.send_audio(&speech(20)).unwrap();
    pipeline.commit().await.unwrap();
    let (_, failed) = play(&mut pipeline).await;
    assert_eq!(failed.unwrap().kind(), ErrorKind::Transport);
    assert!(pipeline.next().await.is_none());
    pipeline.send_text("Hi").await;
    let (lines, failed) = play(&mut pipeline).await;
    assert!(failed.is_none());
    assert_eq!(lines, ["says Hello.", "audio 60", "run done", "done"]);
}
