//! What a realtime session costs by itself: CPU time for a second of audio both ways, and memory while nothing is said.
//!
//! The server has a thread of its own and is not counted. The CPU time is that of the client's thread, which does not depend on how busy a
//! machine is; the bytes are counted. So this is a test with bounds, and CI holds it.
//!
//! ```text
//! cargo test --workspace --all-features --test realtime_cost -- --nocapture               the numbers
//! cargo test --release --workspace --all-features --test realtime_cost -- --nocapture     those of an optimised build
//! ```
#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use openai_agents::model::OpenAiRealtime;
use openai_agents::realtime::{RealtimeAgent, RealtimeEvent, RealtimeSession};
use openai_agents::testing::realtime::RealtimeServer;
use serde_json::json;

const N_SECONDS: usize = 60;
const N_SESSIONS: usize = 100;

/// The most of a core that a second of audio takes, both ways.
const MAX_SHARE: f64 = 0.01;

/// The most bytes of a session in which nothing is said.
const MAX_IDLE_BYTES: i64 = 60 * 1024;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what each thread has allocated and not freed.
struct Counting;

thread_local! {
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(n_bytes: usize, sign: i64) {
    let n_bytes = i64::try_from(n_bytes).unwrap_or(i64::MAX);
    LIVE_BYTES.set(LIVE_BYTES.get() + sign * n_bytes);
}

#[expect(
    unsafe_code,
    reason = "an allocator that counts can only be put around the system's by its trait"
)]
// SAFETY: each call is passed on to the system's allocator as it came, whose contract is then the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Serves connections on a thread of its own; each client that has sent all its audio gets as much back.
fn serve() -> String {
    let (sender, url) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let server = RealtimeServer::start().await.unwrap();
            sender.send(server.url()).unwrap();
            loop {
                let mut peer = server.accept().await.unwrap();
                tokio::spawn(async move {
                    while let Ok(Some(event)) = peer.receive().await {
                        if event["type"] == "input_audio_buffer.commit" {
                            let answer = json!({"id": "resp_1"});
                            let begin = json!({"type": "response.created", "response": answer});
                            peer.send(&begin).await.unwrap();
                            for _ in 0..N_SECONDS * 10 {
                                let delta = "A".repeat(6_400);
                                let audio = json!({"type": "response.output_audio.delta", "response_id": "resp_1",
                                    "item_id": "item_1", "output_index": 0, "content_index": 0, "delta": delta});
                                peer.send(&audio).await.unwrap();
                            }
                            let answer = json!({"id": "resp_1", "status": "completed", "output": []});
                            let end = json!({"type": "response.done", "response": answer});
                            peer.send(&end).await.unwrap();
                        }
                    }
                });
            }
        });
    });
    url.recv().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

async fn connect(url: &str) -> RealtimeSession {
    let agent = RealtimeAgent::builder("Clerk").instructions("Be brief.");
    let model = OpenAiRealtime::builder(url, "m").build().unwrap();
    let session = RealtimeSession::builder(&agent.build().unwrap(), model);
    session.connect().await.unwrap()
}

/// The time that this thread was on a core.
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[test]
fn second_of_audio_costs_little_of_a_core() {
    let url = serve();
    runtime().block_on(async {
        let mut session = connect(&url).await;
        let before = cpu_time();
        for _ in 0..N_SECONDS * 50 {
            session.send_audio(vec![0; 960]).await.unwrap();
        }
        session.commit().await.unwrap();
        let mut n_bytes = 0;
        while let Some(event) = session.next().await {
            match event {
                RealtimeEvent::Audio { audio, .. } => n_bytes += audio.len(),
                RealtimeEvent::ResponseDone { .. } => break,
                _ => {}
            }
        }
        assert_eq!(n_bytes, N_SECONDS * 48_000);
        let Some(used) = cpu_time()
            .zip(before)
            .map(|(now, before)| now.saturating_sub(before))
        else {
            println!("this system does not say what a thread used");
            return;
        };
        let seconds = f64::from(u32::try_from(N_SECONDS).unwrap());
        let share = used.as_secs_f64() / seconds;
        println!(
            "{:.3} % of a core for a second of audio, both ways",
            share * 100.0
        );
        assert!(share < MAX_SHARE, "{used:?} for {seconds} s");
    });
}

#[test]
fn idle_session_takes_little_memory() {
    let url = serve();
    runtime().block_on(async {
        // What is made once.
        drop(connect(&url).await);
        let before = LIVE_BYTES.get();
        let mut sessions = Vec::with_capacity(N_SESSIONS);
        for _ in 0..N_SESSIONS {
            sessions.push(connect(&url).await);
        }
        for _ in 0..N_SESSIONS {
            tokio::task::yield_now().await;
        }
        let n_bytes = (LIVE_BYTES.get() - before) / i64::try_from(N_SESSIONS).unwrap();
        println!("{n_bytes} bytes of an idle session");
        assert!(n_bytes < MAX_IDLE_BYTES, "{n_bytes}");
    });
}
