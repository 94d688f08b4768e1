//! The commands that speak and listen.

use std::process::Output;

use openai_agents::model::voice::PcmAudio;
use openai_agents::testing::Reply;
use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use serde_json::json;

use super::{ExitRow, Scene, row};
use crate::support::streamed_text;

const CONFIG: &str =
    "{ voice: { stt_model: s, tts_model: t, voice: alloy }, realtime: { model: r } }";

fn play(scene: &Scene, replies: impl IntoIterator<Item = Reply>, arguments: &[&str]) -> Output {
    scene.directory.write("config.yaml", CONFIG);
    let silence = PcmAudio::new(24_000, 1, vec![0; 4_800]).unwrap();
    scene.directory.write("q.wav", silence.to_wav().unwrap());
    scene.on(replies, &[arguments, &["--json"]].concat())
}

fn heard(text: &str) -> Reply {
    Reply::json(&json!({ "text": text }))
}

fn spoken() -> Reply {
    Reply::new(200)
        .header("content-type", "audio/pcm")
        .bytes(vec![0; 480])
}

/// A session with a server that does this once the user has said something.
fn session(
    scene: &Scene,
    answer: fn(RealtimePeer) -> futures_util::future::BoxFuture<'static, ()>,
) -> Output {
    let server = scene.handle.block_on(RealtimeServer::start()).unwrap();
    let url = server.url();
    let peer = scene.handle.spawn(async move {
        let mut peer = server.accept().await.unwrap();
        while let Some(event) = peer.receive().await.unwrap() {
            if event["type"] == "response.create" {
                break;
            }
        }
        answer(peer).await;
    });
    scene.directory.write("config.yaml", CONFIG);
    let arguments = ["realtime", "hi", "--no-stdin", "--json", "--base-url", &url];
    let output = scene.bare(&arguments);
    scene.handle.block_on(peer).unwrap();
    output
}

pub(super) const ROWS: &[ExitRow] = &[
    row("`speak TEXT -o FILE`", 0, "ok", "", |scene| {
        play(scene, [spoken()], &["speak", "hi", "-o", "a.mp3"])
    }),
    row("`listen FILE`", 0, "ok", "", |scene| {
        play(scene, [heard("hi")], &["listen", "q.wav"])
    }),
    row("`talk FILE -o FILE`", 0, "ok", "", |scene| {
        let replies = [heard("hi"), streamed_text("Hel", "lo."), spoken()];
        play(scene, replies, &["talk", "q.wav", "-o", "a.wav"])
    }),
    row("`realtime TEXT`", 0, "ok", "", |scene| {
        session(scene, |mut peer| {
            Box::pin(async move {
                for event in [
                    json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}),
                    json!({"type": "response.output_text.delta", "response_id": "r", "item_id": "i",
                        "output_index": 0, "content_index": 0, "delta": "Hello."}),
                    json!({"type": "response.done", "response": {"id": "r", "status": "completed", "output": []}}),
                ] {
                    peer.send(&event).await.unwrap();
                }
                // The program closes the session.
                while peer.receive().await.unwrap().is_some() {}
            })
        })
    }),
    row(
        "`listen`, the server answers with an error",
        1,
        "api_status",
        "500 Internal Server Error",
        |scene| play(scene, [Reply::status(500, "oops")], &["listen", "q.wav"]),
    ),
    #[cfg(target_os = "linux")]
    row(
        "`speak`, and FILE is full",
        1,
        "config",
        "cannot write the answer to /dev/full: No space left",
        |scene| {
            let arguments = ["speak", "hi", "--format", "wav", "-o", "/dev/full"];
            play(scene, [spoken()], &arguments)
        },
    ),
    row(
        "`speak`, the audio breaks off",
        1,
        "truncated",
        "the audio ended in the middle of a sample",
        |scene| {
            let odd = Reply::new(200)
                .header("content-type", "audio/pcm")
                .bytes(vec![0; 3]);
            play(scene, [odd], &["speak", "hi", "-o", "a.pcm"])
        },
    ),
    row(
        "`talk`, and no word is in the recording",
        1,
        "empty_response",
        "no speech was recognised in the recording",
        |scene| play(scene, [heard(" ")], &["talk", "q.wav", "-o", "a.wav"]),
    ),
    row(
        "`realtime`, the server ends the session",
        1,
        "transport",
        "the server closed the session (code 1011): broken",
        |scene| {
            session(scene, |mut peer| {
                Box::pin(async move {
                    peer.close(1011, "broken").await.unwrap();
                    while let Ok(Some(_)) = peer.receive().await {}
                })
            })
        },
    ),
    row(
        "`speak` without a speech model",
        2,
        "config",
        "no text-to-speech model: set OPENAI_AGENTS__VOICE__TTS_MODEL",
        |scene| scene.on([], &["speak", "hi", "-o", "a.wav", "--json"]),
    ),
    row(
        "`speak -o` with an ending that is no format",
        2,
        "config",
        "use mp3, opus, aac, flac, wav or pcm",
        |scene| play(scene, [], &["speak", "hi", "-o", "a.txt"]),
    ),
    row(
        "`listen` to a file that is not there",
        2,
        "config",
        "cannot read none.wav",
        |scene| play(scene, [], &["listen", "none.wav"]),
    ),
    row(
        "`talk -o` leads nowhere",
        2,
        "config",
        "-o none/a.wav: its folder does not exist",
        |scene| play(scene, [], &["talk", "q.wav", "-o", "none/a.wav"]),
    ),
    row(
        "`realtime --audio` of another sample rate",
        2,
        "config",
        "it has 8000 Hz, 1 channel, and a realtime model takes 24000 Hz, 1 channel",
        |scene| {
            let audio = PcmAudio::new(8_000, 1, vec![0; 16]).unwrap();
            scene.directory.write("b.wav", audio.to_wav().unwrap());
            play(scene, [], &["realtime", "--audio", "b.wav"])
        },
    ),
    row(
        "`realtime` without a realtime model",
        2,
        "config",
        "no realtime model: set OPENAI_AGENTS__REALTIME__MODEL",
        |scene| scene.on([], &["realtime", "hi", "--json"]),
    ),
    row(
        "`realtime`, and nobody listens at its URL",
        2,
        "transport",
        "could not connect to 127.0.0.1:9",
        |scene| {
            let url = "http://127.0.0.1:9";
            play(
                scene,
                [],
                &["realtime", "hi", "--no-stdin", "--base-url", url],
            )
        },
    ),
];
