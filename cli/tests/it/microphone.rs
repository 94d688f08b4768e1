//! The microphone and the speaker: the real program on ALSA, whose devices are pipes. A test says what is heard, and a device plays as much
//! as the test takes of it, so that no clock is needed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::echo::base64;
use crate::support::{Directory, check_output, lines, on, streamed_text};

const CONFIG: &str = "{ voice: { stt_model: s, tts_model: t, voice: v }, realtime: { model: r } }";

/// ALSA's own plugins: what is read from `said` is heard, and what is played is written to `played`.
const ALSA: &str = r#"
pcm.!default { type asym  playback.pcm "loud"  capture.pcm "mic" }
pcm.nothing { type null }
pcm.mic { type file  file "/dev/null"  infile "said"  format raw  slave.pcm "nothing"
    hint { show on  description "Test microphone" } }
pcm.loud { type file  file "played"  format raw  slave.pcm "nothing"
    hint { show on  description "Test speaker" } }
"#;

/// Somebody with a microphone and a speaker.
struct Listener {
    directory: Directory,
    said: File,
    played: Option<File>,
}

impl Listener {
    fn new(name: &str) -> Self {
        let directory = Directory::new(name)
            .file("config.yaml", CONFIG)
            .file("alsa.conf", ALSA);
        let pipe = |name: &str| {
            let path = directory.path(name);
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
            // Open for both, so that nobody waits for the other end.
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let (said, played) = (pipe("said"), Some(pipe("played")));
        Self {
            directory,
            said,
            played,
        }
    }

    /// A command of the program with these devices.
    fn on(&self, command: &mut Command) -> Child {
        command
            .env("ALSA_CONFIG_PATH", self.directory.path("alsa.conf"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn realtime(&self, server: &RealtimeServer, arguments: &[&str]) -> Child {
        let mut command = self.directory.program();
        command
            .args(["realtime", "--microphone"])
            .args(arguments)
            .env("OPENAI_BASE_URL", server.url())
            .stdin(Stdio::piped());
        self.on(&mut command)
    }

    fn say(&mut self, samples: &[i16]) {
        say(&mut self.said, samples).unwrap();
    }

    /// Plays so many samples that are not silent.
    fn hear(&mut self, n_samples: usize) -> Vec<i16> {
        let mut heard = Vec::new();
        while heard.len() < n_samples {
            heard.extend(self.play().into_iter().filter(|sample| *sample != 0));
        }
        heard
    }

    /// Plays until it has been silent for a fifth of a second; gives what was not.
    fn hear_rest(&mut self) -> Vec<i16> {
        let (mut heard, mut n_silent) = (Vec::new(), 0);
        while n_silent < 4_800 {
            for sample in self.play() {
                n_silent = if sample == 0 { n_silent + 1 } else { 0 };
                heard.extend((sample != 0).then_some(sample));
            }
        }
        heard
    }

    /// Plays 10 ms.
    fn play(&mut self) -> Vec<i16> {
        let mut bytes = [0; 480];
        self.played
            .as_mut()
            .unwrap()
            .read_exact(&mut bytes)
            .unwrap();
        let samples = bytes.as_chunks::<2>().0.iter();
        samples.map(|sample| i16::from_le_bytes(*sample)).collect()
    }

    /// Waits until the device takes nothing more, because nobody plays what it has.
    fn stall(&self) {
        let mut waiting = 0;
        let played = self.played.as_ref().unwrap();
        // A pipe has 16 pages, of which the device fills 3,840 bytes each; the first may be read in part.
        while waiting < 15 * 3_840 {
            waiting = rustix::io::ioctl_fionread(played).unwrap();
            thread::yield_now();
        }
    }

    /// Says and plays silence for as long as the program opens the devices. ALSA holds the lock of a device while it waits for a pipe, and
    /// whoever opens the device asks for that lock.
    fn while_silent<T>(&self, opened: impl FnOnce() -> T) -> T {
        let (ended, has_ended) = mpsc::channel::<()>();
        let (mut said, played) = (&self.said, self.played.as_ref());
        thread::scope(|scope| {
            scope.spawn(move || {
                while has_ended.recv_timeout(Duration::from_millis(1))
                    == Err(RecvTimeoutError::Timeout)
                {
                    if rustix::io::ioctl_fionread(said).unwrap() == 0 {
                        said.write_all(&[0; 960]).unwrap();
                    }
                    let Some(mut played) = played else { continue };
                    while rustix::io::ioctl_fionread(played).unwrap() >= 480 {
                        played.read_exact(&mut [0; 480]).unwrap();
                    }
                }
            });
            let opened = opened();
            drop(ended);
            opened
        })
    }

    /// Reads what the program says until it listens.
    fn listens(&self, child: &mut Child) -> String {
        self.while_silent(|| stderr_until(child, |said| said.ends_with("ends it\n")))
    }

    /// The session that the program opens, once both devices are open.
    fn connected(&self, server: &RealtimeServer) -> RealtimePeer {
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| self.while_silent(|| handle.block_on(server.accept())))
            .unwrap()
    }

    /// Plays on, whatever it is.
    fn play_on(&mut self) {
        let mut played = self.played.take().unwrap();
        thread::spawn(move || while played.read_exact(&mut [0; 480]).is_ok() {});
    }
}

/// Reads what the program says until it has said this.
fn stderr_until(child: &mut Child, has_said: impl Fn(&str) -> bool) -> String {
    let stderr = child.stderr.as_mut().unwrap();
    let mut said = Vec::new();
    loop {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
        if byte == *b"\n" {
            let said = std::str::from_utf8(&said).unwrap();
            if has_said(said) {
                return said.to_owned();
            }
        }
    }
}

/// Says it in whole buffers of the device, each at one go: ALSA fills a buffer with silence that it finds begun in the pipe.
fn say(pipe: &mut File, samples: &[i16]) -> std::io::Result<()> {
    // As many as a pipe takes at one go.
    let mut pieces = samples.chunks(4 * 480);
    pieces.try_for_each(|piece| pipe.write_all(&bytes(piece)))
}

/// What was said but for gaps in the audio: the test plays faster than time passes, and a busy machine may not keep up.
fn without_gaps(stderr: &str) -> String {
    let lines = stderr.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("warning: the speaker had gaps "))
        .collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// So many samples, none of which is silent; a second has 24,000.
fn speech(n_samples: usize) -> Vec<i16> {
    (0..n_samples)
        .map(|at| i16::try_from(at % 20_000).unwrap() + 1)
        .collect()
}

/// As loud as somebody who speaks, and then silence.
fn question() -> Vec<i16> {
    let loud = (0..24_000).map(|at| if at % 2 == 0 { 4_000 } else { -4_000 });
    let samples = std::iter::repeat_n(1, 12_000).chain(loud);
    samples.chain(std::iter::repeat_n(2, 48_000)).collect()
}

fn stop(child: &Child, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

async fn received(peer: &mut RealtimePeer, name: &str) -> Value {
    loop {
        let event = peer.receive().await.unwrap().unwrap();
        if event["type"] == name {
            return event;
        }
    }
}

/// The next audio of the microphone that is not silent, as base64 of whole pieces.
async fn heard(peer: &mut RealtimePeer, n_samples: usize) -> String {
    let mut audio = String::new();
    while audio.len() < base64(&bytes(&vec![0; n_samples])).len() {
        let event = received(peer, "input_audio_buffer.append").await;
        let piece = event["audio"].as_str().unwrap();
        if piece.bytes().any(|digit| digit != b'A') {
            audio.push_str(piece);
        }
    }
    audio
}

async fn answer(peer: &mut RealtimePeer, number: u32, audio: &[i16]) {
    let (response, item) = (format!("resp_{number}"), format!("item_{number}"));
    let started = json!({"type": "response.created", "response": {"id": response}});
    peer.send(&started).await.unwrap();
    for piece in audio.chunks(24_000) {
        let delta = json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item,
            "output_index": 0, "content_index": 0, "delta": base64(&bytes(piece))});
        peer.send(&delta).await.unwrap();
    }
}

async fn end(peer: &mut RealtimePeer, number: u32, status: &str) {
    let (response, item) = (format!("resp_{number}"), format!("item_{number}"));
    let details =
        json!({"reason": if status == "cancelled" { json!("turn_detected") } else { Value::Null }});
    for event in [
        json!({"type": "response.output_audio.done", "response_id": response, "item_id": item,
            "output_index": 0, "content_index": 0}),
        json!({"type": "response.done",
            "response": {"id": response, "status": status, "status_details": details, "output": []}}),
    ] {
        peer.send(&event).await.unwrap();
    }
}

/// Closes stdin, and serves the end of the session.
async fn finish(mut child: Child, mut peer: RealtimePeer) -> Output {
    drop(child.stdin.take());
    while let Ok(Some(_)) = peer.receive().await {}
    drop(peer);
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn realtime_microphone_is_heard_and_speech_over_an_answer_stops_it_where_it_was_played() {
    let server = RealtimeServer::start().await.unwrap();
    let mut listener = Listener::new("microphone-realtime");
    let mut child = listener.realtime(&server, &[]);
    let mut peer = listener.connected(&server);
    let update = received(&mut peer, "session.update").await;
    assert_eq!(update["session"]["output_modalities"], json!(["audio"]));

    let said = speech(9_600);
    listener.say(&said);
    assert_eq!(heard(&mut peer, 9_600).await, base64(&bytes(&said)));

    // Four seconds are sent at once, of which half a second is played.
    let spoken = speech(96_000);
    answer(&mut peer, 1, &spoken).await;
    let mut played = listener.hear(12_000);
    listener.stall();
    peer.send(
        &json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u"}),
    )
    .await
    .unwrap();
    let cut = received(&mut peer, "conversation.item.truncate").await;
    end(&mut peer, 1, "cancelled").await;
    // The server may know of it before the speaker does, and this device would play a second of speech meanwhile.
    let mut stderr = stderr_until(&mut child, |said| said.contains("interrupted by speech"));
    // All that the device has from before, and nothing more.
    played.extend(listener.hear_rest());
    assert_eq!(played, spoken[..played.len()]);
    let played_ms = played.len() as u64 / 24;
    let cut_ms = cut["audio_end_ms"].as_u64().unwrap();
    assert_eq!(cut["item_id"], "item_1");
    // The device takes 20 ms at once, and ALSA's pipe keeps back as much; the last page of the pipe, 80 ms, may not have been filled yet.
    assert!(
        (500..=played_ms).contains(&cut_ms) && played_ms - cut_ms <= 160,
        "{cut_ms} of {played_ms} ms"
    );

    // The next answer is whole.
    let spoken = speech(4_800);
    answer(&mut peer, 2, &spoken).await;
    end(&mut peer, 2, "completed").await;
    assert_eq!(listener.hear(4_800), spoken);
    listener.play_on();
    let output = finish(child, peer).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    stderr.push_str(std::str::from_utf8(&output.stderr).unwrap());
    assert!(!without_gaps(&stderr).contains("warning:"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn realtime_half_duplex_does_not_send_what_is_heard_while_an_answer_is_played() {
    let server = RealtimeServer::start().await.unwrap();
    let mut listener = Listener::new("microphone-half-duplex");
    let child = listener.realtime(&server, &["--half-duplex"]);
    let mut peer = listener.connected(&server);
    received(&mut peer, "session.update").await;
    answer(&mut peer, 1, &speech(72_000)).await;
    listener.hear(4_800);
    listener.stall();
    listener.say(&vec![7; 24_000]);
    while rustix::io::ioctl_fionread(&listener.said).unwrap() > 0 {
        thread::yield_now();
    }
    end(&mut peer, 1, "completed").await;
    listener.hear_rest();
    let piece = |number: i16| vec![100 + number; 480];
    let mut n_said = 0;
    // The program alone knows when it has found that nothing is played any more: one piece of 20 ms after the other, until one is heard.
    let first = loop {
        n_said += 1;
        listener.say(&piece(n_said));
        while rustix::io::ioctl_fionread(&listener.said).unwrap() > 0 {
            thread::yield_now();
        }
        let heard = tokio::time::timeout(Duration::from_millis(1), heard(&mut peer, 480));
        if let Ok(heard) = heard.await {
            break (1..=n_said).find(|number| heard == base64(&bytes(&piece(*number))));
        }
    };
    // A room sounds on for 300 ms.
    assert!(first > Some(15), "{first:?}");
    assert_eq!(finish(child, peer).await.status.code(), Some(0));
}

#[test]
fn microphone_that_is_not_there_is_named_before_anything_is_sent() {
    let listener = Listener::new("microphone-missing");
    let run = |alsa: &str, arguments: &[&str]| {
        let mut command = listener.directory.program();
        command
            .args(["realtime", "--microphone"])
            .args(arguments)
            .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
            .env("ALSA_CONFIG_PATH", listener.directory.path(alsa));
        command.output().unwrap()
    };
    let stderr = "error: there is no microphone \"frob\"\n\
        hint: `openai-agents devices` lists them; choose one with --input-device\n";
    check_output(
        &run("alsa.conf", &["--input-device", "frob"]),
        2,
        "",
        stderr,
    );

    listener.directory.write("none.conf", "");
    let output = run("none.conf", &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // ALSA says before it what it looked for.
    let said = "error: cannot open the microphone \"default\": it does not exist\n\
        hint: `openai-agents devices` lists all devices; choose another with --input-device\n";
    assert_eq!(
        (output.status.code(), stderr.ends_with(said)),
        (Some(2), true),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn realtime_signal_ends_the_session_while_both_devices_are_open() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let server = RealtimeServer::start().await.unwrap();
        let listener = Listener::new(&format!("microphone-signal{signal}"));
        let child = listener.realtime(&server, &[]);
        let mut peer = listener.connected(&server);
        received(&mut peer, "session.update").await;
        stop(&child, signal);
        while let Ok(Some(_)) = peer.receive().await {}
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(code));
    }
}

/// Nobody reads what it plays: ALSA waits in the middle of opening it.
fn never_opens(listener: &mut Listener) -> Child {
    listener.played = None;
    let mut command = listener.directory.program();
    command
        .args(["realtime", "--microphone"])
        .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    listener.on(&mut command)
}

#[test]
fn speaker_that_does_not_open_is_named_after_ten_seconds() {
    let mut listener = Listener::new("microphone-stuck");
    let child = never_opens(&mut listener);
    let output = listener.while_silent(|| child.wait_with_output().unwrap());
    let stderr = "error: cannot open the speaker: it did not answer within 10s\n\
        hint: does another program or the sound system use it? `openai-agents devices` lists all devices; choose another with --output-device\n";
    check_output(&output, 2, "", stderr);
}

#[test]
fn ctrl_c_ends_a_program_whose_speaker_does_not_open() {
    let mut listener = Listener::new("microphone-stuck-interrupt");
    let child = never_opens(&mut listener);
    // The kernel keeps 15 characters of a thread's name.
    while !thread_names(&child).contains(&"openai-agents-o".to_owned()) {
        thread::yield_now();
    }
    stop(&child, "-INT");
    let output = listener.while_silent(|| child.wait_with_output().unwrap());
    check_output(&output, 130, "", "interrupted\n");
}

fn thread_names(child: &Child) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let names =
        threads.filter_map(|it| std::fs::read_to_string(it.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_microphone_writes_down_what_is_said_until_silence() {
    let heard = Reply::json(&json!({"text": "Go home."}));
    let server = FakeServer::start([heard]).await.unwrap();
    let mut listener = Listener::new("microphone-listen");
    let arguments = ["listen", "--microphone", "--silence", "1"];
    let mut child = listener.on(&mut on(&server, &listener.directory, &arguments));
    assert_eq!(
        listener.listens(&mut child),
        "listening; silence or Ctrl-C ends it\n"
    );
    let said = question();
    // More than a pipe holds.
    let mut pipe = listener.said.try_clone().unwrap();
    let samples = said.clone();
    let saying = thread::spawn(move || say(&mut pipe, &samples));
    let output = child.wait_with_output().unwrap();
    check_output(&output, 0, "Go home.\n", "");
    // What was not heard any more is still in the pipe.
    while !saying.is_finished() {
        listener.said.read_exact(&mut [0; 2]).unwrap();
    }
    let body = &server.requests()[0].body;
    // Half a second before it, a second of speech, and a second of silence; the device's last piece ends a little later.
    let has = |n_samples: usize| {
        let expected = bytes(&said[..n_samples]);
        body.windows(expected.len()).any(|it| it == expected)
    };
    assert!(has(60_000) && !has(72_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn talk_microphone_asks_and_plays_the_answer_until_ctrl_c() {
    let spoken = speech(12_000);
    let replies = [
        Reply::json(&json!({"text": "Go home?"})),
        streamed_text("It is ", "late."),
        Reply::raw(pcm(&spoken)),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let mut listener = Listener::new("microphone-talk");
    let arguments = ["talk", "--microphone", "--silence", "0.5"];
    let mut child = listener.on(&mut on(&server, &listener.directory, &arguments));
    assert_eq!(listener.listens(&mut child), "listening; silence ends it\n");
    let mut pipe = listener.said.try_clone().unwrap();
    let samples = question()[..12_000 + 24_000 + 12_000].to_vec();
    let saying = thread::spawn(move || say(&mut pipe, &samples));
    assert_eq!(listener.hear(12_000), spoken);
    saying.join().unwrap().unwrap();
    // It is heard to its end before the next question is asked.
    listener.play_on();
    let said = "you said: Go home?\nlistening; silence ends it\n";
    assert_eq!(without_gaps(&listener.listens(&mut child)), said);
    stop(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    check_output(&output, 130, "It is late.\n", "interrupted\n");
}

/// An answer of a speech server.
fn pcm(samples: &[i16]) -> Vec<u8> {
    let body = bytes(samples);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn speak_play_plays_every_sample_once() {
    let spoken = speech(36_000);
    let server = FakeServer::start([Reply::raw(pcm(&spoken))]).await.unwrap();
    let mut listener = Listener::new("microphone-speak");
    let arguments = ["speak", "Hello.", "--play", "--json"];
    let mut command = on(&server, &listener.directory, &arguments);
    let child = listener.on(&mut command);
    assert_eq!(listener.hear(36_000), spoken);
    // A device goes on while it is open.
    listener.play_on();
    let output = child.wait_with_output().unwrap();
    let result = json!({"type": "result", "ok": true, "seconds": 1.5, "usage": null});
    assert_eq!(
        (lines(&output), output.status.code()),
        (vec![result], Some(0)),
        "{output:?}"
    );
}

#[test]
fn devices_are_listed_and_the_default_is_marked() {
    let listener = Listener::new("microphone-devices");
    let mut command = listener.directory.program();
    let output = listener
        .on(command.args(["devices", "--json"]))
        .wait_with_output()
        .unwrap();
    let listed = lines(&output);
    let named = |kind: &str, id: &str| {
        let device = listed
            .iter()
            .find(|it| it["kind"] == kind && it["id"] == id);
        device.map(|it| (it["name"].clone(), it["default"].clone()))
    };
    assert_eq!(
        named("microphone", "mic"),
        Some((json!("Test microphone"), json!(false)))
    );
    assert_eq!(
        named("speaker", "loud"),
        Some((json!("Test speaker"), json!(false)))
    );
    for kind in ["microphone", "speaker"] {
        assert_eq!(
            named(kind, "default"),
            Some((json!("Default Audio Device"), json!(true)))
        );
    }
}
