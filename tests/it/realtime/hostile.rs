//! Servers that mean no good: each ends the session with a name, within bounds.

use openai_agents::ErrorKind;
use openai_agents::realtime::{RealtimeEvent, RealtimeSession, SessionEnd};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::session::Stage;

async fn end_of(mut session: RealtimeSession) -> SessionEnd {
    while let Some(event) = session.next().await {
        if let RealtimeEvent::Ended { end } = event {
            return end;
        }
    }
    panic!("the session ended without a name");
}

/// Sends bytes that no library would send, until the client has had enough.
async fn end_after(bytes: &[u8], n_times: usize) -> SessionEnd {
    let Stage { peer, session, .. } = Stage::new(&[]).await;
    let mut stream = peer.into_stream();
    let send = async {
        for _ in 0..n_times {
            if stream.write_all(bytes).await.is_err() {
                return;
            }
        }
    };
    let (end, ()) = tokio::join!(end_of(session), send);
    end
}

fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    if let Ok(length @ ..=125) = u8::try_from(content.len()) {
        frame.push(length);
    } else {
        frame.push(127);
        frame.extend_from_slice(&u64::try_from(content.len()).unwrap().to_be_bytes());
    }
    frame.extend_from_slice(content);
    frame
}

#[track_caller]
fn check(end: &SessionEnd, kind: ErrorKind, words: &str) {
    assert_eq!(end.kind(), Some(kind), "{end}");
    assert!(end.to_string().contains(words), "{end}");
}

#[tokio::test]
async fn frame_of_a_gibibyte_is_refused_by_its_header() {
    let header = [0x81, 127, 0, 0, 0, 0, 0x40, 0, 0, 0];
    let end = end_after(&header, 1).await;
    check(
        &end,
        ErrorKind::LimitExceeded,
        "1073741824 bytes, at most 8388608",
    );
}

#[tokio::test]
async fn fragments_without_end_are_refused_at_the_bound() {
    let part = vec![0; 64 * 1024];
    let first = frame(0x01, &part);
    let Stage { peer, session, .. } = Stage::new(&[]).await;
    let mut stream = peer.into_stream();
    let send = async {
        let mut n_bytes = 0;
        let mut next = first;
        while stream.write_all(&next).await.is_ok() && n_bytes < 512 * 1024 * 1024 {
            n_bytes += part.len();
            next = frame(0x00, &part);
        }
        n_bytes
    };
    let (end, n_bytes) = tokio::join!(end_of(session), send);
    check(&end, ErrorKind::LimitExceeded, "at most 8388608");
    assert!(n_bytes < 64 * 1024 * 1024, "{n_bytes} bytes were taken");
}

#[tokio::test]
async fn ping_flood_is_refused() {
    let end = end_after(&frame(0x89, b"are you there"), 20_000).await;
    check(
        &end,
        ErrorKind::LimitExceeded,
        "10000 pings without an event",
    );
}

#[tokio::test]
async fn frames_that_are_no_events_are_refused() {
    for (bytes, kind, words) in [
        (
            frame(0x81, &[0xff, 0xfe]),
            ErrorKind::InvalidUtf8,
            "not UTF-8",
        ),
        (
            frame(0x81, b"{not json"),
            ErrorKind::InvalidJson,
            "{not json",
        ),
        (frame(0x81, b"[1]"), ErrorKind::WrongType, "[1]"),
        (frame(0x81, b"{\"type\":7}"), ErrorKind::WrongType, "`type`"),
        (frame(0x82, b"\x00\x01"), ErrorKind::WrongType, "binary"),
        (
            frame(0xc1, b"{}"),
            ErrorKind::Transport,
            "WebSocket protocol",
        ),
        (
            frame(0x80, b"{}"),
            ErrorKind::Transport,
            "WebSocket protocol",
        ),
        (
            vec![0x81, 0x82, 1, 2, 3, 4, 0, 0],
            ErrorKind::Transport,
            "WebSocket protocol",
        ),
    ] {
        let end = end_after(&bytes, 1).await;
        check(&end, kind, words);
    }
}

#[tokio::test]
async fn audio_that_is_no_base64_is_refused() {
    let mut stage = Stage::new(&[]).await;
    let event =
        json!({ "type": "response.output_audio.delta", "item_id": "item_1", "delta": "@@@" });
    stage.peer.send(&event).await.unwrap();
    check(
        &end_of(stage.session).await,
        ErrorKind::WrongType,
        "`delta` is audio that is not base64",
    );
}

#[tokio::test]
async fn nesting_without_end_is_refused() {
    let json = format!(
        "{{\"type\":\"session.created\",\"session\":{}",
        "[".repeat(100_000)
    );
    let end = end_after(&frame(0x81, json.as_bytes()), 1).await;
    check(&end, ErrorKind::InvalidJson, "EOF while parsing");
}

#[tokio::test]
async fn every_close_code_is_named() {
    for code in (1000..=1015).chain([2999, 3000, 4000, 4999, 5000, 0]) {
        let mut content = code_bytes(code);
        content.extend_from_slice(b"so long");
        let end = end_after(&frame(0x88, &content), 1).await;
        match end {
            SessionEnd::ServerClosed {
                code: Some(told),
                ref reason,
            } if told == code => {
                assert_eq!(reason, "so long");
            }
            // Codes that nobody may send are a broken protocol.
            SessionEnd::Protocol(_) | SessionEnd::ServerClosed { .. } => {
                assert!(
                    !matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999),
                    "{code}: {end}"
                );
            }
            end => panic!("{code}: {end}"),
        }
    }
}

fn code_bytes(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

#[tokio::test]
async fn connection_that_breaks_is_lost() {
    let Stage { peer, session, .. } = Stage::new(&[]).await;
    drop(peer);
    check(&end_of(session).await, ErrorKind::Transport, "connection");
}
